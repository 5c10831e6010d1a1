"""A guided night again, with another law.

In: the open-loop motion of a night (`guidelog.open_loop`) and a law. Out: the displacements that the law would have
left. The motion holds that night's seeing and noise, so the figures compare as measured RMS, of one cadence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms import Law, LawRunner, Lost, Measured

LATENCY_S = 0.3
"""From the end of an exposure to the correction."""

LEFT_OUT = 30
"""Frames at the start that do not count: every law begins from nothing."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a law would have left of the motion: px, a value a frame that has a star."""

    displacement_px: NDArray[np.float64]

    @property
    def rms_px(self) -> float:
        """About the lock, without the first frames."""
        return float(np.sqrt(np.mean(self.displacement_px[LEFT_OUT:] ** 2)))


def replay(
    law: Law[Any],
    t_s: NDArray[np.float64],
    motion_px: NDArray[np.float64],
    snr: NDArray[np.float64],
    lost_s: NDArray[np.float64],
    exposure_s: float,
    scale_arcsec: float,
) -> Replayed:
    """Close the loop around one axis: every correction is sent whole and works before the next frame.

    Parameters
    ----------
    law : Law
    t_s, motion_px, snr : arrays (n,)
        Frames with a star: when they had been measured, where it would be without corrections, its SNR.
    lost_s : array (m,)
        When frames had none.
    exposure_s, scale_arcsec : float
        Scale in arcsec per px, for laws that work in arcsec.

    Raises
    ------
    ValueError
        If there are not more frames than are left out.
    """
    if len(t_s) <= LEFT_OUT:
        raise ValueError(f"{len(t_s)} frames have a star; need more than {LEFT_OUT}")
    unit = scale_arcsec if law.unit == "arcsec" else 1.0
    runner = LawRunner(law)
    corrected = 0.0
    left = np.empty(len(t_s))
    lost = list(lost_s)
    for i, now_s in enumerate(map(float, t_s)):
        while lost and lost[0] < now_s:
            gone_s = float(lost.pop(0))
            corrected += runner.step(Lost(gone_s, exposure_s, gone_s)) / unit
        left[i] = motion_px[i] - motion_px[0] - corrected
        middle_s = now_s - LATENCY_S - exposure_s / 2
        given = Measured(middle_s, float(left[i]) * unit, None, float(snr[i]), exposure_s, now_s)
        corrected += runner.step(given) / unit
    return Replayed(left)
