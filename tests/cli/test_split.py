"""``speechcmp split``."""

import gc
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import parselmouth
import pytest
import soundfile
from commands import SPANS_S, Command
from signals import sentences

from speechcmp.audio import decode
from speechcmp.audio.decode import AudioFile, open_audio

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pydub import AudioSegment, silence


def test_json_is_the_contract(speechcmp: Command, reference: Path) -> None:
    result = speechcmp("split", reference, "--format", "json")
    assert (result.code, result.err) == (0, "")
    assert set(result.json) == {"schema", "recording", "params", "chunks", "warnings"}
    assert result.json["schema"] == "speechcmp.split/1"
    recording = result.json["recording"]
    assert recording["path"] == str(reference)
    assert (recording["duration_s"], recording["sample_rate"], recording["channels"]) == (7.5, 16_000, 1)
    assert -100 < recording["noise_floor_dbfs"] < recording["dbfs"] < recording["peak_dbfs"] <= 0
    assert result.json["params"]["min_silence_len_ms"] == 500
    assert result.json["params"]["target_dbfs"] == -20.0
    found = [(chunk["start_s"], chunk["end_s"]) for chunk in result.json["chunks"]]
    np.testing.assert_allclose(found, [(a - 0.1, b + 0.1) for a, b in SPANS_S], atol=0.05)
    assert [chunk["index"] for chunk in result.json["chunks"]] == [0, 1, 2]
    for chunk in result.json["chunks"]:
        assert chunk["duration_s"] == pytest.approx(chunk["end_s"] - chunk["start_s"], abs=1e-5)


@pytest.mark.parametrize("options", [[], ["--no-normalize"], ["--target-dbfs=-31"]])
def test_fixed_threshold_is_pydub_through_the_whole_command(
    speechcmp: Command, take: Path, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "take.wav"
    soundfile.write(path, *soundfile.read(take, dtype="int16"))
    with path.open("rb") as stream:
        segment = AudioSegment.from_file(stream, format="wav")
    if "--no-normalize" not in options:
        segment = segment.apply_gain((-31.0 if options else -20.0) - segment.dBFS)
    want = silence.detect_nonsilent(segment, min_silence_len=300, silence_thresh=-45, seek_step=7)
    result = speechcmp(
        *(
            "split",
            path,
            "--min-silence-len",
            300,
            "--silence-thresh",
            -45,
            "--seek-step",
            7,
            "--keep-silence",
            0,
        ),
        *(*options, "--format", "json"),
    )
    got = [[round(1000 * chunk[key]) for key in ("start_s", "end_s")] for chunk in result.json["chunks"]]
    assert got == want
    assert len(want) > 1


def test_chunks_are_written_to_the_sample(speechcmp: Command, take: Path, tmp_path: Path) -> None:
    for codec in ("wav", "flac"):
        result = speechcmp("split", take, "--out", tmp_path / "out", "--codec", codec, "--no-normalize", "-f", "json")
        whole, rate = soundfile.read(take, dtype="int16")
        assert len(result.json["chunks"]) == 3
        for chunk in result.json["chunks"]:
            assert Path(chunk["path"]).name == f"take-chunk{chunk['index']:03}.{codec}"
            start, stop = round(chunk["start_s"] * rate), round(chunk["end_s"] * rate)
            np.testing.assert_array_equal(soundfile.read(chunk["path"], dtype="int16")[0], whole[start:stop])
    assert not list((tmp_path / "out").glob("*.part"))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_written_chunks_keep_the_width(speechcmp: Command, tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "wide.wav"
    soundfile.write(path, sentences(SPANS_S, 7.5), 16_000, subtype=subtype)
    whole, _ = soundfile.read(path)
    result = speechcmp("split", path, "-o", tmp_path / "out", "--no-normalize", "-f", "json")
    for chunk in result.json["chunks"]:
        part, rate = soundfile.read(chunk["path"])
        start = round(chunk["start_s"] * rate)
        np.testing.assert_allclose(part, whole[start : start + len(part)], atol=2**-22)


def test_dry_run_writes_nothing(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    result = speechcmp("split", reference, "--out", tmp_path / "out", "--dry-run", "--format", "json")
    assert len(result.json["chunks"]) == 3
    assert "path" not in result.json["chunks"][0]
    assert not (tmp_path / "out").exists()


def test_several_inputs(speechcmp: Command, reference: Path, take: Path, tmp_path: Path) -> None:
    for inputs in ([reference, take], [tmp_path], [f"{tmp_path}/*e*.*"]):
        result = speechcmp("split", *inputs, "--format", "json")
        assert sorted(item["recording"]["path"] for item in result.json) == [str(reference), str(take)]
        lines = speechcmp("split", *inputs, "--format", "jsonl").lines
        assert lines == result.json
        table = speechcmp("split", *inputs, "--format", "csv").out.splitlines()
        assert table[0] == "path,index,start_s,end_s,duration_s,chunk_path"
        assert len(table) == 7


def test_folders_of_a_folder(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    reference.rename(tmp_path / "deep" / "deeper" / "a.wav")
    refused = speechcmp("split", tmp_path / "deep")
    assert refused.code == 1
    assert "no recording in this folder; -r looks" in refused.err
    assert speechcmp("split", "-r", tmp_path / "deep", "-f", "json").code == 0


def test_standard_input(speechcmp: Command, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(reference.read_bytes())))
    got = speechcmp("split", "-", "--format", "json").json
    want = speechcmp("split", reference, "--format", "json").json
    assert got["chunks"] == want["chunks"]
    assert got["recording"]["path"] == "stdin"


def test_textgrid_opens_in_praat(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    path = tmp_path / "reference.TextGrid"
    path.write_text(speechcmp("split", reference, "--format", "textgrid").out, encoding="utf-8")
    grid = parselmouth.read(str(path))
    assert parselmouth.praat.call(grid, "Get number of intervals", 1) == 7
    assert parselmouth.praat.call(grid, "Get label of interval", 1, 2) == "chunk 0"
    assert parselmouth.praat.call(grid, "Get starting point", 1, 2) == pytest.approx(0.6, abs=0.05)
    assert parselmouth.praat.call(grid, "Get end time") == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("form", "suffix", "start"),
    [
        ("textgrid", ".TextGrid", "File type"),
        ("audacity", ".txt", "0."),
        ("srt", ".srt", "1\n00:"),
        ("vtt", ".vtt", "WEBVTT"),
    ],
)
def test_label_files_of_several_inputs(
    speechcmp: Command, reference: Path, take: Path, tmp_path: Path, form: str, suffix: str, start: str
) -> None:
    refused = speechcmp("split", reference, take, "--format", form)
    assert refused.code == 2
    assert "give --out DIR" in refused.err
    assert speechcmp("split", reference, take, "--format", form, "--out", tmp_path / "labels").code == 0
    for name in ("reference", "take"):
        assert (tmp_path / "labels" / (name + suffix)).read_text(encoding="utf-8").startswith(start)


def test_table(speechcmp: Command, reference: Path) -> None:
    lines = speechcmp("split", reference).out.splitlines()
    assert lines[0].split() == ["chunk", "start", "end", "seconds"]
    assert [line.split()[0] for line in lines[1:4]] == ["0", "1", "2"]
    assert "3 chunks in 7.5 s" in lines[4]


def test_one_bad_input_of_several(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"")
    result = speechcmp("split", tmp_path / "bad.wav", reference, "--format", "jsonl")
    assert result.code == 3
    assert [line["recording"]["path"] for line in result.lines] == [str(reference)]
    assert result.err == f"speechcmp: {tmp_path / 'bad.wav'}: empty (0 bytes); record or copy it again\n"


def test_inputs_of_the_same_name_do_not_overwrite_each_other(
    speechcmp: Command, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "reference.flac"
    soundfile.write(twin, *soundfile.read(reference))
    result = speechcmp("split", reference, twin, "--out", tmp_path / "out")
    assert result.code == 2
    assert "2 inputs are called 'reference'" in result.err
    assert not (tmp_path / "out").exists()


def test_warnings_say_what_to_try(speechcmp: Command, tmp_path: Path) -> None:
    path = tmp_path / "noisy.wav"
    soundfile.write(path, sentences(SPANS_S, 7.5, noise=0.02), 16_000)
    result = speechcmp("split", path, "--silence-thresh=-40", "--format", "json")
    assert "is above the threshold -40 dBFS" in result.json["warnings"][0]
    assert "try --silence-thresh auto" in result.err
    assert len(speechcmp("split", path, "--format", "json").json["chunks"]) == 3
    loud = speechcmp("split", path, "--target-dbfs=-1", "--format", "json")
    assert "samples are clipped at -1 dBFS" in loud.err


def test_recordings_that_were_too_loud(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    samples = soundfile.read(reference)[0]
    samples /= np.abs(samples).max()
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.clip(3 * samples, -1, 1), 16_000)
    for arguments in (["split", path], ["compare", reference, path]):
        result = speechcmp(*arguments, "--format", "json")
        assert len(result.json["warnings"]) == 1
        assert "% of the speech is cut off at full scale; record again with a lower gain" in result.err
    soundfile.write(path, 0.9999 * samples, 16_000)
    assert speechcmp("split", path, "--format", "json").err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-silence-len", "0"], "min_silence_len_ms: 0"),
        (["--min-silence-len", "half"], "no whole number"),
        (["--silence-thresh", "loud"], "--silence-thresh: 'loud'"),
        (["--silence-thresh", "nan"], "silence_thresh_dbfs: nan"),
        (["--keep-silence=-5"], "keep_silence_ms: -5"),
        (["--seek-step", "0"], "seek_step_ms: 0"),
        (["--target-dbfs", "7"], "target_dbfs: 7"),
        (["--min-chunk", "900", "--max-chunk", "300"], "min_chunk_ms: 900"),
        (["--format", "xml"], "xml"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage(speechcmp: Command, reference: Path, options: list[str], message: str) -> None:
    result = speechcmp("split", reference, *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("speechcmp: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_inputs_are_not_overwritten(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    twin = tmp_path / "reference-chunk000.wav"
    twin.write_bytes(reference.read_bytes())
    result = speechcmp("split", reference, twin, "--out", tmp_path)
    assert (result.code, "could be overwritten" in result.err) == (2, True)
    assert twin.read_bytes() == reference.read_bytes()
    empty = speechcmp("split", "")
    assert (empty.code, "an input is empty" in empty.err) == (2, True)


def test_a_pattern_without_a_file_among_several_inputs(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    alone = speechcmp("split", "*.nothing", "--format", "json")
    assert (alone.code, alone.out) == (1, "")
    among = speechcmp("split", "*.nothing", reference, tmp_path / "empty", "--format", "jsonl")
    assert among.code == 3
    assert [line["recording"]["path"] for line in among.lines] == [str(reference)]
    assert among.err.splitlines() == [
        "speechcmp: *.nothing: no file matches; check the pattern",
        f"speechcmp: {tmp_path / 'empty'}: is a folder; name the recordings in it",
    ]
    assert speechcmp("split", "*.nothing", "*.none").code == 1


def test_a_pattern_without_a_file_ends_no_other_verb(
    speechcmp: Command, reference: Path, take: Path, tmp_path: Path
) -> None:
    db = ("--db", f"sqlite:///{tmp_path}/library.db")
    for arguments in (
        ("index", "*.nothing", reference, *db),
        ("identify", "*.nothing", reference, *db),
        ("compare", reference, "*.nothing", take),
        ("batch", "--reference", reference, "--takes", "*.nothing", "--takes", take),
    ):
        result = speechcmp(*arguments)
        assert (result.code, "*.nothing" in result.err) == (3, True), arguments
    for alone in (("index", "*.nothing", *db), ("identify", "*.nothing", *db), ("compare", reference, "*.nothing")):
        assert speechcmp(*alone).code == 1


def test_chunks_of_an_earlier_run_do_not_stay(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = speechcmp("split", reference, "--out", out, "-f", "json")
    assert len(first.json["chunks"]) == 3
    kept = ("reference-chunk007.wav", "reference-chunk9.wav", "other-chunk005.wav", "reference-chunk002.txt")
    for name in kept:
        (out / name).write_bytes(reference.read_bytes())
    (out / "reference-chunk008.wav").symlink_to(out / "reference-chunk001.wav")
    again = speechcmp("split", reference, "--out", out, "--min-chunk", 9000, "-f", "json")
    assert len(again.json["chunks"]) == 1
    left = {path.name for path in out.iterdir()}
    assert left == {"reference-chunk000.wav", "reference-chunk008.wav", *kept}
    assert "removed reference-chunk001.wav to reference-chunk002.wav" in again.err


def test_chunks_are_written_to_new_files_with_the_usual_permissions(
    speechcmp: Command, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (out / "reference-chunk000.wav").symlink_to(victim)
    before = os.umask(0o027)
    try:
        refused = speechcmp("split", reference, "--out", out)
        assert speechcmp("split", reference, "--out", out, "--force").code == 0
    finally:
        os.umask(before)
    assert (refused.code, "is there already, and not from here; --force" in refused.err) == (1, True)
    assert victim.read_text() == "precious"
    assert not (out / "reference-chunk000.wav").is_symlink()
    assert (out / "reference-chunk000.wav").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of this kind")
def test_nothing_is_left_of_a_chunk_that_could_not_be_written(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    limited = "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
    call = f"from speechcmp.cli.main import main\nmain(['split', {str(reference)!r}, '--out', {str(out)!r}])"
    done = subprocess.run([sys.executable, "-c", limited + call], capture_output=True, text=True, check=False)
    assert (done.returncode, list(out.iterdir())) == (1, [])
    assert "can't be written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_recordings_are_forgotten_when_they_are_printed(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speechcmp: Command
) -> None:
    copies = [tmp_path / f"copy{k}.wav" for k in range(4)]
    for copy in copies:
        copy.write_bytes(reference.read_bytes())
    n_held: list[int] = []

    def watched(*arguments: Any, **named: Any) -> AudioFile:
        n_held.append(sum(issubclass(type(item), AudioFile) for item in gc.get_objects()))  # some are dead proxies
        return open_audio(*arguments, **named)

    monkeypatch.setattr(decode, "open_audio", watched)
    for form in ("jsonl", "json", "csv", "table"):
        assert speechcmp("split", *copies, "-f", form).code == 0
    assert max(n_held) <= 1 + n_held[0]


def test_a_line_is_printed_before_the_next_input_is_there(reference: Path) -> None:
    for form, first in (("jsonl", b"{"), ("json", b"["), ("csv", b"path"), ("table", b"chunk")):
        call = [sys.executable, "-m", "speechcmp", "split", str(reference), "-", "-f", form]
        with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin and process.stdout  # noqa: PT018
            assert process.stdout.readline().startswith(first)  # while it waits for somebody to speak
            process.stdin.write(reference.read_bytes())
            process.stdin.close()
            assert process.stdout.read()
        assert process.returncode == 0
