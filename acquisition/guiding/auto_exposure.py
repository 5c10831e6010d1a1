"""The guiding loop's exposure times, by a law: the same laws as the daemon's.

In: each frame, measured by the chain or not. Out: the exposure and the gain of the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acquisition.exposure.laws import ExposureRule
from acquisition.images import Image
from acquisition.images.meta import PixelOffsets
from acquisition.kernels.exposure import Decision, Hold


class AutoExposure:
    """Asks a law after each frame; what it says holds from the next one on.

    Parameters
    ----------
    rule : ExposureRule
    notice : callable
        Told, in a sentence, when the law has nothing to go by, once, and when it has again.
    """

    def __init__(self, rule: ExposureRule, notice: Callable[[str], None]) -> None:
        self._rule = rule
        self._notice = notice
        self._state: Any = rule.start()
        self._corrected = (0.0, 0.0)  # by all pulses so far, px of the frame
        self._blind = False
        self.decision: Decision | None = None
        """What the law said last."""

    @property
    def next_s(self) -> float | None:
        """Of the next frame; None before the first."""
        return None if self.decision is None else self.decision.exposure_s

    @property
    def gain(self) -> float | None:
        """Of the next frame; None: as it is."""
        return None if self.decision is None else self.decision.gain

    def forget(self) -> None:
        """Other stars from now on."""
        self._state = self._rule.start()
        self._corrected = (0.0, 0.0)

    def corrected(self, dx: float, dy: float) -> None:
        """The mount was sent so far, px of the frame: the stars would otherwise be there."""
        self._corrected = self._corrected[0] + dx, self._corrected[1] + dy

    def saw(self, image: Image, start_s: float) -> None:
        """Ask the law about a frame: as the chain returned it or, where the chain failed, as the camera gave it."""
        offsets = image.get_meta_safe(PixelOffsets)
        moved = None
        if offsets is not None:
            moved = offsets.dx + self._corrected[0], offsets.dy + self._corrected[1]
        self._state, _, self.decision = self._rule.decide(self._state, image, start_s, moved)
        blind = self.decision.hold not in (None, Hold.LEARNING)
        if blind != self._blind:
            self._blind = blind
            what = f"holds: {self.decision.hold}" if blind else "goes on"
            self._notice(f"exposure law {self._rule.law.name} {what}")
