"""The same work done with the packages people use for it today; each is a script of its own."""

import argparse
import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

WORKS = ("split_with_pydub", "compare_with_scripts", "rows_with_fastdtw", "rows_with_dtaidistance")


def split_with_pydub(path: str) -> object:
    from pydub import AudioSegment, silence

    audio = AudioSegment.from_file(path)
    audio = audio.apply_gain(-20.0 - audio.dBFS)
    return silence.detect_nonsilent(audio, min_silence_len=500, silence_thresh=-40)


def compare_with_scripts(reference: str, take: str) -> object:
    """Split both with pydub, encode with librosa, compare chunk by chunk with fastdtw."""
    import librosa
    import numpy as np
    from fastdtw import fastdtw
    from pydub import AudioSegment, silence

    encoded = []
    for path in (reference, take):
        audio = AudioSegment.from_file(path)
        audio = audio.apply_gain(-20.0 - audio.dBFS)
        chunks = silence.split_on_silence(audio, min_silence_len=500, silence_thresh=-40, keep_silence=100)
        features = []
        for chunk in chunks:
            samples = np.array(chunk.get_array_of_samples(), np.float32) / 32768
            samples = librosa.resample(samples, orig_sr=chunk.frame_rate, target_sr=22050)
            features.append(librosa.feature.mfcc(y=samples, sr=22050).T)
        encoded.append(features)
    return [fastdtw(a, b, dist=1)[0] / (len(a) + len(b)) for a, b in zip(*encoded, strict=False)]


def rows_with_fastdtw(manifest: str) -> object:
    """Encode each recording once with librosa, and compare the rows with fastdtw."""
    from fastdtw import fastdtw

    return [fastdtw(a, b, dist=1)[0] / (len(a) + len(b)) for a, b in _encoded(manifest)]


def rows_with_dtaidistance(manifest: str) -> object:
    """Encode each recording once with librosa, and compare the rows with dtaidistance in C."""
    import numpy as np
    from dtaidistance import dtw_ndim

    return [dtw_ndim.distance_fast(a.astype(np.float64), b.astype(np.float64)) for a, b in _encoded(manifest)]


def _encoded(manifest: str) -> Iterator[tuple[Any, Any]]:
    import librosa
    import numpy as np

    @cache
    def encode(path: str) -> Any:  # noqa: ANN401 - an array
        samples, rate = librosa.load(path)
        return np.ascontiguousarray(librosa.feature.mfcc(y=samples, sr=rate).T)

    with Path(manifest).open(newline="") as file:
        for row in csv.DictReader(file):
            yield encode(row["reference"]), encode(row["take"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("paths", nargs="+")
    arguments = parser.parse_args()
    print(json.dumps(globals()[arguments.work](*arguments.paths)))
