"""How bright a clipped star is: what an unclipped detector would have shown, from the wings that it did show.

In: a frame and a saturation. Out: the places of what is clipped, and the peaks that the profiles of stars put there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

LEAST_AREA_PX = 4
"""Fewer clipped pixels together are hot pixels and cosmic hits."""
_MOST = 40
"""Largest pieces that are looked at."""

# profiles that stars may have: share of the light and width (over the narrowest) of concentric Gaussians
_FAMILIES = (
    ((1.0,), (1.0,)),
    ((0.9, 0.1), (1.0, 2.5)),
    ((0.397, 0.503, 0.1), (1.0, 1.64, 3.0)),
    ((0.414, 0.467, 0.119), (1.0, 1.86, 3.97)),
)


@dataclass(frozen=True, slots=True)
class Clipped:
    """A connected piece of clipped pixels.

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
        disc = _disc(labels[boxes[k]] == k + 1)
        if disc is None:
            continue
        x, y, area = disc[0] + boxes[k][1].start, disc[1] + boxes[k][0].start, disc[2]
        peak = peak_from_wings(frame, bad, x, y, area, saturation_adu, sky_adu)
        if peak is not None:
            found.append(Clipped(x, y, area, peak))
    return found


def _disc(piece: NDArray[np.bool_]) -> tuple[float, float, int] | None:
    """Middle (x, y in the piece's box) and area of a star's clipped disc; None for trails.

    A column that is much longer than the piece is wide is charge that spilled out of the disc.
    """
    height, width = piece.shape
    area = int(piece.sum())
    if area < 0.3 * height * width or width > 3 * height:
        return None
    rows, columns = np.nonzero(piece)
    if height <= 2 * width:
        return float(columns.mean()), float(rows.mean()), area
    across = piece.sum(axis=1)
    widest = np.flatnonzero(across == across.max())
    return float(columns.mean()), float(widest.mean()), round(math.pi / 4 * float(across.max()) ** 2)


def peak_from_wings(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: float, y: float, area_px: int, saturation_adu: float, sky_adu: float
) -> float | None:
    """The peak of a clipped star, ADU as stored; None where there are no wings, and so no star.

    The median of rings about the clipped disc is compared with what each family of profiles shows there, whatever its
    width; where several fit about as well, the brightest counts, because too short an exposure is mended by one frame
    and too long a one is clipped again.
    """
    well = saturation_adu - sky_adu
    clipped_px = math.sqrt(area_px / math.pi)
    radius, light = _rings(frame, bad, x, y, clipped_px, sky_adu)
    keep = (light > 0.004 * well) & (light < 0.97 * well)
    radius, light = radius[keep], light[keep]
    if len(radius) < 2:
        return None
    log_light = np.log(light)
    widths = np.geomspace(0.5, max(2.0 * clipped_px, 6.0), 48)
    trials: list[tuple[float, float]] = []
    for shares, scales in _FAMILIES:
        share, scale = np.array(shares), np.array(scales)
        sigma2 = (widths[:, None] * scale) ** 2
        core = share / sigma2  # [width, part]
        shape = np.log(
            (core[:, None, :] * np.exp(-0.5 * radius[:, None] ** 2 / sigma2[:, None, :])).sum(axis=2) + 1e-30
        )
        shape -= np.log(core.sum(axis=1))[:, None]
        height = (log_light - shape).mean(axis=1)
        misfit = ((log_light - shape - height[:, None]) ** 2).mean(axis=1)
        best = int(np.argmin(misfit))
        trials.append((float(misfit[best]), float(height[best])))
    least = min(misfit for misfit, _ in trials)
    height = max(height for misfit, height in trials if misfit <= 1.5 * least + 0.003)
    return float(sky_adu + max(well, math.exp(min(height, 40.0))))


def _rings(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: float, y: float, clipped_px: float, sky_adu: float
) -> tuple[Array, Array]:
    """Medians of rings 1 px wide about a place, sky subtracted, from just outside the clipped disc: (radius, light)."""
    reach = math.ceil(min(3.0 * clipped_px + 12.0, 200.0))
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    part = np.asarray(frame[top : round(y) + reach + 1, left : round(x) + reach + 1], np.float64)
    if bad.size:
        masked = bad[top : round(y) + reach + 1, left : round(x) + reach + 1] != 0
        part = np.where(masked, np.nan, part)
    rows, columns = np.indices(part.shape)
    distance = np.hypot(rows + top - y, columns + left - x)
    radii, light = [], []
    for ring in range(math.ceil(clipped_px + 0.5), reach):
        inside = np.abs(distance - ring) <= 0.5
        values = part[inside]
        values = values[np.isfinite(values)]
        if values.size >= 6:
            radii.append(float(distance[inside].mean()))
            light.append(float(np.median(values)) - sky_adu)
    return np.array(radii), np.array(light)
