"""Small pieces of a frame, one a star, as floats.

In: a frame of any type [y, x], a mask, places. Out: patches [star, y, x], NaN where a pixel must not be used.

Patches are what keeps the kernels that measure stars small: whatever the frame's type and mask, they are compiled once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place, vectorised

Array = NDArray[np.float64]
Patch = NDArray[np.float32]
Patches = NDArray[np.float32]  # [star, y, x]


def cut_patches(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: Array, y: Array, reach: int
) -> tuple[Patches, NDArray[np.int64]]:
    """Patches about places of a frame, and the first pixel (x, y) of each.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    x, y : ndarray of float64
        Places, 0-based px; may lie outside the frame, or be NaN.
    reach : int
        A patch reaches at least so far to all sides of the place's pixel, which is its pixel [height // 2, width // 2].
    """
    n = len(x)
    patches, corner = np.empty((n, rows_of(reach), side_of(reach)), np.float32), np.empty((n, 2), np.int64)
    cut(frame, bad, np.ascontiguousarray(x), np.ascontiguousarray(y), patches, corner)
    return patches, corner


@in_place
def side_of(reach: int) -> int:
    """Width of a patch: whole SIMD words, four at a time."""
    return (2 * reach + 33) // 32 * 32


@in_place
def rows_of(reach: int) -> int:
    """Height of a patch."""
    return 2 * reach + 2


@in_place
def cut(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: Array, y: Array, patches: Patches, corner: NDArray[np.int64]
) -> None:
    height, width = frame.shape
    rows, side = patches.shape[1], patches.shape[2]
    for k in range(len(x)):
        known = math.isfinite(x[k]) and math.isfinite(y[k])
        left = math.floor(x[k] + 0.5) - side // 2 if known else -2 * side
        top = math.floor(y[k] + 0.5) - rows // 2 if known else -2 * rows
        corner[k, 0], corner[k, 1] = left, top
        first, last = min(max(-left, 0), side), max(min(width - left, side), 0)
        for j in range(rows):
            line = top + j
            if line < 0 or line >= height or first > 0 or last < side:
                patches[k, j] = np.nan
            if 0 <= line < height and first < last:
                target, source = patches[k, j, first:last], frame[line, left + first : left + last]
                for i in range(target.size):
                    target[i] = source[i]
                if bad.size > 0:
                    masked = bad[line, left + first : left + last]
                    for i in range(target.size):
                        target[i] = np.nan if masked[i] != 0 else target[i]


@in_place
def edge_of(patch: Patch, left: int, top: int, width: int, height: int, out: Patch) -> None:
    """The outermost pixels of a rectangle from (left, top) on: 2 (width + height) - 4."""
    first, last = patch[top, left : left + width], patch[top + height - 1, left : left + width]
    for i in range(width):
        out[i] = first[i]
    below = out[width:]
    for i in range(width):
        below[i] = last[i]
    sides = out[2 * width :]
    for j in range(height - 2):
        row = patch[top + j + 1]
        sides[2 * j], sides[2 * j + 1] = row[left], row[left + width - 1]


@vectorised
def all_usable(values: Patch) -> bool:
    """Whether none of a list of pixels is one that must not be used."""
    infinite, every = np.float32(np.inf), True
    for i in range(values.size):
        every &= abs(values[i]) < infinite
    return every


@vectorised
def light_above(patch: Patch, left: int, top: int, n: int, level: float, out: Patch) -> None:
    """Light of a patch above a level, 0 where a pixel must not be used: n rows from (left, top) on.

    They fill ``out``, one after the other; what would be beyond the patch is left as it is.
    """
    sky, none, infinite = np.float32(level), np.float32(0.0), np.float32(np.inf)
    pitch = out.size // n
    for j in range(n):
        row, target = patch[top + j, left : left + pitch], out[j * pitch : (j + 1) * pitch]
        for i in range(row.size):
            v = row[i] - sky
            target[i] = v if abs(v) < infinite else none
