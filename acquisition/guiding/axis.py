"""A guide law at work on one axis of the mount.

In: what happened on the axis, px of the guide camera. Out: corrections, px, whatever unit the law works in.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

from acquisition.geometry import MountResponse
from acquisition.guiding.algorithms import (
    Between,
    Dithered,
    Input,
    Law,
    LawRunner,
    Lost,
    Measured,
    Predictive,
    Resumed,
    Sent,
    Settled,
)
from acquisition.guiding.algorithms.worm import Worm
from acquisition.mount import MountState

_USUAL_GUIDE_RATE = 7.5  # arcsec/s, half of sidereal


class Axis:
    """A law, its state, and the scale that turns px into its unit.

    Parameters
    ----------
    law : Law
    scale_arcsec : float
        Per px.
    executor : Executor
        For the law's long work.
    waits : bool
        For its results when they are due, as `LawRunner`.
    worm : Worm or None
        What is known of the mount's, for laws that can begin with it.
    """

    def __init__(
        self, law: Law[Any], scale_arcsec: float, executor: Executor, waits: bool, worm: Worm | None = None
    ) -> None:
        self._scale_arcsec = scale_arcsec
        self._executor, self._waits = executor, waits
        self._last_px = 0.0  # what was sent for the last correction
        self._begin(law, worm)

    def _begin(self, law: Law[Any], worm: Worm | None) -> None:
        state = law.start_with(worm) if isinstance(law, Predictive) and worm is not None else None
        self._law = LawRunner(law, self._executor, state, self._waits)
        self._unit_per_px = self._scale_arcsec if law.unit == "arcsec" else 1.0

    @property
    def worm(self) -> Worm | None:
        """What the law has learned of the worm; None before it has, and for laws that learn nothing."""
        law = self._law.law
        return law.learned(self._law.state) if isinstance(law, Predictive) else None

    @property
    def expected_rms_px(self) -> float | None:
        """Of the true displacement after the last correction, as the law has it; None for laws that do not say."""
        expected = getattr(self._law.state, "expected_rms", None)
        return None if expected is None else float(expected) / self._unit_per_px

    @property
    def deaf(self) -> bool:
        """Whether the law has found that pulses move nothing; False for laws that do not say."""
        deafness = getattr(self._law.state, "deafness", None)
        return deafness is not None and bool(deafness.deaf)

    def change(self, law: Law[Any], worm: Worm | None = None) -> None:
        """Go on with another law, which begins anew; the same law with other parameters keeps what it knows."""
        if type(law) is type(self._law.law):
            self._law = LawRunner(law, self._executor, self._law.state, self._waits)
        else:
            self._begin(law, worm)

    def measured(
        self, t_s: float, px: float, err_px: float | None, snr: float | None, exposure_s: float, now_s: float,
        until_s: float | None = None, unseen_px: float = 0.0,
    ) -> float:  # fmt: skip
        """As `Measured`, but `px` is what the frame showed."""
        k = self._unit_per_px
        error = None if err_px is None else err_px * k
        self._last_px = self._step(
            Measured(t_s, (px - unseen_px) * k, error, snr, exposure_s, now_s, until_s, unseen_px * k)
        )
        return self._last_px

    def lost(self, t_s: float, exposure_s: float, until_s: float | None = None) -> float:
        self._last_px = self._step(Lost(t_s, exposure_s, t_s, until_s))
        return self._last_px

    def between(self, now_s: float, until_s: float) -> float:
        self._last_px = self._step(Between(now_s, until_s))
        return self._last_px

    def resumed(self) -> None:
        self._step(Resumed())

    def dithered(self, px: float) -> None:
        self._step(Dithered(px * self._unit_per_px))

    def settled(self) -> None:
        self._step(Settled())

    def sent(self, px: float) -> None:
        """What was really sent for the last correction."""
        if px != self._last_px:
            self._last_px = px
            self._step(Sent(px * self._unit_per_px))

    def _step(self, given: Input) -> float:
        return float(self._law.step(given)) / self._unit_per_px  # plain: NumPy's scalars do not go into JSON


def scale_by_guide_rate(response: MountResponse, mount: MountState) -> float:
    """Arcsec per px, from how fast a Dec pulse moves the stars: for laws, where nobody knows the scale.

    Where the mount does not state its guide rate, half of sidereal is assumed, which is right to a factor of two; that
    is enough for laws that learn how large noise and motion are.
    """
    return (mount.dec_guide_rate_arcsec_per_s or _USUAL_GUIDE_RATE) / response.dec.rate_px_per_s
