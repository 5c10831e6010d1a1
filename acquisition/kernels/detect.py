"""Where stars may be: one pass over the frame.

In: a frame [y, x] as it came from the camera, a mask, its `Background`. Out: candidates, the most significant first.

A candidate is a local maximum of 3 x 3 sums that stands out of the noise. The sum nearly is the matched filter of a
star of 2 to 3 px. What a star cannot be is left out: single pixels (defects, most cosmic hits) and pieces of columns
or rows, told by the neighbours of the brightest pixel.

The pass works in 16-bit integers, row by row: that is 32 pixels an instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import Background, interpolate
from .compiled import compiled, vectorised

Array = NDArray[np.float64]
Row = NDArray[np.uint16]

_CAP = np.uint16(7000)  # above the row's base; nine of them fit in 16 bits
_LOUDEST = 1000.0  # noise beyond which a frame is scaled down, so that thresholds stay below the cap
_MOST = 4096  # candidates before sorting


def find_candidates(
    frame: NDArray[Any], bad: NDArray[np.uint8], background: Background, threshold: float = 4.5, most: int = 400
) -> Array:
    """Places where a star may be.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    background : Background
        Of this frame.
    threshold : float
        Significance of the 3 x 3 sum, in its noise.
    most : int
        Return at most so many.

    Returns
    -------
    ndarray of float64, shape [n, 3]
        x, y (0-based, to about half a pixel) and significance, most significant first; n may be 0. Candidates within
        2 px of the frame's edge are left out.
    """
    if min(frame.shape) < 7:
        return np.empty((0, 3))
    pixels, level, noise = _as_integers(frame, background)
    found = np.empty((_MOST, 3))
    n = _scan(pixels, bad, level, noise, threshold, found)
    order = np.argsort(found[:n, 2], kind="stable")[::-1][:most]
    return np.ascontiguousarray(found[order])


def _as_integers(
    frame: NDArray[Any], background: Background
) -> tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.float32]]:
    """A frame with its sky's level and noise in units that 16 bits hold; a 16-bit camera's frame itself."""
    level, noise = background.level, background.noise
    loudest = float(noise.max())
    if frame.dtype == np.uint16 and loudest <= _LOUDEST:
        return frame, level, noise
    if frame.dtype == np.uint8:
        return frame.astype(np.uint16), level, noise
    base = float(level.min() - 20.0 * loudest)
    scale = 16.0 / float(np.median(noise)) if loudest < 60.0 * float(np.median(noise)) else _LOUDEST / loudest
    pixels = (frame.astype(np.float32) - np.float32(base)) * np.float32(scale)
    np.nan_to_num(pixels, copy=False, nan=0.0)
    return (
        np.clip(pixels, 0, 65535).astype(np.uint16),
        ((level - base) * scale).astype(np.float32),
        (noise * scale).astype(np.float32),
    )


@vectorised
def _above(row: Row, base: Row, out: Row) -> None:
    """Pixels less a base, within 0 and the cap."""
    for i in range(out.size):
        higher = max(row[i], base[i])
        out[i] = min(np.uint16(higher - base[i]), _CAP)


@vectorised
def _add_rows(a: Row, b: Row, c: Row, out: Row) -> None:
    for i in range(out.size):
        out[i] = np.uint16(a[i] + b[i] + c[i])


@vectorised
def _excess(left: Row, middle: Row, right: Row, limit: Row, out: Row) -> None:
    """By how much the sum of three columns is above a limit, or 0."""
    for i in range(out.size):
        total = np.uint16(left[i] + middle[i] + right[i])
        out[i] = np.uint16(max(total, limit[i]) - limit[i])


@vectorised
def _spread(across: NDArray[np.float32], offset: float, out: NDArray[np.float32]) -> None:
    """Linear interpolation of block centres along a row, plus an offset."""
    blocks, width = across.size, out.size
    pitch = width / blocks
    first, last = int(0.5 * pitch), int((blocks - 0.5) * pitch)
    for x in range(first):
        out[x] = across[0] + offset
    for k in range(blocks - 1):
        a = int((k + 0.5) * pitch)
        b = int((k + 1.5) * pitch)
        piece = out[a:b]
        start, slope = across[k] + offset, (across[k + 1] - across[k]) / pitch
        for i in range(piece.size):
            piece[i] = start + slope * i
    for x in range(max(last, 0), width):
        out[x] = across[blocks - 1] + offset


@vectorised
def _thresholds(
    level: NDArray[np.float32], noise: NDArray[np.float32], threshold: float, base: Row, limit: Row
) -> None:
    """A base well below the sky, and the limit that the sum of nine pixels above it must exceed."""
    for i in range(base.size):
        low = max(level[i] - np.float32(3.0) * noise[i], np.float32(0.0))
        whole = np.uint16(min(low, np.float32(65000.0)))
        base[i] = whole
        sum9 = np.float32(9.0) * (level[i] - np.float32(whole)) + np.float32(3.0 * threshold) * noise[i]
        limit[i] = np.uint16(min(sum9 + np.float32(0.5), np.float32(65000.0)))


@vectorised
def _any(row: Row) -> bool:
    highest = np.uint16(0)
    for i in range(row.size):
        highest = max(highest, row[i])
    return bool(highest > 0)


@compiled
def _scan(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    threshold: float,
    found: Array,
) -> int:
    height, width = frame.shape
    by, bx = level.shape
    masked = bad.size > 0
    rows = np.zeros((3, width), np.uint16)
    columns = np.zeros((3, width), np.uint16)
    words = (width - 2 + 3) // 4
    excess = np.zeros(4 * words, np.uint16)
    four = excess.view(np.uint64)
    base, limit = np.zeros(width, np.uint16), np.zeros(width, np.uint16)
    level_row, noise_row = np.zeros(width, np.float32), np.zeros(width, np.float32)
    across_level, across_noise = np.zeros(bx, np.float32), np.zeros(bx, np.float32)
    n, floor, refresh = 0, 0.0, 0
    for y in range(height):
        if y == refresh:
            v = min(max((y + 0.5) * by / height - 0.5, 0.0), by - 1.0)
            j = min(int(v), max(by - 2, 0))
            fy, j1 = np.float32(v - j), min(j + 1, by - 1)
            steepest, quietest = 0.0, 1e30
            for i in range(bx):
                across_level[i] = level[j, i] * (1 - fy) + level[j1, i] * fy
                across_noise[i] = noise[j, i] * (1 - fy) + noise[j1, i] * fy
                steepest = max(steepest, abs(float(level[j1, i] - level[j, i])) * by / height)
                quietest = min(quietest, float(across_noise[i]))
            _spread(across_level, 0.0, level_row)
            _spread(across_noise, 0.0, noise_row)
            _thresholds(level_row, noise_row, threshold, base, limit)
            # the sky of these rows holds until it has changed by a fifth of the noise
            refresh = y + min(max(int(0.2 * quietest / max(steepest, 1e-9)), 1), 32)
        row = rows[y % 3]
        _above(frame[y], base, row)
        if masked:
            for x in range(width):
                if bad[y, x] != 0:
                    row[x] = np.uint16(max(level_row[x] - np.float32(base[x]), np.float32(0.0)))
        if y < 2:
            continue
        here = columns[(y - 1) % 3]
        _add_rows(rows[0], rows[1], rows[2], here)
        if y < 3 or y > height - 2:
            continue
        # the sums of row y - 1; neighbours are looked up in the frame itself
        _excess(here[: width - 2], here[1 : width - 1], here[2:], limit[1 : width - 1], excess[: width - 2])
        if not _any(excess):
            continue
        for word in range(words):
            if four[word] == 0:
                continue
            for i in range(4 * word, 4 * word + 4):
                x = i + 1
                if excess[i] == 0 or x < 2 or x > width - 3:
                    continue
                if not _is_peak(frame, bad, x, y - 1):
                    continue
                sky = interpolate(level, height, width, x, y - 1)
                sigma = interpolate(noise, height, width, x, y - 1)
                significance = (_box(frame, bad, x, y - 1, sky) - 9.0 * sky) / (3.0 * sigma)
                if significance <= max(floor, threshold - 0.5) or not _is_extended(frame, bad, x, y - 1, sky, sigma):
                    continue
                if n == found.shape[0]:
                    n, floor = _keep_better(found)
                    if n == found.shape[0]:
                        return n
                found[n, 0], found[n, 1], found[n, 2] = x, y - 1, significance
                n += 1
    return n


@compiled
def _box(frame: NDArray[np.uint16], bad: NDArray[np.uint8], x: int, y: int, sky: float) -> float:
    """Sum of the 3 x 3 px about a pixel; masked ones count as sky."""
    total = 0.0
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            total += sky if bad.size > 0 and bad[j, i] != 0 else float(frame[j, i])
    return total


@compiled
def _is_peak(frame: NDArray[np.uint16], bad: NDArray[np.uint8], x: int, y: int) -> bool:
    """Whether the 3 x 3 sum is higher than those of the eight neighbours (the first of equal ones)."""
    if bad.size > 0:
        middle = float(frame[y, x])
        own = _box(frame, bad, x, y, middle)
        for j in range(-1, 2):
            for i in range(-1, 2):
                other = _box(frame, bad, x + i, y + j, middle)
                if other > own or (other == own and (j < 0 or (j == 0 and i < 0))):
                    return False
        return True
    # differences of overlapping sums: only the rows and columns that differ
    left = right = up = down = 0.0
    for k in range(-1, 2):
        left += float(frame[y + k, x - 2]) - float(frame[y + k, x + 1])
        right += float(frame[y + k, x + 2]) - float(frame[y + k, x - 1])
        up += float(frame[y - 2, x + k]) - float(frame[y + 1, x + k])
        down += float(frame[y + 2, x + k]) - float(frame[y - 1, x + k])
    if left >= 0.0 or right > 0.0 or up >= 0.0 or down > 0.0:
        return False
    own = 0.0
    for j in range(-1, 2):
        for i in range(-1, 2):
            own += float(frame[y + j, x + i])
    for j in range(-1, 2, 2):
        for i in range(-1, 2, 2):
            other = _box(frame, bad, x + i, y + j, 0.0)
            if other > own or (other == own and j < 0):
                return False
    return True


@compiled
def _keep_better(found: Array) -> tuple[int, float]:
    """Forget the less significant of a full list; returns how many stay, and the floor that newcomers must exceed."""
    mean = 0.0
    for k in range(found.shape[0]):
        mean += found[k, 2] / found.shape[0]
    n = 0
    for k in range(found.shape[0]):
        if found[k, 2] > mean:
            for q in range(3):
                found[n, q] = found[k, q]
            n += 1
    return n, mean


@compiled
def _is_extended(frame: NDArray[np.uint16], bad: NDArray[np.uint8], x: int, y: int, sky: float, sigma: float) -> bool:
    """Whether the light about a pixel is spread as a star's: not one pixel, not a piece of a column or row.

    The limits are for the sharpest star that is still measured, FWHM 1 px centred on a pixel: its four neighbours
    together have 0.63 of the peak.
    """
    px, py, peak = x, y, -np.inf
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            if float(frame[j, i]) > peak and not (bad.size > 0 and bad[j, i] != 0):
                px, py, peak = i, j, float(frame[j, i])
    if px < 1 or py < 1 or px >= frame.shape[1] - 1 or py >= frame.shape[0] - 1:
        return False
    peak -= sky
    across = float(frame[py, px - 1]) + float(frame[py, px + 1]) - 2 * sky
    along = float(frame[py - 1, px]) + float(frame[py + 1, px]) - 2 * sky
    if not across + along > max(0.35 * peak, 2.5 * sigma):
        return False
    slack = 1.5 * sigma
    return across + slack > 0.1 * peak and along + slack > 0.1 * peak
