"""The move that suits several ideas of the gears best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.kernels.backlash import best_move


def rates_of(n: int, lopsided: float) -> np.ndarray:
    return np.array([[1 + lopsided] * n, [1 - lopsided] * n])


def move(
    hypotheses: list[tuple[float, float, float, float]], motor: float = 0.0, worth: float = 0.0, lopsided: float = 0.0
) -> float:
    """Of hypotheses (share, wanted, axis, backlash)."""
    n = len(hypotheses)
    return best_move(*np.array(hypotheses, float).T, np.full(n, motor), rates_of(n, lopsided), worth)[0]


@pytest.mark.parametrize("wanted", [1.5, 0.01, -1.5])
def test_without_backlash_the_motor_does_what_is_wanted(wanted):
    assert move([(1, wanted, 2.0, 0.0)], motor=2.0, worth=100.0) == pytest.approx(wanted)


def test_a_gap_that_is_known_is_crossed_exactly_and_only_in_its_direction():
    assert move([(1, 0.5, -4.0, 4.0)]) == pytest.approx(0.5)
    assert move([(1, -0.5, -4.0, 4.0)]) == pytest.approx(-4.5)


def test_a_motor_that_moves_less_one_way_is_asked_for_more():
    assert move([(1, 0.5, -4.0, 4.0)], lopsided=0.25) == pytest.approx(0.4)
    assert move([(1, -0.5, -4.0, 4.0)], lopsided=0.25) == pytest.approx(-6.0)


def test_an_axis_that_leaps_at_reversals_turns_about_only_for_more_than_that():
    leaps = -1.0
    assert move([(1, 0.3, 0.0, leaps)]) == pytest.approx(0.0, abs=1e-9)
    assert move([(1, 1.3, 0.0, leaps)]) == pytest.approx(0.3)
    assert move([(1, -0.3, 0.0, leaps)]) == pytest.approx(-0.3)


def test_a_gap_is_not_crossed_for_what_is_not_worth_it():
    assert move([(1, -0.2, -4.0, 4.0)], worth=0.05) == 0
    assert move([(1, -0.3, -4.0, 4.0)], worth=0.05) < -4


def test_of_two_gaps_the_likelier_is_crossed_with_a_thought_of_the_other():
    between = move([(0.7, 1.0, -1.0, 2.0), (0.3, 1.0, -1.0, 2.4)], motor=-1.0)
    assert 3.0 < between < 3.4


def test_who_is_nearly_sure_of_a_large_gap_does_not_bet_that_much():
    large, none = (-1.0, 0.0, 13.0), (-1.0, 13.0, 0.0)
    assert move([(1.0, *large)], motor=13.0) == pytest.approx(-14.0)
    assert move([(0.99, *large), (0.01, *none)], motor=13.0) > -3


@given(
    hypotheses=st.lists(
        st.tuples(st.floats(1e-6, 1), st.floats(-30, 30), st.floats(0, 1), st.floats(0, 25)), min_size=1, max_size=8
    ),
    motor=st.floats(-50, 50),
    lopsided=st.floats(-0.3, 0.3),
    worth=st.floats(0, 2),
)
def test_never_leaves_more_than_resting_and_says_how_much(hypotheses, motor, lopsided, worth):
    shares, wanted, within, backlash = np.array(hypotheses).T
    shares, axis = shares / shares.sum(), motor - within * backlash

    def errors(moved: float) -> np.ndarray:
        end = motor + moved * (1 + lopsided if moved > 0 else 1 - lopsided)
        return wanted - (np.clip(axis, end - backlash, end) - axis)

    def loss(moved: float) -> float:
        return float((shares * (errors(moved) ** 2 + errors(moved) ** 4 / 1.5**2)).sum())

    n = len(shares)
    best, left = best_move(shares, wanted, axis, backlash, np.full(n, motor), rates_of(n, lopsided), worth)
    assert loss(best) <= loss(0.0) * (1 + 1e-9) + 1e-9
    assert left == pytest.approx((shares * errors(best) ** 2).sum(), rel=1e-6, abs=1e-9)
