"""All stars of a frame, measured, and what speaks against each as a guide star.

In: a frame and what is known of its detector. Out: `Stars`: one row a source, the common profile, reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import Background, box_noise, measure_background
from .columns import (
    CHI2,
    CLIPPED,
    COLUMNS,
    FLUX,
    FWHM_X,
    FWHM_Y,
    NEAR_EDGE,
    OK,
    PEAK,
    SATURATED,
    SKY,
    STATUS,
    VAR_FLUX,
    VAR_X,
    VAR_Y,
    X,
    Y,
)
from .detect import find_candidates
from .fit import fit_stars
from .patches import cut_patches
from .psf import PROFILES, Psf, half_window
from .ring import RING

Array = NDArray[np.float64]

NARROWEST_PX = 0.9  # FWHM; narrower is a defect or a cosmic hit
_SCALES = (1, 2, 4, 8)  # binning at which stars are looked for: the next when these find none, or none so narrow


@dataclass(frozen=True, slots=True)
class Stars:
    """The sources of a frame.

    Attributes
    ----------
    table : ndarray, shape [n, COLUMNS]
        See `columns`; positions 0-based in the frame; highest signal-to-noise ratio first.
    reasons : list of (str or None)
        What speaks against each as a guide star; None: nothing.
    psf : Psf or None
        Profile of the stars; None when there is none.
    background : Background
    noise_factor : float
        Noise of small sums over that of independent pixels, see `background.box_noise`.
    """

    table: Array
    reasons: list[str | None]
    psf: Psf | None
    background: Background
    noise_factor: float = 1.0

    @property
    def snr(self) -> Array:
        """Flux over its standard error, with what noise the pixels share."""
        snr: Array = self.table[:, FLUX] / np.sqrt(self.table[:, VAR_FLUX]) / self.noise_factor
        return snr

    @property
    def places(self) -> Array:
        """x, y, flux: what `match.match_stars` takes."""
        return np.ascontiguousarray(self.table[:, [X, Y, FLUX]])


def find_stars(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    *,
    adu_per_e: float,
    saturation: float,
    threshold: float = 4.5,
    min_snr: float = 5.0,
    most: int = 100,
    psf: Psf | None = None,
) -> Stars:
    """Find and measure the stars of a frame.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    adu_per_e, saturation : float
        As for `fit.fit_stars`.
    threshold : float
        Significance that a 3 x 3 sum needs, see `detect.find_candidates`.
    min_snr : float
        Sources below are left out.
    most : int
        Measure at most so many.
    psf : Psf, optional
        The profile if it is known (from an earlier frame); otherwise it is estimated.

    Returns
    -------
    Stars
        Possibly empty.
    """
    background = measure_background(frame, bad)
    factor = box_noise(frame, bad, background)
    threshold, min_snr = threshold * factor, min_snr * factor
    candidates, estimated, scale = np.empty((0, 3)), None, 1
    for scale in _SCALES:
        if min(frame.shape) < 16 * scale:
            break
        candidates = _candidates(frame, bad, background, scale, threshold, most * 2)
        if psf is not None and psf.fwhm < 6.0 * scale:
            estimated = psf
            break
        estimated = _estimate_psf(frame, bad, candidates, scale, adu_per_e, saturation, background)
        if estimated is not None and estimated.fwhm < 6.0 * scale:
            break
    if estimated is None or len(candidates) == 0:
        return Stars(np.empty((0, COLUMNS)), [], None, background, factor)
    psf = estimated
    half = psf.half_window_px
    table = measure(frame, bad, candidates[:, 0], candidates[:, 1], psf, half, adu_per_e, saturation, background)
    snr = table[:, FLUX] / np.sqrt(table[:, VAR_FLUX])
    keep = (table[:, STATUS] != OK) | (snr >= min_snr)
    table, snr = table[keep], snr[keep]
    for row, candidate in zip(table, candidates[keep], strict=True):
        if row[STATUS] != OK:  # still a light that may spoil a neighbour's window
            row[X], row[Y] = candidate[:2]
    snr = np.where(table[:, STATUS] == OK, snr, 0.0)
    order = np.argsort(-snr, kind="stable")
    table, snr = table[order], snr[order]
    first = _without_duplicates(table, max(2.0, psf.fwhm))
    table, snr = table[first][:most], snr[first][:most]
    free = measure(frame, bad, table[:, X], table[:, Y], psf, half, adu_per_e, saturation, background, free_width=True)
    reasons = [_objection(k, table, snr, free, psf, half, frame.shape) for k in range(len(table))]
    measured = table[:, STATUS] == OK
    return Stars(table[measured], [r for r, m in zip(reasons, measured, strict=True) if m], psf, background, factor)


def measure(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    x: Array,
    y: Array,
    psf: Psf,
    half: int,
    adu_per_e: float,
    saturation: float,
    background: Background,
    free_width: bool = False,
) -> Array:
    """Fit stars at given places (within a pixel or two); one row each, see `columns`."""
    table = np.full((len(x), COLUMNS), np.nan)
    skies = background.skies_at(x, y)
    patches, corner = cut_patches(frame, bad, x, y, half + RING + 3)
    fit_stars(
        patches, corner, np.ascontiguousarray(x), np.ascontiguousarray(y), psf.fwhm_x, psf.fwhm_y, psf.weights,
        psf.scales, np.full(len(x), free_width), adu_per_e, saturation, half,
        1.5 + 0.7 * max(psf.fwhm_x, psf.fwhm_y), skies, table,
    )  # fmt: skip
    return table


def _candidates(
    frame: NDArray[Any], bad: NDArray[np.uint8], background: Background, scale: int, threshold: float, most: int
) -> Array:
    """Candidates of the frame binned by `scale`, in pixels of the frame."""
    if scale == 1:
        return find_candidates(frame, bad, background, threshold, most)
    height, width = (n // scale * scale for n in frame.shape)
    blocks = (height // scale, scale, width // scale, scale)
    binned = frame[:height, :width].reshape(blocks).mean(axis=(1, 3), dtype=np.float32)
    if bad.size:
        binned[bad[:height, :width].reshape(blocks).any(axis=(1, 3))] = np.nan
    none = np.empty((0, 0), np.uint8)
    found = find_candidates(binned, none, measure_background(binned, none), threshold, most)
    found[:, :2] = (found[:, :2] + 0.5) * scale - 0.5
    return found


def _estimate_psf(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    candidates: Array,
    scale: int,
    adu_per_e: float,
    saturation: float,
    background: Background,
) -> Psf | None:
    """Widths and profile from the best candidates that look like stars; None if none does."""
    start = Psf(2.5 * scale, 2.5 * scale)
    half = half_window(3.0 * scale)
    x, y = candidates[:60, 0], candidates[:60, 1]
    good, psf = np.empty((0, COLUMNS)), start
    for _ in range(3):
        table = measure(frame, bad, x, y, psf, half, adu_per_e, saturation, background, free_width=True)
        with np.errstate(invalid="ignore"):
            wide = np.maximum(table[:, FWHM_X], table[:, FWHM_Y])
            narrow = np.minimum(table[:, FWHM_X], table[:, FWHM_Y])
            star = (
                (table[:, STATUS] == OK)
                & (table[:, CLIPPED] == 0)
                & (narrow >= NARROWEST_PX)
                & (wide < 1.6 * half)
                & (wide < 2.5 * narrow)
                & (table[:, FLUX] > 7.0 * np.sqrt(table[:, VAR_FLUX]))
            )
        if not star.any():
            return None
        good = table[star]
        # faint ones may be anything: only those within a factor of 3 of the best
        snr = good[:, FLUX] / np.sqrt(good[:, VAR_FLUX])
        good = good[snr > snr.max() / 3.0]
        x, y = good[:, X], good[:, Y]
        psf = Psf(float(np.median(good[:, FWHM_X])), float(np.median(good[:, FWHM_Y])), psf.profile)
        if abs(half - psf.half_window_px) <= 2:
            break
        half = psf.half_window_px
    return _choose_profile(frame, bad, good, psf, adu_per_e, saturation, background)


def _choose_profile(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    good: Array,
    psf: Psf,
    adu_per_e: float,
    saturation: float,
    background: Background,
) -> Psf:
    """The profile, and with it the widths, under which the brightest stars fit best."""
    snr = good[:, FLUX] / np.sqrt(good[:, VAR_FLUX])
    bright = good[np.argsort(-snr)[:8]]
    bright = bright[np.sort(-snr)[:8] < -40.0]
    if len(bright) == 0:
        return psf
    best, least = psf, np.inf
    for profile in PROFILES:
        trial = psf.with_profile(profile)
        table = measure(
            frame, bad, bright[:, X], bright[:, Y], trial, trial.half_window_px, adu_per_e, saturation, background,
            free_width=True,
        )  # fmt: skip
        fitted = table[table[:, STATUS] == OK]
        if len(fitted) == 0:
            continue
        chi2 = float(np.median(fitted[:, CHI2])) + 10.0 * (len(bright) - len(fitted))
        if chi2 < least:
            least = chi2
            best = Psf(float(np.median(fitted[:, FWHM_X])), float(np.median(fitted[:, FWHM_Y])), profile)
    return best


def _without_duplicates(table: Array, radius: float) -> list[int]:
    """Indices of sources that are not within a radius of an earlier one."""
    kept: list[int] = []
    for k, (x, y) in enumerate(table[:, [X, Y]]):
        if all((table[i, X] - x) ** 2 + (table[i, Y] - y) ** 2 > radius**2 for i in kept):
            kept.append(k)
    return kept


def _objection(
    k: int, table: Array, snr: Array, free: Array, psf: Psf, half: int, shape: tuple[int, ...]
) -> str | None:
    """Why a source should not guide, or None."""
    row = table[k]
    margin = half + 2
    if not (margin <= row[X] <= shape[1] - 1 - margin and margin <= row[Y] <= shape[0] - 1 - margin):
        return "too near the edge"
    if row[STATUS] == NEAR_EDGE:
        return "too near the edge"
    if row[CLIPPED] > 0 or row[STATUS] == SATURATED:
        # light above the detector's range spills along columns; what is clipped then no longer is a disc
        return "bloomed" if row[CLIPPED] > 4.0 * psf.fwhm_x * psf.fwhm_y + 8.0 else "saturated"
    if row[STATUS] != OK:
        return "not a star"
    sharp = min(free[k, FWHM_X] / psf.fwhm_x, free[k, FWHM_Y] / psf.fwhm_y)
    broad = max(free[k, FWHM_X] / psf.fwhm_x, free[k, FWHM_Y] / psf.fwhm_y)
    slack = 3.0 / snr[k]
    if free[k, STATUS] != OK:
        return "not a star" if snr[k] > 20.0 else None
    if sharp < 0.7 - slack or min(free[k, FWHM_X], free[k, FWHM_Y]) < 0.6 * NARROWEST_PX:
        return "too sharp"
    if broad > 1.5 + slack:
        return "too wide"
    distance2 = (table[:, X] - row[X]) ** 2 + (table[:, Y] - row[Y]) ** 2
    near = (distance2 < (half + 0.7 * psf.fwhm) ** 2) & (distance2 > 0)
    # what could not be measured disturbs by its peak, what could by its flux
    with np.errstate(invalid="ignore"):
        bright = np.where(
            table[:, STATUS] == OK,
            table[:, FLUX] > 0.1 * row[FLUX],
            table[:, PEAK] - row[SKY] > 0.4 * (row[PEAK] - row[SKY]),
        )
    if (near & bright).any():
        return "blended"
    return None


def predicted_variance(table: Array) -> Array:
    """Variance that each star's place may be expected to have in later frames (both axes added), px².

    A wrong profile (chi squared above 1) and clipped pixels cost precision.
    """
    variance: Array = (table[:, VAR_X] + table[:, VAR_Y]) * np.maximum(table[:, CHI2], 1.0)
    clipped = table[:, CLIPPED] > 0
    return np.where(clipped, 4.0 * variance + 0.03**2, variance)
