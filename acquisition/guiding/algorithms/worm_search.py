"""The search for a worm's period and for other lines, off the loop's path.

In: rows of a night (time, exposure, position, weight) and what is known so far. Out: what is known now, and
banks of filters that know it and have seen the history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.periodic_banks import (
    HARMONICS,
    Likeliest,
    Supposed,
    likeliest_filter,
    line_evidence,
    log_likelihood,
    periodic_bank,
    suppose,
    supposing_banks,
)
from acquisition.guiding.algorithms.worm import Worm

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank

FloatArray = NDArray[np.float64]

SURE_TURNS = 2.0  # seen before a curve is worth keeping
_CONVINCING = 3.0  # by how much another period's log-likelihood must be better
_CONVINCING_LINE = 5.0  # the same for a line, beyond the logarithm of the number of frequencies looked at
_NOTICEABLE = 0.03  # change of the worm's phase over the history, rad
_NOTICEABLE_CYCLES = 0.02  # the same of a line
_REPLAY_FRAMES = 4000
_LINE_FRAMES = 1500
_FEWEST_FRAMES, _SHORTEST_S = 40, 100.0  # before any line is looked for
_MOST_LINES = 6
_APART_CYCLES = 0.3  # over the series, by which lines must differ to be two
_FINE_CYCLES = np.arange(-0.3, 0.31, 0.05)  # over the series, by how much a known line may be wrong
_LONGEST_LINE_S = 200.0
_SUPPOSED_TURNS, _SUPPOSED_S = 2.5, 1800.0  # how long several periods are followed; the latter if none is found


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    worm : Worm
    banks : tuple of Bank or None
        Filters that know period and lines; None: those there are still serve.
    supposing : tuple of Bank
        Filters for several periods, while none is sure.
    frames : int
        How much of the history the banks have seen.
    anew : bool
        Whether the banks know something else than those before.
    """

    worm: Worm
    banks: tuple[Bank, ...] | None
    supposing: tuple[Bank, ...]
    frames: int
    anew: bool


def search(rows: FloatArray, worm: Worm, built: bool, scan: bool) -> Found:
    """Find period and lines, and filter the history anew when they have changed, or nothing is sure.

    Parameters
    ----------
    rows : array (n, 4)
    worm : Worm
        Known so far.
    built : bool
        Whether there are filters that know its period.
    scan : bool
        Whether to look through all periods.
    """
    recent, duration_s = rows[-_REPLAY_FRAMES:], float(rows[-1, 0])
    period_s = _period(recent, worm, scan, built)
    anew = period_s is not None and (worm.period_s is None or abs(period_s / worm.period_s - 1) > 0.01)
    taught_curve = bool(worm.cosines) and not anew
    unsure = not taught_curve and duration_s < (_SUPPOSED_S if period_s is None else _SUPPOSED_TURNS * period_s)
    supposed = suppose(recent, worm.lines_hz) if unsure else ()
    lines, added = _lines(recent, rows[-_LINE_FRAMES:], replace(worm, period_s=period_s), supposed)
    found = Worm(period_s, lines) if anew else replace(worm, period_s=period_s, lines_hz=lines)
    known = period_s is not None or bool(lines)
    if not unsure and (not known or (found == worm and (built or period_s is None))):
        return Found(found, None, (), len(rows), False)
    orders = HARMONICS if period_s is not None else (0,) if lines else ()
    banks = tuple(periodic_bank(recent, found, harmonics) for harmonics in orders)
    return Found(found, banks, supposing_banks(recent, lines, supposed) if unsure else (), len(rows), anew or added)


def _period(rows: FloatArray, worm: Worm, scan: bool, built: bool) -> float | None:
    """The worm's period: the known one unless another expects the history better."""
    from acquisition.kernels.worm_period import search_period

    old, duration_s = worm.period_s, float(rows[-1, 0] - rows[0, 0])
    if taught(worm, duration_s):
        return old
    period_s = search_period(rows[:, 0], rows[:, 2], None if scan else old)
    if period_s is None or duration_s < 0.9 * period_s:
        return old
    period_s = _likeliest_period(rows, period_s, wide=scan or not built)
    if old is None:
        return period_s
    if 2 * np.pi * abs(period_s - old) * duration_s / old**2 <= _NOTICEABLE:
        return old
    if abs(period_s / old - 1) > 0.01:
        better = log_likelihood(rows, period_s) - log_likelihood(rows, old)
        return period_s if better > _CONVINCING else old
    return period_s


def taught(worm: Worm, duration_s: float) -> bool:
    """Whether another night saw more of the worm than this one has yet."""
    return worm.period_s is not None and len(worm.cosines) > 0 and duration_s < SURE_TURNS * worm.period_s


def _lines(
    rows: FloatArray, last: FloatArray, worm: Worm, supposed: tuple[Supposed, ...]
) -> tuple[tuple[float, ...], bool]:
    """Lines that are not the worm's: the known ones refined, and perhaps one more; and whether there is one."""
    period_s, duration_s = worm.period_s, float(rows[-1, 0] - rows[0, 0])
    harmonics = np.zeros(0) if period_s is None else np.arange(1, max(HARMONICS) + 1) / period_s
    known = taught(worm, duration_s)
    too_near_hz = _APART_CYCLES / duration_s
    lines = tuple(line for line in worm.lines_hz if known or np.all(np.abs(harmonics - line) > too_near_hz))
    if len(rows) < _FEWEST_FRAMES or duration_s < _SHORTEST_S:
        return lines, False
    likeliest = likeliest_filter(last, replace(worm, lines_hz=lines), supposed)
    if not known:
        lines = _refined(rows, likeliest, lines)
    if len(lines) == _MOST_LINES:
        return lines, False
    added = _new_line(last, likeliest, lines, np.concatenate([harmonics, lines]))
    return (lines, False) if added is None else ((*lines, added), True)


def _refined(rows: FloatArray, likeliest: Likeliest, lines: tuple[float, ...]) -> tuple[float, ...]:
    """Lines where there is most evidence for them, if there still is any."""
    duration_s = float(rows[-1, 0] - rows[0, 0])
    for line in lines:
        others = tuple(other for other in lines if other != line)
        fine = line + _FINE_CYCLES / duration_s
        evidence = line_evidence(rows, likeliest, others, fine)
        best = int(np.argmax(evidence))
        if evidence[best] < 0:
            lines = others
        elif abs(fine[best] - line) * duration_s > _NOTICEABLE_CYCLES:
            lines = tuple(float(fine[best]) if other == line else other for other in lines)
    return lines


def _new_line(rows: FloatArray, likeliest: Likeliest, lines: tuple[float, ...], taken_hz: FloatArray) -> float | None:
    """Frequency of a line that is not known yet, if it is there beyond doubt."""
    duration_s = float(rows[-1, 0] - rows[0, 0])
    frequencies = np.arange(
        max(1 / _LONGEST_LINE_S, 4 / duration_s), 0.45 * (len(rows) - 1) / duration_s, 0.5 / duration_s
    )
    for taken in taken_hz:
        frequencies = frequencies[np.abs(frequencies - taken) > _APART_CYCLES / duration_s]
    if len(frequencies) < 10:
        return None
    evidence = line_evidence(rows, likeliest, lines, frequencies)
    best = int(np.argmax(evidence))
    if evidence[best] < np.log(len(frequencies) / 2) + _CONVINCING_LINE:
        return None
    fine = frequencies[best] + np.arange(-0.5, 0.51, 0.1) / duration_s
    return float(fine[np.argmax(line_evidence(rows, likeliest, lines, fine))])


def _likeliest_period(rows: FloatArray, period_s: float, wide: bool) -> float:
    """The period near the given one with which periodic filters expect the history best."""
    wide_s = period_s**2 / (12 * np.pi * (rows[-1, 0] - rows[0, 0]))  # half a radian of the third harmonic
    for step in (wide_s, wide_s / 4) if wide else (wide_s / 4,):
        periods = period_s + step * np.arange(-2, 3)
        scores = np.array([log_likelihood(rows, period) for period in periods])
        i = int(np.clip(np.argmax(scores), 1, 3))
        below, here, above = scores[i - 1 : i + 2]
        curvature = below - 2 * here + above
        shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
        period_s = float(periods[i] + np.clip(shift, -1, 1) * step)
    return period_s
