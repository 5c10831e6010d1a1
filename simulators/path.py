"""How the field moves over the detector while the shutter is open.

In: a path sampled evenly in time. Out: what it does to a star, in few pieces, and to rows that are exposed later.
"""

from __future__ import annotations

import math

import numpy as np

from acquisition.kernels.compiled import compiled

from .process import Floats

MOST_PIECES = 256


def moved_mean(path_px: Floats, steps: int, lags: Floats) -> Floats:
    """Mean of a path over a window of so many steps that begins `lags` steps later, less that without lag.

    It is what rows that a rolling shutter exposes later see of a moving star.
    """
    places = np.arange(len(path_px) + 1)
    total = np.concatenate([[0.0], np.cumsum(path_px)])
    means = (np.interp(lags + steps, places, total) - np.interp(lags, places, total)) / steps
    moved: Floats = means - means[0]
    return moved


def pieces(dx_px: Floats, dy_px: Floats, sigma_px: float) -> Floats:
    """Cut a path, sampled evenly in time, into pieces that are short beside a star.

    Returns
    -------
    [m, 5] array
        Mean dx and dy of each piece, its share of the time, and its variances: mean and second moment of the image
        are those of the path itself.
    """
    extent = max(float(np.ptp(dx_px)), float(np.ptp(dy_px)))
    path = np.empty((min(max(1, math.ceil(extent / sigma_px)), MOST_PIECES, len(dx_px)), 5))
    _cut(dx_px, dy_px, path)
    return path


@compiled
def _cut(dx_px: Floats, dy_px: Floats, path: Floats) -> None:
    size, pieces = dx_px.shape[0], path.shape[0]
    for piece in range(pieces):
        begin, end = piece * size // pieces, (piece + 1) * size // pieces
        x, y = dx_px[begin:end], dy_px[begin:end]
        path[piece] = x.mean(), y.mean(), (end - begin) / size, x.var(), y.var()
