"""What holds for every verb: settings, errors, pipes, names that would be markup."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Command


def test_version(speechcmp: Command) -> None:
    assert speechcmp("--version") == (0, f"speechcmp {version('speechcmp')}\n", "")


def test_no_arguments_shows_help(speechcmp: Command) -> None:
    result = speechcmp()
    assert (result.code, result.err) == (2, "")
    assert "Split recordings at their pauses." in result.out


def test_doctor(speechcmp: Command) -> None:
    checks = {check["name"]: check for check in speechcmp("doctor", "--format", "json").json["checks"]}
    assert checks["ffmpeg"]["ok"]
    assert checks["dtw kernel"]["detail"] == "numpy" or checks["dtw kernel"]["ok"]
    for check in checks.values():
        assert check["ok"] or check["remedy"]
    assert "libsndfile" in speechcmp("doctor").out


def test_doctor_says_that_the_kernel_is_missing(speechcmp: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHCMP_KERNEL", "numpy")
    checks = {check["name"]: check for check in speechcmp("doctor", "--format", "json").json["checks"]}
    assert "g++" in checks["dtw kernel"]["remedy"]


def test_flag_before_environment_before_folder_before_home(
    speechcmp: Command, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*flags: str) -> int:
        result = speechcmp("split", reference, "--format", "json", *flags)
        return int(result.json["params"]["min_silence_len_ms"])

    assert used() == 500
    home = tmp_path / "config" / "speechcmp" / "speechcmp.toml"
    home.parent.mkdir(parents=True)
    home.write_text("min-silence-len = 410\n")
    if sys.platform == "linux":  # elsewhere the config folder does not follow XDG
        assert used() == 410
    (tmp_path / "speechcmp.toml").write_text("min-silence-len = 420\n")
    assert used() == 420
    (tmp_path / "speechcmp.toml").write_text("min-silence-len = 420\n[split]\nmin-silence-len = 430\n")
    assert used() == 430
    monkeypatch.setenv("SPEECHCMP_MIN_SILENCE_LEN", "440")
    assert used() == 440
    assert used("--min-silence-len", "450") == 450


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("min-silense = 3", "'min-silense' is no option"),
        ("[splat]\nx = 1", "[splat] is no verb"),
        ("= 3", "not a settings file"),
    ],
)
def test_wrong_settings_are_named(speechcmp: Command, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "speechcmp.toml").write_text(content)
    result = speechcmp("split", "x.wav")
    assert result.code == 2
    assert message in result.err
    assert "speechcmp.toml" in result.err


def test_traceback_only_with_debug(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "speechcmp", "split", str(tmp_path / "none.wav")]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (plain.returncode, plain.stderr.count("\n")) == (1, 1)
    assert "Traceback" not in plain.stderr
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


def test_names_are_shown_as_they_are(speechcmp: Command, tmp_path: Path, reference: Path) -> None:
    name = "[red]a\x1b[31m\nb.wav"
    reference.rename(tmp_path / name)
    table = speechcmp("split", name).out
    assert "\x1b" not in table
    assert r"[red]a\x1b[31m\nb.wav" in table
    assert speechcmp("split", name, "--format", "json").json["recording"]["path"] == name
    missing = speechcmp("split", "[bold]\x1b[2J.wav")
    assert missing.err == "speechcmp: [bold]\\x1b[2J.wav: no file matches; check the pattern\n"


def test_a_reader_that_leaves_is_no_error(reference: Path) -> None:
    command = f"{sys.executable} -m speechcmp split {reference} --format json | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_json_has_no_nan(speechcmp: Command, tmp_path: Path) -> None:
    samples = np.zeros(48_000)
    samples[16_000:32_000] = 0.1 * np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "digital.wav", samples, 16_000)
    result = speechcmp("split", "digital.wav", "--format", "json")
    assert result.json["recording"]["noise_floor_dbfs"] is None

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(result.out, parse_constant=refuse)


@pytest.mark.parametrize("verb", ["split", "compare"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(verb: str, shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "speechcmp", "--show-completion"],
        capture_output=True,
        text=True,
        check=False,
        env={
            "_SPEECHCMP_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": f"speechcmp {verb[:3]}",
            "COMP_CWORD": "1",
            "_TYPER_COMPLETE_ARGS": f"speechcmp {verb[:3]}",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "PATH": "/usr/bin:/bin",
        },
    )
    assert verb in script.stdout
