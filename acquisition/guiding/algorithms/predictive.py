"""Our law for RA: a bank of Kalman filters predicts where the star would be without corrections.

It learns the noise, the trend, the worm's period and curve, and other lines; nothing is to be tuned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.cycle import correction_time, usual_cycle
from acquisition.guiding.algorithms.history import Table
from acquisition.guiding.algorithms.law import (
    Between,
    Dithered,
    Input,
    Lost,
    Measured,
    Sent,
    Unit,
    Work,
    Worked,
    check_range,
)

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank
    from acquisition.kernels.kalman_swing import SwingBank

FloatArray = NDArray[np.float64]

# Process noise of offset and velocity per s, in units of the measurement's variance.
_TREND_WALKS = np.array(
    [(b, v) for b in (0, 1e-3, 0.01, 0.05, 0.2, 0.8, 4) for v in (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1)]
)
_PERIODIC_WALKS = np.array([(1e-3, 1e-7), (0.01, 1e-6), (0.05, 1e-5), (0.2, 1e-4), (1, 1e-4)])
_HARMONICS = (8, 30)
# Swinging motion, seen by fast cameras: periods s, damping ratios, variances in units of the measurement's.
_SWINGS = np.array([(2 * np.pi / period_s, 0.5, power) for period_s in (3, 6, 12) for power in (10, 30, 100)] * 3)
_SWING_WALKS = np.repeat([(0.2, 1e-4), (4, 0.01), (20, 0.1)], len(_SWINGS) // 3, axis=0)
_MEMORY = 200.0
_LEARNED = 2  # banks before those that know a period
_SEARCH_EVERY_S, _SEARCHES = 20.0, 20  # a search at the earliest after 20 s, or 1/20 of the time so far
_SCAN_EVERY_S, _SCANS = 600.0, 8  # over all periods: at the latest after 600 s, or 1/8 of the time so far
_CONVINCING = 3.0  # by how much another period's log-likelihood must be better
_CONVINCING_LINE = 8.0  # the same for a line, which was chosen among hundreds of frequencies
_NOTICEABLE = 0.03  # change of the worm's phase over the history, rad
_NOTICEABLE_CYCLES = 0.02  # the same of a line
_REFINED_HARMONICS = 20
_REFINED_WALKS = _PERIODIC_WALKS[1:4]
_PHASES, _PHASED_HARMONICS, _PHASED_WALKS = 36, 8, _PERIODIC_WALKS[[1, 3]]
_SURE_TURNS = 2.0  # seen before a curve is worth keeping
_CURVE_CHANGES = 0.15  # from night to night, share of a harmonic
_WORK_TAKES_S, _WORK_TAKES = 4.0, 40  # what a search finds is used after 4 s, or 1/40 of the time so far
_REPLAY_FRAMES = 4000
_LINE_FRAMES = 1500
_MOST_LINES = 6


@dataclass(frozen=True)
class Worm:
    """What is known of periodic motion.

    Attributes
    ----------
    period_s : float or None
        None before it is found.
    lines_hz : tuple of float
        Lines that are not among the worm's harmonics.
    cosines, sines : tuple of float
        The curve as another night had it, arcsec: amplitudes of the worm's harmonics, turned to no phase in particular;
        empty if this is the first night.
    """

    period_s: float | None = None
    lines_hz: tuple[float, ...] = ()
    cosines: tuple[float, ...] = ()
    sines: tuple[float, ...] = ()

    @property
    def amplitudes(self) -> FloatArray:
        """Of the harmonics, whatever the phase."""
        return np.hypot(self.cosines, self.sines)

    def turned(self, phase: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cosines and sines of the curve turned by phases (rad of the worm): arrays (phases, harmonics)."""
        c, s = np.cos(np.outer(phase, self._orders)), np.sin(np.outer(phase, self._orders))
        return c * self.cosines + s * self.sines, c * self.sines - s * self.cosines

    @property
    def _orders(self) -> NDArray[np.int64]:
        return np.arange(1, len(self.cosines) + 1)

    def scaled(self, factor: float) -> Worm:
        """The same with larger or smaller amplitudes: arcs on the sky shrink with cos δ."""
        cosines, sines = (tuple(factor * value for value in values) for values in (self.cosines, self.sines))
        return replace(self, cosines=cosines, sines=sines)


@dataclass(frozen=True)
class Refit:
    """What the work off the loop's path found: banks that have seen the first `frames` of the history."""

    worm: Worm
    banks: tuple[Bank, ...] | None
    frames: int
    anew: bool


@dataclass(frozen=True)
class PredictiveState:
    """Everything the law remembers; arcsec and s.

    Attributes
    ----------
    banks : tuple of Bank
        The trend filters, the swinging ones, and the periodic ones once there are any; empty before the first frame.
    history : Table
        Time since the first frame, exposure, position without corrections, relative variance, innovation.
    epoch_s : float
        Time of the first frame.
    lock, sent : float
        How far the lock was moved, and the sum of all corrections.
    last_correction : float
    expected_rms : float or None
        Of the true displacement that the last correction leaves, by the filters' own account.
    cycle_s : float
        From one correction to the next, as it usually is.
    typical_variance : float
        Of the centroids, as their error bars have it.
    worm : Worm
    searched_s, scanned_s : float
        When the last search for a period began, and the last over all periods; s since the first frame.
    work : Work or None
    """

    history: Table
    banks: tuple[Bank | SwingBank, ...] = ()
    epoch_s: float = 0.0
    lock: float = 0.0
    sent: float = 0.0
    last_correction: float = 0.0
    expected_rms: float | None = None
    cycle_s: float = 0.0
    typical_variance: float = 0.0
    worm: Worm = Worm()
    searched_s: float = 0.0
    scanned_s: float = -1e9
    work: Work | None = None


@dataclass(frozen=True)
class Predictive:
    """Predicts the star's position without corrections by a mixture of Kalman filters, and cancels what it predicts.

    Parameters
    ----------
    lost_limit : float
        While the star is lost the prediction is followed until its standard deviation exceeds this, arcsec (0 to 60).
    """

    lost_limit: float = 1.5

    name: ClassVar[str] = "predictive"
    unit: ClassVar[Unit] = "arcsec"

    def __post_init__(self) -> None:
        check_range(self.name, "lost_limit", self.lost_limit, 0, 60)

    def start(self) -> PredictiveState:
        return PredictiveState(Table(5))

    def start_with(self, learned: Worm) -> PredictiveState:
        """Begin with what `learned` said after another night: period, curve, and lines.

        How far the worm was turned in between nobody knows: filters for all phases find out.
        """
        return PredictiveState(Table(5), worm=learned)

    def learned(self, state: PredictiveState) -> Worm | None:
        """What is worth keeping for another night; what it began with before two turns were seen, None without that."""
        if not _has_worm(state) or state.worm.period_s is None:
            return None
        if state.history.rows[-1, 0] < _SURE_TURNS * state.worm.period_s:
            return state.worm if state.worm.cosines else None
        longest = state.banks[_LEARNED + len(_HARMONICS) - 1]
        waves = longest.x[int(np.argmax(longest.score)), 2 : 2 + 2 * max(_HARMONICS)]
        return replace(state.worm, cosines=tuple(waves[::2].tolist()), sines=tuple(waves[1::2].tolist()))

    def step(self, state: PredictiveState, given: Input) -> tuple[PredictiveState, float]:
        match given:
            case Measured():
                return self._measured(state, given)
            case Lost(t_s=t_s, now_s=now_s, until_s=until_s):
                return self._expected(state, t_s if now_s is None else now_s, until_s)
            case Between(now_s=now_s, until_s=until_s):
                return self._expected(state, now_s, until_s)
            case Dithered(amount=amount):
                return replace(state, lock=state.lock + amount), 0.0
            case Sent(amount=amount):
                return replace(state, sent=state.sent - state.last_correction + amount, last_correction=amount), 0.0
            case Worked(result=result):
                return _refitted(state, result), 0.0
            case _:
                return state, 0.0

    def _measured(self, state: PredictiveState, given: Measured) -> tuple[PredictiveState, float]:
        from acquisition.kernels import kalman_bank, kalman_swing

        position = given.displacement + state.lock + state.sent
        if not state.banks:
            none = np.zeros(0)
            trend = kalman_bank.new_bank(_TREND_WALKS, position, 0.05, none, none, none)
            swing = kalman_swing.new_swing_bank(_SWING_WALKS, _SWINGS, position, 0.05)
            state = replace(state, banks=(trend, swing), epoch_s=given.t_s)
            if state.worm.cosines:
                first = np.array([[0.0, given.exposure_s, position, 1.0, 0.0]])
                known = tuple(_periodic_bank(first, state.worm, h, _PERIODIC_WALKS) for h in _HARMONICS)
                state = replace(state, banks=(trend, swing, *known, _phased_bank(state.worm, position)))
        t_s = given.t_s - state.epoch_s
        state, weight = _weighed(state, given.error)
        dt_s = t_s - state.history.rows[-1, 0] if len(state.history) else 0.0
        if dt_s < 0:
            return state, 0.0
        shares = _shares(state.banks)
        banks = tuple(bank.copy() for bank in state.banks)
        expected = [np.empty(len(bank.x)) for bank in banks]
        for bank, out in zip(banks, expected, strict=True):
            _update(bank, dt_s, t_s, given.exposure_s, position, weight, out)
        innovation = position - float(shares @ np.concatenate(expected))
        now_s = correction_time(given)
        first_s = now_s - given.t_s + given.exposure_s / 2
        state = replace(
            state, banks=banks, cycle_s=usual_cycle(state.cycle_s, dt_s, first_s),
            history=state.history.append(t_s, given.exposure_s, position, weight, innovation),
        )  # fmt: skip
        state = _with_work(state, t_s)
        return self._correct(state, now_s, given.until_s)

    def _expected(self, state: PredictiveState, now_s: float, until_s: float | None) -> tuple[PredictiveState, float]:
        """Correct by what is expected alone, as long as that is sure enough."""
        if not state.banks or now_s - state.epoch_s < state.history.rows[-1, 0]:
            return state, 0.0
        _, deviation = _predict(state, now_s - state.epoch_s)
        if deviation > self.lost_limit:
            return replace(state, last_correction=0.0), 0.0
        return self._correct(state, now_s, until_s)

    def _correct(self, state: PredictiveState, now_s: float, until_s: float | None) -> tuple[PredictiveState, float]:
        """Aim at the middle between this correction and the next."""
        holds_s = state.cycle_s if until_s is None else until_s - now_s
        position, deviation = _predict(state, now_s - state.epoch_s + holds_s / 2)
        correction = position - state.lock - state.sent
        sent = state.sent + correction
        return replace(state, sent=sent, last_correction=correction, expected_rms=deviation), correction


def _weighed(state: PredictiveState, error: float | None) -> tuple[PredictiveState, float]:
    """How much more variance this frame has than usual; half of the usual is seeing, which error bars do not know."""
    if error is None or error <= 0:
        return state, 1.0
    variance = error * error
    typical = state.typical_variance
    typical = variance if typical == 0 else typical + 0.02 * (min(variance, 4 * typical) - typical)
    return replace(state, typical_variance=typical), 0.5 + 0.5 * min(variance / typical, 50.0)


def _update(
    bank: Bank | SwingBank, dt_s: float, t_s: float, exposure_s: float, z: float, weight: float, out: FloatArray
) -> None:
    from acquisition.kernels.kalman_bank import Bank, update
    from acquisition.kernels.kalman_swing import update_swing

    if isinstance(bank, Bank):
        update(bank, dt_s, t_s, exposure_s, np.full(len(out), z), weight, _MEMORY, out)
    else:
        update_swing(bank, dt_s, z, weight, _MEMORY, out)


def _shares(banks: tuple[Bank | SwingBank, ...]) -> FloatArray:
    """Posterior probability of every filter of every bank."""
    score = np.concatenate([bank.score for bank in banks])
    share = np.exp(score - score.max())
    normalised: FloatArray = share / share.sum()
    return normalised


def _predict(state: PredictiveState, t_s: float) -> tuple[float, float]:
    """Position without corrections at `t_s` since the first frame, and its standard deviation."""
    from acquisition.kernels import kalman_bank, kalman_swing

    dt_s = t_s - state.history.rows[-1, 0]
    means, variances = [], []
    for bank in state.banks:
        mean, variance = np.empty(len(bank.x)), np.empty(len(bank.x))
        if isinstance(bank, kalman_bank.Bank):
            kalman_bank.predict(bank, dt_s, t_s, mean, variance)
        else:
            kalman_swing.predict_swing(bank, dt_s, mean, variance)
        means.append(mean)
        variances.append(variance)
    share, mean = _shares(state.banks), np.concatenate(means)
    position = float(share @ mean)
    return position, float(np.sqrt(share @ (np.concatenate(variances) + (mean - position) ** 2)))


# ---- periods and lines, off the loop's path


def _has_worm(state: PredictiveState) -> bool:
    """Whether there are filters that know a period (not only lines)."""
    return len(state.banks) >= _LEARNED + len(_HARMONICS)


def _with_work(state: PredictiveState, t_s: float) -> PredictiveState:
    if state.work is not None or t_s - state.searched_s < max(_SEARCH_EVERY_S, t_s / _SEARCHES):
        return state
    scan = state.worm.period_s is None or t_s - state.scanned_s >= min(_SCAN_EVERY_S, t_s / _SCANS)
    rows, worm, built = state.history.rows, state.worm, _has_worm(state)
    due_s = t_s + max(_WORK_TAKES_S, t_s / _WORK_TAKES)
    work = Work(state.epoch_s + due_s, lambda: _search(rows, worm, built, scan))
    return replace(state, searched_s=t_s, scanned_s=t_s if scan else state.scanned_s, work=work)


def _search(rows: FloatArray, worm: Worm, built: bool, scan: bool) -> Refit:
    """Find period and lines, and filter the history anew when they have changed."""
    recent = rows[-_REPLAY_FRAMES:]
    period_s = _period(recent, worm, scan, built)
    anew = period_s is not None and (worm.period_s is None or abs(period_s / worm.period_s - 1) > 0.01)
    lines, added = _lines(recent, rows[-_LINE_FRAMES:], replace(worm, period_s=period_s))
    found = Worm(period_s, lines) if anew else replace(worm, period_s=period_s, lines_hz=lines)
    if (found == worm and (built or period_s is None)) or (period_s is None and not lines):
        return Refit(found, None, len(rows), False)
    orders = (0,) if period_s is None else _HARMONICS
    banks = tuple(_periodic_bank(recent, found, harmonics, _PERIODIC_WALKS) for harmonics in orders)
    return Refit(found, banks, len(rows), anew or added)


def _period(rows: FloatArray, worm: Worm, scan: bool, built: bool) -> float | None:
    """The worm's period: the known one unless another expects the history better."""
    from acquisition.kernels.worm_period import search_period

    old, duration_s = worm.period_s, float(rows[-1, 0] - rows[0, 0])
    if _taught(worm, duration_s):
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
        better = _log_likelihood(rows, Worm(period_s)) - _log_likelihood(rows, Worm(old))
        return period_s if better > _CONVINCING else old
    return period_s


def _taught(worm: Worm, duration_s: float) -> bool:
    """Whether another night saw more of the worm than this one has yet."""
    return worm.period_s is not None and len(worm.cosines) > 0 and duration_s < _SURE_TURNS * worm.period_s


def _lines(rows: FloatArray, last: FloatArray, worm: Worm) -> tuple[tuple[float, ...], bool]:
    """Lines that are not the worm's: the known ones refined, and perhaps one more; and whether there is one."""
    from acquisition.kernels.worm_period import strongest_line

    period_s, duration_s = worm.period_s, float(rows[-1, 0] - rows[0, 0])
    harmonics = np.zeros(0) if period_s is None else np.arange(1, max(_HARMONICS) + 1) / period_s
    known = _taught(worm, duration_s)
    apart = tuple(line for line in worm.lines_hz if known or np.all(np.abs(harmonics - line) > 1 / duration_s))
    for i, line in enumerate(() if known else apart):
        step = 0.25 / duration_s
        scores = [
            _log_likelihood(rows, Worm(period_s, (*apart[:i], line + shift, *apart[i + 1 :])), min(_HARMONICS))
            for shift in (-step, 0.0, step)
        ]
        curvature = scores[0] - 2 * scores[1] + scores[2]
        shift = float(np.clip(0.5 * (scores[0] - scores[2]) / curvature, -1, 1)) if curvature < 0 else 0.0
        if abs(shift) * step * duration_s > _NOTICEABLE_CYCLES:
            apart = (*apart[:i], line + shift * step, *apart[i + 1 :])
    if len(apart) == _MOST_LINES:
        return apart, False
    added = strongest_line(last[:, 0], last[:, 4], np.concatenate([harmonics, apart]))
    if added is None:
        return apart, False
    more = (*apart, added)
    gained = _log_likelihood(rows, Worm(period_s, more), min(_HARMONICS))
    gained -= _log_likelihood(rows, Worm(period_s, apart), min(_HARMONICS))
    return (more, True) if gained > _CONVINCING_LINE else (apart, False)


def _likeliest_period(rows: FloatArray, period_s: float, wide: bool) -> float:
    """The period near the given one with which periodic filters expect the history best."""
    wide_s = period_s**2 / (12 * np.pi * (rows[-1, 0] - rows[0, 0]))  # half a radian of the third harmonic
    for step in (wide_s, wide_s / 4) if wide else (wide_s / 4,):
        periods = period_s + step * np.arange(-2, 3)
        scores = np.array([_log_likelihood(rows, Worm(period)) for period in periods])
        i = int(np.clip(np.argmax(scores), 1, 3))
        below, here, above = scores[i - 1 : i + 2]
        curvature = below - 2 * here + above
        shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
        period_s = float(periods[i] + np.clip(shift, -1, 1) * step)
    return period_s


def _log_likelihood(rows: FloatArray, worm: Worm, harmonics: int = _REFINED_HARMONICS) -> float:
    bank = _periodic_bank(rows, worm, harmonics if worm.period_s is not None else 0, _REFINED_WALKS, 1e9)
    return float(bank.score.max())


def _periodic_bank(rows: FloatArray, worm: Worm, harmonics: int, walks: FloatArray, memory: float = _MEMORY) -> Bank:
    """Periodic filters that have seen the history."""
    from acquisition.kernels.kalman_bank import new_bank, replay

    t_s, exposure_s, z, weight = (np.ascontiguousarray(column) for column in rows[:, :4].T)
    h = np.arange(1, harmonics + 1)
    if worm.cosines:
        amplitude = max(0.3, worm.amplitudes[0])
        waves = 0.01 * amplitude**2 / h**2.4
        known = min(harmonics, len(worm.cosines))
        waves[:known] += np.square(worm.amplitudes[:known])
    else:
        trend = np.polynomial.Polynomial.fit(t_s, z, 1)
        amplitude = max(0.3, 0.35 * float(np.ptp(z - trend(t_s))))
        waves = amplitude**2 / h**2.4
    omega = 2 * np.pi * np.concatenate([h / (worm.period_s or 1.0), worm.lines_hz])
    prior = np.concatenate([waves, np.full(len(worm.lines_hz), (0.1 * amplitude) ** 2)])
    bank = new_bank(walks, float(z[0]), 0.05, omega, prior, 0.02 * prior / 2500)
    replay(bank, t_s, exposure_s, z, weight, memory)
    return bank


def _phased_bank(worm: Worm, position: float) -> Bank:
    """Filters that know the worm's curve, each with another idea of how far the worm is turned."""
    from acquisition.kernels.kalman_bank import new_bank

    harmonics = min(_PHASED_HARMONICS, len(worm.cosines))
    h = np.arange(1, harmonics + 1)
    phase = 2 * np.pi * np.arange(_PHASES) / _PHASES
    cosines, sines = (values[:, :harmonics] for values in worm.turned(phase))
    amplitude = worm.amplitudes[:harmonics]
    turn = h * 2 * np.pi / _PHASES / np.sqrt(12)  # what lies between two phases
    prior = amplitude**2 * (_CURVE_CHANGES**2 + turn**2) + 1e-3 * amplitude[0] ** 2 / h**2.4
    walks = np.tile(_PHASED_WALKS, (_PHASES, 1))
    each = np.repeat(np.arange(_PHASES), len(_PHASED_WALKS))
    offset = position - cosines.sum(axis=1)
    omega = 2 * np.pi * np.concatenate([h / (worm.period_s or 1.0), worm.lines_hz])
    lines = np.full(len(worm.lines_hz), (0.1 * amplitude[0]) ** 2)
    wander = np.concatenate([amplitude**2, lines]) * 0.02 / 2500
    bank = new_bank(walks, offset[each], 0.05, omega, np.concatenate([prior, lines]), wander)
    curve = slice(2, 2 + 2 * harmonics)
    bank.x[:, curve][:, ::2], bank.x[:, curve][:, 1::2] = cosines[each], sines[each]
    return bank


def _refitted(state: PredictiveState, refit: Refit) -> PredictiveState:
    """Take over what was found, and let new filters see the frames since."""
    state = replace(state, work=None)
    if refit.banks is None:
        return replace(state, worm=refit.worm)
    banks = list(state.banks[:_LEARNED])
    old = state.banks[_LEARNED:]
    fresh = state.history.rows[refit.frames - 1 :]
    for i, bank in enumerate(refit.banks):
        bank = bank.copy()
        if refit.anew or i >= len(old):
            bank = bank._replace(score=bank.score - 3)
        out = np.empty(len(bank.x))
        for before, row in pairwise(fresh):
            _update(bank, row[0] - before[0], row[0], row[1], row[2], row[3], out)
        if not refit.anew and i < len(old):
            bank = bank._replace(score=old[i].score)
        banks.append(bank)
    if _taught(refit.worm, float(state.history.rows[-1, 0])):
        banks += old[len(_HARMONICS) :]
    return replace(state, worm=refit.worm, banks=tuple(banks))
