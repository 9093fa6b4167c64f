"""Recordings behind URLs, from a real server: the same results as from files, and no password in any message."""

import base64
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import soundfile
from signals import sentences

from speechcmp.audio import url as remote
from speechcmp.audio.url import MAX_URL_BYTES, is_url, read_url, to_path, without_secrets
from speechcmp.batch import worker as tasks
from speechcmp.batch.manifest import open_manifest
from speechcmp.batch.run import Batch
from speechcmp.batch.worker import Failure
from speechcmp.cli.main import run
from speechcmp.comparison.compare import CompareParams
from speechcmp.errors import AudioError, DependencyError
from speechcmp.parallel.processes import Workers

pytestmark = pytest.mark.skipif(not (find_spec("fsspec") and find_spec("aiohttp")), reason="needs the extra remote")
SECRET = "open5esame"  # noqa: S105 - of a server that lives for a test
RATE = 8000


class Server(ThreadingHTTPServer):
    """Serve a folder: ``/closed/…`` to who knows the password, ``/slow`` never, ``/broken`` badly."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.asked: Counter[str] = Counter()
        self.ended = threading.Event()

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{path}"


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked[f"{self.command} {self.path}"] += 1
        if self.path.startswith("/closed/"):
            known = "Basic " + base64.b64encode(f"anna:{SECRET}".encode()).decode()
            if self.headers.get("Authorization") != known:
                self.send_error(401)
                return
            self.path = self.path.removeprefix("/closed")
        if self.path == "/broken":
            self.send_error(503)
        elif self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/slow":
            self.server.ended.wait(60)
        elif self.path == "/cut.wav":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"RIFF")
        else:
            super().do_GET()

    do_HEAD = do_GET  # noqa: N815 - the name that is looked for

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(3):
        samples = sentences([(0.1, 0.6 + k / 20)], 0.9, RATE, seed=k, noise=1e-3)
        soundfile.write(tmp_path / f"w {k}.wav", samples, RATE)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    tasks._SIDES.clear()
    with Server(folder) as started:
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield started
        started.ended.set()
        started.shutdown()
        thread.join()
    tasks._SIDES.clear()


def outcomes(path: Path, lines: list[tuple[str, str]]) -> list[Any]:
    path.write_text("".join(json.dumps({"reference": r, "take": t}) + "\n" for r, t in lines))
    with Workers(1) as workers:
        return list(Batch(open_manifest(path), None, params=CompareParams()).run(workers))


# --- rows


def test_urls_are_scored_like_files_and_read_once(server: Server, folder: Path) -> None:
    pairs = [(0, 1), (0, 2), (1, 2), (0, 0)]
    files = outcomes(folder / "f.jsonl", [(f"w {r}.wav", f"w {t}.wav") for r, t in pairs])
    urls = [(server.url(f"w%20{r}.wav"), (folder / f"w {t}.wav").as_uri()) for r, t in pairs]
    behind = outcomes(folder / "u.jsonl", urls)
    parts = ("overall", "chunks", "key")
    assert [[x.record[part] for part in parts] for x in behind] == [[x.record[part] for part in parts] for x in files]
    assert [(x.record["reference"], x.record["take"]) for x in behind] == urls, "in the manifest's words"
    assert server.asked == {"GET /w%200.wav": 1, "GET /w%201.wav": 1}
    outcomes(folder / "u.jsonl", urls)
    assert server.asked["GET /w%200.wav"] == 2, "what has changed since the last run can't be seen otherwise"


def test_a_changed_recording_is_scored_anew(server: Server, folder: Path) -> None:
    tasks._SIDES.clear()
    (folder / "m.csv").write_text(f"reference,take\nw 0.wav,{server.url('w%201.wav')}\nw 0.wav,w 2.wav\n")
    arguments = ["batch", str(folder / "m.csv"), "--out", str(folder / "r.jsonl"), "--jobs", "1"]
    assert run(arguments) == 0
    before = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
    assert run([*arguments, "--resume"]) == 0
    assert [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()] == before
    (folder / "w 1.wav").write_bytes((folder / "w 0.wav").read_bytes())
    assert run([*arguments, "--resume"]) == 0
    after = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
    assert after[0]["overall"]["distance"] < 0.001 < before[0]["overall"]["distance"]
    assert after[1] == before[1]


def test_passwords_let_in_and_are_not_told(
    server: Server, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"anna:{SECRET}@"
    good, gone, cut = (server.url(name, user) for name in ("closed/w%200.wav", "closed/gone.wav", "cut.wav"))
    takes = [good, good, gone, cut, server.url("broken", user), f"nosuch://{user}host/x.wav"]
    (folder / "m.jsonl").write_text("".join(json.dumps({"reference": good, "take": x}) + "\n" for x in takes))
    monkeypatch.chdir(folder)
    assert run(["batch", "m.jsonl", "--out", "r.jsonl", "--jobs", "1"]) == 3
    failures = [json.loads(line) for line in (folder / "r.failures.jsonl").read_text().splitlines()]
    host = f"anna:***@127.0.0.1:{server.server_port}"
    assert [x["reason"] for x in failures[:1]] == [f"http://{host}/closed/gone.wav: no such file; check the URL"]
    assert [x["file"] for x in failures] == [f"http://{host}/{n}" for n in ("closed/gone.wav", "cut.wav", "broken")] + [
        "nosuch://anna:***@host/x.wav"
    ]
    assert "unreadable (status 503); check the URL" in failures[2]["reason"]
    assert "not a URL that is read; give one of http, https, s3" in failures[3]["reason"]
    assert SECRET not in "".join(x["file"] + x["reason"] for x in failures)
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err
    assert "worst chunks" in told.out
    assert run(["batch", "m.jsonl", "--jobs", "1", "--limit", "3"]) == 3
    assert SECRET not in capfd.readouterr().err


def test_without_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://example.invalid/x.wav"
    for package in ("aiohttp", "fsspec"):
        monkeypatch.setitem(sys.modules, package, None)
        (failure,) = outcomes(folder / "m.jsonl", [("w 0.wav", url)])
        assert isinstance(failure, Failure)
        assert failure.reason == (
            f"{url}: URLs need {package}, which is not installed; pip install 'speechcmp[remote]'"
        )
        monkeypatch.undo()


# --- reading


@pytest.mark.parametrize(
    "url",
    [
        "memory://folder/x.wav",
        "reference://x::http://127.0.0.1/ref.json",
        "zip://x.wav::http://127.0.0.1/y.zip",
        "simplecache::http://127.0.0.1/x.wav",
        "http://127.0.0.1/x.wav::file:///etc/passwd",
        "https://h/a::b",
        "file://server/x.wav",
        "local://etc/passwd",
        "github://o:r@main/x.wav",
        "ftp://h/x.wav",
        "data://x",
        "dask://x",
    ],
)
def test_other_protocols_and_chains_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_fetch", lambda _: pytest.fail("was fetched"))
    with pytest.raises(AudioError, match="not a URL that is read"):
        read_url(url)


def test_case_of_the_protocol_is_nothing(server: Server) -> None:
    url = server.url("w%200.wav")
    assert read_url(url.replace("http", "HTTP")) == read_url(url)


@pytest.mark.skipif(sys.platform == "darwin", reason="has one loopback address only")
def test_redirects_stay_on_the_web_and_off_private_addresses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    there = server.url("w%200.wav")
    data = read_url(there)
    assert read_url(server.url(f"to?{there}")) == data, "a private server that was named may move its own"
    elsewhere = there.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(AudioError, match=r"redirected to a private address; --allow-private permits that"):
        read_url(server.url(f"to?{elsewhere}"))
    for other in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://h"):
        with pytest.raises(AudioError, match="unreadable"):
            read_url(server.url(f"to?{other}"))
    monkeypatch.setenv("SPEECHCMP_ALLOW_PRIVATE", "1")
    with pytest.raises(AudioError, match="Cannot connect"):  # for nobody is there
        read_url(server.url(f"to?{elsewhere}"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((name, True) for name in ("8.8.8.8", "2001:4860:4860::8888")),
        *((name, False) for name in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254")),
        *(
            (name, False)
            for name in ("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "100.64.0.1", "::", "0.0.0.1")
        ),
    ],
)
def test_what_a_public_address_is(address: str, public: bool) -> None:
    assert remote._is_public(address) == public


def test_a_protocol_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DependencyError, match=r"s3://b/x\.wav: the protocol needs .*s3fs"):
        read_url("s3://b/x.wav")


def test_no_more_than_is_allowed_is_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    n_bytes = len(read_url(server.url("w%200.wav")))
    monkeypatch.setattr(remote, "MAX_URL_BYTES", n_bytes)
    assert len(read_url(server.url("w%200.wav"))) == n_bytes
    monkeypatch.setattr(remote, "MAX_URL_BYTES", n_bytes - 1)
    with pytest.raises(AudioError, match="more than 0 MiB from a URL; copy it"):
        read_url(server.url("w%200.wav"))
    assert MAX_URL_BYTES == 268_435_456


def test_patience_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_SILENT_S", 0.2)
    with pytest.raises(AudioError, match=r"/slow: no answer in time"):
        read_url(server.url("slow"))


def test_no_server() -> None:
    with pytest.raises(AudioError, match=r"http://127\.0\.0\.1:1/x: unreadable \(Cannot connect.*; check the URL"):
        read_url("http://127.0.0.1:1/x")


# --- names


def test_what_a_url_is() -> None:
    names = ["http://h/x", "s3://b/x", "zip://x.wav::http://h/y.zip", "x.wav", "/a/b", r"C:\x", "c://x", "a b://x", ""]
    assert [is_url(name) for name in names] == [True] * 3 + [False] * 6


def test_file_urls_are_paths(tmp_path: Path) -> None:
    path = tmp_path / "ä %.wav"
    assert to_path(path.as_uri()) == str(path)
    assert to_path(path.as_uri().replace("file://", "file://localhost")) == str(path)
    for url in ("file://server/x.wav", "http://h/x%20y.wav", "http://[h/x"):
        assert to_path(url) == url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x.wav", "https://u:***@h/x.wav"),
        ("https://u:p@q@h/x", "https://u:***@h/x"),
        ("can't reach s3://key:s/h", "can't reach s3://key:s/h"),
        ("https://:p@h and https://u:q@i", "https://:***@h and https://u:***@i"),
        ("https://h/x:y@z.wav", "https://h/x:y@z.wav"),
        ("https://token@h:80/x", "https://***@h:80/x"),
        ("https://u:p/w@h", "https://u:***@h"),
        ("https://u:p?w@h/x", "https://u:***@h/x"),
        ("https://u:p@h/x@2.wav", "https://u:***@h/x@2.wav"),
        ("http://h:8080/a@b.wav", "http://h:8080/a@b.wav"),
        ("https://h/x?code=1&n=2#access_token=3", "https://h/x?code=***&n=2#access_token=***"),
        ("https://h/x?n=1&X-Amz-Signature=ab&m=2", "https://h/x?n=1&X-Amz-Signature=***&m=2"),
        ("https://h/x?sig=a%2Fb", "https://h/x?sig=***"),
        ("take:1@2.wav", "take:1@2.wav"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
