"""How the field moves over the detector while the shutter is open.

In: a path sampled evenly in time. Out: what it does to a star, in few pieces, and to rows that are exposed later.
"""

from __future__ import annotations

import math

import numpy as np

from acquisition.kernels.compiled import compiled

from .process import Floats

MOST_PIECES = 256
ROLLED_ROWS = 9


@compiled
def moved(
    ra_arcsec: Floats, dec_arcsec: Floats, steps: int, px_per_deg: Floats, dx_px: Floats, dy_px: Floats
) -> tuple[float, float, float]:
    """How stars move when the telescope does: the other way.

    Parameters
    ----------
    ra_arcsec, dec_arcsec : [n]
        Where the telescope points, sampled evenly in time.
    steps : int
        Of which so many are the exposure; what follows, rows see that are exposed later.
    px_per_deg : [2, 2]
    dx_px, dy_px : [n]
        Get the motion, about its mean during the exposure.

    Returns
    -------
    ra_arcsec, dec_arcsec, motion_px : float
        Mean pointing during the exposure, and the larger extent of the motion.
    """
    mean_ra = ra_arcsec[0] + (ra_arcsec[:steps] - ra_arcsec[0]).mean()
    mean_dec = dec_arcsec[0] + (dec_arcsec[:steps] - dec_arcsec[0]).mean()
    cos_dec = math.cos(math.radians(mean_dec / 3600))
    for n in range(ra_arcsec.shape[0]):
        east, north = (mean_ra - ra_arcsec[n]) / 3600 * cos_dec, (mean_dec - dec_arcsec[n]) / 3600
        dx_px[n] = px_per_deg[0, 0] * east + px_per_deg[0, 1] * north
        dy_px[n] = px_per_deg[1, 0] * east + px_per_deg[1, 1] * north
    return mean_ra, mean_dec, max(np.ptp(dx_px[:steps]), np.ptp(dy_px[:steps]))


@compiled
def roll(
    x_px: Floats, y_px: Floats, dx_px: Floats, dy_px: Floats, steps: int, height_px: int, steps_per_row: float
) -> None:
    """Move stars, in place, by what rows that a rolling shutter exposes later see of the field's motion.

    The motion [n] is sampled evenly in time, over the first row's exposure of so many steps and beyond; where it is
    between some rows is interpolated.
    """
    right, up = np.empty(ROLLED_ROWS), np.empty(ROLLED_ROWS)
    for path_px, later in ((dx_px, right), (dy_px, up)):
        total = np.zeros(len(path_px) + 1)
        total[1:] = np.cumsum(path_px)
        for row in range(ROLLED_ROWS):
            lag = height_px * row / (ROLLED_ROWS - 1) * steps_per_row
            later[row] = (_linear(total, lag + steps) - _linear(total, lag)) / steps
        later -= later[0]
    for star in range(len(x_px)):
        row = y_px[star] / height_px * (ROLLED_ROWS - 1)
        x_px[star] += _linear(right, row)
        y_px[star] += _linear(up, row)


@compiled
def _linear(nodes: Floats, place: float) -> float:
    """Between nodes; beyond the ends what is there."""
    place = min(max(place, 0.0), len(nodes) - 1.0)
    before = min(int(place), len(nodes) - 2)
    return nodes[before] + (place - before) * (nodes[before + 1] - nodes[before])  # type: ignore[no-any-return]


@compiled
def pieces(dx_px: Floats, dy_px: Floats, sigma_px: float) -> Floats:
    """Cut a path, sampled evenly in time, into pieces that are short beside a star.

    Returns
    -------
    [m, 5] array
        Mean dx and dy of each piece, its share of the time, and its variances: mean and second moment of the image
        are those of the path itself.
    """
    size, extent = len(dx_px), max(np.ptp(dx_px), np.ptp(dy_px))
    n = min(max(1, math.ceil(extent / sigma_px)), MOST_PIECES, size)
    path = np.empty((n, 5))
    for piece in range(n):
        begin, end = piece * size // n, (piece + 1) * size // n
        x, y = dx_px[begin:end], dy_px[begin:end]
        path[piece] = x.mean(), y.mean(), (end - begin) / size, x.var(), y.var()
    return path
