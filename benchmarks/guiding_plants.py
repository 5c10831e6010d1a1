"""One axis of a telescope, in arcsec, without images: disturbance, seeing, noise, and PHD2's timing around a law.

In: a plant's name, an axis, a seed; a law. Out: the true and the measured error. The plants are those of the project's
guiding notes; the law is any law of `acquisition.guiding.algorithms`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms import Dithered, Law, LawRunner, Lost, Measured, Sent, Settled

FloatArray = NDArray[np.float64]

GRID_S = 0.05
RUN_S = 3000.0
RATE = 7.5  # guide rate, arcsec/s
MIN_PULSE_S, MAX_PULSE_S = 0.01, 2.5
DITHER_EVERY_S, DITHER_LEFT_OUT_S, DITHER_ARCSEC = 300.0, 30.0, 5.0


@dataclass(frozen=True)
class Plant:
    """One row of the notes' table; lengths in arcsec, times in s."""

    period_s: float | None
    amplitude: float = 0.0
    fall: float = 1.6
    harmonics: int = 0
    second: float | None = None  # amplitude of the second harmonic where it is not the first's times 2^-fall
    wander: float = 0.10
    gears: tuple[tuple[float, float], ...] = ()  # (period, amplitude)
    bump: tuple[float, float] | None = None  # (height, sigma) once a turn
    drift_per_min: tuple[float, float] = (0.6, 0.6)  # RA, Dec
    walk: float = 0.01
    velocity: tuple[float, float] = (0.005, 60.0)  # standard deviation per s, correlation time
    gust: float = 0.0
    seeing_fwhm: float = 2.5
    aperture_m: float = 0.1
    noise: float = 0.1
    exposure_s: float = 2.0
    latency_s: float = 0.4
    scale: float = 1.5
    backlash: float = 0.0
    stiction: float = 0.0
    rate_error: float = 0.15
    lost: float = 0.002
    dithers: bool = False


_EQ6 = Plant(
    478.7, 10, 1.6, 8, gears=((121.7, 1.2), (13.4, 0.25)), bump=(0.8, 12.0), drift_per_min=(0.6, 1.5), walk=0.015,
    velocity=(0.006, 60.0), scale=1.5, backlash=3, stiction=0.15,
)  # fmt: skip

PLANTS: dict[str, Plant] = {
    "A": Plant(480, 2, 1.6, 4, drift_per_min=(0.3, 0.6), walk=0.006, velocity=(0.002, 60.0), seeing_fwhm=1.8,
               noise=0.07, scale=1.0, backlash=0.2),
    "B": _EQ6,
    "C": replace(_EQ6, seeing_fwhm=4.5, noise=0.20, exposure_s=3.0),
    "D": Plant(432, 16, 1.5, 40, 6.0, drift_per_min=(0.6, 2), walk=0.02, velocity=(0.01, 60.0), noise=0.14,
               exposure_s=1.0, latency_s=0.3),
    "E": Plant(288, 18, 1.25, 50, 9.0, wander=0.15, drift_per_min=(0.6, 2), walk=0.03, velocity=(0.02, 30.0)),
    "F": Plant(638, 20, 1.3, 12, gears=((121.7, 2.0), (13.4, 0.5)), bump=(2.0, 10.0), drift_per_min=(0.6, 2.5),
               walk=0.03, velocity=(0.012, 40.0), gust=0.5, seeing_fwhm=3.0, noise=0.12, scale=2.0, backlash=6,
               stiction=0.4, lost=0.03, dithers=True),
    "G": Plant(480, 4, 1.6, 6, drift_per_min=(0.6, 0.8), walk=0.01, velocity=(0.003, 60.0), seeing_fwhm=2.2,
               aperture_m=0.2, noise=0.20, exposure_s=4.0, latency_s=0.6, scale=0.7, backlash=1),
    "H": Plant(None, drift_per_min=(0.5, 0.6), walk=0.004, velocity=(0.001, 120.0), seeing_fwhm=2.2, noise=0.08,
               scale=1.0, rate_error=0.05),
}  # fmt: skip
NAMES = {
    "A": "premium mount", "B": "EQ6, average seeing", "C": "EQ6, bad seeing", "D": "strain wave, 1 s",
    "E": "strain wave, steep, 2 s", "F": "cheap, windy, dithers", "G": "off-axis, 4 s, faint", "H": "encoder mount",
}  # fmt: skip


@dataclass(frozen=True)
class Night:
    """What the sky and the mount do on one axis in one run, whatever the law."""

    plant: Plant
    axis: str
    disturbance: FloatArray  # on the grid
    seen: FloatArray  # the integral of disturbance and seeing from the start, on the grid
    gain: float
    backlash: float
    slack: float  # how much of it the motor has to turn South before the axis moves, at the start
    seed: int


def night(name: str, axis: str, seed: int, run_s: float = RUN_S, rate_error: float | None = None) -> Night:
    """Draw a night; `axis` is ra or dec. `rate_error` replaces the drawn error of the guide rate."""
    plant = PLANTS[name]
    rng = np.random.default_rng([ord(name), axis == "dec", seed])
    n = round((run_s + 30) / GRID_S)
    t = np.arange(n) * GRID_S
    ra = axis == "ra"
    d = t / 60 * plant.drift_per_min[0 if ra else 1] * rng.choice([-1, 1])
    d += np.cumsum(rng.normal(size=n)) * (plant.walk if ra else 0.01) * np.sqrt(GRID_S)
    deviation, tau_s = plant.velocity
    d += np.cumsum(_ou(rng, n, tau_s)) * deviation * (1 if ra else 0.2) * GRID_S
    if ra and plant.period_s is not None:
        scale = rng.uniform(0.8, 1.2)
        phase = rng.uniform(0, 2 * np.pi)
        for h in range(1, plant.harmonics + 1):
            amplitude = plant.second if h == 2 and plant.second is not None else plant.amplitude * h**-plant.fall
            amplitude *= scale * np.exp(0.35 * rng.normal())
            complex_amplitude = amplitude * np.exp(2j * np.pi * rng.uniform())
            wander = (_slow_ou(rng, n, 2500.0) + 1j * _slow_ou(rng, n, 2500.0)) / np.sqrt(2)
            turning = np.exp(1j * h * (2 * np.pi * t / plant.period_s + phase))
            d += ((complex_amplitude + amplitude * plant.wander * wander) * turning).real
        if plant.bump is not None:
            height, sigma_s = plant.bump
            from_top = (t + rng.uniform(0, plant.period_s)) % plant.period_s - plant.period_s / 2
            d += height * np.exp(-0.5 * (from_top / sigma_s) ** 2)
    if ra:
        for period_s, amplitude in plant.gears:
            d += amplitude * np.cos(2 * np.pi * t / period_s + rng.uniform(0, 2 * np.pi))
    if plant.gust:
        d += plant.gust * _ou(rng, n, 2.5) * np.exp(0.5 * _slow_ou(rng, n, 60.0) - 0.125)
    d -= d[0]
    seeing = _seeing(rng, n, plant.seeing_fwhm * rng.uniform(0.85, 1.15), plant.aperture_m)
    seen = np.concatenate([[0.0], np.cumsum(d + seeing) * GRID_S])
    error = rng.uniform(-plant.rate_error, plant.rate_error) if rate_error is None else rate_error
    backlash = 0.0 if ra else plant.backlash * rng.uniform(0.5, 1.5)
    return Night(plant, axis, d, seen, 1 + error, backlash, backlash * rng.uniform(), seed)


def _ou(rng: np.random.Generator, n: int, tau_s: float) -> FloatArray:
    """Ornstein-Uhlenbeck noise of variance 1 on the grid."""
    from scipy.signal import lfilter

    keep = np.exp(-GRID_S / tau_s)
    out: FloatArray = lfilter([np.sqrt(1 - keep**2)], [1, -keep], rng.normal(size=n), zi=[keep * rng.normal()])[0]
    return out


def _slow_ou(rng: np.random.Generator, n: int, tau_s: float) -> FloatArray:
    """The same, drawn every tau/20 only."""
    step = max(1, int(tau_s / 20 / GRID_S))
    m = n // step + 3
    keep = np.exp(-step * GRID_S / tau_s)
    y = np.empty(m)
    y[0] = rng.normal()
    for i in range(1, m):
        y[i] = keep * y[i - 1] + np.sqrt(1 - keep**2) * rng.normal()
    return np.interp(np.arange(n), np.arange(m) * step, y)


def _seeing(rng: np.random.Generator, n: int, fwhm: float, aperture_m: float) -> FloatArray:
    """Image motion of two layers, half the power each: wind 10 and 3 m/s, outer scale 25 and 15 m.

    Variance D^(-1/3) (Roddier 1981) for an infinite outer scale; temporal spectrum of Conan et al. (1995): flat to
    v/L0, then f^(-2/3) to .24 v/D, then f^(-11/3).
    """
    wavelength_arcsec = 0.55e-6 * 206265 / aperture_m
    variance = 0.182 * (fwhm / 0.98 / wavelength_arcsec) ** (5 / 3) * wavelength_arcsec**2
    f = np.fft.rfftfreq(n, GRID_S)
    fine = np.geomspace(1e-6, 1e4, 4000)
    total = np.zeros(len(f))
    for wind, outer in ((10.0, 25.0), (3.0, 15.0)):
        cut = 0.24 * wind / aperture_m

        def spectrum(f: FloatArray, low: float, cut: float = cut) -> FloatArray:
            out: FloatArray = (f * f + low * low) ** (-1 / 3) * (1 + (f / cut) ** 2) ** -1.5
            return out

        total += 0.5 * variance * spectrum(f, wind / outer) / np.trapezoid(spectrum(fine, 0.0), fine)
    noise = (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f))) / np.sqrt(2)
    out: FloatArray = np.fft.irfft(noise * np.sqrt(total / 2 * n / GRID_S), n)
    return out


@dataclass(frozen=True)
class Outcome:
    """What a law achieved; rms in arcsec."""

    true_rms: float
    second_half_rms: float
    measured_rms: float
    peak: float
    true: FloatArray  # on the grid


def guide(
    night: Night, law: Law[Any], run_s: float = RUN_S, lost_between: tuple[float, float] | None = None,
    paused_between: tuple[float, float] | None = None, compensate: bool = False,
) -> Outcome:  # fmt: skip
    """Close the loop: expose, wait for the latency, ask the law, pulse, expose again.

    `compensate`: pulses that reverse the direction are lengthened by the true backlash, as PHD2's compensation would.
    """
    plant = night.plant
    rng = np.random.default_rng([7, night.axis == "dec", night.seed])
    runner = LawRunner(law)
    unit = plant.scale if law.unit == "px" else 1.0
    snr = max(5.0, 2.0 / plant.noise)
    n = len(night.disturbance)
    mount = np.zeros(n)
    lock_at = np.zeros(n)
    kept = np.ones(n, bool)
    t, motor, output, lock = 0.0, night.slack - night.backlash, 0.0, 0.0
    direction = 0.0
    next_dither, settle_at = DITHER_EVERY_S, np.inf
    measured: list[float] = []
    while t < run_s:
        if plant.dithers and t >= next_dither:
            amount = rng.uniform(-DITHER_ARCSEC, DITHER_ARCSEC)
            lock += amount
            lock_at[int(t / GRID_S) :] = lock
            kept[int(t / GRID_S) : int((t + DITHER_LEFT_OUT_S) / GRID_S)] = False
            runner.step(Dithered(amount / unit))
            next_dither, settle_at = next_dither + DITHER_EVERY_S, t + DITHER_LEFT_OUT_S
        if t >= settle_at:
            runner.step(Settled())
            settle_at = np.inf
        end = t + plant.exposure_s
        y = (_at(night.seen, end) - _at(night.seen, t)) / plant.exposure_s + output - lock
        y += plant.noise * rng.normal()
        now = end + plant.latency_s
        gone = rng.uniform() < plant.lost or (lost_between is not None and lost_between[0] <= t < lost_between[1])
        if paused_between is not None and paused_between[0] <= t < paused_between[1]:
            t = now
            continue
        if gone:
            correction = runner.step(Lost(now, plant.exposure_s, now)) * unit
        else:
            given = Measured(t + plant.exposure_s / 2, y / unit, None, snr, plant.exposure_s, now)
            correction = runner.step(given) * unit
        if not gone and kept[int(t / GRID_S)]:
            measured.append(y)
        pulse_s = min(round(abs(correction) / RATE, 3), MAX_PULSE_S)
        if pulse_s < MIN_PULSE_S:
            pulse_s = 0.0
        sent = np.sign(correction) * pulse_s * RATE
        if sent != correction:
            runner.step(Sent(sent / unit))
        motor -= sent * night.gain
        if sent != 0:
            if compensate and sent * direction < 0:
                motor -= np.sign(sent) * night.backlash
            direction = sent
        before = output
        output = _play(motor, output, night.backlash, plant.stiction if night.axis == "dec" else 0.0)
        i, j = int(now / GRID_S), int((now + pulse_s) / GRID_S) + 1
        mount[i:j] = np.linspace(before, output, j - i + 1)[1:]
        mount[j:] = output
        t = now + pulse_s
    first, last = int(60 / GRID_S), int(run_s / GRID_S)
    true = night.disturbance + mount - lock_at
    inside = kept.copy()
    inside[:first] = False
    inside[last:] = False
    half = inside.copy()
    half[: last // 2] = False
    return Outcome(
        _rms(true[inside]), _rms(true[half]), _rms(np.array(measured)), float(np.abs(true[inside]).max()), true[:last]
    )  # fmt: skip


def _play(motor: float, output: float, backlash: float, stiction: float) -> float:
    """Where the axis stands: the motor drags it when the play is used up, and it sticks before it moves."""
    dragged = min(max(output, motor), motor + backlash)
    return dragged if abs(dragged - output) > stiction else output


def _at(integral: FloatArray, t: float) -> float:
    i = t / GRID_S
    k = int(i)
    value: float = integral[k] + (i - k) * (integral[k + 1] - integral[k])
    return value


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))
