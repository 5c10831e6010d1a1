"""Lines that are not the worm's: what the search believes, refines and gives up."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.algorithms.worm_search import search

EXPOSURE_S = 2.0
WORM_S, GEAR_S = 638.0, 121.7


def night(duration_s: float, gear_arcsec: float, worm_arcsec: float = 0.0) -> np.ndarray:
    """Rows as the predictive law keeps them: a worm, a gear, drift, and noise."""
    random = np.random.default_rng(1)
    t_s = np.arange(0.0, duration_s, 3.0)
    z = gear_arcsec * np.cos(2 * np.pi * t_s / GEAR_S + 1) + 0.005 * t_s + random.normal(0, 0.3, len(t_s))
    for h in range(1, 9):
        z += worm_arcsec / h**1.5 * np.cos(2 * np.pi * h * t_s / WORM_S + h * h)
    return np.column_stack([t_s, np.full(len(t_s), EXPOSURE_S), z, np.ones(len(t_s))])


def test_a_gear_beside_a_harmonic_of_the_worm_is_found_before_they_are_a_cycle_apart():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    found = search(rows, Worm(WORM_S), built=True, scan=False)
    assert found.worm.lines_hz == (pytest.approx(1 / GEAR_S, abs=0.15 / 1600),)


@pytest.mark.parametrize("worm_arcsec", [0.0, 8.0])
@pytest.mark.parametrize("duration_s", [130.0, 400.0, 900.0])
def test_where_there_is_no_gear_there_is_no_line(duration_s: float, worm_arcsec: float):
    assert search(night(duration_s, 0.0, worm_arcsec), Worm(), built=False, scan=True).worm.lines_hz == ()


def test_a_known_line_is_put_where_the_evidence_is():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    wrong_hz = 1 / GEAR_S + 0.2 / 1600
    (found_hz,) = search(rows, Worm(WORM_S, (wrong_hz,)), built=True, scan=False).worm.lines_hz
    assert found_hz == pytest.approx(1 / GEAR_S, abs=0.06 / 1600)


def test_a_line_that_the_night_contradicts_is_given_up():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    found = search(rows, Worm(WORM_S, (1 / GEAR_S, 1 / 50)), built=True, scan=False)
    assert found.worm.lines_hz == (pytest.approx(1 / GEAR_S, abs=0.1 / 1600),)


@pytest.mark.parametrize("order", [17, 20, 24])
@pytest.mark.parametrize("arcsec", [0.1, 0.2, 0.25, 0.4])
def test_a_high_harmonic_is_a_line_or_the_worm_s_but_nothing_beside_it_is(order: int, arcsec: float):
    rows = night(1600.0, 0.0, worm_arcsec=8.0)
    rows[:, 2] += arcsec * np.cos(2 * np.pi * order * rows[:, 0] / WORM_S + 1)
    found = search(rows, Worm(WORM_S), built=True, scan=False)
    assert found.worm.lines_hz in ((), (pytest.approx(order / WORM_S, abs=0.1 / 1600),))
    again = search(rows, found.worm, built=True, scan=False)
    assert not again.anew
    assert again.worm.lines_hz == pytest.approx(found.worm.lines_hz, abs=0.05 / 1600)


def test_what_rises_towards_a_harmonic_is_the_worm_s():
    rows = night(1600.0, 0.0, worm_arcsec=8.0)
    beside_hz = 3 / WORM_S + 0.4 / 1600
    assert search(rows, Worm(WORM_S, (beside_hz,)), built=True, scan=False).worm.lines_hz == ()


def test_searching_the_same_again_changes_nothing():
    rows = night(1600.0, 1.0, worm_arcsec=8.0)
    found = search(rows, Worm(WORM_S), built=True, scan=False)
    again = search(rows, found.worm, built=True, scan=False)
    assert (again.worm, again.anew) == (found.worm, False)


def test_filters_of_a_line_that_was_given_up_are_given_up_too():
    """A fast camera's last frames, too short for any period, after the time in which periods are supposed."""
    rows = night(150.0, 0.0)
    rows[:, 2] += 10 * (rows[:, 0] / 150) ** 2
    rows[:, 0] += 1800
    found = search(rows, Worm(None, (1 / 13,)), built=False, scan=True)
    assert (found.worm, found.banks, found.supposing) == (Worm(), (), ())


def test_lines_are_found_and_given_up_by_the_same_last_frames():
    """A gear that only the last third of a night shows is kept; one that only the first third shows is not."""
    rows = night(3 * 4500.0, 0.0, worm_arcsec=8.0)
    third, gear = len(rows) // 3, np.cos(2 * np.pi * rows[:, 0] / GEAR_S + 1)
    late, early = rows.copy(), rows.copy()
    late[-third:, 2] += gear[-third:]
    early[:third, 2] += gear[:third]
    (line_hz,) = (found := search(late, Worm(WORM_S), built=True, scan=False)).worm.lines_hz
    assert line_hz == pytest.approx(1 / GEAR_S, abs=0.1 / 4500)
    again = search(late, found.worm, built=True, scan=False)
    assert (again.worm.lines_hz, again.anew) == ((pytest.approx(line_hz, abs=0.05 / 4500),), False)
    assert search(early, Worm(WORM_S, (1 / GEAR_S,)), built=True, scan=False).worm.lines_hz == ()
