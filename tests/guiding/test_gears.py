"""Hypotheses of Dec's gears."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.guiding.algorithms.gears import Gears

TURNS = st.lists(st.floats(-30, 30), max_size=20)


def stands_in_play(gears: Gears) -> bool:
    ends = gears.motor - gears.backlash, gears.motor
    after, before = np.minimum(*ends) <= gears.axis + 1e-9, gears.axis <= np.maximum(*ends) + 1e-9
    return bool(after.all() and before.all())


def test_the_axis_moves_when_the_play_is_used_up():
    gears = Gears.new(np.array([2.0, 2.0]), np.array([2.0, 0.0]))
    south, _ = gears.turned(3.0)
    np.testing.assert_allclose(south.axis - gears.axis, [1.0, 3.0])
    north, _ = south.turned(-2.5)
    np.testing.assert_allclose(north.axis - south.axis, -0.5)
    np.testing.assert_array_equal(south.pushed_south, 1)
    np.testing.assert_array_equal(north.pushed_south, 0)


def test_a_motor_may_move_further_one_way():
    gears = Gears.new(np.array([0.0]), np.array([0.0])).with_more(np.zeros(1), np.array([0.2]))
    south, _ = gears.turned(1.0)
    north, _ = south.turned(-1.0)
    assert south.axis[0] == pytest.approx(1.2)
    assert north.axis[0] == pytest.approx(0.4)


def test_negative_play_is_a_leap_at_reversals():
    gears = Gears.new(np.array([0.5]), np.array([0.5])).with_more(np.array([-1.5]), np.zeros(1))
    assert gears.backlash[0] == -1
    places = [gears.axis[0]]
    for amount in (0.1, 0.1, -0.1, -0.1, 0.1):
        gears, _ = gears.turned(amount)
        places.append(gears.axis[0])
    assert np.diff(places) == pytest.approx([1.1, 0.1, -1.1, -0.1, 1.1])


def test_what_it_took_to_cross_a_gap_is_told_when_it_is_crossed():
    gears = Gears.new(np.array([4.0]), np.array([0.0]))
    told = []
    for amount in (1.0, -1.5, -1.0, -2.0, -3.0, 5.0):
        gears, crossed = gears.turned(amount)
        told.append(crossed[0])
    assert told == pytest.approx([0, 0, 0, 4.0, 0, 4.0])


@given(TURNS, st.floats(0, 30), st.floats(-5, 5), st.floats(-1, 1))
def test_the_axis_never_leaves_the_play(turns, backlash, more, lopsided):
    gears = Gears.new(np.full(2, backlash), np.array([backlash, 0.0]))
    for amount in turns:
        gears, crossed = gears.turned(amount)
        assert stands_in_play(gears)
        assert (crossed >= -1e-9).all()
    found = gears.with_more(np.array([more, -more]), np.full(2, lopsided))
    assert stands_in_play(found)
    assert (found.rates > 0.5).all()


def test_less_play_than_was_believed_drags_the_axis_along():
    """Pushed North, then South within the play that there is not."""
    gears, _ = Gears.new(np.array([5.0]), np.array([5.0])).turned(3.0)
    assert gears.axis[0] == 0
    assert gears.with_more(np.array([-3.0]), np.zeros(1)).axis[0] == 1


@given(TURNS, st.floats(1, 20), st.floats(0, 3))
def test_play_that_was_found_later_is_play_that_was_there(turns, backlash, more):
    """Once a reversal went all the way through it."""
    believed, true = (Gears.new(np.array([play]), np.array([play])) for play in (backlash, backlash + more))
    for amount in (*turns, 200.0, -200.0, 300.0):
        believed, true = believed.turned(amount)[0], true.turned(amount)[0]
    found = believed.with_more(np.array([more]), np.zeros(1))
    np.testing.assert_allclose(found.axis, true.axis, atol=1e-9)
    np.testing.assert_allclose(found.turned(-250.0)[0].axis, true.turned(-250.0)[0].axis, atol=1e-9)
