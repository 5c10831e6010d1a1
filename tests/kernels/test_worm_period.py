"""Lines that are told from those that are known already."""

import numpy as np
import pytest

from acquisition.kernels.worm_period import strongest_line

HARMONIC_HZ, NOISE = 5 / 638.0, 0.5
T_S = np.arange(0.0, 1600.0, 3.0)


def innovations(line_hz: float, amplitude: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, NOISE, len(T_S))
    return noise + amplitude * np.cos(2 * np.pi * line_hz * T_S + 1)


def test_a_gear_beside_a_harmonic_of_the_worm_is_found_before_they_are_a_cycle_apart():
    gear_hz = 1 / 121.7
    assert 0.3 < (gear_hz - HARMONIC_HZ) * T_S[-1] < 1
    found = strongest_line(T_S, innovations(gear_hz, 0.6), np.array([HARMONIC_HZ]))
    assert found == pytest.approx(gear_hz, abs=0.1 / T_S[-1])


def test_noise_has_no_line():
    assert strongest_line(T_S, innovations(0.0, 0.0), np.zeros(0)) is None
