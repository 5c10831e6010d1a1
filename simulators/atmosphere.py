"""The atmosphere: how wide it makes a star, how it throws it about, and how much of its light it lets through.

In: an `AirSpec` and the aperture. Out: widths, tilts of the wavefront and transmission as functions of time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled, vectorised

from .process import Coloured, Floats, Process, add, between, cosine, ornstein_uhlenbeck
from .setup import AirSpec, Layer
from .streams import NORMALS, Subject, generator, key, normal, numbered

WAVELENGTH_M = 500e-9
ARCSEC_PER_RAD = 180 * 3600 / math.pi
TILT_STEP_S = 0.02
WAVES = 64
"""Of a high layer, for each axis."""
TWINKLE_S = 0.1
"""Scintillation within such a time is one value."""


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


def seeing_fwhm_arcsec(zenith_fwhm_arcsec: float, wavelength_nm: float, airmass: float) -> float:
    """Seeing at a wavelength and an airmass: r0 ∝ λ^(6/5) X^(-3/5), FWHM ∝ λ/r0 (Fried 1966)."""
    return float(zenith_fwhm_arcsec * (wavelength_nm / 500) ** -0.2 * airmass**0.6)


class TiltSpectrum:
    """The power spectrum of one layer's tilt over the aperture.

    Flat below V/L0, then f^(-2/3) up to 0.3 V/D, then f^(-11/3) (Tyler 1994; Conan et al. 1995). It is scaled so that
    its integral for an infinite outer scale is the layer's share of the variance; a finite one leaves less.
    """

    def __init__(self, layer: Layer, aperture_m: float) -> None:
        self.outer_hz = layer.wind_m_per_s / layer.outer_scale_m
        self.knee_hz = 0.3 * layer.wind_m_per_s / aperture_m

    def __call__(self, frequency_hz: Floats) -> Floats:
        """Power density in any unit."""
        slow = (frequency_hz**2 + self.outer_hz**2) ** (-1 / 3)
        power: Floats = slow * (1 + (frequency_hz / self.knee_hz) ** 2) ** -1.5
        return power

    def kept(self) -> float:
        """The share of the variance that the finite outer scale leaves."""
        # in u = f^(1/3) the integrand has no singularity: df = 3 u² du
        edges = np.linspace(0, (1000 * self.knee_hz) ** (1 / 3), 20001)
        u = (edges[1:] + edges[:-1]) / 2
        finite = self(u**3) * u**2
        infinite = (1 + (u**3 / self.knee_hz) ** 2) ** -1.5
        return float(finite.sum() / infinite.sum())

    def quantiles(self, shares: Floats) -> Floats:
        """The frequencies below which these shares of the variance are, Hz."""
        edges = np.geomspace(self.outer_hz / 1000, self.knee_hz * 100, 4001)
        power = np.concatenate([[0.0], np.cumsum(self(np.sqrt(edges[1:] * edges[:-1])) * np.diff(edges))])
        return np.interp(shares, power / power[-1], edges)


class Tilt:
    """The wavefront's tilt over the aperture on two axes of the detector, the same for the whole field.

    This is the part of the layers at height 0 (`HighTilt` is that of the others).
    """

    def __init__(self, air: AirSpec, aperture_m: float, seed: int) -> None:
        total = tilt_variance_arcsec2(aperture_m, fried_parameter_m(air.seeing_fwhm_arcsec))
        self.variance_arcsec2 = 0.0
        self._axes: tuple[list[Coloured], list[Coloured]] = [], []
        for number, layer in enumerate(air.layers):
            spectrum = TiltSpectrum(layer, aperture_m)
            variance = layer.share * total * spectrum.kept()
            if layer.height_m == 0 and variance > 0:
                self.variance_arcsec2 += variance
                for axis, subject in zip(self._axes, (Subject.TILT_X, Subject.TILT_Y), strict=True):
                    axis.append(Coloured(seed, subject, number, TILT_STEP_S, spectrum, variance))

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(along columns, along rows) at the given ascending times, arcsec."""
        x, y = np.zeros(len(times_s)), np.zeros(len(times_s))
        self.shake(times_s, 1.0, x, y)
        return x, y

    def shake(self, times_s: Floats, factor: float, x: Floats, y: Floats) -> None:
        """Add it, times a factor, to motions along columns and rows."""
        for motion, axis in zip((x, y), self._axes, strict=True):
            for layer in axis:
                add(*layer.grid(times_s[0], times_s[-1]), times_s, factor, motion)


class HighTilt:
    """The tilt by layers above the ground, which differs from star to star.

    Each layer is a sum of waves whose frequencies follow the layer's spectrum and whose wave numbers make two stars
    decorrelate with their separation s as exp(-(s/θ)²), θ = 0.3 D/h. The mean over an exposure is exact.
    """

    def __init__(self, air: AirSpec, aperture_m: float, seed: int) -> None:
        total = tilt_variance_arcsec2(aperture_m, fried_parameter_m(air.seeing_fwhm_arcsec))
        frequencies, vectors, phases, amplitudes = [], [], [], []
        self.variance_arcsec2 = 0.0
        for number, layer in enumerate(air.layers):
            if layer.height_m == 0 or layer.share == 0 or total == 0:
                continue
            spectrum = TiltSpectrum(layer, aperture_m)
            variance = layer.share * total * spectrum.kept()
            self.variance_arcsec2 += variance
            isokinetic_arcsec = 0.3 * aperture_m / layer.height_m * ARCSEC_PER_RAD
            random = generator(seed, Subject.WAVES, number)
            for _ in range(2):
                shares = (np.arange(WAVES) + random.random(WAVES)) / WAVES
                frequencies.append(spectrum.quantiles(shares))
                vectors.append(random.standard_normal((2, WAVES)) * math.sqrt(2) / (2 * math.pi * isokinetic_arcsec))
                phases.append(random.random(WAVES))
                amplitudes.append(np.full(WAVES, math.sqrt(2 * variance / WAVES)))
        self._hz = np.array(frequencies).reshape(-1, 2, WAVES)
        self._turns_per_arcsec = np.array(vectors).reshape(-1, 2, 2, WAVES)
        self._turns = np.array(phases).reshape(-1, 2, WAVES)  # at 0 s
        self._amplitude = np.array(amplitudes).reshape(-1, 2, WAVES)
        self._kept = -1.0, self._amplitude, 0.0  # the last duration that was asked for, what it leaves, and the blur

    def mean(self, x_arcsec: Floats, y_arcsec: Floats, start_s: float, end_s: float) -> tuple[Floats, Floats]:
        """(along columns, along rows) at places of the field, averaged between two instants, arcsec."""
        turns = self._turns + self._hz * ((start_s + end_s) / 2)
        _, amplitude, _ = self._averaged(end_s - start_s)
        both = np.zeros((2, len(x_arcsec)))
        _add_waves(both, x_arcsec, y_arcsec, self._turns_per_arcsec, turns, amplitude)
        return both[0], both[1]

    def blur_arcsec2(self, duration_s: float) -> float:
        """One-axis variance of the motion within an exposure, on the mean."""
        return self._averaged(duration_s)[2]

    def _averaged(self, duration_s: float) -> tuple[float, Floats, float]:
        """A duration, the waves' amplitudes after averaging over it, and the variance that is lost."""
        if self._kept[0] != duration_s:
            share = np.sinc(self._hz * duration_s)
            lost = self._amplitude**2 / 2 * (1 - share**2)
            self._kept = duration_s, self._amplitude * share, float(lost.sum()) / 2
        return self._kept


@vectorised
def _add_waves(both: Floats, x: Floats, y: Floats, vector: Floats, turns: Floats, amplitude: Floats) -> None:
    for layer in range(vector.shape[0]):
        for axis in range(2):
            along_x, along_y = vector[layer, axis]
            height, begin = amplitude[layer, axis], turns[layer, axis]
            for star in range(x.shape[0]):
                total = 0.0
                for wave in range(height.shape[0]):
                    total += height[wave] * cosine(along_x[wave] * x[star] + along_y[wave] * y[star] + begin[wave])
                both[axis, star] += total


class Night:
    """How seeing and clouds change in the course of the night."""

    def __init__(self, air: AirSpec, seed: int) -> None:
        self._air = air
        scatter = 1 + air.seeing_scatter * float(generator(seed, Subject.SCATTER, Subject.SEEING).uniform(-1, 1))
        self._scatter = scatter
        self._seeing = _slow(seed, Subject.SEEING, 10.0, air.seeing_wander_time_s) if air.seeing_wander else None
        self._clouds = _slow(seed, Subject.CLOUDS, 1.0, air.cloud_time_s) if air.cloud_mag else None

    @property
    def clear(self) -> bool:
        """No clouds, all night."""
        return self._clouds is None

    def seeing_factor(self, time_s: float) -> float:
        """The zenith seeing over the stated one."""
        if self._seeing is None:
            return self._scatter
        nodes, origin, step_s = self._seeing.grid(time_s, time_s)
        deviate = between(nodes[:, 0], origin, step_s, time_s)
        return self._scatter * math.exp(self._air.seeing_wander * deviate)

    def cloud_mag(self, times_s: Floats) -> Floats:
        """Extinction by clouds at ascending times, log-normal and correlated."""
        if self._clouds is None:
            return np.zeros(len(times_s))
        depth: Floats = self._air.cloud_mag * np.exp(self._air.cloud_sigma * self._clouds.at(times_s)[:, 0])
        return depth


def _slow(seed: int, subject: Subject, step_s: float, time_s: float) -> Process:
    """An Ornstein-Uhlenbeck process of variance 1."""
    decay = np.array([math.exp(-step_s / time_s)])
    start = generator(seed, subject).standard_normal(1)
    return Process(seed, subject, step_s, start, ornstein_uhlenbeck(decay, np.ones(1)))


def scintillation_sigma(aperture_m: float, airmass: float, height_m: float, exposure_s: float) -> float:
    """RMS of a star's relative flux, 0.09 D^(-2/3) X^1.75 exp(-h/8000) / sqrt(2 T), D in cm (Young 1967)."""
    factor = 0.09 * (aperture_m * 100) ** (-2 / 3) * airmass**1.75 * math.exp(-height_m / 8000)
    return float(factor / math.sqrt(2 * exposure_s))


def twinkle(stars: NDArray[np.uint64], seed: int, sigma: float, start_s: float, end_s: float) -> Floats:
    """Each star's mean relative flux between two instants; 1 on the mean.

    Parameters
    ----------
    stars : [n]
        A number for each star, which keeps it twinkling its own way.
    sigma : float
        RMS over `TWINKLE_S`.
    """
    flux = np.empty(len(stars))
    _twinkle(flux, stars, key(seed, Subject.JITTER), sigma, start_s / TWINKLE_S, end_s / TWINKLE_S, NORMALS)
    return flux


@compiled
def _twinkle(
    flux: Floats, stars: NDArray[np.uint64], key: np.uint64, sigma: float, start: float, end: float,
    normals: NDArray[np.float32],
) -> None:  # fmt: skip
    for star in range(stars.shape[0]):
        total = 0.0
        for step in range(math.floor(start), math.ceil(end)):
            share = min(step + 1.0, end) - max(float(step), start)
            deviate = normal(normals, numbered(stars[star] ^ key, step))
            total += share * math.exp(sigma * deviate - sigma**2 / 2)
        flux[star] = total / (end - start)
