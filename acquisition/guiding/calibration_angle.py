"""Is the calibration's angle still right? Found out while guiding. A pure step.

In: frame by frame, where the star is on both axes, and what was sent. Out: the angle's error with its standard error,
and on suspicion, how far RA should wobble to make sure.

With a wrong angle, what is left over on one axis shows on the other. What is left over is the motion without
corrections, as the frames before and after have it, less the corrections; the frame itself does not count, so that its
noise cannot pass for a leak. Kalman filters follow the other axis without corrections (position, velocity, and the
leak). The rate cannot be had this way: in a closed loop it is badly biased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_WALKS = np.array([(b, v) for b in (1e-3, 0.03, 0.2, 1.0) for v in (1e-6, 1e-4, 1e-2)])
"""Process noise of position (1/s) and velocity (1/s³), in units of the measurement's variance, to be tried."""
_NEIGHBOURS = np.array([1 / 4, 1 / 3, 1 / 2, 0.0, 1 / 2, 1 / 3, 1 / 4])
"""Weights of the frames before and after one, up to their sum."""
_MIDDLE = len(_NEIGHBOURS) // 2
_OWN_PULSES = 0.3  # relative uncertainty of what a pulse does (rate, backlash)
_CHANGE_PER_S = 1e-6  # variance by which the leak may change
_MEMORY = 300.0  # frames

_TURNED_DEG = 8.0  # less is not worth an alarm
_SUSPICIOUS, _SURE = 2.2, 4.0  # standard errors
_LASTING_S = 30.0
_WOBBLE = (1, 1, -1, -1)  # frame by frame
_WOBBLED_FRAMES = 24
_WOBBLED_AGAIN_S = 900.0
_WOBBLE_IN_NOISE, _MOST_WOBBLE_PX = 3.0, 1.0  # as large as some standard deviations of a frame in Dec


@dataclass(frozen=True)
class _Bank:
    """Kalman filters: position, velocity, leak; first axis RA and Dec, second axis the hypotheses."""

    x: FloatArray
    p: FloatArray
    score: FloatArray
    noise_shape: float
    noise_scale: FloatArray

    def leaks(self) -> tuple[FloatArray, FloatArray]:
        """Into RA and into Dec: means over the hypotheses, and variances."""
        share, leaks = _shares(self.score), self.x[..., 2]
        mean = np.sum(share * leaks, axis=1)
        return mean, np.sum(share * (self.p[..., 2, 2] + (leaks - mean[:, None]) ** 2), axis=1)


@dataclass(frozen=True)
class AngleWatch:
    """What is remembered.

    Attributes
    ----------
    recent : tuple of rows
        Time, RA and Dec without corrections, corrections so far on RA and Dec: the last frames, s and px.
    bank : _Bank or None
        What follows the axes.
    t_s : float
        Of the last frame that they saw.
    angle_deg, angle_err_deg : float
        By how much the camera seems turned against the calibration (sense of x to y for a parity of 1).
    suspicious_since_s, sure_since_s : float or None
    wobbled_s, wobbled_frames, amplitude_px : float, int, float
        When the last wobble began, for how many frames it still lasts, and its size.
    alarmed : bool
        The camera is clearly turned, and has been for a while.
    """

    recent: tuple[tuple[float, float, float, float, float], ...] = ()
    bank: _Bank | None = None
    t_s: float = 0.0
    angle_deg: float = 0.0
    angle_err_deg: float = math.inf
    suspicious_since_s: float | None = None
    sure_since_s: float | None = None
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
    left = max(0, watch.wobbled_frames - 1)
    watch = replace(watch, recent=(*watch.recent, row)[-len(_NEIGHBOURS) :], wobbled_frames=left)
    if len(watch.recent) < len(_NEIGHBOURS):
        return watch
    recent = np.array(watch.recent)
    middle_s, z, sent = float(recent[_MIDDLE, 0]), recent[_MIDDLE, 1:3], recent[_MIDDLE, 3:]
    if watch.bank is None:
        return replace(watch, bank=_new(z), t_s=middle_s)
    left_over = _NEIGHBOURS @ recent[:, 1:3] / _NEIGHBOURS.sum() - sent
    jolts = (_OWN_PULSES * (sent - recent[_MIDDLE - 1, 3:])) ** 2
    bank = _updated(watch.bank, middle_s - watch.t_s, z, left_over[::-1], jolts)
    leaks, variances = bank.leaks()
    # a turned camera leaks with opposite signs
    variance = 1 / float(np.sum(1 / variances))
    sine = variance * float(leaks[1] / variances[1] - leaks[0] / variances[0])
    angle_deg, error_deg = math.degrees(math.asin(max(-1.0, min(1.0, sine)))), math.degrees(math.sqrt(variance))
    watch = replace(watch, bank=bank, t_s=middle_s, angle_deg=angle_deg, angle_err_deg=error_deg)
    suspicious_s = _since(
        watch.suspicious_since_s, middle_s, abs(angle_deg) >= max(_SUSPICIOUS * error_deg, _TURNED_DEG)
    )
    sure_s = _since(watch.sure_since_s, middle_s, abs(angle_deg) >= max(_SURE * error_deg, _TURNED_DEG))
    alarmed = watch.alarmed or (sure_s is not None and middle_s - sure_s >= _LASTING_S)
    watch = replace(watch, suspicious_since_s=suspicious_s, sure_since_s=sure_s, alarmed=alarmed)
    lasting = suspicious_s is not None and middle_s - suspicious_s >= _LASTING_S
    if alarmed or not lasting or t_s - watch.wobbled_s < _WOBBLED_AGAIN_S:
        return replace(watch, wobbled_frames=0) if alarmed else watch
    noise_px = math.sqrt(float(bank.noise_scale[1]) / bank.noise_shape)
    amplitude_px = min(_WOBBLE_IN_NOISE * noise_px, _MOST_WOBBLE_PX)
    return replace(watch, wobbled_s=t_s, wobbled_frames=_WOBBLED_FRAMES, amplitude_px=amplitude_px)


def _since(before_s: float | None, t_s: float, holds: bool) -> float | None:
    """Since when something holds, None if it does not."""
    if not holds:
        return None
    return t_s if before_s is None else before_s


def _new(z: FloatArray) -> _Bank:
    shape = 2, len(_WALKS)
    x = np.zeros((*shape, 3))
    x[..., 0] = z[:, None]
    return _Bank(x, np.tile(np.diag([25.0, 0.05**2, 0.5**2]), (*shape, 1, 1)), np.zeros(shape), 6.0, np.full(2, 0.3))


def _updated(bank: _Bank, dt_s: float, z: FloatArray, left_over: FloatArray, jolts: FloatArray) -> _Bank:
    """After another frame, px.

    Parameters
    ----------
    z : array
        RA and Dec without corrections.
    left_over : array
        What was left over on the other axis: on Dec, then on RA.
    jolts : array
        Variance that each axis' own pulse adds to its position, px².
    """
    noise = bank.noise_scale[:, None] / bank.noise_shape
    walk_b, walk_v = noise * _WALKS[:, 0], noise * _WALKS[:, 1]
    step = np.array([[1.0, dt_s, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    x, p = bank.x @ step.T, step @ bank.p @ step.T
    p[..., 0, 0] += walk_b * dt_s + walk_v * dt_s**3 / 3 + jolts[:, None]
    p[..., 0, 1] += walk_v * dt_s**2 / 2
    p[..., 1, 0] += walk_v * dt_s**2 / 2
    p[..., 1, 1] += walk_v * dt_s
    p[..., 2, 2] += _CHANGE_PER_S * dt_s
    ph = p[..., 0] + p[..., 2] * left_over[:, None, None]
    innovation = z[:, None] - x[..., 0] - x[..., 2] * left_over[:, None]
    variance = ph[..., 0] + ph[..., 2] * left_over[:, None] + noise
    surprise = innovation**2 / variance
    gain = ph / (variance + noise * np.maximum(surprise / 3.5**2 - 1, 0.0))[..., None]
    x += gain * innovation[..., None]
    p -= gain[..., :, None] * ph[..., None, :]
    keep = 1 - 1 / _MEMORY
    score = keep * bank.score - 0.5 * np.log(variance) - 3 * np.log1p(np.minimum(surprise, 12) / 5)
    expected = np.sum(_shares(bank.score) * np.minimum(surprise, 6), axis=1)
    noise_scale = keep * bank.noise_scale + 0.5 * noise[:, 0] * expected
    return _Bank(x, p, score, keep * bank.noise_shape + 0.5, noise_scale)


def _shares(score: FloatArray) -> FloatArray:
    share = np.exp(score - score.max(axis=1, keepdims=True))
    normalised: FloatArray = share / share.sum(axis=1, keepdims=True)
    return normalised
