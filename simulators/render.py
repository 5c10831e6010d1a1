"""The hot loops: starlight onto pixels, and pixels into noisy ADC counts.

In: star positions, fluxes and the path of the field during the exposure. Out: frames, the same for the same key on
any number of threads: every pixel's random numbers come from the key and the pixel's own number.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from acquisition.kernels.compiled import compiled

from .process import Floats

Electrons = NDArray[np.float32]
Counts = NDArray[np.uint16]

NORMAL_BITS = 12
_quantiles = ndtri((np.arange(2**NORMAL_BITS) + 0.5) / 2**NORMAL_BITS)
NORMALS = _quantiles / _quantiles.std() / math.sqrt(2)
"""Two entries drawn at random add up to a standard normal deviate."""

LEAST_NORMAL = 12.0
"""Variance (e-²) above which photon and read noise together are as good as normal, but for skewness."""

LARGEST_EXACT_MEAN = 200.0
"""Electrons; above, the background's Poisson distribution is taken as a normal one."""


@compiled
def add_stars(
    frame: Electrons,
    x0: int,
    y0: int,
    x: Floats,
    y: Floats,
    flux_e: Floats,
    path: Floats,
    sigma_px: float,
    parts: Floats,
) -> None:
    """Add pixel-integrated stars to a frame, in place.

    Parameters
    ----------
    frame : [y, x] float32, electrons; its first pixel is detector pixel (x0, y0)
    x, y : [n], detector px, where the stars are in the middle of the path
    flux_e : [n], electrons
    path : [m, 5], pieces of the field's motion: dx, dy (px), share of the time, variance along x and along y (px²)
    sigma_px : of a star's core
    parts : [k, 4], the Gaussians that make a star: share of the light, variance over the core's, dx, dy (px)
    """
    height, width = frame.shape
    faintest = 0.1  # electrons per px that are not worth drawing
    edges = np.empty(width + 1)
    along_x = np.empty(width, np.float32)
    along_y = np.empty(height + 1)
    for star in range(x.shape[0]):
        for part in range(parts.shape[0]):
            light = flux_e[star] * parts[part, 0]
            variance = sigma_px**2 * parts[part, 1]
            for piece in range(path.shape[0]):
                amount = light * path[piece, 2]
                sx, sy = math.sqrt(variance + path[piece, 3]), math.sqrt(variance + path[piece, 4])
                cx = x[star] + path[piece, 0] + parts[part, 2] - x0
                cy = y[star] + path[piece, 1] + parts[part, 3] - y0
                peak = amount / (2 * math.pi * sx * sy)
                reach = math.sqrt(max(2 * math.log(max(peak / faintest, 1e-300)), 4.0))
                left, right = (
                    max(0, math.ceil(cx - reach * sx - 0.5)),
                    min(width - 1, math.floor(cx + reach * sx + 0.5)),
                )
                low, high = max(0, math.ceil(cy - reach * sy - 0.5)), min(height - 1, math.floor(cy + reach * sy + 0.5))
                if amount <= 0 or left > right or low > high:
                    continue
                for i in range(left, right + 2):
                    edges[i] = math.erf((i - 0.5 - cx) / (sx * math.sqrt(2)))
                for i in range(left, right + 1):
                    along_x[i] = 0.5 * (edges[i + 1] - edges[i])
                for j in range(low, high + 2):
                    along_y[j] = math.erf((j - 0.5 - cy) / (sy * math.sqrt(2)))
                for j in range(low, high + 1):
                    row = np.float32(0.5 * amount * (along_y[j + 1] - along_y[j]))
                    for i in range(left, right + 1):
                        frame[j, i] += row * along_x[i]


@compiled
def digitise(
    frame: Electrons,
    x0: int,
    y0: int,
    detector_width: int,
    base_e: float,
    read_noise_e: float,
    full_well_e: float,
    e_per_adc: float,
    bias_adc: float,
    adc_max: int,
    key: np.uint64,
    table: NDArray[np.uint64],
    normals: Floats,
    counts: Counts,
) -> None:
    """Expected electrons -> noisy ADC counts, into `counts`.

    ``min(adc_max, floor((min(Poisson(base + frame), full well) + N(0, read noise)) / gain + bias))``, not below 0.

    Pixels without light of their own are all alike: their counts come from a table of the exact distribution
    (`background_table`).
    """
    bits = np.empty(frame.shape[1], np.uint64)
    for j in range(frame.shape[0]):
        _random_row(key, np.uint64((y0 + j) * detector_width + x0), bits)
        _background_row(bits, table, counts[j])
        for i in range(frame.shape[1]):
            if frame[j, i] > 0:
                electrons = min(_poisson(base_e + frame[j, i], bits[i], normals), full_well_e)
                electrons += read_noise_e * _normal(_mixed(bits[i]), normals)
                counts[j, i] = min(max(math.floor(electrons / e_per_adc + bias_adc), 0), adc_max)


@compiled
def expect(
    frame: Electrons, sky_e: float, flat: Electrons, dark_e: float, glow: Electrons, glow_s: float, bend: float
) -> None:
    """Starlight -> all that a pixel expects to collect, in place: ``(frame + sky) flat + dark + glow glow_s``.

    `flat` and `glow` may be empty: 1 and 0. Of a signal S the sensor misses ``bend S²``.
    """
    sky, dark, seconds, missed = np.float32(sky_e), np.float32(dark_e), np.float32(glow_s), np.float32(bend)
    for j in range(frame.shape[0]):
        for i in range(frame.shape[1]):
            frame[j, i] += sky
        if flat.shape[0] > 0:
            for i in range(frame.shape[1]):
                frame[j, i] *= flat[j, i]
        for i in range(frame.shape[1]):
            frame[j, i] += dark
        if glow.shape[0] > 0:
            for i in range(frame.shape[1]):
                frame[j, i] += glow[j, i] * seconds
        if missed > 0:
            for i in range(frame.shape[1]):
                frame[j, i] -= missed * frame[j, i] * frame[j, i]


@compiled
def digitise_uneven(
    frame: Electrons,
    x0: int,
    y0: int,
    detector_width: int,
    read_noise_e: float,
    full_well_e: float,
    e_per_adc: float,
    rows_adc: Floats,
    columns_adc: Floats,
    adc_max: int,
    key: np.uint64,
    normals: Floats,
    noisy: bool,
    counts: Counts,
) -> None:
    """Like `digitise`, for a frame in which every pixel expects something else and rows and columns have a bias.

    Where neither photons nor full well show their own shape, photon and read noise come from one normal deviate,
    corrected for the sum's skewness (Cornish & Fisher 1938).
    """
    width = frame.shape[1]
    bits, deviates = np.empty(width, np.uint64), np.empty(width, np.float32)
    mask, high = np.uint64(2**NORMAL_BITS - 1), np.uint64(32)
    variance, per_e, top = np.float32(read_noise_e**2), np.float32(1 / e_per_adc), np.float32(adc_max)
    columns = columns_adc.astype(np.float32)
    lowest, highest = max(LEAST_NORMAL - read_noise_e**2, 0.0), 0.8 * full_well_e
    one, sixth = np.float32(1.0), np.float32(1 / 6)
    for j in range(frame.shape[0]):
        _random_row(key, np.uint64((y0 + j) * detector_width + x0), bits)
        if noisy and read_noise_e > 0.7:
            for i in range(width):
                deviates[i] = normals[bits[i] & mask] + normals[(bits[i] >> high) & mask]
            bias = np.float32(rows_adc[j])
            for i in range(width):  # without branches or double precision, so that it runs on all lanes
                mean, z = frame[j, i], deviates[i]
                total = mean + variance
                electrons = mean + math.sqrt(total) * z + mean / total * (z * z - one) * sixth
                level = np.floor(electrons * per_e + bias + columns[i])
                counts[j, i] = np.uint16(min(max(level, np.float32(0.0)), top))
        for i in range(width):
            mean_e = float(frame[j, i])
            if noisy and read_noise_e > 0.7 and lowest <= mean_e <= highest:
                continue
            mean_e = max(mean_e, 0.0)
            if noisy:
                charge = min(_poisson(mean_e, bits[i], normals), full_well_e)
                charge += read_noise_e * _normal(_mixed(bits[i]), normals)
            else:
                charge = min(mean_e, full_well_e)
            counts[j, i] = min(max(math.floor(charge / e_per_adc + rows_adc[j] + columns_adc[i]), 0), adc_max)


@compiled
def spill(frame: Electrons, full_well_e: float) -> None:
    """Let what is beyond full well run along the column, half each way, until it finds room; in place."""
    height, width = frame.shape
    well = np.float32(full_well_e)
    full = np.zeros(width, np.bool_)
    for j in range(height):
        for i in range(width):
            full[i] |= frame[j, i] > well
    over = np.empty(height, np.float32)
    for i in range(width):
        if not full[i]:
            continue
        for j in range(height):
            over[j] = max(frame[j, i] - well, np.float32(0.0)) / 2
            frame[j, i] = min(frame[j, i], well)
        for way in range(2):
            carried = np.float32(0.0)
            for step in range(height):
                j = step if way == 0 else height - 1 - step
                taken = min(well - frame[j, i], carried)
                frame[j, i] += taken
                carried += over[j] - taken


@compiled
def _random_row(key: np.uint64, first: np.uint64, bits: NDArray[np.uint64]) -> None:
    """64 random bits for each pixel from its number: SplitMix64 (Steele et al. 2014), entered anywhere."""
    for i in range(bits.shape[0]):
        bits[i] = _mixed(key + (first + np.uint64(i)) * np.uint64(0x9E3779B97F4A7C15))


@compiled
def _mixed(z: np.uint64) -> np.uint64:
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _background_row(bits: NDArray[np.uint64], table: NDArray[np.uint64], counts: Counts) -> None:
    """Draw from `background_table`; without a branch, which no processor could predict."""
    mask, half, quarter = np.uint64(table.shape[0] - 1), np.uint64(32), np.uint64(16)
    for i in range(bits.shape[0]):
        column = table[bits[i] & mask]
        other = np.uint64((bits[i] >> half) >= (column >> half))
        counts[i] = np.uint16((column >> (other * quarter)) & np.uint64(0xFFFF))


@compiled
def _normal(bits: np.uint64, normals: Floats) -> float:
    mask = np.uint64(2**NORMAL_BITS - 1)
    return float(normals[bits & mask] + normals[(bits >> np.uint64(32)) & mask])


@compiled
def _poisson(mean: float, bits: np.uint64, normals: Floats) -> float:
    """A Poisson deviate: by inversion below a mean of 8, above a rounded normal deviate with the right skewness.

    (Cornish & Fisher 1938. At 8 its cumulative distribution is within 0.002 of the exact one; a plain normal deviate
    at 30 is within 0.012.)
    """
    if mean >= 8.0:
        deviate = _normal(bits, normals)
        return max(0.0, math.floor(mean + math.sqrt(mean - 5 / 36) * deviate + (deviate**2 - 1) / 6 + 0.5))
    uniform = float(bits >> np.uint64(11)) * 2.0**-53
    chance = math.exp(-mean)
    total = chance
    k = 0.0
    while uniform >= total and k < 100:
        k += 1
        chance *= mean / k
        total += chance
    return k


@lru_cache(maxsize=16)
def background_table(
    mean_e: float, read_noise_e: float, full_well_e: float, e_per_adc: float, bias_adc: float, adc_max: int
) -> NDArray[np.uint64]:
    """The distribution of the ADC counts of pixels that see only the background, as Walker's (1977) alias table.

    Returns
    -------
    [n] uint64 array, n a power of 2
        Columns, of which to draw one at random: its first value (lowest 16 bits) holds with its chance (upper 32 bits,
        in units of 2^-32), else its second (the 16 bits between).
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


def _alias_table(distribution: Floats, lowest: int) -> NDArray[np.uint64]:
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
    chances = np.minimum(np.round(np.clip(share, 0, 1) * 2.0**32), 2.0**32 - 1).astype(np.uint64)
    own, others = (np.minimum(lowest + np.array(values), 65535).astype(np.uint64) for values in (range(n), other))
    table: NDArray[np.uint64] = (chances << np.uint64(32)) | (others << np.uint64(16)) | own
    return table
