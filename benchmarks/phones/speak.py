"""Make synthetic speech to train on: the training texts by several voices, and other languages by two voices each.

    python benchmarks/phones/speak.py --readings SO762 --exclude FILE --out DIR [--locales /usr/share/locale]

SO762 is speechocean762's folder; FILE names, one a line, the speakers whose readings are never used (`#` begins a
comment). DIR gets the wave files, `manifest.json` (a line an utterance) and, for other languages, the sentences.

English: each text of the training split that an allowed speaker reads is spoken by two voices of flite and by two of
espeak-ng, with pitch and speed drawn at random. Other languages: sentences among the translated messages of the
programs of this machine, by two voices of espeak-ng. What is drawn depends on the seed and the utterance alone.
"""

import argparse
import gettext
import json
import random
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import soundfile
from corpus import Utterance, speechocean, write_manifest

FLITE_VOICES = {"awb": (90, 150), "rms": (75, 130), "kal16": (80, 140)}  # and the pitches drawn, Hz; never slt
ENGLISH = ("en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-gbclan")
VARIANTS = (  # of espeak-ng's voices
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb",
    "david", "Denis", "Diogo", "ed", "edward", "Gene", "Gene2", "Gustave", "Henrique", "Hugo", "iven", "iven2",
    "iven3", "Jacky", "john", "kaukovalta", "Lee", "linda", "marcelo", "Marco", "Mario", "max", "Michael", "michel",
    "miguel", "Mike", "Mr", "Nguyen", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro",
    "steph", "steph2", "steph3", "travis", "victor", "Zac", "adam", "anika", "f1", "f2", "f3", "f4", "f5", "m1",
    "m2", "m3", "m4", "m5", "m6", "m7", "m8", "klatt", "klatt2", "klatt3", "klatt4", "grandma", "grandpa", "shelby",
)  # fmt: skip
LANGUAGES = {  # folder of messages: voice of espeak-ng
    "fr": "fr-fr", "sv": "sv", "de": "de", "es": "es", "it": "it", "ru": "ru", "ja": "ja", "zh_CN": "cmn",
    "pt_BR": "pt-br", "ko": "ko", "cs": "cs", "tr": "tr", "el": "el", "pl": "pl", "da": "da", "vi": "vi", "nl": "nl",
    "fi": "fi", "ro": "ro", "id": "id", "hu": "hu", "hi": "hi", "ar": "ar", "fa": "fa", "ka": "ka", "et": "et",
}  # fmt: skip
SHORT_SCRIPTS = ("ja", "zh_CN", "ko")
OTHER_SCRIPTS = (*SHORT_SCRIPTS, "ru", "el", "hi", "ar", "fa", "ka")
_LEAST_S = 0.35


@dataclass(frozen=True)
class Spoken:
    """What to say, how, and where to: `command` lacks nothing."""

    utterance: Utterance
    command: tuple[str, ...]


def espeak(language: str, text: str, path: Path, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    voice = f"{language}+{rng.choice(VARIANTS)}"
    pitch, speed = rng.randint(15, 85), rng.randint(110, 195)
    return voice, ("espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "-w", str(path), text)


def flite(voice: str, text: str, path: Path, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    settings = (
        f"duration_stretch={rng.uniform(0.85, 1.5):.2f}",
        f"int_f0_target_mean={rng.uniform(*FLITE_VOICES[voice]):.0f}",
    )
    options = (part for setting in settings for part in ("--setf", setting))
    return f"flite-{voice}", ("flite", "-voice", voice, *options, "-t", text, "-o", str(path))


def english(readings: list[Utterance], out: Path, seed: int) -> Iterator[Spoken]:
    """Yield four readings by machine of each text."""
    for reading in readings:
        text = reading.text.lower().capitalize() + "."
        voices = random.Random(f"{seed} {reading.name}").sample(sorted(FLITE_VOICES), 2)  # noqa: S311
        for k in range(4):
            name = f"{reading.name}-{k}"
            rng = random.Random(f"{seed} {name}")  # noqa: S311
            path = out / f"{name}.wav"
            voice, command = (
                flite(voices[k], text, path, rng) if k < 2 else espeak(rng.choice(ENGLISH), text, path, rng)
            )
            yield Spoken(Utterance(name, voice, reading.text, "en", "synthetic", str(path)), command)


def sentences(locales: Path, folder: str, count: int, seed: int) -> list[str]:
    """Pick sentences of a length to say in some 3 s among the translated messages in one language."""
    shortest, longest = (6, 14) if folder in SHORT_SCRIPTS else (20, 55)
    found = set()
    for file in sorted(locales.glob(f"{folder}/LC_MESSAGES/*.mo")):
        try:
            with file.open("rb") as stream:
                messages = list(vars(gettext.GNUTranslations(stream))["_catalog"].values())
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        for message in messages:
            plain = re.sub(r"[%\\<>{}\[\]\"`|=/_&$#*@~^+()\n:;-].*", "", message, flags=re.DOTALL).strip()
            if folder in OTHER_SCRIPTS and re.search("[A-Za-z]", plain):
                continue
            if shortest <= len(plain) <= longest:
                found.add(plain)
    rng = random.Random(f"{seed} {folder}")  # noqa: S311
    return rng.sample(sorted(found), min(count, len(found)))


def other_languages(texts: dict[str, list[str]], out: Path, seed: int) -> Iterator[Spoken]:
    """Yield two readings of each sentence, by voices that differ."""
    for folder, lines in texts.items():
        language = LANGUAGES[folder]
        for n, text in enumerate(lines):
            voices: set[str] = set()
            for k in range(2):
                name = f"{folder}-{n}-{k}"
                rng = random.Random(f"{seed} {name}")  # noqa: S311
                path = out / f"{name}.wav"
                voice, command = espeak(language, text, path, rng)
                while voice in voices:
                    voice, command = espeak(language, text, path, rng)
                voices.add(voice)
                yield Spoken(Utterance(name, voice, text, language, "languages", str(path)), command)


def say(spoken: Spoken) -> Utterance | None:
    """Run the synthesizer; None where it made no speech of it."""
    path = Path(spoken.utterance.path)
    if not path.exists():
        done = subprocess.run(spoken.command, capture_output=True, check=False)
        if done.returncode:
            return None
    if not path.exists() or soundfile.info(path).duration < _LEAST_S:
        return None
    return spoken.utterance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=Path, required=True, help="speechocean762's folder")
    parser.add_argument("--exclude", type=Path, required=True, help="names of speakers never used, one a line")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--locales", type=Path, default=Path("/usr/share/locale"))
    parser.add_argument("--sentences", type=int, default=120, help="of each other language")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    audio = options.out / "wav"
    audio.mkdir(parents=True, exist_ok=True)
    texts = {folder: sentences(options.locales, folder, options.sentences, options.seed) for folder in LANGUAGES}
    (options.out / "sentences.json").write_text(json.dumps(texts, ensure_ascii=False, indent=1), encoding="utf-8")
    work = [
        *other_languages(texts, audio, options.seed),
        *english(speechocean(options.readings, options.exclude), audio, options.seed),
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        spoken = [utterance for utterance in pool.map(say, work) if utterance]
    write_manifest(options.out / "manifest.json", spoken)
    print(f"{len(spoken)} of {len(work)} utterances, {len({u.speaker for u in spoken})} voices")
    print(json.dumps(asdict(spoken[0])))


if __name__ == "__main__":
    main()
