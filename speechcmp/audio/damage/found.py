"""What was found in a damaged file, and what is lost."""

from typing import NamedTuple

_UNHEARD_S = 0.1  # encoders' delays are counted differently by files and by decoders


class Found(NamedTuple):
    """What a file of frames or pages holds, by their headers.

    Attributes
    ----------
    heard_s : float
        What a decoder should make of all that is whole; 0 if that is not known.
    lost_s : float
        What was between them, or should have been; 0 if all is well, inf for a ruin.
    """

    heard_s: float
    lost_s: float

    def lost_of_s(self, decoded_s: float) -> float:
        """Return what is lost when so much was decoded: a decoder that meets damage may stop there."""
        missed_s = self.heard_s + self.lost_s - decoded_s
        return max(self.lost_s, missed_s if missed_s > _UNHEARD_S else 0.0)
