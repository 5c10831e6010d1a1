"""The detector's numbers: what a gain, a temperature or a binning makes of electrons.

In: a `SensorSpec` and camera settings. Out: what the renderer and the header need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .process import Floats
from .setup import OpticsSpec, SensorSpec
from .streams import NORMALS, Subject, generator, key_of, poisson

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class SinglePixels:
    """Electrons of single pixels: arrays of one length.

    Attributes
    ----------
    x, y : detector px
    e_per_s : what they have at the sensor's `dark_temp_c`
    jump_e : what they have beside in every other frame
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    e_per_s: Floats
    jump_e: Floats


def single_pixels(spec: SensorSpec, structure: Structure, seed: int) -> SinglePixels:
    """The sensor's hot and warm pixels, rates log-normal, and those that jump."""
    random = generator(seed, Subject.PIXELS)
    size, n_jumping = spec.width_px * spec.height_px, len(structure.telegraph_x)
    n, n_warm = round(spec.hot_share * size), round(spec.warm_share * size)
    where = np.sort(random.choice(size, n, replace=False))
    rates = spec.hot_median_e_per_s * random.lognormal(0.0, spec.hot_sigma, n)
    warm = random.choice(size, n_warm, replace=False)
    where = np.concatenate([where, warm])
    rates = np.concatenate([rates, spec.hot_median_e_per_s / 100 * random.lognormal(0.0, spec.hot_sigma, n_warm)])
    return SinglePixels(
        np.concatenate([where % spec.width_px, structure.telegraph_x]),
        np.concatenate([where // spec.width_px, structure.telegraph_y]),
        np.concatenate([rates, np.zeros(n_jumping)]),
        np.concatenate([np.zeros(len(rates)), np.full(n_jumping, spec.telegraph_e)]),
    )


@dataclass(frozen=True, slots=True)
class Structure:
    """What differs from pixel to pixel for ever; maps are [y, x] of the whole detector.

    Attributes
    ----------
    even : bool
        Nothing does but hot pixels, and `render.even_ground` will do.
    flat : float32 map or None
        Light that arrives and is counted, relative: vignetting, dust, colour filters, the pixels' gains.
    glow : float32 map or None
        Of the amplifier, e-/s at `dark_temp_c`.
    columns_adc : [x] array
        Fixed offsets.
    telegraph_x, telegraph_y : arrays
        Pixels that jump between two levels.
    """

    even: bool
    flat: NDArray[np.float32] | None
    glow: NDArray[np.float32] | None
    columns_adc: NDArray[np.float32]
    telegraph_x: NDArray[np.int64]
    telegraph_y: NDArray[np.int64]


def structure(spec: SensorSpec, optics: OpticsSpec, seed: int) -> Structure:
    """The fixed pattern of a sensor behind a telescope."""
    random = generator(seed, Subject.FLAT)
    columns = (spec.bias_columns_adc * random.standard_normal(spec.width_px)).astype(np.float32)
    size = spec.width_px * spec.height_px
    jumping = random.choice(size, round(spec.telegraph_share * size), replace=False)
    flat, glow = _flat(spec, optics, random), _glow(spec)
    even = (
        flat is None
        and glow is None
        and not any(
            (
                spec.bias_columns_adc,
                spec.bias_slope_adc,
                spec.row_noise_adc,
                spec.telegraph_share,
                spec.cosmic_rays_per_cm2_min,
                spec.nonlinearity,
                spec.blooming,
            )
        )
    )
    return Structure(even, flat, glow, columns, jumping % spec.width_px, jumping // spec.width_px)


def _flat(spec: SensorSpec, optics: OpticsSpec, random: np.random.Generator) -> NDArray[np.float32] | None:
    if not (optics.vignetting or optics.dust_spots or spec.prnu or spec.bayer_pattern):
        return None
    height, width = spec.height_px, spec.width_px
    y, x = np.ogrid[:height, :width]
    corner2 = ((width - 1) / 2) ** 2 + ((height - 1) / 2) ** 2
    from_middle2 = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2
    flat: NDArray[np.float32] = (1 - optics.vignetting * from_middle2 / corner2).astype(np.float32)
    for _ in range(optics.dust_spots):
        spot_x, spot_y = random.uniform(0, width), random.uniform(0, height)
        radius, depth = random.uniform(8, 40), random.uniform(0.03, 0.15)
        distance = np.hypot(x - spot_x, y - spot_y) / radius
        ring = np.clip((1.1 - distance) / 0.2, 0, 1) * np.clip((distance - optics.obstruction + 0.1) / 0.2, 0, 1)
        flat *= (1 - depth * ring).astype(np.float32)
    if spec.prnu:
        flat *= (1 + spec.prnu * random.standard_normal((height, width), np.float32)).astype(np.float32)
    for place, colour in enumerate(spec.bayer_pattern):
        flat[place // 2 :: 2, place % 2 :: 2] *= np.float32(spec.bayer_throughput["RGB".index(colour)])
    return flat


def _glow(spec: SensorSpec) -> NDArray[np.float32] | None:
    if not spec.glow_e_per_s:
        return None
    y, x = np.ogrid[: spec.height_px, : spec.width_px]
    distance = np.hypot(x - (spec.width_px - 1), y)
    glow: NDArray[np.float32] = (spec.glow_e_per_s * np.exp(-distance / spec.glow_radius_px)).astype(np.float32)
    return glow


def cosmic_rays(spec: SensorSpec, exposure_s: float, noise_key: np.uint64) -> SinglePixels | None:
    """Tracks of charged particles in one frame, lengths and charges log-normal: electrons; None without any."""
    area_cm2 = spec.width_px * spec.height_px * (spec.pixel_size_um * 1e-4) ** 2
    tracks_key = key_of(noise_key, 3)
    n = poisson(NORMALS, spec.cosmic_rays_per_cm2_min * area_cm2 * exposure_s / 60, tracks_key)
    if n == 0:
        return None
    random = generator(int(tracks_key), Subject.HITS)
    tracks = []
    for _ in range(int(n)):
        start_x, start_y = random.uniform(0, spec.width_px), random.uniform(0, spec.height_px)
        angle, charge_e = random.uniform(0, np.pi), random.lognormal(6.0, 0.7) / 2
        along = np.arange(0, random.lognormal(1.2, 0.8), 0.5)
        tracks.append((start_x + along * np.cos(angle), start_y + along * np.sin(angle), np.full(len(along), charge_e)))
    x, y, e = (np.concatenate(column) for column in zip(*tracks, strict=True))
    return SinglePixels(np.floor(x).astype(np.int64), np.floor(y).astype(np.int64), e, np.zeros(len(e)))


def dark_factor(spec: SensorSpec, temp_c: float) -> float:
    """Dark current at a temperature over that at `dark_temp_c`."""
    return float(2 ** ((temp_c - spec.dark_temp_c) / spec.dark_doubling_c))


def egain_e_per_adc(spec: SensorSpec, gain: float) -> float:
    """Electrons per ADC count at a gain in camera units of 0.1 dB."""
    return float(spec.egain_at_zero_e * 10 ** (-gain / 200))


def read_noise_e(spec: SensorSpec, gain: float) -> float:
    """RMS of one pixel's read noise: the part before the gain stage and the part behind it."""
    return math.hypot(spec.read_noise_e, spec.read_noise_adc * egain_e_per_adc(spec, gain))


def stored_adu_per_adc(spec: SensorSpec, bits: int) -> float:
    """What one ADC count is in the stored values: left-aligned in 16 bits, the upper bits in 8."""
    return float(2.0 ** (bits - spec.adc_bits))


def egain_e_per_adu(spec: SensorSpec, gain: float, binning: int, bits: int) -> float:
    """Electrons of a (binned) pixel per stored ADU; binning means in 16 bits and sums in 8, as ZWO's SDK does."""
    per_adu = egain_e_per_adc(spec, gain) / stored_adu_per_adc(spec, bits)
    return per_adu * binning**2 if bits == 16 and not spec.bins_sum else per_adu


def bayer_pattern(spec: SensorSpec, x0: int, y0: int) -> str | None:
    """The pattern as a frame has it whose first pixel is this one of the detector; None for monochrome."""
    if not spec.bayer_pattern:
        return None
    rows = [spec.bayer_pattern[:2], spec.bayer_pattern[2:]]
    return "".join(rows[(y0 + j) % 2][(x0 + i) % 2] for j in (0, 1) for i in (0, 1))


def data_max_adu(spec: SensorSpec, bits: int) -> float:
    """The largest value that can be stored."""
    return float((2**spec.adc_bits - 1) * 2 ** (16 - spec.adc_bits)) if bits == 16 else 255.0


def bin_pixels(frame: Pixels, binning: int, sums: bool = False) -> Pixels:
    """Bin a frame whose sides are multiples of the binning: the mean of uint16 or its clipped sum, that of uint8."""
    if binning == 1:
        return frame
    height, width = frame.shape[0] // binning, frame.shape[1] // binning
    total: NDArray[np.uint32] = frame.reshape(height, binning, width, binning).sum(axis=(1, 3), dtype=np.uint32)
    if frame.dtype == np.uint8:
        return np.minimum(total, 255).astype(np.uint8)
    if sums:
        return np.minimum(total, 65535).astype(np.uint16)
    return (total // binning**2).astype(np.uint16)
