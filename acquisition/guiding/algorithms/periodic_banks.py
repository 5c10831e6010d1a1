"""Banks of filters that know, or suppose, periods and lines, and have seen the history.

In: rows of a night (time, exposure, position, weight) and what is known of the worm. Out: banks, and how well filters
expect that history.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.worm import Worm

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank

FloatArray = NDArray[np.float64]

MEMORY = 200.0  # measurements that a filter's score remembers
HARMONICS = (8, 15, 30)
_ALL = 1e9
_LINE_HARMONICS = (12, 30)
_FALL = 2.4  # a harmonic's variance is expected to be that of the first over its order to this power
# Process noise of offset and velocity per s, in units of the measurement's variance.
_WALKS = np.array([(1e-3, 1e-7), (0.01, 1e-6), (0.05, 1e-5), (0.2, 1e-4), (1, 1e-4)])
_JUDGING_HARMONICS, _JUDGING_WALKS = 20, _WALKS[1:]
_PHASES, _PHASED_HARMONICS, _PHASED_WALKS = 36, 8, _WALKS[[1, 3]]
_CURVE_CHANGES = 0.15  # from night to night, share of a harmonic
_WANDER = 0.02 / 2500  # variance that an amplitude gains per s, in units of its expected variance
_SUPPOSED_PERIODS_S = np.geomspace(120, 1200, 96)
_SUPPOSED_CURVES = ((8, 3.2), (12, 2.6), (30, 2.6))  # harmonics, and how fast they are expected to fall
_SUPPOSED_WALKS = _WALKS[[1, 3, 4]]
_LIKELIEST = 8  # periods of each curve that are worth following
_RUGGED = 3.0  # by how much the most rugged curve must be likelier than the others to be worth its filters
_EVIDENCE_FRAMES = 300  # are enough to compare periods


def log_likelihood(rows: FloatArray, period_s: float) -> float:
    """How well the best filter that knows the worm's period expects the history."""
    return float(periodic_bank(rows, Worm(period_s), _JUDGING_HARMONICS, _JUDGING_WALKS, _ALL).score.max())


def periodic_bank(
    rows: FloatArray, worm: Worm, harmonics: int, walks: FloatArray = _WALKS, memory: float = MEMORY
) -> Bank:
    """Periodic filters that have seen the history."""
    return _having_seen(rows, _new_periodic_bank(rows, worm, harmonics, walks), memory)


def _new_periodic_bank(rows: FloatArray, worm: Worm, harmonics: int, walks: FloatArray) -> Bank:
    from acquisition.kernels.kalman_bank import new_bank

    h = np.arange(1, harmonics + 1)
    amplitude = _amplitude(rows, worm)
    if worm.cosines:
        waves = 0.01 * amplitude**2 / h**_FALL
        known = min(harmonics, len(worm.cosines))
        waves[:known] += np.square(worm.amplitudes[:known])
    else:
        waves = amplitude**2 / h**_FALL
    omega = 2 * np.pi * np.concatenate([h / (worm.period_s or 1.0), worm.lines_hz])
    prior = np.concatenate([waves, np.full(len(worm.lines_hz), _line_variance(rows, worm))])
    return new_bank(walks, float(rows[0, 2]), 0.05, omega, prior, _WANDER * prior)


class Likeliest(NamedTuple):
    """Of several filters the one that expects a history best."""

    worm: Worm
    harmonics: int
    walk: FloatArray


def likeliest_filter(rows: FloatArray, worm: Worm, supposed: tuple[Supposed, ...]) -> Likeliest:
    """The filter that expects the history best.

    While no period is known: with the likeliest that is supposed, and as many harmonics; if none is, without any.
    """
    tried: tuple[int, ...] = (0,)
    if worm.period_s is not None:
        tried = _LINE_HARMONICS
    elif supposed:
        best = max(supposed, key=lambda one: one.score)
        worm, tried = replace(worm, period_s=best.period_s), (best.harmonics,)
    scores = [periodic_bank(rows, worm, harmonics, _JUDGING_WALKS, _ALL).score for harmonics in tried]
    curve, walk = np.unravel_index(np.argmax(scores), (len(tried), len(_JUDGING_WALKS)))
    return Likeliest(worm, tried[curve], _JUDGING_WALKS[walk : walk + 1])


def line_evidence(
    rows: FloatArray, likeliest: Likeliest, lines_hz: tuple[float, ...], frequencies: FloatArray
) -> FloatArray:
    """By how much the filter, with the lines given, would expect the history better with one more of each frequency."""
    from acquisition.kernels.line_evidence import log_bayes_factors

    worm = replace(likeliest.worm, lines_hz=lines_hz)
    fresh = _new_periodic_bank(rows, worm, likeliest.harmonics, likeliest.walk)
    t_s, exposure_s, z, weight = (np.ascontiguousarray(column) for column in rows[:, :4].T)
    return log_bayes_factors(fresh, t_s, exposure_s, z, weight, frequencies, _line_variance(rows, worm))


def phased_bank(worm: Worm, position: float) -> Bank:
    """Filters that know the worm's curve, each with another idea of how far the worm is turned."""
    from acquisition.kernels.kalman_bank import new_bank

    harmonics = min(_PHASED_HARMONICS, len(worm.cosines))
    h = np.arange(1, harmonics + 1)
    phase = 2 * np.pi * np.arange(_PHASES) / _PHASES
    cosines, sines = (values[:, :harmonics] for values in worm.turned(phase))
    amplitude = worm.amplitudes[:harmonics]
    turn = h * 2 * np.pi / _PHASES / np.sqrt(12)  # what lies between two phases
    prior = amplitude**2 * (_CURVE_CHANGES**2 + turn**2) + 1e-3 * amplitude[0] ** 2 / h**_FALL
    walks = np.tile(_PHASED_WALKS, (_PHASES, 1))
    each = np.repeat(np.arange(_PHASES), len(_PHASED_WALKS))
    offset = position - cosines.sum(axis=1)
    omega = 2 * np.pi * np.concatenate([h / (worm.period_s or 1.0), worm.lines_hz])
    lines = np.full(len(worm.lines_hz), (0.1 * amplitude[0]) ** 2)
    wander = np.concatenate([amplitude**2, lines]) * _WANDER
    bank = new_bank(walks, offset[each], 0.05, omega, np.concatenate([prior, lines]), wander)
    curve = slice(2, 2 + 2 * harmonics)
    bank.x[:, curve][:, ::2], bank.x[:, curve][:, 1::2] = cosines[each], sines[each]
    return bank


class Supposed(NamedTuple):
    """Periods that a history does not yet contradict, for curves of so many harmonics that fall so fast.

    Attributes
    ----------
    harmonics : int
    fall : float
    periods_s : array
        The likeliest, ascending.
    period_s, score : float
        The likeliest of all, and the logarithm of its likelihood.
    """

    harmonics: int
    fall: float
    periods_s: FloatArray
    period_s: float
    score: float


def suppose(rows: FloatArray, lines_hz: tuple[float, ...]) -> tuple[Supposed, ...]:
    """While no period is sure: those, among all possible ones, with which filters expect the history best."""
    thinned, found = _thinned(rows), []
    for harmonics, fall in _SUPPOSED_CURVES:
        every = _supposing_bank(thinned, _SUPPOSED_PERIODS_S, lines_hz, harmonics, fall, _SUPPOSED_WALKS[:1], _ALL)
        best = np.argsort(-every.score)[:_LIKELIEST]
        periods_s = _SUPPOSED_PERIODS_S[np.sort(best)]
        found.append(
            Supposed(harmonics, fall, periods_s, float(_SUPPOSED_PERIODS_S[best[0]]), float(every.score[best[0]]))
        )
    return tuple(found)


def supposing_banks(rows: FloatArray, lines_hz: tuple[float, ...], supposed: tuple[Supposed, ...]) -> tuple[Bank, ...]:
    """Filters for supposed periods that have seen the history.

    Long before a turn is over they predict better than a trend, as they know how smooth the curves of worms are.
    """
    *smooth, rugged = supposed
    worth = supposed if rugged.score > max(one.score for one in smooth) + _RUGGED else smooth
    return tuple(
        _supposing_bank(rows, one.periods_s, lines_hz, one.harmonics, one.fall, _SUPPOSED_WALKS, MEMORY)
        for one in worth
    )


def _supposing_bank(
    rows: FloatArray, periods_s: FloatArray, lines_hz: tuple[float, ...], harmonics: int, fall: float,
    walks: FloatArray, memory: float,
) -> Bank:  # fmt: skip
    from acquisition.kernels.kalman_bank import new_bank

    h, n = np.arange(1, harmonics + 1), len(periods_s)
    amplitude = _likely_amplitude(rows)
    omega = 2 * np.pi * np.hstack([h / periods_s[:, None], np.tile(lines_hz, (n, 1))])
    prior = np.concatenate([amplitude**2 / h**fall, np.full(len(lines_hz), (0.1 * amplitude) ** 2)])
    each = np.tile(prior, (n, 1))
    bank = new_bank(np.tile(walks, (n, 1)), float(rows[0, 2]), 0.05, omega, each, _WANDER * each)
    return _having_seen(rows, bank, memory)


def _having_seen(rows: FloatArray, bank: Bank, memory: float) -> Bank:
    from acquisition.kernels.kalman_bank import replay

    t_s, exposure_s, z, weight = (np.ascontiguousarray(column) for column in rows[:, :4].T)
    replay(bank, t_s, exposure_s, z, weight, memory)
    return bank


def _line_variance(rows: FloatArray, worm: Worm) -> float:
    """Of a line's amplitudes, as they are expected."""
    return (0.1 * _amplitude(rows, worm)) ** 2


def _amplitude(rows: FloatArray, worm: Worm) -> float:
    """Of the worm's first harmonic, as another night saw it or as it is likely."""
    return max(0.3, float(worm.amplitudes[0])) if worm.cosines else _likely_amplitude(rows)


def _likely_amplitude(rows: FloatArray) -> float:
    """Of the worm's first harmonic, from how far the mount has gone astray."""
    trend = np.polynomial.Polynomial.fit(rows[:, 0], rows[:, 2], 1)
    return max(0.3, 0.35 * float(np.ptp(rows[:, 2] - trend(rows[:, 0]))))


def _thinned(rows: FloatArray) -> FloatArray:
    """Means of several frames each, so that there are few."""
    together = -(-len(rows) // _EVIDENCE_FRAMES)
    kept = len(rows) // together * together
    groups = rows[len(rows) - kept :].reshape(-1, together, rows.shape[1])
    out: FloatArray = groups.mean(axis=1)
    out[:, 1] = groups[:, -1, 0] - groups[:, 0, 0] + groups[:, 0, 1]
    return out
