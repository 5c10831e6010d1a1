"""What a mount does wrong by itself: worm, gears, drift, wander and wind; or the recorded motion of a real one.

In: a `MountSpec`, a seed and times. Out: pointing errors on the mount's axes, arcsec, as functions of time and of how
far the worm has turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from acquisition.kernels.compiled import compiled, vectorised

from .process import (
    NOTHING,
    Coloured,
    Floats,
    Grid,
    Process,
    add,
    autoregressive,
    between,
    cosine,
    ornstein_uhlenbeck,
)
from .setup import MountSpec
from .streams import Subject, generator

WIND_STEP_S = 0.02
NO_WANDERING = Grid(np.zeros((2, 0)), 0, math.inf)


class Motion(Protocol):
    """Open-loop pointing error since the world began (0 at 0 s)."""

    def at(self, times_s: Floats, turned_s: Floats) -> tuple[Floats, Floats]:
        """(RA, Dec), arcsec on the mount's axes, at ascending times.

        `turned_s` is how far the worm has turned by then, in the seconds that it takes when tracking.
        """


class Disturbance:
    """The open-loop errors that a `MountSpec` describes."""

    def __init__(self, spec: MountSpec, seed: int) -> None:
        random = generator(seed, Subject.WORM)
        harmonic = np.arange(1, spec.worm_harmonics + 1)
        scatter = random.lognormal(0.0, 0.35, spec.worm_harmonics)
        scatter[:1] = 1.0  # the first one has the amplitude that was asked for
        first = spec.worm_amplitude_arcsec * _scattered(spec.worm_amplitude_scatter, seed, Subject.WORM)
        worm = first * harmonic**-spec.worm_decline * scatter
        if spec.second_harmonic_arcsec is not None:
            worm[1:2] = spec.second_harmonic_arcsec
        self._amplitude = np.concatenate([worm, [gear.amplitude_arcsec for gear in spec.gears]])
        self._hz = np.concatenate([harmonic / spec.worm_period_s, [1 / gear.period_s for gear in spec.gears]])
        self._turns = random.random(len(self._hz))  # at 0 s
        bump_s = float(generator(seed, Subject.BUMP).uniform(0, spec.worm_period_s))
        self._bump = spec.bump_arcsec, bump_s, spec.bump_sigma_s, spec.worm_period_s
        self._wandering = _wandering_harmonics(spec, worm, seed) if spec.harmonic_wander else None
        self._drift = spec.drift_ra_arcsec_per_min / 60, spec.drift_dec_arcsec_per_min / 60
        self._wander_ra = _wander(spec, 0, seed, Subject.WANDER_RA)
        self._wander_dec = _wander(spec, 1, seed, Subject.WANDER_DEC)
        self._wind = Wind(spec, seed) if spec.wind_arcsec else None
        self._at_zero = 0.0
        self._at_zero = float(self.worm(np.zeros(1), np.zeros(1))[0])

    @property
    def periods_s(self) -> Floats:
        """Of the worm's harmonics and of the gears."""
        return 1 / self._hz

    @property
    def amplitudes_arcsec(self) -> Floats:
        """Mean amplitudes, in the order of `periods_s`."""
        return self._amplitude

    def worm(self, times_s: Floats, turned_s: Floats) -> Floats:
        """The periodic part, arcsec."""
        wandering = NO_WANDERING if self._wandering is None else self._wandering.grid(times_s[0], times_s[-1])
        error = np.zeros(len(times_s))
        _periodic(turned_s, self._hz, self._turns, self._amplitude, *wandering, times_s, *self._bump, error)
        return error - self._at_zero

    def at(self, times_s: Floats, turned_s: Floats) -> tuple[Floats, Floats]:
        ra, dec = self.worm(times_s, turned_s), np.empty(len(times_s))
        on_ra, on_dec = (
            NOTHING if wander is None else wander.grid(times_s[0], times_s[-1])
            for wander in (self._wander_ra, self._wander_dec)
        )
        _drift(
            times_s, *self._drift, on_ra.nodes, on_ra.origin, on_ra.step_s, on_dec.nodes, on_dec.origin, on_dec.step_s,
            ra, dec,
        )  # fmt: skip
        if self._wind is not None:
            self._wind.shake(times_s, ra, dec)
        return ra, dec


@compiled
def _periodic(
    turned_s: Floats, hz: Floats, turns: Floats, amplitude: Floats, wandering: Floats, origin: int, step_s: float,
    times_s: Floats, bump: float, bump_s: float, bump_sigma_s: float, period_s: float, error: Floats,
) -> None:  # fmt: skip
    """Add sines, which at 0 s have turned so far, and a Gaussian bump once a period.

    The grid `wandering` of 2 m columns is what the first m have beside: sines' amplitudes, then cosines'.
    """
    m = wandering.shape[1] // 2
    sines, cosines = np.empty(len(error)), np.zeros(len(error))
    for h in range(hz.shape[0]):
        sines[:], cosines[:] = amplitude[h], 0.0
        if h < m:
            add(wandering[:, h], origin, step_s, times_s, 1.0, sines)
            add(wandering[:, m + h], origin, step_s, times_s, 1.0, cosines)
        _add_wave(turned_s, hz[h], turns[h], sines, cosines, error)
    if bump != 0:
        for n in range(turned_s.shape[0]):
            from_middle = (turned_s[n] - bump_s + period_s / 2) % period_s - period_s / 2
            error[n] += bump * math.exp(-((from_middle / bump_sigma_s) ** 2) / 2)


@vectorised
def _add_wave(turned_s: Floats, hz: float, begin: float, sines: Floats, cosines: Floats, error: Floats) -> None:
    for n in range(turned_s.shape[0]):
        turns = hz * turned_s[n] + begin
        error[n] += sines[n] * cosine(turns - 0.25) + cosines[n] * cosine(turns)


@compiled
def _drift(
    times_s: Floats, drift_ra: float, drift_dec: float, nodes_ra: Floats, origin_ra: int, step_ra_s: float,
    nodes_dec: Floats, origin_dec: int, step_dec_s: float, ra: Floats, dec: Floats,
) -> None:  # fmt: skip
    """Drift and wander: added to RA, and all there is in Dec."""
    for n in range(times_s.shape[0]):
        ra[n] += drift_ra * times_s[n] + between(nodes_ra, origin_ra, step_ra_s, times_s[n])
        dec[n] = drift_dec * times_s[n] + between(nodes_dec, origin_dec, step_dec_s, times_s[n])


@dataclass(frozen=True, slots=True)
class Recording:
    """The open-loop motion of a real mount, from a file; it stays where it was at the end.

    Attributes
    ----------
    times_s, ra_arcsec, dec_arcsec : arrays of one length
        Times ascend; RA is an arc of hour angle, as everything on the mount's axes.
    """

    times_s: Floats
    ra_arcsec: Floats
    dec_arcsec: Floats

    def at(self, times_s: Floats, turned_s: Floats) -> tuple[Floats, Floats]:
        since = times_s + self.times_s[0]
        return (
            np.interp(since, self.times_s, self.ra_arcsec) - self.ra_arcsec[0],
            np.interp(since, self.times_s, self.dec_arcsec) - self.dec_arcsec[0],
        )


class Wind:
    """Shaking by gusts: von Kármán's turbulence through a resonance of the mount, on both axes."""

    def __init__(self, spec: MountSpec, seed: int) -> None:
        def spectrum(frequency_hz: Floats) -> Floats:
            gusts = (1 + (2 * math.pi * frequency_hz * spec.wind_gust_time_s) ** 2) ** (-5 / 6)
            ratio = (frequency_hz / spec.wind_resonance_hz) ** 2
            power: Floats = gusts / ((1 - ratio) ** 2 + 4 * spec.wind_damping**2 * ratio)
            return power

        self._axes = [Coloured(seed, Subject.WIND, axis, WIND_STEP_S, spectrum, spec.wind_arcsec**2) for axis in (0, 1)]
        step_s, time_s = 1.0, 60.0
        decay, sigma = np.array([math.exp(-step_s / time_s)]), np.array([spec.wind_gustiness])
        start = sigma * generator(seed, Subject.GUST).standard_normal(1)
        self._sigma = spec.wind_gustiness
        self._strength = Process(seed, Subject.GUST, step_s, start, ornstein_uhlenbeck(decay, sigma))

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(RA, Dec) at ascending times, arcsec."""
        ra, dec = np.zeros(len(times_s)), np.zeros(len(times_s))
        self.shake(times_s, ra, dec)
        return ra, dec

    def shake(self, times_s: Floats, ra: Floats, dec: Floats) -> None:
        """Add it to pointings."""
        strength, on_ra, on_dec = (process.grid(times_s[0], times_s[-1]) for process in (self._strength, *self._axes))
        _shake(
            times_s, strength.nodes[:, 0], strength.origin, strength.step_s, self._sigma,
            on_ra.nodes, on_dec.nodes, on_ra.origin, on_ra.step_s, ra, dec,
        )  # fmt: skip


@compiled
def _shake(
    times_s: Floats, strength: Floats, strength_origin: int, strength_step_s: float, sigma: float,
    on_ra: Floats, on_dec: Floats, origin: int, step_s: float, ra: Floats, dec: Floats,
) -> None:  # fmt: skip
    """Both axes' shaking times a log-normal strength, whose square is 1 on the mean over all time."""
    for n in range(times_s.shape[0]):
        stronger = math.exp(between(strength, strength_origin, strength_step_s, times_s[n]) - sigma * sigma)
        ra[n] += stronger * between(on_ra, origin, step_s, times_s[n])
        dec[n] += stronger * between(on_dec, origin, step_s, times_s[n])


def _wandering_harmonics(spec: MountSpec, amplitude_arcsec: Floats, seed: int) -> Process:
    """What the sine and cosine part of each harmonic has beyond its mean: Ornstein-Uhlenbeck, [n, 2 harmonics]."""
    step_s = 10.0
    sigma = np.tile(amplitude_arcsec * spec.harmonic_wander / math.sqrt(2), 2)
    decay = np.full(len(sigma), math.exp(-step_s / spec.harmonic_wander_time_s))
    start = sigma * generator(seed, Subject.HARMONICS).standard_normal(len(sigma))
    return Process(seed, Subject.HARMONICS, step_s, start, ornstein_uhlenbeck(decay, sigma))


def _wander(spec: MountSpec, axis: int, seed: int, subject: Subject) -> Process | None:
    """A random walk plus the integral of an Ornstein-Uhlenbeck rate; 0 at 0 s. None if it does not move."""
    if spec.wander_arcsec_per_sqrt_s[axis] == 0 and spec.wander_rate_arcsec_per_s[axis] == 0:
        return None
    step_s = 0.25
    walk = spec.wander_arcsec_per_sqrt_s[axis] * math.sqrt(step_s)
    decay = np.array([math.exp(-step_s / spec.wander_rate_time_s)])
    kick = spec.wander_rate_arcsec_per_s[axis] * math.sqrt(1 - decay[0] ** 2)

    def advance(random: np.random.Generator, state: Floats, steps: int) -> tuple[Floats, Floats]:
        position, rate = state
        rates = autoregressive(np.array([rate]), decay, kick * random.standard_normal((steps, 1)))[:, 0]
        moves = walk * random.standard_normal(steps) + rates * step_s
        positions = position + np.concatenate([[0.0], np.cumsum(moves)])
        return positions[:-1], np.array([positions[-1], rates[-1]])

    return Process(seed, subject, step_s, np.zeros(2), advance)


def _scattered(share: float, seed: int, subject: Subject) -> float:
    """A factor that lies uniformly within 1 ± share."""
    return 1 + share * float(generator(seed, Subject.SCATTER, subject).uniform(-1, 1))


def true_backlash_arcsec(spec: MountSpec, seed: int) -> float:
    """The backlash that this rig has."""
    return spec.backlash_dec_arcsec * _scattered(spec.backlash_scatter, seed, Subject.GUIDE_RATE)
