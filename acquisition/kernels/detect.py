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
Sky = NDArray[np.float32]  # [blocks along y, blocks along x]

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

    It is written one place on: ``out`` has a 0 at both ends. ``highest`` is its maximum in each piece of `_PIECE`
    columns.
    """
    found = np.uint16(0)
    for k in range(highest.size):
        start = k * _PIECE
        left, middle, right = four[start : start + _PIECE], four[start + 1 : start + 1 + _PIECE], four[start + 2 :]
        most, above = limit[start : start + _PIECE], out[start + 1 : start + 1 + _PIECE]
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
def _without_masked(row: Row, bad: NDArray[np.uint8], sky: Row, out: Row) -> None:
    """A row with sky in place of what must not be used."""
    for x in range(out.size):
        out[x] = sky[x] if bad[x] != 0 else row[x]


@in_place
def _rows_alike(level: Sky, noise: Sky, height: int, y: int) -> int:
    """For how many rows from y on the sky of the middle one will do: a fifth of the noise may be missed."""
    by = level.shape[0]
    j = min(int(max((y + 0.5) * by / height - 0.5, 0.0)), max(by - 2, 0))
    j1 = min(j + 1, by - 1)
    steepest, quietest = 1e-9, 1e30
    for i in range(level.shape[1]):
        steepest = max(steepest, abs(float(level[j1, i] - level[j, i])) * by / height)
        quietest = min(quietest, float(min(noise[j, i], noise[j1, i])))
    return int(min(max(0.4 * quietest / steepest, 1.0), 64.0))


@vectorised
def _thresholds(level: Sky, noise: Sky, height: int, y: int, threshold: float, sky: Row, base: Row, limit: Row) -> None:
    """Level along a row, a base well below it, and the limit that the sum of twelve pixels above it must exceed."""
    by, bx = level.shape
    width = sky.size
    v = min(max((y + 0.5) * by / height - 0.5, 0.0), by - 1.0)
    j = min(int(v), max(by - 2, 0))
    down, j1 = np.float32(v - j), min(j + 1, by - 1)
    pitch = width / bx
    three, twelve, needed = np.float32(3.0), np.float32(12.0), np.float32(3.0 * threshold - _SLACK)
    half, none, most = np.float32(0.5), np.float32(0.0), np.float32(65000.0)
    left_level = left_noise = none
    for k in range(bx + 1):
        # from the middle of one block to that of the next; constant beyond the outermost ones
        right = min(k, bx - 1)
        right_level = level[j, right] + (level[j1, right] - level[j, right]) * down
        right_noise = noise[j, right] + (noise[j1, right] - noise[j, right]) * down
        if k == 0:
            left_level, left_noise = right_level, right_noise
        first = int((k - 0.5) * pitch) if k > 0 else 0
        last = int((k + 0.5) * pitch) if k < bx else width
        levels, bases, limits = sky[first:last], base[first:last], limit[first:last]
        step = np.float32(1.0 / pitch)
        slope, growth = (right_level - left_level) * step, (right_noise - left_noise) * step
        for i in range(levels.size):
            here, loud = left_level + slope * np.float32(i), left_noise + growth * np.float32(i)
            whole = np.int32(min(max(here - three * loud, none), most))
            sum12 = twelve * (here - np.float32(whole)) + needed * loud + half
            levels[i] = np.int32(min(max(here, none), most))
            bases[i] = whole
            limits[i] = np.int32(min(sum12, most))
        left_level, left_noise = right_level, right_noise


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
    sky, base = np.zeros(width, np.uint16), np.zeros(width, np.uint16)
    # index x of these is the first of the three columns summed; what is beyond the frame is never above the limit
    four, limit = np.zeros(pieces * _PIECE + 2, np.uint16), np.full(pieces * _PIECE, 65535, np.uint16)
    excess, highest = np.zeros((3, pieces * _PIECE + 2), np.uint16), np.zeros((3, pieces), np.uint16)
    peaks = np.empty(_PIECE, np.uint16)
    return _scan_rows(
        frame, bad, level, noise, threshold, pairs, clean, sky, base, four, limit, excess, highest, peaks, found
    )


@in_place
def _scan_rows(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: Sky,
    noise: Sky,
    threshold: float,
    pairs: NDArray[np.uint16],
    clean: NDArray[np.uint16],
    sky: Row,
    base: Row,
    four: Row,
    limit: Row,
    excess: NDArray[np.uint16],
    highest: NDArray[np.uint16],
    peaks: Row,
    found: Array,
) -> int:
    height, width = frame.shape
    pair_rows = height // 2
    n, floor, refresh, bright, bright_before = 0, threshold, 0, False, False
    for k in range(pair_rows):
        if 2 * k >= refresh:
            rows = _rows_alike(level, noise, height, 2 * k)
            refresh = 2 * k + rows
            _thresholds(level, noise, height, 2 * k + rows // 2, threshold, sky, base, limit[:width])
            limit[width - 2 :] = 65535
        if bad.size > 0:
            _without_masked(frame[2 * k], bad[2 * k], sky, clean[0])
            _without_masked(frame[2 * k + 1], bad[2 * k + 1], sky, clean[1])
            _add_pair(clean[0], clean[1], base, pairs[(k + 1) % 2], pairs[k % 2], four)
        else:
            _add_pair(frame[2 * k], frame[2 * k + 1], base, pairs[(k + 1) % 2], pairs[k % 2], four)
        if k == 0:
            continue
        bright = _excess(four, limit, excess[k % 3], highest[k % 3])
        if bright_before:
            n, floor = _visit(frame, bad, level, noise, excess, highest, peaks, k - 1, floor, found, n)
        bright_before = bright
    excess[pair_rows % 3] = 0
    n, floor = _visit(frame, bad, level, noise, excess, highest, peaks, pair_rows - 1, floor, found, n)
    return n


@in_place
def _visit(
    frame: NDArray[np.uint16],
    bad: NDArray[np.uint8],
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    excess: NDArray[np.uint16],
    highest: NDArray[np.uint16],
    peaks: Row,
    k: int,
    floor: float,
    found: Array,
    n: int,
) -> tuple[int, float]:
    """Look closer where the excess of a pair of rows is higher than its neighbours'; returns the count and floor."""
    above, here, below = excess[(k - 1) % 3], excess[k % 3], excess[(k + 1) % 3]
    four_at_once = peaks.view(np.uint64)
    for piece in range(highest.shape[1]):
        start = piece * _PIECE
        if highest[k % 3, piece] == 0 or not _peaks(above[start:], here[start:], below[start:], peaks):
            continue
        for word in range(_PIECE // 4):
            if four_at_once[word] == 0:
                continue
            for i in range(4 * word, 4 * word + 4):
                if peaks[i] == 0 or not 1 <= start + i < frame.shape[1] - 3:
                    continue
                if n == found.shape[0]:
                    n, floor = _keep_better(found)
                n += _look_closer(frame, bad, start + i + 1, 2 * k - 1, level, noise, floor, found, n)
    return n, floor


@vectorised
def _peaks(above: Row, here: Row, below: Row, out: Row) -> bool:
    """Where in a piece the excess is higher than its eight neighbours', of equal ones the last; whether anywhere."""
    top, none, one = np.uint16(0), np.uint16(0), np.uint16(1)
    for i in range(_PIECE):
        own = here[i + 1]
        before = max(max(here[i], above[i]), max(above[i + 1], above[i + 2]))
        after = max(max(here[i + 2], below[i]), max(below[i + 1], below[i + 2]))
        peak = own if own >= max(before, np.uint16(after + one)) else none
        out[i] = peak
        top = max(top, peak)
    return bool(top > 0)


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
