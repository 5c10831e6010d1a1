"""How far Dec's motor may turn at once into a gap."""

from acquisition.guiding.algorithms.crossing import Crossing


def test_an_unknown_gap_is_crossed_in_steps():
    assert Crossing().limited(15.0, 0.5) == 2.5
    assert Crossing().limited(-1.0, 0.5) == -1.0


def test_a_gap_that_was_crossed_both_ways_is_crossed_at_once():
    crossing = Crossing().after(13.0).left_behind(10.0, south=True)
    assert crossing.limited(-15.0, 0.5) == -2.5, "it may have been pulses that never arrived"
    crossing = crossing.after(-13.0).left_behind(10.0, south=False)
    assert crossing.limited(15.0, 0.5) == 12.5
    assert crossing.after(4.0).limited(15.0, 0.5) == 8.5, "a part of it lies behind"


def test_no_more_is_known_than_how_far_the_motor_has_turned():
    assert Crossing().after(3.0).left_behind(10.0, south=True).south == 3.0
    assert Crossing().after(3.0).left_behind(10.0, south=False) == Crossing(3.0)
