"""What a fingerprint store promises, whatever keeps it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from speechcmp.checks import check_fields
from speechcmp.errors import ParameterError
from speechcmp.fingerprint.voting import Hits

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

State = Literal["whole", "head"]
STATES = get_args(State)

HASH_BYTES = 10
SHA1_BYTES = 20
MAX_NAME = 255
MAX_PATH = 4096
MAX_FRAME = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Preset:
    """What the hashes of a library were made with.

    Attributes
    ----------
    name : str
        What messages call it.
    parameters : str
        JSON of everything that decides which hash a sound gets; two presets are the same when this is equal.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.Preset.of(speechcmp.FingerprintParams("dense", fan_out=6)).name
    'dense'
    """

    name: str
    parameters: str

    @classmethod
    def of(cls, params: "DataclassInstance") -> Self:
        """Make the preset of parameters.

        Parameters
        ----------
        params : FingerprintParams
            Or another dataclass that has a `name`; fields called ``query_*`` only concern the asking.

        Returns
        -------
        Preset
            Under their name.

        Raises
        ------
        ParameterError
            They are no dataclass with a name.
        """
        if not is_dataclass(params) or not hasattr(params, "name"):
            raise ParameterError(f"params: {type(params).__name__} has no name and fields; give FingerprintParams")
        fields = {name: value for name, value in asdict(params).items() if not name.startswith("query_")}
        return cls(str(fields["name"]), json.dumps(fields, sort_keys=True))


@dataclass(frozen=True, slots=True, eq=False)
class NewRecording:
    """A recording to store.

    Attributes
    ----------
    name : str
        At most 255 characters.
    path : str
        At most 4096 characters.
    content_sha1 : bytes
        SHA-1 of the file, 20 bytes: the recording's identity.
    duration_s : float
        Seconds that are fingerprinted.
    sample_rate : int
        Hz of the file.
    hashes : uint8, shape (k, 10)
        Landmark hashes.
    offsets : uint32, shape (k,)
        Frame of each landmark's anchor.
    state : "whole" or "head"
        Whether all of the recording is fingerprinted, or only its first `duration_s` seconds.

    Raises
    ------
    ParameterError
        Something has another shape, type or range.

    Examples
    --------
    >>> import hashlib
    >>> import numpy as np
    >>> import speechcmp
    >>> sha1 = hashlib.sha1(b"the file's bytes").digest()
    >>> hashes, offsets = np.zeros((2, 10), np.uint8), np.array([0, 7], np.uint32)
    >>> new = speechcmp.NewRecording("a.wav", "/lessons/a.wav", sha1, 1.5, 16_000, hashes, offsets)
    >>> new.state
    'whole'
    """

    name: str
    path: str
    content_sha1: bytes
    duration_s: float
    sample_rate: int
    hashes: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    state: State = "whole"

    def __post_init__(self) -> None:
        check_fields(self)
        checked_hashes(self.hashes)
        if self.offsets.shape != self.hashes.shape[:1] or self.offsets.dtype.kind not in "ui":
            raise ParameterError(
                f"{self.name}: offsets must be whole numbers, one a hash ({len(self.hashes)}), "
                f"given {self.offsets.dtype} {self.offsets.shape}"
            )
        if self.offsets.size and not 0 <= int(self.offsets.min()) <= int(self.offsets.max()) <= MAX_FRAME:
            raise ParameterError(f"{self.name}: offsets must lie in 0..{MAX_FRAME}, given {self.offsets.max()}")
        if len(self.content_sha1) != SHA1_BYTES:
            raise ParameterError(f"{self.name}: content_sha1 has {len(self.content_sha1)} bytes; a SHA-1 has 20")
        if len(self.name) > MAX_NAME or len(self.path) > MAX_PATH:
            raise ParameterError(
                f"{self.name[:40]}...: name or path too long, {len(self.name)} and {len(self.path)} letters; "
                f"at most {MAX_NAME} and {MAX_PATH} can be stored"
            )


class Added(NamedTuple):
    """What became of a recording.

    Attributes
    ----------
    recording_id : int
        As in the library.
    known : bool
        As much of the same content was there before.
    extended : bool
        A shorter head of it was there, whose hashes these have replaced under the same id.
    """

    recording_id: int
    known: bool
    extended: bool = False


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording of the library.

    Attributes
    ----------
    id : int
        As in `Match.recording_id`.
    name, path : str
        Of the file, when it was added.
    content_sha1 : bytes
        SHA-1 of the file, 20 bytes.
    duration_s : float
        Seconds that are fingerprinted.
    sample_rate : int
        Hz of the file.
    n_hashes : int
        How many are stored.
    state : {"whole", "head"}
        Whether all of it is fingerprinted, or only its first `duration_s` seconds.
    added_at : datetime
        In UTC.
    """

    id: int
    name: str
    path: str
    content_sha1: bytes
    duration_s: float
    sample_rate: int
    n_hashes: int
    state: State
    added_at: datetime


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What is in a library.

    Attributes
    ----------
    n_recordings, n_hashes : int
        How much is stored.
    duration_s : float
        Seconds fingerprinted, all recordings together.
    n_bytes : int
        Size on disk, as far as the database tells.
    preset : Preset or None
        What the hashes were made with; None while the library is empty.
    schema : int
        Version of the tables.
    """

    n_recordings: int
    n_hashes: int
    duration_s: float
    n_bytes: int
    preset: Preset | None
    schema: int


class Store(ABC):
    """A library of fingerprints.

    Guarantees, for every implementation:

    - A recording and all its hashes become visible at one moment; a process or a server killed before that
      leaves nothing behind, and one killed after it loses nothing.
    - Content (its SHA-1) is stored once, whoever writes at the same time; more of it replaces a head of it, at
      one moment.
    - All recordings of a library have one `Preset`, that of the first one added.
    - A lost connection is opened again and what was lost is repeated, with pauses, for half a minute; a file
      that another process is writing to is waited for, a quarter of a minute.
    - Values reach the database as bound parameters; passwords reach no message.

    A store is used by the thread and the process that opened it. As a context manager it closes itself.

    Every method may raise `StoreUnavailableError` (can't be reached, or was lost and did not come back) and
    `StoreError` (there is no library yet, it is damaged, or the database refuses).

    Attributes
    ----------
    label : str
        What messages call it.

    Examples
    --------
    >>> import tempfile
    >>> import speechcmp
    >>> with tempfile.TemporaryDirectory() as folder, speechcmp.open_store(f"sqlite:///{folder}/a.db") as store:
    ...     store.create()
    ...     list(store.list()), store.info().n_hashes
    ([], 0)
    """

    label: str = "library"

    @abstractmethod
    def create(self) -> None:
        """Create the tables where they are missing; harmless when they are there.

        Raises
        ------
        StoreError
            Tables of those names, or in SQLite any tables, belong to another program.
        """

    def add(self, recording: NewRecording, preset: Preset) -> Added:
        """Store one recording.

        Parameters
        ----------
        recording, preset
            As for `add_many`.

        Returns
        -------
        Added
            What became of it.

        Raises
        ------
        ParameterMismatchError
            As for `add_many`.
        """
        return self.add_many([recording], preset)[0]

    @abstractmethod
    def add_many(self, recordings: Sequence[NewRecording], preset: Preset) -> Sequence[Added]:
        """Store several whole recordings in one transaction.

        Where a recording replaces its head, the whole library is read through once.

        Parameters
        ----------
        recordings : sequence of NewRecording
            A hash that occurs again at the same offset counts once.
        preset : Preset
            What the hashes were made with; the library takes it from the first recording.

        Returns
        -------
        sequence of Added
            One a recording, in the order given. When the connection was lost in the middle of a commit, what
            that commit had stored is reported as known.

        Raises
        ------
        ParameterMismatchError
            The library was filled with another preset; nothing is stored.
        """

    @abstractmethod
    def known(self, content_sha1s: Iterable[bytes]) -> Mapping[bytes, StoredRecording]:
        """Look up contents.

        Parameters
        ----------
        content_sha1s : iterable of bytes
            SHA-1 of files, 20 bytes each.

        Returns
        -------
        mapping of bytes to StoredRecording
            By SHA-1; those that are not stored are left out.
        """

    @abstractmethod
    def find(self, hashes: NDArray[np.uint8], preset: Preset, *, max_per_hash: int | None = None) -> Hits:
        """Look up all hashes of a clip at once.

        Parameters
        ----------
        hashes : uint8, shape (k, 10)
            Each row is answered, also one that occurs twice.
        preset : Preset
            What the hashes were made with.
        max_per_hash : int, optional
            Leave out the hashes that are stored more often than this.

        Returns
        -------
        Hits
            Row of `hashes`, recording and stored offset of every hit, three arrays of shape (n,).

        Raises
        ------
        ParameterMismatchError
            The library was filled with another preset.
        """

    @abstractmethod
    def list(self) -> Sequence[StoredRecording]:
        """Read what is stored of all recordings, but for the hashes.

        Returns
        -------
        sequence of StoredRecording
            In order of id.
        """

    @abstractmethod
    def describe(self, recording_ids: Iterable[int]) -> Mapping[int, StoredRecording]:
        """Look up ids.

        Parameters
        ----------
        recording_ids : iterable of int
            As in `Match.recording_id`.

        Returns
        -------
        mapping of int to StoredRecording
            By id; those that are not stored (any more) are left out.
        """

    @abstractmethod
    def remove(self, *recording_ids: int) -> None:
        """Take recordings out, with all their hashes, at one moment; reads through the whole library.

        Parameters
        ----------
        *recording_ids : int
            As in `StoredRecording.id`.

        Raises
        ------
        StoreError
            One of them is not there; then none is removed.
        """

    @abstractmethod
    def info(self) -> LibraryInfo:
        """Count what is stored.

        Returns
        -------
        LibraryInfo
            As of now.
        """

    @abstractmethod
    def compact(self) -> None:
        """Rewrite the tables without the gaps that inserting leaves; content and meaning stay.

        Takes about a second a million hashes and, for a while, the same space again. Best effort: a database
        that is busy or can't do it stays as it is.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the database; harmless when done before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def checked_hashes(hashes: NDArray[Any]) -> NDArray[np.uint8]:
    """Return hashes as they came when they are (k, 10) uint8, else raise `ParameterError`."""
    if hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES or hashes.dtype != np.uint8:
        raise ParameterError(f"hashes: must be uint8 (k, {HASH_BYTES}), given {hashes.dtype} {hashes.shape}")
    return hashes
