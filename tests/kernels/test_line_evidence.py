"""How much better a series is expected with a line."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.kernels.kalman_bank import new_bank
from acquisition.kernels.line_evidence import log_bayes_factors

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
    bank.noise[:, :2] = 1e9, 1e9 * r  # known beforehand
    evidence = log_bayes_factors(bank, t_s, np.full(len(t_s), EXPOSURE_S), z, weight, frequencies, variance)
    assert evidence == pytest.approx(exact, abs=1e-5)
    assert evidence[0] > 5 > evidence[2]
