"""Hypotheses of Dec's gears."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acquisition.guiding.algorithms.gears import Gears

TURNS = st.lists(st.floats(-30, 30), max_size=20)


def stands_in_play(gears: Gears) -> bool:
    return bool((gears.motor - gears.backlash <= gears.axis + 1e-9).all() and (gears.axis <= gears.motor + 1e-9).all())


def test_the_axis_moves_when_the_play_is_used_up():
    gears = Gears.new(np.array([2.0, 2.0]), np.array([2.0, 0.0]))
    south = gears.turned(3.0)
    np.testing.assert_allclose(south.axis - gears.axis, [1.0, 3.0])
    north = south.turned(-2.5)
    np.testing.assert_allclose(north.axis - south.axis, -0.5)
    np.testing.assert_array_equal(south.pushed_south, 1)
    np.testing.assert_array_equal(north.pushed_south, 0)


@given(TURNS, st.floats(0, 30), st.floats(-5, 5))
def test_the_axis_never_leaves_the_play(turns, backlash, more):
    gears = Gears.new(np.full(2, backlash), np.array([backlash, 0.0]))
    for amount in turns:
        gears = gears.turned(amount)
        assert stands_in_play(gears)
    found = gears.with_more(np.array([more, -more]))
    assert stands_in_play(found)
    assert (found.backlash >= 0).all()


@given(TURNS, st.floats(1, 20), st.floats(0, 3))
def test_play_that_was_found_later_is_play_that_was_there(turns, backlash, more):
    """Once a reversal went all the way through it."""
    believed, true = (Gears.new(np.array([play]), np.array([play])) for play in (backlash, backlash + more))
    for amount in (*turns, 200.0, -200.0, 300.0):
        believed, true = believed.turned(amount), true.turned(amount)
    found = believed.with_more(np.array([more]))
    np.testing.assert_allclose(found.axis, true.axis, atol=1e-9)
    np.testing.assert_allclose(found.turned(-250.0).axis, true.turned(-250.0).axis, atol=1e-9)
