"""Files that never end, or never begin, in the place of every file that a command is given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from commands import SPANS_S, Command
from signals import sentences

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such files"),
    pytest.mark.timeout(25),
]

# Of each command the arguments, X being the file; what is written to is written last.
CALLS = {
    "split": "split X.wav",
    "compare reference": "compare X.wav take.wav",
    "compare take": "compare reference.wav X.wav",
    "compare also-reference": "compare reference.wav take.wav --also-reference X.wav",
    "compare calibration": "compare reference.wav take.wav --calibration X.json",
    "batch manifest csv": "batch X.csv --jobs 1",
    "batch manifest jsonl": "batch X.jsonl --jobs 1",
    "batch manifest parquet": "batch X.parquet --jobs 1",
    "batch reference": "batch --reference X.wav --takes take.wav --jobs 1",
    "batch takes": "batch --reference reference.wav --takes X.wav --jobs 1",
    "batch copies": "batch --reference reference.wav --takes X.wav --jobs 1 --flag-copies",
    "batch dask": "batch m.csv --dask X.json",
    "report results": "report X.jsonl",
    "report csv": "report X.csv",
    "report parquet": "report X.parquet",
    "report failures": "report r.jsonl --failures X.jsonl",
    "calibrate results": "calibrate X.jsonl ratings.csv",
    "calibrate ratings": "calibrate r.jsonl X.csv",
    "calibrate wrong": "calibrate r.jsonl --wrong X.jsonl",
    "index": "index X.wav --db sqlite:///new.db",
    "identify": "identify X.wav --db sqlite:///library.db",
    "library": "library list --db sqlite:///X.db",
    "batch out jsonl": "batch m.csv --jobs 1 --out X.jsonl",
    "batch out csv": "batch m.csv --jobs 1 --out X.csv",
    "batch out parquet": "batch m.csv --jobs 1 --out X.parquet",
    "batch out resumed": "batch m.csv --jobs 1 --out X.jsonl --resume",
    "batch failures": "batch m.csv --jobs 1 --out n.jsonl --failures X.jsonl",
    "split out": "split reference.wav --out X",
    "index db": "index reference.wav --db sqlite:///X.db",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make recordings, results and a library, once."""
    folder = tmp_path_factory.mktemp("prepared")
    soundfile.write(folder / "reference.wav", sentences(SPANS_S, 7.5), 16_000)
    shutil.copy(folder / "reference.wav", folder / "take.wav")
    (folder / "m.csv").write_text("reference,take\nreference.wav,take.wav\n")
    (folder / "ratings.csv").write_text("id,rating\n1,50\n")
    for call in ("batch m.csv --out r.jsonl --jobs 1", "index reference.wav --db sqlite:///library.db"):
        subprocess.run([sys.executable, "-m", "speechcmp", *call.split()], check=True, capture_output=True, cwd=folder)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)


@pytest.mark.parametrize("what", ["fifo", "/dev/zero", "loop"])
@pytest.mark.parametrize("call", CALLS)
def test_nothing_waits_for_what_is_no_file(speechcmp: Command, folder: Path, call: str, what: str) -> None:
    arguments = CALLS[call].split()
    named = next(word for word in arguments if "X" in word).removeprefix("sqlite:///")
    if what == "fifo":
        os.mkfifo(folder / named)
    else:
        (folder / named).symlink_to(named if what == "loop" else what)
    done = speechcmp(*arguments)
    assert done.code in {1, 2}
    assert named in done.err
    assert "--debug shows where" not in done.err
    assert len(done.err.splitlines()) <= 3
    assert Path("/dev/zero").is_char_device()
    assert what != "fifo" or (folder / named).is_fifo()


def test_links_that_lead_back_are_walked_once(speechcmp: Command, folder: Path) -> None:
    inner = folder / "class"
    inner.mkdir()
    (inner / "a.wav").write_bytes((folder / "take.wav").read_bytes())
    for k in range(3):
        (inner / f"back{k}").symlink_to(folder, target_is_directory=True)
        (inner / f"self{k}").symlink_to(inner, target_is_directory=True)
    for names in (("class", "-r"), ("class/**/*.wav",)):
        assert [line["recording"]["path"] for line in speechcmp("split", *names, "-f", "jsonl").lines] == [
            "class/a.wav"
        ]


@pytest.mark.parametrize("argument", ["-", "/dev/stdin"])
def test_standard_input_without_an_end_is_left(folder: Path, argument: str) -> None:
    limited = "import speechcmp.audio.decode as d; d.MAX_STREAM_BYTES = 1 << 20\n"
    call = f"from speechcmp.cli.main import main\nmain(['split', {argument!r}])"
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-c", limited + call],
            stdin=endless,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
    assert done.returncode == 1
    assert "from a stream" in done.stderr or "is a pipe or a device" in done.stderr
