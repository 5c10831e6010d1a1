"""Settling, dithering, and from corrections to pulses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.geometry import MountAxis
from acquisition.guiding.apply import AxisLimits, plan_pulse
from acquisition.guiding.dither import Dithers, random_dither, within_frame
from acquisition.guiding.settle import Outcome, SettleRule, SettleState, settle_step
from acquisition.mount import Direction

AXIS = MountAxis(angle_deg=10.0, rate_px_per_s=2.0)


def plan(correction, limits=AxisLimits(), min_pulse_s=0.001):  # noqa: B008  # frozen
    return plan_pulse(correction, AXIS, limits, Direction.WEST, min_pulse_s)


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.1, 10))
def test_no_number_makes_a_pulse_beyond_the_limit(correction, max_pulse_s):
    pulse = plan(correction, AxisLimits(max_pulse_s))
    assert math.isfinite(pulse.duration_s)
    assert 0 <= pulse.duration_s <= max_pulse_s
    assert (pulse.direction is None) == (pulse.duration_s == 0) == (pulse.sent_px == 0)
    if not math.isfinite(correction):
        assert pulse.direction is None


def test_direction_length_and_what_was_sent():
    pulse = plan(1.0)
    assert (pulse.direction, pulse.duration_s, pulse.sent_px, pulse.limited) == (Direction.WEST, 0.5, 1.0, False)
    pulse = plan(-20.0)
    assert (pulse.direction, pulse.duration_s, pulse.sent_px, pulse.limited) == (Direction.EAST, 2.5, -5.0, True)
    assert plan(0.01, min_pulse_s=0.02).direction is None


def test_an_axis_that_may_go_one_way_only():
    assert plan(1.0, AxisLimits(mode="east")).direction is None
    assert plan(-1.0, AxisLimits(mode="east")).direction is Direction.EAST
    assert plan(-1.0, AxisLimits(mode="off")).direction is None


def settle(distances, rule):
    state = SettleState(0.0)
    for t_s, distance in enumerate(distances):
        state, outcome = settle_step(rule, state, float(t_s), distance)
        if outcome is not Outcome.SETTLING:
            return t_s, outcome
    return None, Outcome.SETTLING


def test_settled_when_in_range_long_enough():
    rule = SettleRule(pixels=1.0, time_s=3.0, timeout_s=30.0)
    assert settle([0.5] * 10, rule) == (3, Outcome.SETTLED)
    # the smoothed distance (weight 0.3) of a 5 px step needs five frames to come below 1 px
    assert settle([5.0] + [0.0] * 20, rule) == (5 + 3, Outcome.SETTLED)


def test_a_lost_frame_or_an_excursion_starts_the_time_again():
    rule = SettleRule(pixels=1.0, time_s=3.0, timeout_s=30.0)
    assert settle([0.5, 0.5, None, *[0.5] * 9], rule) == (6, Outcome.SETTLED)
    assert settle([0.5, 0.5, 9.0, *[0.0] * 20], rule)[0] > 6


def test_settling_gives_up_in_time():
    rule = SettleRule(pixels=1.0, time_s=3.0, timeout_s=12.0)
    assert settle([5.0] * 40, rule) == (12, Outcome.TIMED_OUT)
    assert settle([None] * 40, rule) == (12, Outcome.TIMED_OUT)


@given(st.floats(0, 100), st.booleans(), st.integers(0, 1000))
def test_a_dither_stays_within_its_amount(amount, ra_only, seed):
    ra, dec = random_dither(np.random.default_rng(seed), amount, ra_only)
    assert abs(ra) <= amount
    assert abs(dec) <= amount
    assert not (ra_only and dec)


@pytest.mark.parametrize("amount", [-1.0, math.nan, math.inf])
def test_a_dither_needs_an_amount(amount):
    with pytest.raises(ValueError, match="dither amount is"):
        random_dither(np.random.default_rng(0), amount)


def places(pattern, number, ra_only=False):
    dithers = Dithers(pattern, np.random.default_rng(1))
    return np.cumsum([dithers.next(2.0, ra_only) for _ in range(number)], axis=0).tolist()


def test_a_spiral_visits_every_place_of_a_square_once():
    visited = {(x, y) for x, y in places("spiral", 48)} | {(0.0, 0.0)}
    assert visited == {(2.0 * x, 2.0 * y) for x in range(-3, 4) for y in range(-3, 4)}


def test_on_ra_only_a_spiral_goes_to_and_fro_ever_further():
    assert places("spiral", 5, ra_only=True) == [[2, 0], [-2, 0], [4, 0], [-4, 0], [6, 0]]


@pytest.mark.parametrize(("x", "expected"), [(50.0, (3.0, 1.0)), (98.0, (-3.0, 1.0)), (150.0, (-3.0, 1.0))])
def test_a_dither_that_would_leave_the_frame_is_mirrored(x, expected):
    assert within_frame((3.0, 1.0), lambda ra, dec: 100.0 - (x + ra)) == expected


@pytest.mark.parametrize("limits", [{"min_pulse_s": 3.0}, {"min_pulse_s": -1.0}, {"max_net_pulse_s": 0.0}])
def test_limits_that_contradict_each_other_are_rejected(limits):
    with pytest.raises(ValueError, match="allowed"):
        AxisLimits(**limits)


def test_pulses_shorter_than_the_users_limit_are_not_sent():
    assert plan(0.3, AxisLimits(min_pulse_s=0.2)).direction is None
    assert plan(0.5, AxisLimits(min_pulse_s=0.2)).direction is Direction.WEST
