"""What the predictive law supposes while no period is sure."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.guiding.algorithms.periodic_banks import suppose, supposing_banks


def night(harmonics: int, fall: float, period_s: float, duration_s: float) -> np.ndarray:
    """Rows as the predictive law keeps them, of a worm with so many harmonics that fall so fast."""
    random = np.random.default_rng(2)
    t_s = np.arange(0.0, duration_s, 2.5)
    z = 0.01 * t_s + random.normal(0, 0.2, len(t_s))
    for h in range(1, harmonics + 1):
        z += 10 / h**fall * np.cos(2 * np.pi * h * t_s / period_s + random.uniform(0, 6))
    return np.column_stack([t_s, np.full(len(t_s), 2.0), z, np.ones(len(t_s))])


def test_filters_for_rugged_curves_are_there_when_the_curve_is_rugged():
    banks = [
        len(supposing_banks(rows, (), suppose(rows, ())))
        for rows in (night(4, 1.6, 500, 400), night(40, 1.2, 300, 250))
    ]
    assert banks == [2, 3]


def test_the_period_is_supposed_rightly_as_soon_as_the_turn_is_over():
    """Two minutes before the search by least squares, which needs 1.3 turns, may name it."""
    supposed = suppose(night(8, 1.5, 500.0, 520.0), ())
    assert max(supposed, key=lambda one: one.score).period_s == pytest.approx(500, rel=0.03)
