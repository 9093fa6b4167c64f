"""One loudness, then chunks."""

import numpy as np
import pytest
from signals import sentences

from speechcmp.audio.recording import Recording, measure_level
from speechcmp.audio.segment import SplitParams, segment
from speechcmp.errors import AudioError

SPOKEN = Recording(sentences([(0.7, 2.1), (3.0, 4.4)], 5.2), 16_000, "spoken.wav")


@pytest.mark.parametrize("target_dbfs", [-20.0, -30.0])
def test_levels_are_before_and_after(target_dbfs: float) -> None:
    result = segment(SPOKEN, SplitParams(target_dbfs=target_dbfs))
    assert result.level == measure_level(SPOKEN)
    assert measure_level(result.source).dbfs == pytest.approx(target_dbfs, abs=0.02)
    assert result.noise_floor_dbfs == pytest.approx(
        segment(SPOKEN, SplitParams(target_dbfs=None)).noise_floor_dbfs, abs=1
    )
    assert len(result.chunks) == 2
    assert result.warnings == ()


def test_without_target_nothing_is_changed() -> None:
    assert segment(SPOKEN, SplitParams(target_dbfs=None)).source is SPOKEN


def test_clipping_is_told_when_it_can_be_heard() -> None:
    assert "samples are clipped at -3 dBFS" in segment(SPOKEN, SplitParams(target_dbfs=-3.0)).warnings[0]


def test_faintest_sound_has_no_level_and_is_not_amplified() -> None:
    faint = np.zeros(16_000, np.float32)
    faint[100] = 1 / 32_768
    assert segment(Recording(faint, 16_000), SplitParams()).source.samples.max() == np.float32(1 / 32_768)
    with pytest.raises(AudioError, match=r"none\.wav: silent"):
        segment(Recording(np.zeros(9, np.float32), 16_000, "none.wav"), SplitParams())
