"""Overlapped guiding beside guiding that waits for pulses: RA, plants and nights of `guiding_plants`.

    python benchmarks/bench_overlapped.py [--seeds 10] [--plants ABCDEFGH]

Overlapped: the camera exposes all the time but for its readout, corrections begin with every frame and every half
second between two. The figure is the true RMS at all times, which a mean over exposures would flatter. No dithers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from guiding_plants import (
    GRID_S,
    MAX_PULSE_S,
    MIN_PULSE_S,
    NAMES,
    RATE,
    RUN_S,
    FloatArray,
    Night,
    guide,
    night,
)

from acquisition.guiding.algorithms import Between, LawRunner, Lost, Measured, Predictive, Sent
from acquisition.guiding.overlap import Ramp

EVERY_S = 0.5
MOUNT_S = 0.05  # of a plant's latency, the mount's part; the rest is the camera's readout


class Axis:
    """Pulses as they come, and where they have put the axis."""

    def __init__(self, night: Night, runner: LawRunner) -> None:
        self.night, self.runner = night, runner
        self.sent = np.zeros(len(night.disturbance))  # nominal, on the grid
        self.ramps: list[Ramp] = []
        self.free_s = 0.0

    def correct(self, now_s: float, correction: float) -> None:
        """Make a pulse of a correction, and tell the law."""
        pulse_s = min(round(abs(correction) / RATE, 3), MAX_PULSE_S)
        amount = float(np.sign(correction)) * pulse_s * RATE if pulse_s >= MIN_PULSE_S else 0.0
        if amount != correction:
            self.runner.step(Sent(amount))
        self.free_s = now_s
        if amount:
            begin_s = now_s + MOUNT_S
            self.free_s = begin_s + pulse_s
            self.ramps = [*self.ramps[-20:], Ramp(begin_s, self.free_s, amount)]
            i, j = int(begin_s / GRID_S), int(self.free_s / GRID_S) + 1
            self.sent[i:j] = np.linspace(self.sent[i], self.sent[i] + amount, j - i + 1)[1:]
            self.sent[j:] = self.sent[j - 1]


def true_rms(error: FloatArray) -> tuple[float, float]:
    """Of the run without its first minute, and of its second half."""
    first, last = int(60 / GRID_S), int(RUN_S / GRID_S)
    return float(np.sqrt(np.mean(error[first:last] ** 2))), float(np.sqrt(np.mean(error[last // 2 : last] ** 2)))


def overlapped(night: Night) -> tuple[float, float]:
    """Guide by `predictive`; the true RMS of the whole run and of its second half."""
    plant = night.plant
    rng = np.random.default_rng([7, 0, night.seed])
    runner = LawRunner(Predictive())
    axis = Axis(night, runner)
    start_s, tick_s = 0.0, np.inf
    while start_s < RUN_S:
        end_s = start_s + plant.exposure_s
        arrives_s = end_s + plant.latency_s - MOUNT_S
        while max(tick_s, axis.free_s) < arrives_s:
            now_s = max(tick_s, axis.free_s)
            tick_s = now_s + EVERY_S
            axis.correct(now_s, runner.step(Between(now_s, now_s + EVERY_S)))
        now_s = max(arrives_s, axis.free_s)
        until_s = now_s + EVERY_S if plant.exposure_s > EVERY_S else None
        if rng.uniform() < plant.lost:
            correction = runner.step(Lost(now_s, plant.exposure_s, now_s, until_s))
        else:
            i, j = round(start_s / GRID_S), round(end_s / GRID_S)
            seen = (night.seen[j] - night.seen[i]) / plant.exposure_s - axis.sent[i:j].mean() * night.gain
            seen += plant.noise * rng.normal()
            unseen = sum(ramp.unseen(start_s, end_s) for ramp in axis.ramps)
            middle_s, snr = start_s + plant.exposure_s / 2, max(5.0, 2.0 / plant.noise)
            correction = runner.step(
                Measured(middle_s, seen - unseen, None, snr, plant.exposure_s, now_s, until_s, unseen)
            )
        tick_s = now_s + EVERY_S
        axis.correct(now_s, correction)
        start_s = max(arrives_s, now_s)
    return true_rms(night.disturbance - axis.sent * night.gain)


def still(night: Night) -> Night:
    """The night without dithers."""
    return replace(night, plant=replace(night.plant, dithers=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--plants", default="ABCDEFGH")
    args = parser.parse_args()
    print(f"RA, true RMS in arcsec, medians of {args.seeds} nights; second half of the run")
    print(f"{'':26}{'waiting':>9}{'overlapped':>12}{'ratio':>8}{'waiting':>12}{'overlapped':>12}{'ratio':>8}")
    for name in args.plants:
        nights = [still(night(name, "ra", seed)) for seed in range(args.seeds)]
        waiting = [true_rms(guide(one, Predictive()).true) for one in nights]
        rows = np.array([[*before, *overlapped(one)] for before, one in zip(waiting, nights, strict=True)])
        before, half_before, now, half_now = np.median(rows, axis=0)
        ratio, half_ratio = np.median(rows[:, 2:] / rows[:, :2], axis=0)
        whole = f"{before:9.3f}{now:12.3f}{ratio:8.2f}"
        print(f"{name} {NAMES[name]:24}{whole}{half_before:12.3f}{half_now:12.3f}{half_ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
