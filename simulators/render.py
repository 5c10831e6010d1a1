"""The hot loops: starlight onto pixels, and pixels into noisy ADC counts.

In: star positions, fluxes and the path of the field during the exposure. Out: frames, the same for the same key on
any machine and any number of threads: every pixel's random numbers come from the key and the pixel's own number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from acquisition.kernels.compiled import compiled

from .process import Floats

Electrons = NDArray[np.float32]

NORMAL_BITS = 12
_quantiles = ndtri((np.arange(2**NORMAL_BITS) + 0.5) / 2**NORMAL_BITS)
NORMALS = (_quantiles / _quantiles.std() / math.sqrt(2)).astype(np.float32)
"""Two entries drawn at random add up to a standard normal deviate."""

GUIDE_BITS = 10
LARGEST_TABLE_MEAN = 300.0


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
    halo_share: float,
    halo_width: float,
) -> None:
    """Add pixel-integrated stars to a frame, in place.

    Parameters
    ----------
    frame : [y, x] float32, electrons; its first pixel is detector pixel (x0, y0)
    x, y : [n], detector px, where the stars are in the middle of the path
    flux_e : [n], electrons
    path : [m, 5], pieces of the field's motion: dx, dy (px), share of the time, variance along x and along y (px²)
    sigma_px, halo_share, halo_width : a Gaussian, and the share of light in another one `halo_width` times as wide
    """
    height, width = frame.shape
    faintest = 0.01  # electrons per px that are not worth drawing
    along_x = np.empty(width + 1)
    along_y = np.empty(height + 1)
    for star in range(x.shape[0]):
        for part in range(2):
            light = flux_e[star] * (halo_share if part else 1.0 - halo_share)
            variance = sigma_px**2 * (halo_width**2 if part else 1.0)
            for piece in range(path.shape[0]):
                amount = light * path[piece, 2]
                sx, sy = math.sqrt(variance + path[piece, 3]), math.sqrt(variance + path[piece, 4])
                cx, cy = x[star] + path[piece, 0] - x0, y[star] + path[piece, 1] - y0
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
                    along_x[i] = math.erf((i - 0.5 - cx) / (sx * math.sqrt(2)))
                for i in range(left, right + 1):
                    along_x[i] = 0.5 * (along_x[i + 1] - along_x[i])
                for j in range(low, high + 2):
                    along_y[j] = math.erf((j - 0.5 - cy) / (sy * math.sqrt(2)))
                for j in range(low, high + 1):
                    row = 0.5 * amount * (along_y[j + 1] - along_y[j])
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
    noise: bool,
    key: np.uint64,
    cumulative: NDArray[np.uint64],
    guide: NDArray[np.int32],
    normals: NDArray[np.float32],
    counts: NDArray[np.uint16],
) -> None:
    """Expected electrons -> ADC counts, into `counts`.

    ``min(adc_max, floor((min(Poisson(base + frame), full well) + N(0, read noise)) / gain + bias))``. The base, the
    same for all pixels, is drawn from its tabulated distribution (`poisson_table`), exactly; light beyond it exactly
    below 30 electrons and as a rounded normal deviate above.
    """
    height, width = frame.shape
    tabulated = cumulative.shape[0] > 1
    base_spread = math.sqrt(base_e)
    scale = 1.0 / e_per_adc
    shift = np.uint64(32 - GUIDE_BITS)
    low = np.uint64(0xFFFFFFFF)
    mask = np.uint64(2**NORMAL_BITS - 1)
    for j in range(height):
        number = np.uint64((y0 + j) * detector_width + x0)
        for i in range(width):
            extra = frame[j, i]
            if not noise:
                electrons = min(base_e + extra, full_well_e)
            else:
                bits = _mixed(key, number + np.uint64(i))
                if tabulated:
                    uniform = bits & low
                    k = guide[uniform >> shift]
                    while uniform >= cumulative[k]:
                        k += 1
                    electrons = float(k)
                else:
                    more = _mixed(bits, np.uint64(1))
                    deviate = normals[more & mask] + normals[(more >> np.uint64(20)) & mask]
                    electrons = max(0.0, math.floor(base_e + base_spread * deviate + 0.5))
                if extra > 0:
                    electrons += _poisson(extra, _mixed(bits, np.uint64(2)), normals)
                deviate = normals[(bits >> np.uint64(32)) & mask] + normals[(bits >> np.uint64(48)) & mask]
                electrons = min(electrons, full_well_e) + read_noise_e * deviate
            count = math.floor(electrons * scale + bias_adc)
            counts[j, i] = min(max(count, 0), adc_max)


@compiled
def _mixed(key: np.uint64, counter: np.uint64) -> np.uint64:
    """64 random bits from a key and a counter: the SplitMix64 generator (Steele et al. 2014), entered anywhere."""
    z = key + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _poisson(mean: float, bits: np.uint64, normals: NDArray[np.float32]) -> float:
    """A Poisson deviate: by inversion below a mean of 30, a rounded normal deviate above."""
    if mean >= 30.0:
        mask = np.uint64(2**NORMAL_BITS - 1)
        deviate = normals[bits & mask] + normals[(bits >> np.uint64(20)) & mask]
        return max(0.0, math.floor(mean + math.sqrt(mean) * deviate + 0.5))
    uniform = float(bits >> np.uint64(11)) * 2.0**-53
    chance = math.exp(-mean)
    total = chance
    k = 0.0
    while uniform >= total and k < 200.0:
        k += 1.0
        chance *= mean / k
        total += chance
    return k


def poisson_table(mean: float) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Cumulative distribution in units of 2^-32, and where to begin looking for a number's upper bits.

    A mean above `LARGEST_TABLE_MEAN` gives a single entry: too wide to be worth it, draw a normal deviate.
    """
    if mean > LARGEST_TABLE_MEAN:
        return np.zeros(1, np.uint64), np.zeros(1, np.int32)
    chances = [math.exp(-mean)]
    while len(chances) <= mean or chances[-1] > 1e-11:
        chances.append(chances[-1] * mean / len(chances))
    cumulative = np.round(np.minimum(np.cumsum(chances), 1.0) * 2.0**32).astype(np.uint64)
    cumulative = np.append(cumulative, np.uint64(2**32))
    steps = np.arange(2**GUIDE_BITS, dtype=np.uint64) << np.uint64(32 - GUIDE_BITS)
    guide = np.searchsorted(cumulative, steps, side="right").astype(np.int32)
    return cumulative, guide
