"""Files that are somebody's: nothing is replaced that was not written here, and a folder's settings decide little."""

import os
import sys
from pathlib import Path

import pytest
from commands import Command

from speechcmp.files import MAX_SETTINGS_BYTES, read_bounded, written_whole

LABELS = {"textgrid": ".TextGrid", "audacity": ".txt", "srt": ".srt", "vtt": ".vtt"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")


@pytest.mark.parametrize(("form", "suffix"), LABELS.items())
def test_labels_made_by_hand_are_kept(
    speechcmp: Command, reference: Path, tmp_path: Path, form: str, suffix: str
) -> None:
    labels = tmp_path / f"reference{suffix}"
    labels.write_text("hours of work")
    call = ("split", reference, "--format", form, "--out", ".")
    done = speechcmp(*call)
    assert (done.code, labels.read_text()) == (1, "hours of work")
    assert f"reference{suffix}: is there already, and not from here; --force replaces it" in done.err
    assert speechcmp(*call, "--force").code == 0
    assert labels.read_text() != "hours of work"
    assert speechcmp(*call).code == 0, "the same labels again do no harm"


@posix
@pytest.mark.parametrize("call", [("--format", "textgrid"), ("--format", "json"), ("--codec", "flac")])
def test_links_are_not_followed(speechcmp: Command, reference: Path, tmp_path: Path, call: tuple[str, ...]) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    names = ("reference.TextGrid", "reference-chunk000.wav", "reference-chunk000.flac")
    for name in names:
        (out / name).symlink_to(precious)
    assert speechcmp("split", reference, *call, "--out", out).code == 1
    assert speechcmp("split", reference, *call, "--out", out, "--force").code == 0
    assert precious.read_text() == "precious"
    assert {path.name for path in out.iterdir() if not path.name.startswith("reference")} == set()


def test_chunks_of_another_program_are_kept(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert speechcmp("split", reference, "--out", out).code == 0
    theirs = out / "reference-chunk001.wav"
    theirs.write_bytes(reference.read_bytes())
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert speechcmp("split", reference, "--out", out, "--keep-silence", "50").code == 1
    assert {path: path.read_bytes() for path in out.iterdir()} == before, "and none of the others is half new"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(TypeError), written_whole(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {"x": "old"}


# ------------------------------------------------------------------------------------------------- settings

STRANGE = """
db = "mysql://mallory@example.invalid/x"
dask = "tcp://example.invalid:8786"
out = "elsewhere"
min-silence-len = 430
[compare]
calibration = "model.json"
recipe = "classic"
[batch]
failures = "x"
allow-private = true
"""


def test_settings_of_a_folder_do_not_say_where_data_go(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "speechcmp.toml").write_text(STRANGE)
    done = speechcmp("split", reference, "--format", "json")
    assert done.json["params"]["min_silence_len_ms"] == 430
    assert "dask, db, out, compare.calibration, batch.allow-private, batch.failures not taken" in done.err
    assert not (tmp_path / "elsewhere").exists()
    assert speechcmp("compare", reference, reference, "--format", "json").json["recipe"] == "classic"
    listed = speechcmp("library", "list", "--db", f"sqlite:///{tmp_path / 'x.db'}")
    assert "mallory" not in listed.err
    assert "there is no library yet" in listed.err


def test_settings_of_ones_own_do(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    own = tmp_path / "config" / "speechcmp" / "speechcmp.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[split]\nout = "chunks"\n')
    done = speechcmp("split", reference)
    assert (done.code, done.err, (tmp_path / "chunks").is_dir()) == (0, "", True)


@posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "link to /dev/zero", "folder", "large", "deep", "digits", "bytes"])
def test_settings_that_are_none_are_one_line(speechcmp: Command, reference: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "speechcmp.toml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind.startswith("link"):
        path.symlink_to("/dev/zero")
    else:
        contents = {
            "large": "a = 1\n" * MAX_SETTINGS_BYTES,
            "deep": "min-chunk = " + "[" * 5_000,
            "digits": "min-chunk = " + "9" * 10_000,
            "bytes": "min-chunk = \x00",
        }
        path.write_text(contents[kind])
    done = speechcmp("split", reference)
    assert done.code in {1, 2}
    assert done.err.count("\n") == 1
    assert "speechcmp.toml" in done.err


@posix
def test_what_is_read_whole_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(OSError, match="is larger than 0 KiB"):
        read_bounded(tmp_path / "large", 10)
    assert len(read_bounded(tmp_path / "large", 11)) == 11
    with pytest.raises(OSError, match="is a pipe or a device"):
        read_bounded(Path("/dev/zero"))
