"""The hot loops of a sensor: light on pixels into noisy ADC counts.

In: a map of light, and what the sensor makes of it. Out: frames, the same for the same key on
any number of threads: every pixel's random numbers come from the key and the pixel's own number.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from acquisition.kernels.compiled import compiled, in_place, vectorised

from .process import Floats
from .starlight import Boxes, Electrons
from .streams import normal, normal_row, numbered, poisson

Counts = NDArray[np.uint16]
Bits = NDArray[np.uint32]
Places = NDArray[np.int64]

NO_MAP = np.empty((0, 0), np.float32)

LEAST_NORMAL = 12.0
"""Variance (e-²) above which photon and read noise together are as good as normal, but for skewness."""

LARGEST_EXACT_MEAN = 200.0
"""Electrons; above, the background's Poisson distribution is taken as a normal one."""


class Ground(NamedTuple):
    """What a pixel with so much light expects, ``(sky + light) flat + dark + glow glow_s`` electrons.

    `flat` and `glow` are maps of the whole detector, or empty: 1 and 0.
    """

    sky_e: float
    flat: Electrons
    dark_e: float
    glow: Electrons
    glow_s: float


class Electronics(NamedTuple):
    """From electrons to counts: ``floor((min(e, full well) + N(0, read noise)) / e_per_adc + row + column)``.

    A row's offset is the bias, a slope and in each frame a normal deviate (banding), a column's fixed, of the whole
    detector; counts lie within 0 and `adc_max`, and are stored so many bits further left. Of a signal S the sensor
    misses ``bend S²``. Not `noisy`: expected values. `normals` are `streams.NORMALS`.
    """

    read_noise_e: float
    full_well_e: float
    bend: float
    e_per_adc: float
    bias_adc: float
    slope_adc_per_row: float
    row_noise_adc: float
    columns_adc: NDArray[np.float32]
    adc_max: int
    shift: int
    noisy: bool
    normals: NDArray[np.float32]


@compiled
def digitise(
    light: Electrons,
    boxes: Boxes,
    ground: Ground,
    electronics: Electronics,
    x0: int,
    y0: int,
    key: np.uint64,
    counts: Counts,
) -> None:
    """The counts of pixels in some boxes that have light of their own, in place of those without."""
    width = light.shape[1]
    levels, means, deviates = np.empty(width, np.uint16), np.empty(width, np.float32), np.empty(width, np.float32)
    for box in range(boxes.shape[0]):
        first, last = boxes[box, 0], boxes[box, 1]
        n = last + 1 - first
        for j in range(boxes[box, 2], boxes[box, 3] + 1):
            _expect(light[j, first : last + 1], ground, x0 + first, y0 + j, means[:n])
            _convert(means[:n], electronics, x0 + first, y0 + j, key, deviates, levels)
            for i in range(n):
                if light[j, first + i] > 0:
                    counts[j, first + i] = levels[i]


@compiled
def add_points(
    light: Electrons, flat: Electrons, x0: int, y0: int, x: Places, y: Places, e_per_s: Floats, jump_e: Floats,
    seconds: float, key: np.uint64,
) -> Boxes:  # fmt: skip
    """Add electrons to single pixels, in place, and say to which; several may fall onto one.

    What comes by jumps is there in every other frame. They are no light, and no flat dims them.
    """
    height, width = light.shape
    boxes = np.empty((x.shape[0], 4), np.int64)
    jumps = numbered(key, 2)
    n = 0
    for point in range(x.shape[0]):
        i, j = x[point] - x0, y[point] - y0
        if 0 <= i < width and 0 <= j < height:
            e = e_per_s[point] * seconds
            if jump_e[point] > 0 and numbered(jumps, point) & np.uint64(1):
                e += jump_e[point]
            light[j, i] += np.float32(e if flat.shape[0] == 0 else e / flat[y[point], x[point]])
            boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = i, i, j, j
            n += 1
    return boxes[:n]


@compiled
def even_ground(
    x0: int,
    y0: int,
    detector_width: int,
    key: np.uint64,
    chances: Bits,
    values: Bits,
    shift: int,
    counts: Counts,
) -> None:
    """Counts of a frame without stars whose pixels are all alike, drawn from `ground_table`."""
    bits = np.empty(counts.shape[1], np.uint32)
    mask = np.uint32(chances.shape[0] - 1)
    for j in range(counts.shape[0]):
        _random_row(key, (y0 + j) * detector_width + x0, bits)
        for i in range(bits.shape[0]):  # without a branch, which no processor could predict
            column = bits[i] & mask
            second = np.uint32(bits[i] >= chances[column])
            counts[j, i] = np.uint16(np.uint16(values[column] >> (second << np.uint32(4))) << shift)


@compiled
def uneven_ground(
    light: Electrons, ground: Ground, electronics: Electronics, x0: int, y0: int, key: np.uint64, counts: Counts
) -> None:
    """Counts of a frame in which every pixel expects something else and rows and columns have a bias.

    The light is used up: taken from the map as soon as it is read, which costs half as much as later.
    """
    means, deviates = np.empty(counts.shape[1], np.float32), np.empty(counts.shape[1], np.float32)
    for j in range(counts.shape[0]):
        _expect(light[j], ground, x0, y0 + j, means)
        light[j] = np.float32(0.0)
        _convert(means, electronics, x0, y0 + j, key, deviates, counts[j])


@in_place
def _convert(
    means: Electrons, electronics: Electronics, x0: int, y: int, key: np.uint64, deviates: Electrons, counts: Counts
) -> None:
    """Expected electrons -> counts, of some pixels of a row of which (x0, y) is the first.

    Where neither photons nor full well show their own shape, photon and read noise come from one normal deviate,
    corrected for the sum's skewness (Cornish & Fisher 1938); elsewhere each from its own distribution.
    """
    n, normals, first = means.shape[0], electronics.normals, y * electronics.columns_adc.shape[0] + x0
    read_noise_e, full_well_e, noisy = electronics.read_noise_e, electronics.full_well_e, electronics.noisy
    e_per_adc, top, shift = electronics.e_per_adc, electronics.adc_max, electronics.shift
    columns, row_key = electronics.columns_adc[x0 : x0 + n], numbered(numbered(key, 0), y)
    bias = electronics.bias_adc + electronics.slope_adc_per_row * y
    bias += electronics.row_noise_adc * normal(normals, row_key)
    low, high = np.float32(max(LEAST_NORMAL - read_noise_e**2, 0.0)), np.float32(0.8 * full_well_e)
    if not noisy or read_noise_e <= 0.7:
        low = high + np.float32(1.0)
    normal_row(normals, row_key, x0, deviates[:n])
    _count(means, deviates[:n], columns, read_noise_e**2, electronics.bend, 1 / e_per_adc, bias, top, shift, counts[:n])
    if _within(means, low, high) == n:
        return
    pixel_key = numbered(key, 1)
    for i in range(n):
        if low <= means[i] <= high:
            continue
        mean_e = float(means[i])
        mean_e -= electronics.bend * mean_e**2
        own = numbered(pixel_key, first + i)
        charge = min(poisson(normals, mean_e, own) if noisy else mean_e, full_well_e)
        if noisy:
            charge += read_noise_e * normal(normals, numbered(own, 0))
        counts[i] = min(max(math.floor(charge / e_per_adc + bias + columns[i]), 0), top) << shift


@vectorised
def _count(
    means: Electrons, deviates: Electrons, columns: Electrons, variance: float, bend: float, per_e: float,
    bias: float, top: int, shift: int, counts: Counts,
) -> None:  # fmt: skip
    """Counts of pixels in which photon and read noise together are normal, but for skewness."""
    read, lost, gain, offset = np.float32(variance), np.float32(bend), np.float32(per_e), np.float32(bias)
    one, sixth, zero, most, left = np.float32(1.0), np.float32(1 / 6), np.float32(0.0), np.float32(top), np.int32(shift)
    for i in range(means.shape[0]):
        mean, z = means[i] - lost * means[i] * means[i], deviates[i]
        total = mean + read
        electrons = mean + math.sqrt(total) * z + mean / total * (z * z - one) * sixth
        level = np.floor(electrons * gain + offset + columns[i])
        counts[i] = np.int32(min(max(level, zero), most)) << left


@vectorised
def _within(values: Electrons, low: np.float32, high: np.float32) -> int:
    """How many values lie within limits."""
    n = np.float32(0.0)
    for i in range(values.shape[0]):
        n += np.float32((low <= values[i]) & (values[i] <= high))
    return int(n)


@compiled
def spill(light: Electrons, ground: Ground, x0: int, y0: int, full_well_e: float) -> None:
    """Let what is beyond full well run along the column, half each way, until it finds room; in place."""
    height, width = light.shape
    well, nothing = np.float32(full_well_e), np.float32(0.0)
    means, full = np.empty(width, np.float32), np.zeros(width, np.bool_)
    for j in range(height):
        _expect(light[j], ground, x0, y0 + j, means)
        for i in range(width):
            full[i] |= (light[j, i] > nothing) & (means[i] > well)
    over, room = np.empty(height, np.float32), np.empty(height, np.float32)
    dark = np.zeros(1, np.float32)
    for i in range(width):
        if not full[i]:
            continue
        for j in range(height):
            _expect(dark, ground, x0 + i, y0 + j, means[:1])
            room[j] = max(well - means[0], nothing) / _throughput(ground, x0 + i, y0 + j)
            over[j] = max(light[j, i] - room[j], nothing) / 2
            light[j, i] = min(light[j, i], room[j])
        for way in range(2):
            carried = nothing
            for step in range(height):
                j = step if way == 0 else height - 1 - step
                taken = min(room[j] - light[j, i], carried)
                light[j, i] += taken
                carried += over[j] - taken


@compiled
def _throughput(ground: Ground, x: int, y: int) -> np.float32:
    return ground.flat[y, x] if ground.flat.shape[0] > 0 else np.float32(1.0)


@in_place
def _expect(light: Electrons, ground: Ground, x0: int, y: int, means: Electrons) -> None:
    """What some pixels of a row expect, of which (x0, y) is the first."""
    n, sky, dark = means.shape[0], np.float32(ground.sky_e), np.float32(ground.dark_e)
    if ground.flat.shape[0] > 0:
        _add_dimmed(light, sky, ground.flat[y, x0 : x0 + n], dark, means)
    else:
        _add(light, sky + dark, means)
    if ground.glow.shape[0] > 0:
        _add_glow(ground.glow[y, x0 : x0 + n], np.float32(ground.glow_s), means)


@vectorised
def _add_dimmed(light: Electrons, sky: np.float32, flat: Electrons, dark: np.float32, means: Electrons) -> None:
    for i in range(means.shape[0]):
        means[i] = (light[i] + sky) * flat[i] + dark


@vectorised
def _add(light: Electrons, e: np.float32, means: Electrons) -> None:
    for i in range(means.shape[0]):
        means[i] = light[i] + e


@vectorised
def _add_glow(glow: Electrons, seconds: np.float32, means: Electrons) -> None:
    for i in range(means.shape[0]):
        means[i] += glow[i] * seconds


@in_place
def _random_row(key: np.uint64, first: int, bits: Bits) -> None:
    """32 random bits for each pixel from its number: a bijection (Wellons' lowbias32) between two halves of a key."""
    halves = numbered(key, 0)
    begin, other = np.uint32(np.uint32(halves & np.uint64(0xFFFFFFFF)) + np.uint32(first)), np.uint32(halves >> 32)
    for i in range(bits.shape[0]):
        bits[i] = _shuffled(np.uint32(begin + np.uint32(i)), other)


@in_place
def _shuffled(z: np.uint32, other: np.uint32) -> np.uint32:
    z = np.uint32(z ^ (z >> np.uint32(16)))
    z = np.uint32(z * np.uint32(0x7FEB352D))
    z = np.uint32(z ^ (z >> np.uint32(15)) ^ other)
    z = np.uint32(z * np.uint32(0x846CA68B))
    return np.uint32(z ^ (z >> np.uint32(16)))


@lru_cache(maxsize=16)
def ground_table(
    mean_e: float, read_noise_e: float, full_well_e: float, e_per_adc: float, bias_adc: float, adc_max: int
) -> tuple[Bits, Bits]:
    """The distribution of the ADC counts of pixels that see only the ground, as Walker's (1977) alias table.

    Returns
    -------
    chances, values : [n] uint32 arrays, n a power of 2
        Columns, of which to draw one at random: its first value (the lower 16 bits) holds with its chance (in units of
        2^-32), else its second (the upper 16 bits).
    """
    spread = 7 * math.sqrt(mean_e + read_noise_e**2 + 1)
    lowest = min(max(math.floor((mean_e - spread) / e_per_adc + bias_adc), 0), adc_max)
    highest = min(max(math.ceil((mean_e + 2 * spread) / e_per_adc + bias_adc), 0), adc_max)
    borders_e = (np.arange(lowest + 1, highest + 1) - bias_adc) * e_per_adc  # between one count and the next
    if mean_e > LARGEST_EXACT_MEAN:
        below = ndtr((borders_e - min(mean_e, full_well_e)) / math.hypot(math.sqrt(mean_e), read_noise_e))
    else:
        poisson = [math.exp(-mean_e)]
        while len(poisson) <= mean_e or poisson[-1] > 1e-12:
            poisson.append(poisson[-1] * mean_e / len(poisson))
        electrons = np.minimum(np.arange(len(poisson)), full_well_e)
        excess = borders_e[:, None] - electrons[None, :]
        below = (ndtr(excess / read_noise_e) if read_noise_e > 0 else excess > 0) @ np.array(poisson)
    return _alias_table(np.diff(np.concatenate([[0.0], np.minimum(below, 1.0), [1.0]])), lowest)


def _alias_table(distribution: Floats, lowest: int) -> tuple[Bits, Bits]:
    n = 1 << (len(distribution) - 1).bit_length()
    share = [*(distribution * n / distribution.sum()), *[0.0] * (n - len(distribution))]
    other = list(range(n))
    poor = [k for k in range(n) if share[k] < 1]
    rich = [k for k in range(n) if share[k] >= 1]
    while poor and rich:
        k, giver = poor.pop(), rich[-1]
        other[k] = giver
        share[giver] -= 1 - share[k]
        if share[giver] < 1:
            poor.append(rich.pop())
    # the very last 2^-32 of a sure column goes astray, to itself
    chances = np.minimum(np.round(np.clip(share, 0, 1) * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    own, others = (np.minimum(lowest + np.array(values), 65535).astype(np.uint32) for values in (range(n), other))
    return chances, (others << np.uint32(16)) | own
