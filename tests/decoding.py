"""What becomes of a file's bytes when they are decoded whole."""

import io

from speechcmp.audio.decode import AudioFile, open_audio
from speechcmp.errors import AudioError


def opened(data: bytes) -> AudioFile | None:
    """Open and decode a file; None if it is refused."""
    try:
        file = open_audio(io.BytesIO(data))
        for _ in file.pcm_blocks():
            pass
    except AudioError:
        return None
    return file


def said_s(data: bytes) -> float | None:
    """Return what is said to be lost, in s; None if the file is refused."""
    file = opened(data)
    return None if file is None else file.lost_s
