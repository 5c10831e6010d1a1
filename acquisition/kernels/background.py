"""Level and noise of the sky, block by block, from a sparse sample of the frame.

In: a frame [y, x] and a mask of pixels not to be used. Out: two small maps, interpolated between block centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, in_place, vectorised
from .quantile import quantile

Array = NDArray[np.float64]

BLOCK_PX = 128
SAMPLES = 128  # per block: the level is then good to 0.1 of the noise


@dataclass(frozen=True, slots=True)
class Background:
    """Maps of the sky.

    Attributes
    ----------
    level, noise : ndarray of float32, shape [blocks along y, blocks along x]
        Median and standard deviation at the centres of the blocks, ADU. Stars pull them up but little: the noise is
        the distance from the median down to the 16th percentile.
    height, width : int
        Of the frame, px.
    """

    level: NDArray[np.float32]
    noise: NDArray[np.float32]
    height: int
    width: int

    def level_at(self, x: float, y: float) -> float:
        """Level at a pixel (0-based), ADU."""
        return float(interpolate(self.level, self.height, self.width, x, y))

    def noise_at(self, x: float, y: float) -> float:
        """Noise of one pixel there, ADU."""
        return float(interpolate(self.noise, self.height, self.width, x, y))

    def skies_at(self, x: Array, y: Array) -> Array:
        """Level and noise at places (0-based): columns 0 and 3 of an array [n, 4], as the fits take it."""
        skies = np.zeros((len(x), 4))
        _skies(self.level, self.noise, self.height, self.width, x, y, skies)
        return skies


def measure_background(frame: NDArray[Any], bad: NDArray[np.uint8], block_px: int = BLOCK_PX) -> Background:
    """Level and noise of the sky in blocks.

    Parameters
    ----------
    frame : ndarray, [y, x], uint8, uint16 or float32
        NaN counts as masked.
    bad : ndarray of uint8, [y, x] or [0, 0]
        Non-zero: do not use. An empty array: use all.
    block_px : int
        Side of a block; the last ones are stretched to fill the frame.

    Returns
    -------
    Background
        A block without a usable pixel takes the mean of the others; a frame without one has level 0, noise 1. Noise is
        at least the quantisation's, 1/sqrt(12) ADU, in integer frames.
    """
    height, width = frame.shape
    by, bx = max(1, round(height / block_px)), max(1, round(width / block_px))
    level, noise = np.empty((by, bx), np.float32), np.empty((by, bx), np.float32)
    unit = 1.0 if frame.dtype.kind == "u" else 0.0
    _measure(frame, bad, unit, level, noise)
    return Background(level, noise, height, width)


def box_noise(frame: NDArray[Any], bad: NDArray[np.uint8], background: Background) -> float:
    """Noise of 3 x 3 sums over what it would be if pixels were independent and normal; 1 at the least.

    Above 1 where rows or columns share an offset (banding), in nebulosity, and where warm pixels make bright sums more
    frequent than faint ones (more than twice as wide a tail is made by stars, and does not count). From some thousand
    sums.
    """
    height, width = frame.shape
    if min(height, width) < 16:
        return 1.0
    step_y, step_x = (max(3, int(n / 90)) for n in (height, width))
    rows, columns = np.arange(1, height - 1, step_y), np.arange(1, width - 1, step_x)
    total = np.zeros((len(rows), len(columns)))
    usable = np.ones(total.shape, np.bool_)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            total += frame[np.ix_(rows + j, columns + i)]
            if bad.size:
                usable &= bad[np.ix_(rows + j, columns + i)] == 0
    usable &= np.isfinite(total)
    if usable.sum() < 50:
        return 1.0
    blocks = background.level.shape
    across, along = _between_blocks(rows, height, blocks[0]), _between_blocks(columns, width, blocks[1])
    level, noise = across @ background.level @ along.T, across @ background.noise @ along.T
    scatter = ((total - 9.0 * level) / (3.0 * noise))[usable]
    low, middle, high = np.percentile(scatter, (15.8655, 50.0, 95.0))
    tail = float(high - middle) / 1.645
    return max(float(middle - low), tail if tail < 2.0 else 1.0, 1.0)


def _between_blocks(places: NDArray[np.int64], length: int, blocks: int) -> NDArray[np.float64]:
    """Matrix that interpolates linearly from block centres to places along one axis."""
    u = np.clip((places + 0.5) * blocks / length - 0.5, 0.0, blocks - 1.0)
    k = np.minimum(u.astype(int), max(blocks - 2, 0))
    matrix = np.zeros((len(places), blocks))
    matrix[np.arange(len(places)), k] = 1.0 - (u - k)
    if blocks > 1:
        matrix[np.arange(len(places)), k + 1] += u - k
    return matrix


@in_place
def interpolate(blocks: NDArray[np.float32], height: int, width: int, x: float, y: float) -> float:
    """Bilinear between block centres, constant beyond the outermost ones."""
    by, bx = blocks.shape
    u = min(max((x + 0.5) * bx / width - 0.5, 0.0), bx - 1.0)
    v = min(max((y + 0.5) * by / height - 0.5, 0.0), by - 1.0)
    i, j = min(int(u), max(bx - 2, 0)), min(int(v), max(by - 2, 0))
    fx, fy = u - i, v - j
    i1, j1 = min(i + 1, bx - 1), min(j + 1, by - 1)
    upper = blocks[j, i] * (1 - fx) + blocks[j, i1] * fx
    lower = blocks[j1, i] * (1 - fx) + blocks[j1, i1] * fx
    return float(upper * (1 - fy) + lower * fy)


@in_place
def _sample(
    frame: NDArray[Any], bad: NDArray[np.uint8], box: tuple[int, int, int, int], unit: float, out: NDArray[np.float32]
) -> int:
    """Pixels of a box (left, top, right, bottom) on a staggered grid: ``out`` = values, and places from the middle."""
    left, top, right, bottom = box
    masked = bad.size > 0
    step = max(1, int(np.sqrt((bottom - top) * (right - left) / SAMPLES)))
    middle_x, middle_y = np.float32(0.5 * (left + right - 1)), np.float32(0.5 * (top + bottom - 1))
    n, row, most, dither = 0, 0, out.shape[1], np.float32(0.0)
    for y in range(top + step // 2, bottom, step):
        # rows are staggered, so that no column pattern is favoured
        for x in range(left + (row * 5 + step // 2) % step, right, step):
            value = np.float32(frame[y, x])
            if n == most or not np.isfinite(value) or (masked and bad[y, x] != 0):
                continue
            # integers are spread over their step, so that quantiles are not quantised
            out[0, n] = value + np.float32(unit) * dither
            dither += np.float32(0.618034) if dither < np.float32(-0.118034) else np.float32(-0.381966)
            out[1, n], out[2, n] = np.float32(x) - middle_x, np.float32(y) - middle_y
            n += 1
        row += 1
    return n


@vectorised
def _flatten(sample: NDArray[np.float32], n: int, level: float, slope_x: float, slope_y: float) -> None:
    """Take a sloping level out of the values of a sample."""
    value, x, y = sample[0, :n], sample[1, :n], sample[2, :n]
    for k in range(n):
        value[k] -= np.float32(level) + np.float32(slope_x) * x[k] + np.float32(slope_y) * y[k]


@in_place
def _skies(
    level: NDArray[np.float32], noise: NDArray[np.float32], height: int, width: int, x: Array, y: Array, skies: Array
) -> None:
    for k in range(len(x)):
        skies[k, 0] = interpolate(level, height, width, x[k], y[k])
        skies[k, 3] = interpolate(noise, height, width, x[k], y[k])


@compiled
def _measure(
    frame: NDArray[Any], bad: NDArray[np.uint8], unit: float, level: NDArray[np.float32], noise: NDArray[np.float32]
) -> None:
    height, width = frame.shape
    by, bx = level.shape
    sample, count = np.empty((by * bx, 3, 2 * SAMPLES + 64), np.float32), np.zeros(by * bx, np.int64)
    # first the levels; then the noise about the sloping level, so that a slope is not taken for noise
    total, filled = 0.0, 0
    for j in range(by):
        for i in range(bx):
            b = j * bx + i
            box = (i * width // bx, j * height // by, (i + 1) * width // bx, (j + 1) * height // by)
            count[b] = _sample(frame, bad, box, unit, sample[b])
            if count[b] > 0:
                level[j, i] = quantile(sample[b, 0], count[b], 0.5)
                total += level[j, i]
                filled += 1
    for j in range(by):
        for i in range(bx):
            if count[j * bx + i] == 0:
                level[j, i] = total / filled if filled > 0 else 0.0
    total, filled = 0.0, 0
    for j in range(by):
        for i in range(bx):
            b = j * bx + i
            if count[b] == 0:
                continue
            i0, i1, j0, j1 = max(i - 1, 0), min(i + 1, bx - 1), max(j - 1, 0), min(j + 1, by - 1)
            slope_x = (level[j, i1] - level[j, i0]) / (max(i1 - i0, 1) * width / bx)
            slope_y = (level[j1, i] - level[j0, i]) / (max(j1 - j0, 1) * height / by)
            _flatten(sample[b], count[b], level[j, i], slope_x, slope_y)
            floor = 0.2887 * unit if unit > 0 else 1e-6 * max(1.0, abs(level[j, i]))
            noise[j, i] = max(-quantile(sample[b, 0], count[b], 0.158655), floor)
            total += noise[j, i]
            filled += 1
    for j in range(by):
        for i in range(bx):
            if count[j * bx + i] == 0:
                noise[j, i] = total / filled if filled > 0 else 1.0
