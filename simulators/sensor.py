"""The detector's numbers: what a gain, a temperature or a binning makes of electrons.

In: a `SensorSpec` and camera settings. Out: what the renderer and the header need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .process import Floats
from .setup import SensorSpec
from .streams import Subject, generator

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class HotPixels:
    """Defects that stay where they are: detector coordinates and rates at the sensor's `dark_temp_c`."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    e_per_s: Floats


def hot_pixels(spec: SensorSpec, seed: int) -> HotPixels:
    """The sensor's hot pixels, rates log-normal."""
    random = generator(seed, Subject.PIXELS)
    size = spec.width_px * spec.height_px
    n = round(spec.hot_share * size)
    where = np.sort(random.choice(size, n, replace=False))
    rates = spec.hot_median_e_per_s * random.lognormal(0.0, spec.hot_sigma, n)
    return HotPixels(where % spec.width_px, where // spec.width_px, rates)


def dark_factor(spec: SensorSpec, temp_c: float) -> float:
    """Dark current at a temperature over that at `dark_temp_c`."""
    return float(2 ** ((temp_c - spec.dark_temp_c) / spec.dark_doubling_c))


def egain_e_per_adc(spec: SensorSpec, gain: float) -> float:
    """Electrons per ADC count at a gain in camera units of 0.1 dB."""
    return float(spec.egain_at_zero_e * 10 ** (-gain / 200))


def read_noise_e(spec: SensorSpec, gain: float) -> float:
    """RMS of one pixel's read noise: the part before the gain stage and the part behind it."""
    return float(np.hypot(spec.read_noise_e, spec.read_noise_adc * egain_e_per_adc(spec, gain)))


def stored_adu_per_adc(spec: SensorSpec, bits: int) -> float:
    """What one ADC count is in the stored values: left-aligned in 16 bits, the upper bits in 8."""
    return float(2.0 ** (bits - spec.adc_bits))


def egain_e_per_adu(spec: SensorSpec, gain: float, binning: int, bits: int) -> float:
    """Electrons of a (binned) pixel per stored ADU; binning means in 16 bits and sums in 8, as ZWO's SDK does."""
    per_adu = egain_e_per_adc(spec, gain) / stored_adu_per_adc(spec, bits)
    return per_adu * binning**2 if bits == 16 else per_adu


def data_max_adu(spec: SensorSpec, bits: int) -> float:
    """The largest value that can be stored."""
    return float((2**spec.adc_bits - 1) * 2 ** (16 - spec.adc_bits)) if bits == 16 else 255.0


def bin_pixels(frame: Pixels, binning: int) -> Pixels:
    """Bin a frame whose sides are multiples of the binning: the mean of uint16, the clipped sum of uint8."""
    if binning == 1:
        return frame
    height, width = frame.shape[0] // binning, frame.shape[1] // binning
    total: NDArray[np.uint32] = frame.reshape(height, binning, width, binning).sum(axis=(1, 3), dtype=np.uint32)
    if frame.dtype == np.uint8:
        return np.minimum(total, 255).astype(np.uint8)
    return (total // binning**2).astype(np.uint16)
