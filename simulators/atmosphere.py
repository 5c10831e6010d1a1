"""The atmosphere: how wide it makes a star, and how it throws it about.

In: an `AirSpec` and the aperture. Out: widths, and the tilt of the wavefront as a function of time, arcsec.
"""

from __future__ import annotations

import math

import numpy as np

from .process import Floats, Process, relax
from .setup import AirSpec, Layer
from .streams import Subject, generator

WAVELENGTH_M = 500e-9
ARCSEC_PER_RAD = 180 * 3600 / math.pi
TILT_STEP_S = 0.02


def fried_parameter_m(seeing_fwhm_arcsec: float) -> float:
    """r0 at 500 nm from the seeing: FWHM = 0.976 λ/r0 (Fried 1966). Infinite without seeing."""
    if seeing_fwhm_arcsec == 0:
        return math.inf
    return 0.976 * WAVELENGTH_M / (seeing_fwhm_arcsec / ARCSEC_PER_RAD)


def tilt_variance_arcsec2(aperture_m: float, r0_m: float) -> float:
    """One-axis variance of the gradient tilt, 0.170 (λ/D)² (D/r0)^(5/3) (Sasiela 1994), infinite outer scale."""
    if math.isinf(r0_m):
        return 0.0
    return float(0.170 * (WAVELENGTH_M / aperture_m * ARCSEC_PER_RAD) ** 2 * (aperture_m / r0_m) ** (5 / 3))


class Tilt:
    """The wavefront's tilt over the aperture on two axes of the detector, the same for the whole field.

    Each layer's power spectrum is flat below V/L0, falls as f^(-2/3) up to 0.3 V/D and faster above (Tyler 1994;
    Conan et al. 1995), realised as a sum of first-order autoregressive processes.
    """

    def __init__(self, air: AirSpec, aperture_m: float, seed: int) -> None:
        total = tilt_variance_arcsec2(aperture_m, fried_parameter_m(air.seeing_fwhm_arcsec))
        banks = [_bank(layer, aperture_m, total) for layer in air.layers]
        corner_hz = np.concatenate([corner for corner, _ in banks])
        variance = np.concatenate([part for _, part in banks])
        self.variance_arcsec2 = float(variance.sum())
        self._x = _process(corner_hz, variance, seed, Subject.TILT_X)
        self._y = _process(corner_hz, variance, seed, Subject.TILT_Y)

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(along columns, along rows) at the given ascending times, arcsec."""
        return self._x.at(times_s), self._y.at(times_s)


def _bank(layer: Layer, aperture_m: float, total_arcsec2: float) -> tuple[Floats, Floats]:
    """Corner frequencies (Hz) of a layer's processes, two an octave, and each one's variance.

    ∫ f^(-2/3) df over a part of the band goes with the cube root of frequency: equal steps on a logarithmic scale
    weigh as f^(1/3). The finite outer scale takes the band below V/L0 away.
    """
    low, high = layer.wind_m_per_s / layer.outer_scale_m, 0.3 * layer.wind_m_per_s / aperture_m
    if high <= low:
        return np.array([low]), np.array([0.0])
    corners = np.geomspace(low, high, max(2, round(2 * math.log2(high / low))))
    weights = corners ** (1 / 3)
    kept = 1 - (low / high) ** (1 / 3)
    return corners, layer.share * total_arcsec2 * kept * weights / weights.sum()


def _process(corner_hz: Floats, variance: Floats, seed: int, subject: Subject) -> Process:
    decay = np.exp(-2 * math.pi * corner_hz * TILT_STEP_S)
    kick = np.sqrt(variance * (1 - decay**2))

    def advance(random: np.random.Generator, state: Floats, steps: int) -> tuple[Floats, Floats]:
        after = state.copy()
        return relax(after, decay, kick, random.standard_normal((steps, len(decay)))), after

    start = np.sqrt(variance) * generator(seed, subject).standard_normal(len(decay))
    return Process(seed, subject, TILT_STEP_S, start, advance)
