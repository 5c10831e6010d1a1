"""Where stars may be: one pass over the frame.

In: a frame [y, x] as it came from the camera, a mask, its `Background`. Out: candidates, the most significant first.

A candidate is a local maximum of 3 x 3 sums that stands out of the noise. The sum nearly is the matched filter of a
star of 2 to 3 px. What a star cannot be is left out: single pixels (defects, most cosmic hits) and pieces of columns
or rows, told by the neighbours of the brightest pixel.

The pass works in 16-bit integers, two rows at a time: sums of 4 x 3 px, which contain those of 3 x 3 about two pixels,
say where it is worth looking closer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import Background, interpolate
from .compiled import compiled, in_place, vectorised

Array = NDArray[np.float64]
Row = NDArray[np.uint16]
Sky = NDArray[np.float32]

_CAP = np.uint16(5400)  # above the row's base; twelve of them fit in 16 bits
_SLACK = 1.0  # noises by which the three pixels that are added to a 3 x 3 sum may pull it down, light included
_LOUDEST = 1000.0  # noise beyond which a frame is scaled down, so that thresholds stay below the cap
_PIECE = 256  # columns that are passed over together where there is nothing
_MOST = 1024  # candidates before sorting


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
def _add_pair(a: Row, b: Row, base: Row, before: Row, pair: Row, four: Row) -> None:
    """Two rows less a base, added up; and together with the pair of rows before."""
    for i in range(pair.size):
        above_a = min(np.uint16(max(a[i], base[i]) - base[i]), _CAP)
        above_b = min(np.uint16(max(b[i], base[i]) - base[i]), _CAP)
        both = np.uint16(above_a + above_b)
        pair[i] = both
        four[i] = np.uint16(both + before[i])


@vectorised
def _excess(four: Row, limit: Row, out: Row, highest: Row) -> bool:
    """By how much the sum of three columns, the first being x, is above a limit, or 0; whether it is anywhere.

    ``highest`` is the excess' maximum in each piece of `_PIECE` columns.
    """
    found = np.uint16(0)
    for k in range(highest.size):
        start = k * _PIECE
        left, middle, right = four[start : start + _PIECE], four[start + 1 : start + 1 + _PIECE], four[start + 2 :]
        most, above = limit[start : start + _PIECE], out[start : start + _PIECE]
        top = np.uint16(0)
        for i in range(_PIECE):
            total = np.uint16(left[i] + middle[i] + right[i])
            more = np.uint16(max(total, most[i]) - most[i])
            above[i] = more
            top = max(top, more)
        highest[k] = top
        found = max(found, top)
    return bool(found > 0)


@in_place
def _without_masked(row: Row, bad: NDArray[np.uint8], level: NDArray[np.float32], out: Row) -> None:
    """A row with sky in place of what must not be used."""
    for x in range(out.size):
        out[x] = np.uint16(max(level[x], np.float32(0.0))) if bad[x] != 0 else row[x]


@vectorised
def _spread(across: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Linear interpolation of block centres along a row."""
    blocks, width = across.size, out.size
    pitch = width / blocks
    first, last = int(0.5 * pitch), int((blocks - 0.5) * pitch)
    for x in range(first):
        out[x] = across[0]
    for k in range(blocks - 1):
        a = int((k + 0.5) * pitch)
        b = int((k + 1.5) * pitch)
        piece = out[a:b]
        start, slope = across[k], (across[k + 1] - across[k]) / pitch
        for i in range(piece.size):
            piece[i] = start + slope * i
    for x in range(max(last, 0), width):
        out[x] = across[blocks - 1]


@vectorised
def _thresholds(
    level: NDArray[np.float32], noise: NDArray[np.float32], threshold: float, base: Row, limit: Row
) -> None:
    """A base well below the sky, and the limit that the sum of twelve pixels above it must exceed."""
    for i in range(level.size):
        low = max(level[i] - np.float32(3.0) * noise[i], np.float32(0.0))
        whole = np.uint16(min(low, np.float32(65000.0)))
        base[i] = whole
        sum12 = np.float32(12.0) * (level[i] - np.float32(whole)) + np.float32(3.0 * threshold - _SLACK) * noise[i]
        limit[i] = np.uint16(min(sum12 + np.float32(0.5), np.float32(65000.0)))


@in_place
def _sky_of_row(
    y: int,
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    height: int,
    across: Sky,
    level_row: Sky,
    noise_row: Sky,
) -> int:
    """Level and noise along a row, and for how many rows they hold: until a fifth of the noise is missed."""
    by, bx = level.shape
    v = min(max((y + 0.5) * by / height - 0.5, 0.0), by - 1.0)
    j = min(int(v), max(by - 2, 0))
    fy, j1 = np.float32(v - j), min(j + 1, by - 1)
    steepest, quietest = 1e-9, 1e30
    across_level, across_noise = across[0], across[1]
    for i in range(bx):
        across_level[i] = level[j, i] * (1 - fy) + level[j1, i] * fy
        across_noise[i] = noise[j, i] * (1 - fy) + noise[j1, i] * fy
        steepest = max(steepest, abs(float(level[j1, i] - level[j, i])) * by / height)
        quietest = min(quietest, float(across_noise[i]))
    _spread(across_level, level_row)
    _spread(across_noise, noise_row)
    return int(min(max(0.2 * quietest / steepest, 1.0), 32.0))


@compiled
def _scan(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    threshold: float,
    found: Array,
) -> int:
    width = frame.shape[1]
    pieces = (width + _PIECE - 1) // _PIECE
    pairs, clean = np.zeros((2, width), np.uint16), np.empty((2, width), np.uint16)
    base, level_row, noise_row = np.zeros(width, np.uint16), np.zeros(width, np.float32), np.zeros(width, np.float32)
    # index x of these is the first of the three columns summed; what is beyond the frame is never above the limit
    four, limit = np.zeros(pieces * _PIECE + 2, np.uint16), np.full(pieces * _PIECE, 65535, np.uint16)
    excess, highest = np.zeros((3, pieces * _PIECE), np.uint16), np.zeros((3, pieces), np.uint16)
    across = np.empty((2, level.shape[1]), np.float32)
    return _scan_rows(
        frame, bad, level, noise, threshold, pairs, clean, base, four, limit, excess, highest, across, level_row,
        noise_row, found,
    )  # fmt: skip


@in_place
def _scan_rows(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: Sky,
    noise: Sky,
    threshold: float,
    pairs: NDArray[np.uint16],
    clean: NDArray[np.uint16],
    base: Row,
    four: Row,
    limit: Row,
    excess: NDArray[np.uint16],
    highest: NDArray[np.uint16],
    across: Sky,
    level_row: Sky,
    noise_row: Sky,
    found: Array,
) -> int:
    height, width = frame.shape
    pair_rows = height // 2
    n, floor, refresh, bright, bright_before = 0, threshold, 0, False, False
    for k in range(pair_rows):
        if 2 * k >= refresh:
            refresh = 2 * k + _sky_of_row(2 * k, level, noise, height, across, level_row, noise_row)
            _thresholds(level_row, noise_row, threshold, base, limit)
            limit[width - 2 :] = 65535
        if bad.size > 0:
            _without_masked(frame[2 * k], bad[2 * k], level_row, clean[0])
            _without_masked(frame[2 * k + 1], bad[2 * k + 1], level_row, clean[1])
            _add_pair(clean[0], clean[1], base, pairs[(k + 1) % 2], pairs[k % 2], four)
        else:
            _add_pair(frame[2 * k], frame[2 * k + 1], base, pairs[(k + 1) % 2], pairs[k % 2], four)
        if k == 0:
            continue
        bright = _excess(four, limit, excess[k % 3], highest[k % 3])
        if bright_before:
            n, floor = _visit(frame, bad, level, noise, excess, highest, k - 1, floor, found, n)
        bright_before = bright
    excess[pair_rows % 3] = 0
    n, floor = _visit(frame, bad, level, noise, excess, highest, pair_rows - 1, floor, found, n)
    return n


@in_place
def _visit(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    excess: NDArray[np.uint16],
    highest: NDArray[np.uint16],
    k: int,
    floor: float,
    found: Array,
    n: int,
) -> tuple[int, float]:
    """Look closer where the excess of a pair of rows is higher than its neighbours'; returns the count and floor."""
    above, here, below = excess[(k - 1) % 3], excess[k % 3], excess[(k + 1) % 3]
    four_at_once = here.view(np.uint64)
    words = _PIECE // 4
    for piece in range(highest.shape[1]):
        if highest[k % 3, piece] == 0:
            continue
        for word in range(piece * words, (piece + 1) * words):
            if four_at_once[word] == 0:
                continue
            for i in range(max(4 * word, 1), min(4 * word + 4, frame.shape[1] - 3)):
                own = here[i]
                # of equal ones the last
                if own == 0 or own < here[i - 1] or own <= here[i + 1]:
                    continue
                if own < max(above[i - 1], max(above[i], above[i + 1])):
                    continue
                if own <= max(below[i - 1], max(below[i], below[i + 1])):
                    continue
                if n == found.shape[0]:
                    n, floor = _keep_better(found)
                n += _look_closer(frame, bad, i + 1, 2 * k - 1, level, noise, floor, found, n)
    return n, floor


@in_place
def _look_closer(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    x: int,
    y: int,
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    floor: float,
    found: Array,
    n: int,
) -> int:
    """Climb from a pixel to the nearest peak of 3 x 3 sums; if it may be a star, write it down and return 1."""
    height, width = frame.shape
    sky, sigma = interpolate(level, height, width, x, y), interpolate(noise, height, width, x, y)
    upper, lower = _box(frame, bad, x, max(y, 2), sky), _box(frame, bad, x, min(y + 1, height - 3), sky)
    total = max(upper, lower)
    if total - 9.0 * sky < 3.0 * (floor - 0.7) * sigma:
        return 0
    y = max(y, 2) if upper > lower else min(y + 1, height - 3)
    for _ in range(20):
        best, step_x, step_y = total, 0, 0
        for j in range(max(y - 1, 2), min(y + 2, height - 2)):
            for i in range(max(x - 1, 2), min(x + 2, width - 2)):
                other = _box(frame, bad, i, j, sky)
                if other > best:
                    best, step_x, step_y = other, i - x, j - y
        x, y, total = x + step_x, y + step_y, best
        if step_x == 0 and step_y == 0:
            break
    significance = (total - 9.0 * sky) / (3.0 * sigma)
    if significance <= floor or not _is_extended(frame, bad, x, y, sky, sigma):
        return 0
    for k in range(n - 1, max(n - 65, -1), -1):
        if found[k, 0] == x and found[k, 1] == y:
            return 0
    found[n, 0], found[n, 1], found[n, 2] = x, y, significance
    return 1


@in_place
def _box(frame: NDArray[np.uint16], bad: NDArray[np.uint8], x: int, y: int, sky: float) -> float:
    """Sum of the 3 x 3 px about a pixel; masked ones count as sky."""
    total, missing = 0, 0
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            total += frame[j, i]
    if bad.size > 0:
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                if bad[j, i] != 0:
                    total -= frame[j, i]
                    missing += 1
    return total + missing * sky


@in_place
def _keep_better(found: Array) -> tuple[int, float]:
    """Forget the less significant of a full list; returns how many stay, and the floor that newcomers must exceed."""
    mean = 0.0
    for k in range(found.shape[0]):
        mean += found[k, 2] / found.shape[0]
    n = 0
    for k in range(found.shape[0]):
        if found[k, 2] > mean and n < found.shape[0] // 2:
            for q in range(3):
                found[n, q] = found[k, q]
            n += 1
    return n, mean


@in_place
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
