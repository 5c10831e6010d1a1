"""Calibration against a plant whose response is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.errors import CalibrationFailed, DeviceGone
from acquisition.guiding.calibration import CalibrationRule, Position, calibrate
from acquisition.mount import Direction


class Plant:
    """Stars that move with pulses, drift and noise; Dec has backlash."""

    def __init__(self, *, ra=(2.0, 30.0), dec=(1.5, 121.0), backlash_s=0.4, drift=(0.005, -0.003), noise=0.05, seed=1):
        self.ra, self.dec, self.backlash_s, self.drift, self.noise = ra, dec, backlash_s, drift, noise
        self.random = np.random.default_rng(seed)
        self.ra_s = self.dec_motor_s = self.dec_s = 0.0
        self.pulses: list[tuple[Direction, float]] = []
        self.t_s = 0.0

    async def measure(self) -> Position | str:
        self.t_s += 3.0
        x, y = self.drift[0] * self.t_s, self.drift[1] * self.t_s
        for (rate, angle), seconds in ((self.ra, self.ra_s), (self.dec, self.dec_s)):
            x += rate * seconds * math.cos(math.radians(angle))
            y += rate * seconds * math.sin(math.radians(angle))
        nx, ny = self.random.normal(0, self.noise, 2)
        return Position(self.t_s, x + nx, y + ny)

    async def pulse(self, direction: Direction, seconds: float) -> None:
        self.pulses.append((direction, seconds))
        self.t_s += seconds
        match direction:
            case Direction.EAST:
                self.ra_s += seconds
            case Direction.WEST:
                self.ra_s -= seconds
            case _:
                self.dec_motor_s += seconds if direction is Direction.NORTH else -seconds
                low, high = self.dec_motor_s - self.backlash_s, self.dec_motor_s
                self.dec_s = min(max(self.dec_s, low), high)


def run(plant: Plant, rule: CalibrationRule = CalibrationRule()):  # noqa: B008  # frozen
    return virtual_time.run(calibrate(rule, plant.measure, plant.pulse, lambda *_: None, max_pulse_s=10.0))


def test_finds_response_backlash_and_drift():
    fit = run(Plant(noise=0.01))
    assert fit.ra.angle_deg == pytest.approx(30, abs=0.3)
    assert fit.dec.angle_deg == pytest.approx(121, abs=0.3)
    assert fit.ra.rate_px_per_s == pytest.approx(2.0, rel=0.01)
    assert fit.dec.rate_px_per_s == pytest.approx(1.5, rel=0.01)
    assert fit.backlash_s == pytest.approx(0.4, abs=0.06)
    assert fit.drift_px_per_s == pytest.approx((0.005, -0.003), abs=5e-4)


def test_the_stated_errors_are_those_seen():
    fits = [run(Plant(noise=0.1, seed=seed)) for seed in range(40)]
    scores = [(fit.ra.rate_px_per_s - 2.0) / fit.ra.rate_err_px_per_s for fit in fits]
    scores += [(fit.ra.angle_deg - 30.0) / fit.ra.angle_err_deg for fit in fits]
    assert 0.7 < np.std(scores) < 1.4


def test_what_shakes_along_ra_makes_its_rate_unsure_and_not_its_angle():
    """Periodic error is there, and Dec is quiet: with one size of noise for both, the angle's error was too large."""

    class Shaken(Plant):
        async def measure(self) -> Position | str:
            seen = await super().measure()
            assert isinstance(seen, Position)
            along, angle = self.random.normal(0, 0.2), math.radians(self.ra[1])
            return Position(seen.t_s, seen.dx + along * math.cos(angle), seen.dy + along * math.sin(angle))

    fits = [run(Shaken(noise=0.02, seed=seed)) for seed in range(40)]
    assert all(fit.ra.rate_err_px_per_s / 2.0 > 3 * math.radians(fit.ra.angle_err_deg) for fit in fits)
    for scores in (
        [(fit.ra.rate_px_per_s - 2.0) / fit.ra.rate_err_px_per_s for fit in fits],
        [(fit.ra.angle_deg - 30.0) / fit.ra.angle_err_deg for fit in fits],
        [(fit.dec.angle_deg - 121.0) / fit.dec.angle_err_deg for fit in fits],
    ):
        assert 0.7 < np.std(scores) < 1.4


def test_the_mount_ends_where_it_began():
    plant = Plant()
    run(plant)
    for positive in (Direction.NORTH, Direction.EAST):
        total = sum(s if d is positive else -s for d, s in plant.pulses if d in (positive, positive.opposite))
        assert total == pytest.approx(0)


def test_a_slow_mount_gets_longer_pulses_and_a_fast_one_shorter():
    slow, fast = Plant(ra=(0.4, 30.0), dec=(0.4, 120.0)), Plant(ra=(60.0, 30.0), dec=(60.0, 120.0))
    assert run(slow).ra.rate_px_per_s == pytest.approx(0.4, rel=0.05)
    assert max(s for _, s in slow.pulses) == 8.0
    assert run(fast).ra.rate_px_per_s == pytest.approx(60.0, rel=0.05)
    assert fast.pulses[-1][1] < 1.0


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (Plant(ra=(0.0, 0.0)), r"RA: the stars moved .* px in a West pulse of 10 s; need 3 px"),
        (Plant(dec=(0.0, 0.0)), r"Dec: the stars moved .* px in pulses of 2 s"),
        (Plant(dec=(2.0, 32.0)), r"need at least 30 degrees between them"),
        (Plant(backlash_s=50.0), r"Dec: a backlash of .* s of pulse or more"),
    ],
)
def test_a_mount_that_cannot_be_calibrated_is_told(plant, message):
    with pytest.raises(CalibrationFailed, match=message):
        run(plant)


def test_stars_that_move_by_themselves_do_not_pass_for_a_response():
    plant = Plant(ra=(0.0, 0.0), dec=(0.0, 0.0), drift=(1.5, 0.0))
    with pytest.raises(CalibrationFailed):
        run(plant)


def test_lost_stars_end_it_with_the_reason():
    plant = Plant()

    async def lost() -> str:
        return "brightest star has SNR 2.1, need 5"

    with pytest.raises(
        CalibrationFailed, match=r"no position in 10 frames running .*: brightest star has SNR 2.1, need 5"
    ):
        virtual_time.run(calibrate(CalibrationRule(), lost, plant.pulse, lambda *_: None, 10.0))


def test_a_dead_mount_ends_it():
    async def pulse(direction: Direction, seconds: float) -> None:
        raise DeviceGone("mount unplugged")

    with pytest.raises(CalibrationFailed, match="mount unplugged"):
        virtual_time.run(calibrate(CalibrationRule(), Plant().measure, pulse, lambda *_: None, 10.0))


def test_it_ends_in_time():
    import asyncio

    async def never() -> Position | str:
        await asyncio.sleep(3600)
        return "never"

    with pytest.raises(CalibrationFailed, match="not done after 300 s"):
        virtual_time.run(calibrate(CalibrationRule(), never, Plant().pulse, lambda *_: None, 10.0))


class Contrary(Plant):
    """East pulses move the stars as West pulses do: a relay that hangs."""

    async def pulse(self, direction: Direction, seconds: float) -> None:
        await super().pulse(Direction.WEST if direction is Direction.EAST else direction, seconds)


class Wandering(Plant):
    """Tracking stops in the middle."""

    async def measure(self) -> Position | str:
        found = await super().measure()
        if len(self.pulses) > 3 and isinstance(found, Position):
            return Position(found.t_s, found.dx + 4.0 * (self.t_s - 16.0), found.dy)
        return found


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (Contrary(), "^RA moves the wrong way: East and West pulses move the stars the same way"),
        (Plant(drift=(4.6, 0.0)), r"^the stars move by themselves: by 23\.\d px while a West pulse of 2 s moves them"),
        (Wandering(), "^the stars move by themselves: by .* px from frame to frame, .*; check that the mount tracks"),
    ],
)
def test_what_no_response_explains_is_named(plant, message):
    with pytest.raises(CalibrationFailed, match=message):
        run(plant)


@given(st.integers(0, 10**6), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.0, 3.0))
@settings(max_examples=8, deadline=None)
def test_drift_and_backlash_are_no_reason_to_object(seed, x_px_per_s, y_px_per_s, backlash_s):
    run(Plant(seed=seed, drift=(x_px_per_s, y_px_per_s), backlash_s=backlash_s))
