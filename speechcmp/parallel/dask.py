"""A Dask cluster's workers, used as local processes are: through its client's executor.

The cluster is its owner's. Workers come and go, other people's tasks run on them, and it is there when we are gone.
"""

import json
import pickle
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from speechcmp.errors import DependencyError, ParameterError, SpeechcmpError
from speechcmp.files import read_bounded
from speechcmp.parallel.processes import WorkerDiedError, Workers
from speechcmp.tables import decode_json

CONNECT_S = 10.0
IN_FLIGHT_A_THREAD = 2
_LOOK_S = 2.0  # between two looks at who is there
_CLOSE_S = 2.0
_PACKAGE = "speechcmp"
_GOES_ON = "what is done is kept, and --resume goes on"

Notice = Callable[[str], None]


class WorkerKilledError(BrokenExecutor):
    """A task's process was killed as often as the cluster allows."""


class ClusterWorkers(Workers):
    """The workers of a Dask cluster that is running already.

    Parameters
    ----------
    address : str
        The scheduler's, such as ``tcp://host:8786``, or the path of a scheduler file.
    notice : callable
        Told in a few words what cluster it is, and when there are no workers.

    Raises
    ------
    DependencyError
        Dask's `distributed` is not installed, or a worker has no speechcmp.
    ParameterError
        `address` is neither an address nor a scheduler file.
    SpeechcmpError
        No scheduler answers, or the workers have another version of speechcmp.
    """

    tries_again = True

    def __init__(self, address: str, *, notice: Notice) -> None:
        self._cluster = _Cluster(address)
        self._notice = notice
        self._n_workers, n_threads = self._cluster.size()
        self._looked_at = time.monotonic()
        notice(f"on {self._cluster.address}: {self._n_workers} workers, {n_threads} threads")
        if self._cluster.other_dask:
            notice(f"{self._cluster.address}: has another version of Dask or Python, which may fail; install the same")
        if not self._n_workers:
            self._say_none()
        super().__init__(max(1, n_threads), start=lambda _: _ClusterExecutor(self._cluster))
        self._in_flight_a_job = IN_FLIGHT_A_THREAD

    def __exit__(self, *_: object) -> None:
        self._cluster.close()

    @property
    def room(self) -> int:
        """How many tasks are worth having under way, with the threads that are there now."""
        self._look()
        return super().room

    def alone(self, function: Callable[[Any], Any], item: Any, *, tries: int = 2) -> Any:  # noqa: ANN401
        """Run an item when no other of ours runs: a killed worker has then been killed by this one.

        Raises
        ------
        WorkerDiedError
            It was killed as often as it was tried.
        """
        for _ in range(tries):
            self._wait_for(self._cluster.flying())
            future = self.submit(function, item)
            self._wait_for({future})
            with suppress(WorkerKilledError):
                return future.result()
        raise WorkerDiedError

    def _wait_for(self, futures: set[Future[Any]]) -> None:
        while wait(futures, _LOOK_S).not_done:
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        had_some = self._n_workers > 0
        self._n_workers, n_threads = self._cluster.size()
        self._looked_at = now
        self.n_jobs = max(1, n_threads)
        if had_some and not self._n_workers:
            self._say_none()

    def _say_none(self) -> None:
        self._notice(f"{self._cluster.address}: has no workers; waiting for one to come")


class _Cluster:
    """The connection, and what of ours is under way."""

    def __init__(self, address: str) -> None:
        self._distributed = _import_distributed()
        self.address = _find_address(address)
        self.other_dask = False
        self._client = self._connect()
        self._executor: Any = self._client.get_executor(pure=False)  # else a second try is the first one
        self._flying: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._in_hand: frozenset[str] = frozenset()
        self._in_hand_at = -_LOOK_S
        try:
            self._check_versions()
        except BaseException:
            self.close()
            raise

    def size(self) -> tuple[int, int]:
        """Return how many workers there are, and how many threads they have."""
        n_threads = self._ask(self._client.nthreads)
        return len(n_threads), sum(n_threads.values())

    def in_hand(self) -> frozenset[str]:
        """Return the keys of the tasks that workers have been given, as of a moment ago."""
        now = time.monotonic()
        if now - self._in_hand_at > _LOOK_S:
            given = self._ask(self._client.processing)
            self._in_hand = frozenset(key for keys in given.values() for key in keys)
            self._in_hand_at = now
        return self._in_hand

    def flying(self) -> set[Future[Any]]:
        """Return what is under way."""
        with self._lock:
            return set(self._flying)

    def begin(self, function: Callable[..., Any], items: tuple[Any, ...], named: dict[str, Any]) -> Future[Any]:
        """Send a task off."""
        name = getattr(getattr(function, "func", function), "__name__", "task")
        key = f"{name}-{uuid4().hex}"
        # The scheduler unpacks tasks before it hands them on, and need not have speechcmp: it sees bytes.
        work = pickle.dumps(_Call((_version(), function, items, named)))
        inner = self._ask(lambda: self._executor.submit(pickle.loads, work, key=key))
        future = _ClusterFuture(self, key, inner)
        with self._lock:
            self._flying.add(future)
        future.add_done_callback(self._end)
        inner.add_done_callback(future.pass_on)
        return future

    def lost_error(self) -> SpeechcmpError:
        """Make the error of a scheduler that was there, and is no more."""
        return SpeechcmpError(f"{self.address}: the scheduler is gone, or has dropped our tasks; {_GOES_ON}")

    def unfit_error(self, error: BaseException) -> SpeechcmpError:
        """Make the error of a worker that can't run a task at all."""
        reason = f"{type(error).__name__}: {_one_line(error)}"
        told = SpeechcmpError(f"{self.address}: a worker can't run tasks ({reason}); install there what is here")
        told.__cause__ = error
        return told

    def killed(self, error: BaseException) -> bool:
        """Say whether this is how the cluster tells that it has given up a task whose workers died."""
        return isinstance(error, self._distributed.KilledWorker)

    def close(self) -> None:
        """Take leave: the scheduler drops what of ours is left, and goes on."""
        with suppress(Exception):
            self._client.close(timeout=_CLOSE_S)

    def _end(self, future: Future[Any]) -> None:
        with self._lock:
            self._flying.discard(future)

    def _connect(self) -> Any:  # noqa: ANN401 - a Client
        made: Future[Any] = Future()

        def make() -> None:
            try:
                made.set_result(_client(self._distributed, self.address))
            except Exception as error:  # noqa: BLE001 - each protocol has its own
                made.set_exception(error)

        # In a thread of its own: with what is no scheduler, but answers, the client's time limit is none.
        threading.Thread(target=make, daemon=True).start()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                client = made.result(CONNECT_S + _CLOSE_S)
            except Exception as error:
                raise SpeechcmpError(
                    f"{self.address}: no Dask scheduler to work with ({_one_line(error) or 'no answer'}); "
                    f"check the address, and that it runs, with a version near {self._distributed.__version__}"
                ) from error
        self.other_dask = any(one.category.__name__ == "VersionMismatchWarning" for one in told)
        return client

    def _check_versions(self) -> None:
        # A function that workers have even if their speechcmp is another one, or none.
        answers = self._ask(lambda: self._client.run(metadata.version, _PACKAGE, on_error="return"))
        ours = _version()
        for worker, theirs in answers.items():
            if isinstance(theirs, metadata.PackageNotFoundError):
                raise DependencyError(f"{worker}: this worker has no speechcmp; pip install 'speechcmp=={ours}' there")
            if isinstance(theirs, str) and theirs != ours:
                raise SpeechcmpError(_other_version(worker, theirs, ours))

    def _ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401
        if self._client.status != "running":
            raise self.lost_error()
        try:
            return question()
        except Exception as error:  # of the connection: what tasks raise is not met here
            raise self.lost_error() from error


class _ClusterExecutor(Executor):
    """`Client.get_executor()` with futures that know what has been begun, and fail as local ones do."""

    def __init__(self, cluster: _Cluster) -> None:
        self._cluster = cluster

    def submit(self, function: Callable[..., Any], /, *items: Any, **named: Any) -> Future[Any]:  # noqa: ANN401
        """Send a task to the cluster."""
        return self._cluster.begin(function, items, named)


class _ClusterFuture(Future[Any]):
    """What a worker will give; cancelled only if none has been given the task."""

    def __init__(self, cluster: _Cluster, key: str, inner: Future[Any]) -> None:
        super().__init__()
        self._cluster = cluster
        self._key = key
        self._inner: Future[Any] | None = inner

    def cancel(self) -> bool:
        inner = self._inner
        if inner is None or self._key in self._cluster.in_hand() or not super().cancel():
            return False
        inner.cancel()
        return True

    def pass_on(self, inner: Future[Any]) -> None:
        """Take over what the cluster's own future gave."""
        self._inner = None  # which holds this one: workers keep a result until both are gone
        if not self.set_running_or_notify_cancel():
            return
        if inner.cancelled():  # not by us
            self.set_exception(self._cluster.lost_error())
            return
        error = inner.exception()
        if error is None:
            try:
                self.set_result(_result_of(inner.result()))
            except SpeechcmpError as refusal:
                self.set_exception(refusal)
            except (ValueError, TypeError, KeyError) as no_answer:
                self.set_exception(self._cluster.unfit_error(no_answer))
        elif self._cluster.killed(error):
            self.set_exception(WorkerKilledError(str(error)))
        else:  # tasks raise nothing of themselves
            self.set_exception(self._cluster.unfit_error(error))


class _Call:
    """A call of `run_there` that is made by unpacking it."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return run_there, self._arguments


def run_there(version: str, function: Callable[..., Any], items: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Call a function on a worker, in the way that gives the numbers of a local one.

    Returns
    -------
    str
        JSON, since what answers is trusted with numbers and words only: ``result``, or ``refusal`` where speechcmp has
        another version (a worker that came when the others had been asked).
    """
    if version != _version():
        return json.dumps({"refusal": _other_version("a worker", _version(), version) + f"; {_GOES_ON}"})
    _pin_blas()
    return json.dumps({"result": function(*items, **named)})


def _result_of(answer: str) -> Any:  # noqa: ANN401 - any JSON value
    values = decode_json(answer)
    if "refusal" in values:
        raise SpeechcmpError(_one_line(values["refusal"]))
    return values["result"]


@cache
def _pin_blas() -> None:
    """Let BLAS use one thread, as most of Dask's workers have it: more would sum in another order."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with the extra

    threadpool_limits(1)


@cache
def _version() -> str:
    return metadata.version(_PACKAGE)


def _other_version(who: str, theirs: str, ours: str) -> str:
    return (
        f"{who}: has speechcmp {theirs}, and this is {ours}, so results would differ; "
        f"pip install 'speechcmp=={ours}' there"
    )


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]


def _find_address(given: str) -> str:
    """Return the address itself, or the one in a scheduler file."""
    path = Path(given)
    if not path.is_file():
        if ":" in given:
            return given
        raise ParameterError(
            f"--dask: {given!r} is neither an address nor a scheduler file; give one such as tcp://host:8786"
        )
    try:
        return str(decode_json(read_bounded(path).decode())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path}: no scheduler file; give what dask scheduler --scheduler-file wrote") from error


def _client(distributed: ModuleType, address: str) -> Any:  # noqa: ANN401
    class Client(distributed.Client):  # type: ignore[name-defined,misc]
        def __del__(self) -> None:
            """Leave closing to whoever opened it: one that never connected would wait for itself at the end."""

    # Results are text; one that is a pickle is not unpacked here.
    return Client(address, timeout=CONNECT_S, set_as_default=False, deserializers=["dask", "msgpack"])


def _import_distributed() -> ModuleType:
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DependencyError(
            "Dask's distributed is not installed, which --dask needs; pip install 'speechcmp[dask]'"
        ) from error
    return distributed
