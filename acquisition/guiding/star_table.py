"""The guide stars of a run, a line each.

In: `Step`s. Out: `StarFigures`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from acquisition.guiding.events import Step
from acquisition.images.meta import GuideStar


@dataclass(frozen=True, slots=True)
class StarFigures:
    """One guide star.

    Attributes
    ----------
    number : int
    x, y : float
        Where it should be at last, 0-based px.
    snr, hfd_px : float
        Means over the frames that used it (NaN if none did).
    frames, used : int
        How many frames had it on their list, and how many used it.
    reason : str or None
        Why it was left out most often.
    """

    number: int
    x: float
    y: float
    snr: float
    hfd_px: float
    frames: int
    used: int
    reason: str | None


class _Sums:
    def __init__(self) -> None:
        self.last: GuideStar
        self.frames = self.used = 0
        self.snr = self.hfd = 0.0
        self.reasons: Counter[str] = Counter()


class StarTable:
    """Adds up the stars of every step; begins anew when other stars are chosen."""

    def __init__(self) -> None:
        self._stars: dict[int, _Sums] = {}

    def begin(self) -> None:
        """Other stars were chosen."""
        self._stars = {}

    def add(self, step: Step) -> None:
        for star in step.stars:
            sums = self._stars.get(star.number)
            if sums is None:
                sums = self._stars[star.number] = _Sums()
            sums.last = star
            sums.frames += 1
            if star.used:
                sums.used += 1
                sums.snr += star.snr
                sums.hfd += star.hfd
            elif star.reason is not None:
                sums.reasons[star.reason] += 1

    def figures(self) -> list[StarFigures]:
        """In the order of their numbers, the best first."""
        return [
            StarFigures(
                number, sums.last.x_ref, sums.last.y_ref,
                sums.snr / sums.used if sums.used else math.nan, sums.hfd / sums.used if sums.used else math.nan,
                sums.frames, sums.used, sums.reasons.most_common(1)[0][0] if sums.reasons else None,
            )
            for number, sums in sorted(self._stars.items())
        ]  # fmt: skip
