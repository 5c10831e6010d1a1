"""What a mount does wrong by itself: worm, gears, drift and wander.

In: a `MountSpec`, a seed and times. Out: pointing errors on the mount's axes, arcsec, as functions of time alone.
"""

from __future__ import annotations

import math

import numpy as np

from .process import Floats, Process, relax
from .setup import MountSpec
from .streams import Subject, generator


class Disturbance:
    """Open-loop pointing error since the world began (0 at 0 s)."""

    def __init__(self, spec: MountSpec, seed: int) -> None:
        random = generator(seed, Subject.WORM)
        harmonic = np.arange(1, spec.worm_harmonics + 1)
        scatter = random.lognormal(0.0, 0.35, spec.worm_harmonics)
        scatter[:1] = 1.0  # the first one has the amplitude that was asked for
        worm = spec.worm_amplitude_arcsec * harmonic**-spec.worm_decline * scatter
        self._amplitude = np.concatenate([worm, [gear.amplitude_arcsec for gear in spec.gears]])
        periods = np.concatenate([spec.worm_period_s / harmonic, [gear.period_s for gear in spec.gears]])
        self._omega = 2 * math.pi / periods
        self._phase = random.uniform(0, 2 * math.pi, len(periods))
        self._at_zero = float(np.sum(self._amplitude * np.sin(self._phase)))
        self._drift = spec.drift_ra_arcsec_per_min / 60, spec.drift_dec_arcsec_per_min / 60
        self._wander_ra = _wander(spec, 0, seed, Subject.WANDER_RA)
        self._wander_dec = _wander(spec, 1, seed, Subject.WANDER_DEC)

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(RA, Dec) at the given times (ascending, s since the world began)."""
        worm = np.sin(np.outer(times_s, self._omega) + self._phase) @ self._amplitude - self._at_zero
        ra = worm + self._drift[0] * times_s + self._wander_ra.at(times_s)
        dec = self._drift[1] * times_s + self._wander_dec.at(times_s)
        return ra, dec


def _wander(spec: MountSpec, axis: int, seed: int, subject: Subject) -> Process:
    """A random walk plus the integral of an Ornstein-Uhlenbeck rate; 0 at 0 s."""
    step_s = 0.25
    walk = spec.wander_arcsec_per_sqrt_s[axis] * math.sqrt(step_s)
    decay = math.exp(-step_s / spec.wander_rate_time_s)
    kick = spec.wander_rate_arcsec_per_s[axis] * math.sqrt(1 - decay**2)

    def advance(random: np.random.Generator, state: Floats, steps: int) -> tuple[Floats, Floats]:
        position, rate = state
        bank = np.array([rate])
        rates = relax(bank, np.array([decay]), np.array([kick]), random.standard_normal((steps, 1)))
        moves = walk * random.standard_normal(steps) + rates * step_s
        positions = position + np.concatenate([[0.0], np.cumsum(moves)])
        return positions[:-1], np.array([positions[-1], bank[0]])

    return Process(seed, subject, step_s, np.zeros(2), advance)
