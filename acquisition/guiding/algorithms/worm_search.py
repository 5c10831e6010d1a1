"""The search for a worm's period, and what is then worth believing, off the loop's path.

In: rows of a night (time, exposure, position, weight) and what is known so far. Out: what is known now, and
banks of filters that know it and have seen the history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.line_search import find_lines
from acquisition.guiding.algorithms.periodic_banks import (
    HARMONICS,
    log_likelihood,
    periodic_bank,
    suppose,
    supposing_banks,
)
from acquisition.guiding.algorithms.worm import Worm

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank

FloatArray = NDArray[np.float64]

_CONVINCING = 3.0  # by how much another period's log-likelihood must be better
_NOTICEABLE = 0.03  # change of the worm's phase over the history, rad
_REPLAY_FRAMES = 4000
_LINE_FRAMES = 1500
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
        Whether there is another period, or one more line, than those before knew: what they were worth says nothing.
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
    base = Worm(period_s, worm.lines_hz) if anew else replace(worm, period_s=period_s)
    unsure = not base.cosines and duration_s < (_SUPPOSED_S if period_s is None else _SUPPOSED_TURNS * period_s)
    supposed = suppose(recent, base.lines_hz) if unsure else ()
    lines, added = find_lines(rows[-_LINE_FRAMES:], base, base.taught(duration_s), supposed)
    found = replace(base, lines_hz=lines)
    if not unsure and found == worm and (built or period_s is None):
        return Found(found, None, (), len(rows), False)
    orders = HARMONICS if period_s is not None else (0,) if lines else ()
    banks = tuple(periodic_bank(recent, found, harmonics) for harmonics in orders)
    return Found(found, banks, supposing_banks(recent, lines, supposed) if unsure else (), len(rows), anew or added)


def _period(rows: FloatArray, worm: Worm, scan: bool, built: bool) -> float | None:
    """The worm's period: the known one unless another expects the history better."""
    from acquisition.kernels.worm_period import search_period

    old, duration_s = worm.period_s, float(rows[-1, 0] - rows[0, 0])
    if worm.taught(duration_s):
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
