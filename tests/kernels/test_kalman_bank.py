"""Banks of Kalman filters."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.kernels.kalman_bank import RECENT, Bank, new_bank, replay, update
from acquisition.kernels.kalman_swing import new_swing_bank, update_swing

MEMORY = 200.0


@pytest.mark.parametrize(("groups", "lines"), [(1, 0), (1, 8), (3, 2)])
def test_a_series_replayed_is_its_measurements_one_after_the_other_to_the_bit(groups: int, lines: int) -> None:
    random = np.random.default_rng(1)
    omega = random.uniform(0.01, 0.5, (groups, lines))
    z, weight, exposure_s = random.normal(0, 1, 100), random.uniform(0.5, 9, 100), random.uniform(0.5, 2, 100)
    t_s = np.cumsum(random.uniform(1, 3, 100))

    def bank() -> Bank:
        walks = np.tile([(0.01, 1e-6), (0.2, 1e-4)], (groups, 1))
        return new_bank(walks, 0.3, 0.05, omega, np.full_like(omega, 0.1), np.full_like(omega, 1e-6))

    one, other = bank(), bank()
    replay(one, t_s, exposure_s, z, weight, MEMORY)
    for i, dt_s in enumerate(np.diff(t_s, prepend=t_s[0])):
        update(other, dt_s, t_s[i], exposure_s[i], np.full(len(other.x), z[i]), weight[i], MEMORY)
    assert all(np.array_equal(replayed, updated) for replayed, updated in zip(one, other, strict=True))


def test_recent_is_a_score_of_shorter_memory() -> None:
    random = np.random.default_rng(2)
    bank = new_bank(np.array([(0.01, 1e-6), (0.2, 1e-4)]), 0.3, 0.05, *np.zeros((3, 0)))
    t_s, ones = np.arange(100.0), np.ones(100)
    replay(bank, t_s, ones, random.normal(0, 1, 100), ones, RECENT)
    assert bank.recent == pytest.approx(bank.score)
    assert bank.recent[0] != bank.recent[1]


def test_swinging_filters_have_a_recent_score_too() -> None:
    random = np.random.default_rng(2)
    bank = new_swing_bank(np.array([(0.2, 1e-4), (4, 0.01)]), np.array([(1.0, 0.5, 10.0), (2.0, 0.5, 30.0)]), 0.3, 0.05)
    for z in random.normal(0, 1, 100):
        update_swing(bank, 0.5, z, 1.0, RECENT)
    assert bank.recent == pytest.approx(bank.score)
    assert bank.recent[0] != bank.recent[1]
