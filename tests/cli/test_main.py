"""What holds for every verb: settings, errors, pipes, names that would be markup."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Command

from speechcmp.cli import root


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


def test_doctor_names_extras_and_settings(speechcmp: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def checks() -> dict[str, dict[str, str]]:
        return {check["name"]: check for check in speechcmp("doctor", "--format", "json").json["checks"]}

    assert {"dask", "parquet", "microphone"} <= set(checks())
    assert "no speechcmp.toml" in checks()["settings"]["detail"]
    monkeypatch.setattr("speechcmp.cli.doctor.find_spec", lambda _name: None)
    assert "distributed is not installed" in checks()["dask"]["detail"]
    assert checks()["parquet"]["remedy"] == "pip install pyarrow"
    (tmp_path / "speechcmp.toml").write_text("min-chunk = 3")
    assert checks()["settings"]["detail"] == str(tmp_path / "speechcmp.toml")
    (tmp_path / "speechcmp.toml").write_text("= 3")
    assert not checks()["settings"]["ok"]
    assert checks()["settings"]["remedy"] == "mend or remove it"


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
    name = "[red]:smile:a\x1b[31m\nb.wav"
    reference.rename(tmp_path / name)
    table = speechcmp("split", name).out
    assert "\x1b" not in table
    assert r"[red]:smile:a\x1b[31m\nb.wav" in table
    assert speechcmp("split", name, "--format", "json").json["recording"]["path"] == name
    missing = speechcmp("split", "[bold]:smile:\x1b[2J.wav")
    assert missing.err == "speechcmp: [bold]:smile:\\x1b[2J.wav: no file matches; check the pattern\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
@pytest.mark.parametrize("arguments", ["split {0} {0} -f jsonl", "split {0} -f json", "split {0}", "--help", "doctor"])
def test_a_reader_that_leaves_ends_it_quietly(reference: Path, arguments: str) -> None:
    call = f"{sys.executable} -m speechcmp {arguments.format(reference)} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")  # as `cat`


AT_IMPORT = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            {action}
sys.meta_path.insert(0, Finder())
from speechcmp.cli.main import main
main({arguments!r})
"""


@pytest.mark.parametrize("module", ["typer", "rich", "soundfile", "speechcmp.audio.split"])
@pytest.mark.parametrize(
    "action",
    ["raise KeyboardInterrupt", "raise SystemError('compiled code') from KeyboardInterrupt()"],
    ids=["python", "compiled"],
)
def test_interrupts_end_it_quietly(reference: Path, module: str, action: str) -> None:
    if module in {"typer", "rich"} and "System" in action:
        pytest.skip("no compiled code there")
    code = AT_IMPORT.format(module=module, action=action, arguments=["split", str(reference)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_ctrl_c_while_it_waits() -> None:
    call = [sys.executable, "-m", "speechcmp", "split", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(call, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        process.stdin.write(bytes(1 << 20))  # returns when most of it has been read
        time.sleep(0.5)  # now it waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() + process.stderr.read() == b""


@pytest.mark.parametrize("hours", ["0", "-1", "nan"])
def test_a_limit_of_nothing_is_refused(speechcmp: Command, reference: Path, hours: str) -> None:
    done = speechcmp("split", reference, "--max-duration", hours)
    assert (done.code, "--max-duration: " in done.err) == (2, True)


def test_json_has_no_nan(speechcmp: Command, tmp_path: Path) -> None:
    samples = np.zeros(48_000)
    samples[16_000:32_000] = 0.1 * np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "digital.wav", samples, 16_000)
    result = speechcmp("split", "digital.wav", "--format", "json")
    assert result.json["recording"]["noise_floor_dbfs"] is None

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(result.out, parse_constant=refuse)


def test_settings_that_are_broken_stop_no_question(speechcmp: Command, tmp_path: Path) -> None:
    (tmp_path / "speechcmp.toml").write_text("= 3")
    for question in (["--version"], ["--help"], ["split", "--help"], ["doctor"]):
        assert speechcmp(*question).code == 0, question
    assert "Usage" in speechcmp().out
    assert speechcmp("split", "--", "--help").code == 2


@pytest.mark.parametrize(("value", "shows"), [("0", False), ("false", False), ("", False), ("1", True)])
def test_debug_from_the_environment(value: str, shows: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "speechcmp", "split", "none.wav"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SPEECHCMP_DEBUG": value},
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, shows)


def test_inputs_after_two_dashes_are_no_options(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    reference.rename(tmp_path / "--debug")
    assert speechcmp("split", "-f", "json", "--", "--debug").json["recording"]["path"] == "--debug"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_tables_in_any_encoding(reference: Path, tmp_path: Path, encoding: str) -> None:
    name = tmp_path / "žába.wav"
    reference.rename(name)
    for arguments in (["split", name], ["split", tmp_path / "é.wav"], ["doctor"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "speechcmp", *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert done.returncode == (1 if "é" in str(arguments) else 0), done.stderr
        assert "Error" not in done.stderr.decode(encoding)
        if arguments == ["split", name]:
            text = done.stdout.decode(encoding)
            assert r"\u017e" in text or "ž" in text
            assert "###" in text


def test_colors_where_they_are_wanted(reference: Path, tmp_path: Path) -> None:
    def printed(*arguments: object, **variables: str) -> bytes:
        plain = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "TERM"}}
        call = [sys.executable, "-m", "speechcmp", *map(str, arguments)]
        env = {**plain, "TERM": "xterm-256color", **variables}
        done = subprocess.run(call, capture_output=True, check=False, env=env)
        return done.stdout + done.stderr

    color = re.compile(rb"\x1b\[[0-9;]*3[0-7]m")
    for arguments in (["split", reference], ["split", tmp_path / "none.wav"]):
        assert b"\x1b" not in printed(*arguments)
        assert color.search(printed(*arguments, FORCE_COLOR="1"))
        assert not color.search(printed(*arguments, FORCE_COLOR="1", NO_COLOR="1"))


def test_every_option_has_a_variable_and_a_key() -> None:
    group = root.command()
    found = list(root.all_options(group))
    assert {verb for verb, _, _ in found} == set(group.commands)
    for verb, option, param in found:
        assert param.envvar[0] == "SPEECHCMP_" + f"{verb}_{option}".upper().replace("-", "_")
        if option not in root.OWN_OPTIONS:
            assert "SPEECHCMP_" + option.upper().replace("-", "_") in param.envvar
        settings = {Path("speechcmp.toml"): {verb: {option: "some"}}}
        assert root.defaults_from(settings)[verb]


def test_the_splitting_options_are_the_same_everywhere(speechcmp: Command, reference: Path) -> None:
    found = {
        verb: speechcmp(verb, "--help").out.split("Splitting")[1].split("Limits")[0]
        for verb in ("split", "compare", "batch")
    }
    assert found["split"].count(" --") == 9  # --no-normalize is the ninth
    assert found["split"] == found["compare"] == found["batch"]
    given = ("--min-silence-len", 300, "--keep-silence", 30, "--target-dbfs", -25)
    split, compared = (
        speechcmp(*verb, *given, "-f", "json").json
        for verb in ((("split", reference), ("compare", reference, reference)))
    )
    assert split["params"]["min_silence_len_ms"] == 300
    assert split["params"]["target_dbfs"] == -25
    spans = [(chunk["start_s"], chunk["end_s"]) for chunk in split["chunks"]]
    assert [tuple(chunk["reference"].values()) for chunk in compared["chunks"]] == spans


def test_options_of_one_name_are_of_one_kind() -> None:
    kinds: dict[str, set[str]] = {}
    for verb, option, param in root.all_options(root.command()):
        if verb != "library" and option not in root.OWN_OPTIONS:
            kinds.setdefault(option, set()).add(f"{param.metavar} {param.default}")
    assert not {option: kind for option, kind in kinds.items() if len(kind) > 1}


def test_variables_of_verbs_and_of_all(
    speechcmp: Command, reference: Path, take: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECHCMP_CODEC", "flac")
    monkeypatch.setenv("SPEECHCMP_SPLIT_OUT", str(tmp_path / "out"))
    assert speechcmp("split", reference).code == 0
    assert len(list((tmp_path / "out").glob("*.flac"))) == 3
    monkeypatch.setenv("SPEECHCMP_SPLIT_CODEC", "wav")
    assert speechcmp("split", reference).code == 0
    assert len(list((tmp_path / "out").glob("*.wav"))) == 3
    monkeypatch.setenv("SPEECHCMP_FAIL_UNDER", "101")
    refused = speechcmp("compare", reference, take)
    assert (refused.code, "--fail-under: 101" in refused.err) == (2, True)
    monkeypatch.setenv("SPEECHCMP_INDEX_LIMIT", "soon")
    refused = speechcmp("index", reference)
    assert refused.err == ("speechcmp: --limit (from the environment): 'soon' is no number; give seconds such as 30\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("split x --min-silence-len half", "--min-silence-len: 'half' is no whole number; give milliseconds such as"),
        ("split x --target-dbfs loud", "--target-dbfs: 'loud' is no number; give dBFS such as -20"),
        ("split x -f xml", "--format: 'xml' is not possible; use one of table, json, jsonl, csv, textgrid, audacity"),
        ("split x --nonsens", "--nonsens: no such option; see speechcmp split --help"),
        ("split x --min-sil 3", "--min-sil: no such option; did you mean --min-"),
        ("split", "INPUTS: is missing; see speechcmp split --help"),
        ("split x --out", "--out: requires an argument; see"),
        ("batch x --limit 0", "--limit: '0' is out of range; give at least 1"),
        ("library remove seven", "ID...: 'seven' is no whole number; give numbers as `speechcmp library list` shows"),
        ("splat", "splat: no such verb; did you mean split?"),
        ("quux", "quux: no such verb; use one of split, compare, "),
    ],
)
def test_the_parsers_errors_are_in_the_usual_form(speechcmp: Command, arguments: str, message: str) -> None:
    result = speechcmp(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("speechcmp: " + message)
    assert result.err.count("\n") == 1


def test_values_of_settings_files_are_told_from_typed_ones(speechcmp: Command, tmp_path: Path) -> None:
    (tmp_path / "speechcmp.toml").write_text('min-silence-len = "half"')
    told = speechcmp("split", "x").err
    assert told.startswith("speechcmp: --min-silence-len (from speechcmp.toml): 'half' is no whole number; ")


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
