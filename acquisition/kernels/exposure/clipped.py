"""How bright a clipped star is: what an unclipped detector would have shown, from the wings that it did show.

In: a frame and a saturation. Out: the places of what is clipped, and the peaks that the profiles of stars put there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

LEAST_AREA_PX = 4
"""Fewer clipped pixels together are hot pixels and cosmic hits."""
_MOST = 40
"""Largest pieces that are looked at."""
_FAINTEST = 0.004
"""Of the saturation: fainter wings are not looked at."""
_LONGEST_PX = 60
"""Wider and thin: a trail (what is thin and high is charge that spilled along a column)."""
_MOST_OVER = 150.0
"""Times the saturation: no estimate is higher."""

_BETAS = (2.5, 3.0, 3.5, 4.8)
"""Of the Moffat profiles that stars may have, beside a Gaussian, and one with a tenth of its light in a halo."""
_TOLERANCE = 0.003
"""Mean square of the logarithm by which a profile may fail, beyond the best one's."""


class Box(NamedTuple):
    """Some pixels: from (left, top) up to (right, bottom), which is no longer inside; 0-based."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Clipped:
    """A connected piece of clipped pixels with a star's wings.

    Attributes
    ----------
    x, y : float
        Its middle, 0-based px.
    area_px : int
    peak_adu : float
        What an unclipped detector would have shown there, ADU as stored.
    """

    x: float
    y: float
    area_px: int
    peak_adu: float


def clipped_stars(frame: NDArray[Any], bad: NDArray[np.uint8], saturation_adu: float, sky_adu: float) -> list[Clipped]:
    """What is clipped in a frame and may be a star, the largest first.

    Parameters
    ----------
    frame : ndarray, [y, x]
    bad : ndarray of uint8, [y, x] or [0, 0]
        Non-zero: do not use.
    saturation_adu : float
        Pixels at or above are clipped, ADU as stored.
    sky_adu : float
        Level of the sky, ADU as stored, below the saturation.
    """
    over = frame >= saturation_adu
    if bad.size:
        over &= bad == 0
    if not over.any():
        return []
    labels, n = ndimage.label(over, np.ones((3, 3), int))
    areas = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    boxes = ndimage.find_objects(labels)
    found = []
    for k in np.argsort(-areas, kind="stable")[:_MOST].tolist():
        if areas[k] < LEAST_AREA_PX:
            break
        piece = labels[boxes[k]] == k + 1
        height, width = piece.shape
        if width > _LONGEST_PX and areas[k] < 0.3 * height * width:
            continue  # a trail
        columns = np.nonzero(piece)[1]
        top, bottom = boxes[k][0].start, boxes[k][0].stop
        if height > 2 * width:  # charge that spilled along a column: the star is where it is widest
            across = piece.sum(axis=1)
            middle = round(float(np.flatnonzero(across == across.max()).mean()))
            top, bottom = top + max(0, middle - width // 2), top + min(height, middle + width // 2 + 1)
        box = Box(boxes[k][1].start, top, boxes[k][1].stop, bottom)
        peak = peak_from_wings(frame, bad, box, saturation_adu, sky_adu)
        if peak is not None:
            x, y = float(columns.mean()) + box.left, (top + bottom - 1) / 2
            found.append(Clipped(x, y, int(areas[k]), peak))
    return found


def peak_from_wings(
    frame: NDArray[Any], bad: NDArray[np.uint8], box: Box, saturation_adu: float, sky_adu: float
) -> float | None:
    """The peak of a clipped star, ADU as stored; None where there are no wings, and so no star.

    The light at some distances from what is clipped is compared with profiles of many shapes and widths. Wings alone do
    not tell a wide star from a narrow one's halo: the answer is half-way (by ratio) from the best fit to the brightest
    that fits about as well, because too short an exposure is mended by the next frame, and too long a one is clipped
    again. At most `_MOST_OVER` times the saturation.

    Parameters
    ----------
    frame, bad, saturation_adu, sky_adu
        As for `clipped_stars`.
    box : Box
        About what is clipped.
    """
    well = saturation_adu - sky_adu
    radius, light = _wings(frame, bad, box, saturation_adu, sky_adu)
    if len(radius) < 2 or light[1] < 0.02 * well:
        return None
    log_light, shape = np.log(light), _shapes(radius)
    weight = np.ones(len(radius))
    weight[0] = 0.25  # the edge is known to a part of a pixel only
    weight /= weight.sum()
    height = (log_light - shape) @ weight
    misfit = ((log_light - shape - height[:, None]) ** 2) @ weight
    over = np.clip(height - math.log(well), 0.0, math.log(_MOST_OVER))
    best, brightest = over[np.argmin(misfit)], over[misfit <= 1.5 * misfit.min() + _TOLERANCE].max()
    return float(sky_adu + well * math.exp((best + brightest) / 2))


def _shapes(radius: Array) -> Array:
    """Logarithm of profiles over their peaks at some radii: [profile and width, radius]."""
    fwhm = np.geomspace(1.2, max(5.0 * float(radius[0]), 15.0), 60)[:, None]
    over_sigma2 = (radius * 2.35482 / fwhm) ** 2
    halo = (0.9 * np.exp(-0.5 * over_sigma2) + 0.016 * np.exp(-0.08 * over_sigma2)) / 0.916
    shapes = [-0.5 * over_sigma2, np.log(halo + 1e-300)]
    for beta in _BETAS:
        alpha2 = (fwhm / 2) ** 2 / (2 ** (1 / beta) - 1)
        shapes.append(-beta * np.log1p(radius**2 / alpha2))
    return np.concatenate(shapes)


def _wings(
    frame: NDArray[Any], bad: NDArray[np.uint8], box: Box, saturation_adu: float, sky_adu: float
) -> tuple[Array, Array]:
    """Light above the sky against the distance from the middle line of what is clipped: first its edge, then outside.

    The median of all pixels that are so far from the nearest clipped one, as far out as there is light.
    """
    left, top, right, bottom = box
    reach = math.ceil(min(max(right - left, bottom - top) + 10.0, 150.0))
    height, width = frame.shape
    rows = slice(max(0, top - reach), min(height, bottom + reach))
    columns = slice(max(0, left - reach), min(width, right + reach))
    part = np.asarray(frame[rows, columns], np.float64)
    over = part >= saturation_adu
    if bad.size:
        part = np.where(bad[rows, columns] != 0, np.nan, part)
    own = np.zeros_like(over)
    inside = np.s_[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    own[inside] = over[inside]
    well = saturation_adu - sky_adu
    if not own.any():
        return np.empty(0), np.empty(0)
    half_px = float(ndimage.distance_transform_edt(np.pad(own, 1)).max())
    outside = ndimage.distance_transform_edt(~own)
    radii, light = [half_px], [well]
    for step in range(1, reach):
        near = (outside > step - 0.5) & (outside <= step + 0.5) & ~over & np.isfinite(part)
        if not near.any():
            break
        value = float(np.median(part[near])) - sky_adu
        if value < _FAINTEST * well and step > 2:
            break
        radii.append(half_px - 0.5 + float(outside[near].mean()))
        light.append(max(value, _FAINTEST * well))
    return np.array(radii), np.array(light)
