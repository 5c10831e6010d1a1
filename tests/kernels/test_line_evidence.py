"""How much better a series is expected with a line, and the search that believes it."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.algorithms.worm_search import search
from acquisition.kernels.kalman_bank import new_bank
from acquisition.kernels.line_evidence import line_evidence

EXPOSURE_S = 2.0


def seen(frequencies_hz: np.ndarray, t_s: np.ndarray) -> np.ndarray:
    """Cosines and sines (n, 2k) as exposures see them."""
    phase = 2 * np.pi * np.outer(t_s, frequencies_hz)
    return np.hstack([np.cos(phase), np.sin(phase)]) * np.tile(np.sinc(frequencies_hz * EXPOSURE_S), 2)


def test_evidence_is_the_gain_in_exact_likelihood():
    """Against the normal distribution of the whole series, with drift, walks, a known line, and with the new one."""
    random = np.random.default_rng(3)
    t_s = np.cumsum(random.uniform(2, 4, 150))
    t_s -= t_s[0]
    r, (q_b, q_v), known_hz, prior, variance = 0.3, (0.05, 1e-5), 1 / 130, 4.0, 0.6
    weight = random.uniform(0.7, 3, len(t_s))
    early, late = np.minimum.outer(t_s, t_s), np.maximum.outer(t_s, t_s)
    known = seen(np.array([known_hz]), t_s)
    without = 25 + 0.05**2 * np.outer(t_s, t_s) + r * (q_b * early + q_v * early**2 * (3 * late - early) / 6)
    without += prior * known @ known.T + np.diag(r * weight)
    frequencies = np.array([1 / 13.4, 1 / 121.7, 1 / 40])
    z = 0.4 * np.cos(2 * np.pi * frequencies[0] * t_s + 1) + np.linalg.cholesky(without) @ random.normal(size=len(t_s))

    def log_likelihood(covariance: np.ndarray) -> float:
        y = z - z[0]
        return float(-0.5 * (np.linalg.slogdet(covariance)[1] + y @ np.linalg.solve(covariance, y)))

    exact = []
    for frequency in frequencies:
        line = seen(np.array([frequency]), t_s)
        exact.append(log_likelihood(without + variance * line @ line.T) - log_likelihood(without))
    bank = new_bank(
        np.array([[q_b, q_v]]), z[0], 0.05, np.array([2 * np.pi * known_hz]), np.array([prior]), np.zeros(1)
    )
    bank.noise[:] = 1e9, 1e9 * r  # known beforehand
    evidence = line_evidence(bank, t_s, np.full(len(t_s), EXPOSURE_S), z, weight, frequencies, variance)
    assert evidence == pytest.approx(exact, abs=1e-5)
    assert evidence[0] > 5 > evidence[2]


def night(duration_s: float, gear_arcsec: float, worm_arcsec: float = 0.0) -> np.ndarray:
    """Rows as the predictive law keeps them: a worm of 638 s, a gear of 121.7 s, drift, and noise."""
    random = np.random.default_rng(1)
    t_s = np.arange(0.0, duration_s, 3.0)
    z = gear_arcsec * np.cos(2 * np.pi * t_s / 121.7 + 1) + 0.005 * t_s + random.normal(0, 0.3, len(t_s))
    for h in range(1, 9):
        z += worm_arcsec / h**1.5 * np.cos(2 * np.pi * h * t_s / 638 + h * h)
    return np.column_stack([t_s, np.full(len(t_s), EXPOSURE_S), z, np.ones(len(t_s))])


def test_a_gear_beside_a_harmonic_of_the_worm_is_found_before_they_are_a_cycle_apart():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    assert 0.3 < (1 / 121.7 - 5 / 638) * 1600 < 1
    found = search(rows, Worm(638.0), built=True, scan=False)
    assert found.worm.lines_hz == (pytest.approx(1 / 121.7, abs=0.15 / 1600),)


@pytest.mark.parametrize("worm_arcsec", [0.0, 8.0])
@pytest.mark.parametrize("duration_s", [130.0, 400.0, 900.0])
def test_where_there_is_no_gear_there_is_no_line(duration_s: float, worm_arcsec: float):
    assert search(night(duration_s, 0.0, worm_arcsec), Worm(), built=False, scan=True).worm.lines_hz == ()


def test_a_known_line_is_put_where_the_evidence_is():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    wrong_hz = 1 / 121.7 + 0.2 / 1600
    (found_hz,) = search(rows, Worm(638.0, (wrong_hz,)), built=True, scan=False).worm.lines_hz
    assert found_hz == pytest.approx(1 / 121.7, abs=0.06 / 1600)


def test_a_line_that_the_night_contradicts_is_given_up():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    found = search(rows, Worm(638.0, (1 / 121.7, 1 / 50)), built=True, scan=False)
    assert found.worm.lines_hz == (pytest.approx(1 / 121.7, abs=0.1 / 1600),)
