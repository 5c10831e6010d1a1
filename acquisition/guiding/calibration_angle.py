"""Is the calibration's angle still right? Found out while guiding. A pure step.

In: frame by frame, where the star is on both axes, and what was sent. Out: the angle's error with its standard error,
and on suspicion, how far RA should wobble to make sure.

With a wrong angle, what is left over on one axis shows on the other. What is left over in RA is the motion without
corrections, as the frames before and after have it, less the corrections; in Dec, where a correction may have turned
gears in their play and nothing else, what these frames show. The frame itself does not count, so that its noise cannot
pass for a leak. Kalman filters follow the other axis without corrections (position, velocity, and the leak). The rate
cannot be had this way: in a closed loop it is badly biased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels import leaks

FloatArray = NDArray[np.float64]

_WALKS = np.array([(b, v, p) for b in (1e-3, 0.03, 0.2, 1.0) for v in (1e-6, 1e-4, 1e-2) for p in (0.3**2, 1.0)])
"""To be tried: process noise of position (1/s) and velocity (1/s³), in units of the measurement's variance, and
relative variance of what a pulse does: it may turn gears in their play, and move nothing."""
_NEIGHBOURS = tuple(weight / (13 / 6) for weight in (1 / 4, 1 / 3, 1 / 2, 0.0, 1 / 2, 1 / 3, 1 / 4))
"""Weights of the frames before and after one."""
_MIDDLE = len(_NEIGHBOURS) // 2
_MEMORY = 300.0  # frames

_SUSPICIOUS_DEG, _TURNED_DEG = 5.0, 8.0  # less is not worth a wobble, or an alarm
_SUSPICIOUS, _SURE = 1.5, 4.0  # standard errors
_LASTING_S = 30.0
_WOBBLE = (1, 1, -1, -1)  # frame by frame
_WOBBLED_FRAMES = 24
_WOBBLED_AGAIN_S = 300.0  # at the earliest, and twice as long after every wobble that led to nothing
_WOBBLE_IN_NOISE, _MOST_WOBBLE_PX = 3.0, 1.0  # as large as some standard deviations of a frame in Dec


@dataclass(frozen=True, slots=True)
class AngleWatch:
    """What is remembered.

    Attributes
    ----------
    recent : tuple of rows
        Time, RA and Dec without corrections, corrections so far on RA and Dec: the last frames, s and px.
    filters, noise : arrays, or None
        What follows the axes, as `kernels.leaks`.
    t_s : float
        Of the last frame that they saw.
    angle_deg, angle_err_deg : float
        By how much the camera seems turned against the calibration (sense of x to y for a parity of 1).
    suspicious_since_s, sure_since_s : float or None
    wobbles : int
        So far.
    wobbled_s, wobbled_frames, amplitude_px : float, int, float
        When the last wobble began, for how many frames it still lasts, and its size.
    alarmed : bool
        The camera is clearly turned, and has been for a while.
    """

    recent: tuple[tuple[float, float, float, float, float], ...] = ()
    filters: FloatArray | None = None
    noise: FloatArray | None = None
    t_s: float = 0.0
    angle_deg: float = 0.0
    angle_err_deg: float = math.inf
    suspicious_since_s: float | None = None
    sure_since_s: float | None = None
    wobbles: int = 0
    wobbled_s: float = -math.inf
    wobbled_frames: int = 0
    amplitude_px: float = 0.0
    alarmed: bool = False

    @property
    def wobble_px(self) -> float:
        """How far the star should be from the lock on RA in the next frame, on purpose."""
        return self.amplitude_px * _WOBBLE[self.wobbled_frames % len(_WOBBLE)] if self.wobbled_frames else 0.0


def angle_step(
    watch: AngleWatch, t_s: float, ra_px: float, dec_px: float, ra_sent_px: float, dec_sent_px: float
) -> AngleWatch:
    """One measured frame.

    Parameters
    ----------
    watch : AngleWatch
    t_s : float
        Middle of the exposure.
    ra_px, dec_px : float
        Place of the star on the axes; dithers do not change it.
    ra_sent_px, dec_sent_px : float
        Corrections since the last measured frame.
    """
    if watch.recent and t_s <= watch.recent[-1][0]:
        return watch
    sent_ra = ra_sent_px + (watch.recent[-1][3] if watch.recent else 0.0)
    sent_dec = dec_sent_px + (watch.recent[-1][4] if watch.recent else 0.0)
    row = (t_s, ra_px + sent_ra, dec_px + sent_dec, sent_ra, sent_dec)
    wobbled = max(0, watch.wobbled_frames - 1)
    recent = (*watch.recent, row)[-len(_NEIGHBOURS) :]
    if len(recent) < len(_NEIGHBOURS):
        return replace(watch, recent=recent, wobbled_frames=wobbled)
    middle_s, middle_ra, middle_dec, sent_ra, sent_dec = recent[_MIDDLE]
    if watch.filters is None or watch.noise is None:
        filters, noise = leaks.new_filters((middle_ra, middle_dec), len(_WALKS))
        return replace(watch, recent=recent, wobbled_frames=wobbled, filters=filters, noise=noise, t_s=middle_s)
    over_ra, over_dec = -sent_ra, 0.0
    for weight, (_, near_ra, near_dec, _, near_sent) in zip(_NEIGHBOURS, recent, strict=True):
        over_ra += weight * near_ra
        over_dec += weight * (near_dec - near_sent)
    pulse_ra, pulse_dec = sent_ra - recent[_MIDDLE - 1][3], sent_dec - recent[_MIDDLE - 1][4]
    filters, noise = watch.filters.copy(), watch.noise.copy()
    into_ra, ra_variance, into_dec, dec_variance = leaks.follow(
        filters, noise, _WALKS, _MEMORY, middle_s - watch.t_s,
        (middle_ra, middle_dec), (over_dec, over_ra), (pulse_ra**2, pulse_dec**2),
    )  # fmt: skip
    # a turned camera leaks with opposite signs
    variance = 1 / (1 / ra_variance + 1 / dec_variance)
    sine = variance * (into_dec / dec_variance - into_ra / ra_variance)
    angle_deg, error_deg = math.degrees(math.asin(max(-1.0, min(1.0, sine)))), math.degrees(math.sqrt(variance))
    suspicious = abs(angle_deg) >= max(_SUSPICIOUS * error_deg, _SUSPICIOUS_DEG)
    suspicious_s = _since(watch.suspicious_since_s, middle_s, suspicious)
    sure_s = _since(watch.sure_since_s, middle_s, abs(angle_deg) >= max(_SURE * error_deg, _TURNED_DEG))
    alarmed = watch.alarmed or (sure_s is not None and middle_s - sure_s >= _LASTING_S)
    lasting = suspicious_s is not None and middle_s - suspicious_s >= _LASTING_S
    patience_s = _WOBBLED_AGAIN_S * 2.0 ** max(watch.wobbles - 1, 0)
    begins = not alarmed and lasting and t_s - watch.wobbled_s >= patience_s
    noise_px = math.sqrt(float(noise[2] / noise[0]))
    return AngleWatch(
        recent, filters, noise, middle_s, angle_deg, error_deg, suspicious_s, sure_s,
        wobbles=watch.wobbles + begins,
        wobbled_s=t_s if begins else watch.wobbled_s,
        wobbled_frames=_WOBBLED_FRAMES if begins else wobbled if suspicious and not alarmed else 0,
        amplitude_px=min(_WOBBLE_IN_NOISE * noise_px, _MOST_WOBBLE_PX) if begins else watch.amplitude_px,
        alarmed=alarmed,
    )  # fmt: skip


def _since(before_s: float | None, t_s: float, holds: bool) -> float | None:
    """Since when something holds, None if it does not."""
    if not holds:
        return None
    return t_s if before_s is None else before_s
