"""Filters that know of gusts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from acquisition.kernels.kalman_gusts import GustBank, new_gust_bank, predict_gusts, update_gusts

MEMORY = 300.0
STILL = np.array([(1e-4, 1e-7)])


def seen(walk: np.ndarray, gust: np.ndarray, z: np.ndarray, dt_s: float) -> GustBank:
    bank = new_gust_bank(walk, gust, np.full(len(walk), z[0]), 0.02, np.zeros(1), 0.0)
    for i, value in enumerate(z):
        update_gusts(bank, dt_s if i else 0.0, np.full(len(walk), value), np.zeros(1), np.zeros(1), 1.0, MEMORY)
    return bank


def expected(bank: GustBank, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = np.empty(len(bank.x)), np.empty(len(bank.x))
    predict_gusts(bank, dt_s, mean, variance)
    return mean, variance


def gusts(time_s: float, dt_s: float, n: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    keeps, z = math.exp(-dt_s / time_s), np.zeros(n)
    for i in range(1, n):
        z[i] = keeps * z[i - 1] + math.sqrt(1 - keeps**2) * random.normal()
    return z + 0.2 * random.normal(size=n)


def test_in_wind_the_filter_that_knows_its_time_is_believed():
    walk = np.concatenate([STILL] * 4 + [np.array([(0.05, 1e-5), (0.3, 1e-5), (1.5, 1e-4)])])
    gust = np.array([(1.0, 0.0), (0.5, 8.0), (2.5, 8.0), (12.0, 8.0)] + [(1.0, 0.0)] * 3)
    bank = seen(walk, gust, gusts(2.5, 2.4, 600), 2.4)
    assert np.argmax(bank.score) == 2


def test_a_gust_is_forgotten_and_its_variance_comes_back():
    bank = seen(STILL, np.array([(2.5, 8.0)]), np.concatenate([np.zeros(200), [1.0]]), 2.4)
    (now,), (soon,), (late,) = (expected(bank, dt_s)[0] for dt_s in (0.0, 2.5, 50.0))
    assert 0.3 < now < 1.0
    assert soon - late == pytest.approx((now - late) / math.e, rel=0.05)
    _, (variance,) = expected(bank, 50.0)
    noise = bank.noise[0, 1] / bank.noise[0, 0]
    assert variance == pytest.approx(8 * noise + bank.p[0, 0, 0], rel=0.05)


def test_a_large_surprise_counts_more_than_a_small_one():
    def score(last: float) -> float:
        return float(seen(STILL, np.array([(1.0, 0.0)]), np.append(gusts(2.5, 2.4, 100), last), 2.4).score[0])

    assert score(40.0) < score(20.0) - 3 < score(10.0) - 6


def test_play_and_lopsided_pulses_are_told_apart_by_what_shows_when():
    """Play shows while the axis was last pushed one way; lopsided pulses add up with every gap that is crossed."""
    play, lopsided, gap = 0.8, 0.1, 10.0
    walk, gust, none = STILL, np.array([(1.0, 0.0)]), np.zeros(1)
    bank = new_gust_bank(walk, gust, none, 0.0, np.array([1.0]), 0.1)
    random, place = np.random.default_rng(4), 0.0
    for i in range(120):
        south, crossed = float(i // 20 % 2), gap if i and i % 20 == 0 else 0.0
        place -= lopsided * crossed
        z = place + play * south + 0.1 * random.normal()
        update_gusts(bank, 2.0, np.array([z]), np.array([south]), np.array([crossed]), 1.0, MEMORY)
    assert bank.x[0, 3] == pytest.approx(play, abs=0.1)
    assert bank.x[0, 4] == pytest.approx(lopsided, abs=0.01)
    assert (np.sqrt(bank.p[0, 3, 3]), np.sqrt(bank.p[0, 4, 4])) < (0.1, 0.01)
    assert bank.p[0] == pytest.approx(bank.p[0].T)
