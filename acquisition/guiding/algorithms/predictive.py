"""Our law for RA: a bank of Kalman filters predicts where the star would be without corrections.

It learns the noise, the trend, the worm's period and curve, and other lines; nothing is to be tuned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.cycle import correction_time, usual_cycle
from acquisition.guiding.algorithms.deafness import Deafness
from acquisition.guiding.algorithms.error_bars import weighed
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
from acquisition.guiding.algorithms.periodic_banks import HARMONICS, MEMORY, periodic_bank, phased_bank
from acquisition.guiding.algorithms.worm import SURE_TURNS, Worm
from acquisition.guiding.algorithms.worm_search import Found, search

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank
    from acquisition.kernels.kalman_swing import SwingBank

FloatArray = NDArray[np.float64]

# Process noise of offset and velocity per s, in units of the measurement's variance.
_TREND_WALKS = np.array(
    [(b, v) for b in (0, 1e-3, 0.01, 0.05, 0.2, 0.8, 4) for v in (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1)]
)
# Swinging motion, seen by fast cameras: periods s, damping ratios, variances in units of the measurement's.
_SWINGS = np.array([(2 * np.pi / period_s, 0.5, power) for period_s in (3, 6, 12) for power in (10, 30, 100)] * 3)
_SWING_WALKS = np.repeat([(0.2, 1e-4), (4, 0.01), (20, 0.1)], len(_SWINGS) // 3, axis=0)
_LEARNED = 2  # banks before those that know or suppose a period
_UNPROVEN = 3.0  # by how much the scores of new filters are lowered
_SEARCH_EVERY_S, _SEARCHES = 20.0, 20  # a search at the earliest after 20 s, or 1/20 of the time so far
_SCAN_EVERY_S, _SCANS = 600.0, 8  # over all periods: at the latest after 600 s, or 1/8 of the time so far
_DEAF = 60.0, 1.0  # arcsec, arcsec/s: no gap is as large, and no worm as steep for as long
_WORK_TAKES_S, _WORK_TAKES = 4.0, 40  # what a search finds is used after 4 s, or 1/40 of the time so far


class PredictiveState(NamedTuple):
    """Everything the law remembers; arcsec and s.

    Attributes
    ----------
    banks : tuple of Bank
        The trend filters, the swinging ones, then those that know the worm or other lines, then those that suppose a
        period or a phase; empty before the first frame.
    known : int
        How many banks know.
    history : Table
        Time since the first frame, exposure, position without corrections, relative variance.
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
    deafness : Deafness
        Whether pulses arrive at all.
    sent_before : float
        What `sent` was at the last frame.
    worm : Worm
    searched_s, scanned_s : float
        When the last search for a period began, and the last over all periods; s since the first frame.
    work : Work or None
    """

    history: Table
    banks: tuple[Bank | SwingBank, ...] = ()
    known: int = 0
    epoch_s: float = 0.0
    lock: float = 0.0
    sent: float = 0.0
    last_correction: float = 0.0
    expected_rms: float | None = None
    cycle_s: float = 0.0
    typical_variance: float = 0.0
    deafness: Deafness = Deafness()
    sent_before: float = 0.0
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
        return PredictiveState(Table(4))

    def start_with(self, learned: Worm) -> PredictiveState:
        """Begin with what `learned` said after another night: period, curve, and lines.

        How far the worm was turned in between nobody knows: filters for all phases find out.
        """
        return PredictiveState(Table(4), worm=learned)

    def learned(self, state: PredictiveState) -> Worm | None:
        """What is worth keeping for another night; what it began with before two turns were seen, None without that."""
        if not state.banks or state.worm.period_s is None:
            return None
        if state.history.rows[-1, 0] < SURE_TURNS * state.worm.period_s:
            return state.worm if state.worm.cosines else None
        longest = state.banks[_LEARNED + len(HARMONICS) - 1]
        waves = longest.x[int(np.argmax(longest.score)), 2 : 2 + 2 * max(HARMONICS)]
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
                return state._replace(lock=state.lock + amount), 0.0
            case Sent(amount=amount):
                return state._replace(sent=state.sent - state.last_correction + amount, last_correction=amount), 0.0
            case Worked(result=result):
                return _with_found(state, result), 0.0
            case _:
                return state, 0.0

    def _measured(self, state: PredictiveState, given: Measured) -> tuple[PredictiveState, float]:
        from acquisition.kernels import kalman_bank, kalman_mixture, kalman_swing

        if given.t_s < state.deafness.t_s:
            return state, 0.0
        place = given.displacement + state.lock
        heard = state.deafness.after(given.t_s, place, state.sent - state.sent_before, *_DEAF)
        state = state._replace(deafness=heard, sent_before=state.sent)
        if heard.deaf:
            return self._again(state, given.displacement)
        position = place + state.sent
        if not state.banks:
            none = np.zeros(0)
            trend = kalman_bank.new_bank(_TREND_WALKS, position, 0.05, none, none, none)
            swing = kalman_swing.new_swing_bank(_SWING_WALKS, _SWINGS, position, 0.05)
            state = state._replace(banks=(trend, swing), epoch_s=given.t_s)
            if state.worm.cosines:
                first = np.array([[0.0, given.exposure_s, position, 1.0]])
                known = tuple(periodic_bank(first, state.worm, h) for h in HARMONICS)
                supposing = phased_bank(state.worm, position)
                state = state._replace(banks=(trend, swing, *known, supposing), known=len(known))
        t_s = given.t_s - state.epoch_s
        typical_variance, weight = weighed(state.typical_variance, given.error)
        dt_s = t_s - float(state.history.rows[-1, 0]) if len(state.history) else 0.0
        now_s = correction_time(given)
        cycle_s = usual_cycle(state.cycle_s, dt_s, now_s - given.t_s + given.exposure_s / 2)
        aim_s = _aim_s(state.epoch_s, now_s, given.until_s, cycle_s)
        banks = tuple(bank.copy() for bank in state.banks)
        table = _asked(banks, dt_s, t_s, given.exposure_s, position, weight, aim_s)
        state = state._replace(
            banks=banks, cycle_s=cycle_s, typical_variance=typical_variance,
            history=state.history.append(t_s, given.exposure_s, position, weight),
        )  # fmt: skip
        return self._correct(_with_work(state, t_s), *kalman_mixture.mixture(_belief(banks), table[0], table[1]))

    def _again(self, state: PredictiveState, displacement: float) -> tuple[PredictiveState, float]:
        """The mount is deaf: only the worm is still known. If pulses arrive again, this one does what it should."""
        worm = self.learned(state) if state.banks else state.worm
        fresh = self.start()._replace(worm=worm or Worm(), lock=state.lock, deafness=state.deafness)
        return self._correct(fresh, fresh.lock + displacement, abs(displacement))

    def _expected(self, state: PredictiveState, now_s: float, until_s: float | None) -> tuple[PredictiveState, float]:
        """Correct by what is expected alone, as long as that is sure enough."""
        if not state.banks or now_s - state.epoch_s < state.history.rows[-1, 0]:
            return state, 0.0
        _, deviation = _predict(state, now_s - state.epoch_s)
        if deviation > self.lost_limit:
            return state._replace(last_correction=0.0), 0.0
        return self._correct(state, *_predict(state, _aim_s(state.epoch_s, now_s, until_s, state.cycle_s)))

    def _correct(self, state: PredictiveState, position: float, deviation: float) -> tuple[PredictiveState, float]:
        """Cancel what is predicted."""
        correction = position - state.lock - state.sent
        sent = state.sent + correction
        return state._replace(sent=sent, last_correction=correction, expected_rms=deviation), correction


def _aim_s(epoch_s: float, now_s: float, until_s: float | None, cycle_s: float) -> float:
    """The middle between this correction and the next, since the first frame."""
    holds_s = cycle_s if until_s is None else until_s - now_s
    return now_s - epoch_s + holds_s / 2


def _asked(
    banks: tuple[Bank | SwingBank, ...], dt_s: float, t_s: float, exposure_s: float, z: float, weight: float,
    aim_s: float,
) -> FloatArray:  # fmt: skip
    """Give all filters a measurement and ask them for a prediction: `kalman_mixture.update_and_predict`'s table."""
    from acquisition.kernels.kalman_bank import Bank
    from acquisition.kernels.kalman_mixture import update_and_predict, update_and_predict_swing

    same = np.full(max(len(bank.x) for bank in banks), z)
    tables = [np.empty((2, len(bank.x))) for bank in banks]
    for bank, table in zip(banks, tables, strict=True):
        if isinstance(bank, Bank):
            update_and_predict(bank, dt_s, t_s, exposure_s, same[: len(bank.x)], weight, MEMORY, aim_s, table)
        else:
            update_and_predict_swing(bank, dt_s, t_s, z, weight, MEMORY, aim_s, table)
    return np.concatenate(tables, axis=1)


def _belief(banks: tuple[Bank | SwingBank, ...]) -> FloatArray:
    """Logarithm of how far each filter is to be believed.

    What it has long been worth and what it was worth of late count the same: mounts stay the same, wind does not.
    """
    return 0.5 * np.concatenate([bank.score + bank.recent for bank in banks])


def _predict(state: PredictiveState, t_s: float) -> tuple[float, float]:
    """Position without corrections at `t_s` since the first frame, and its standard deviation."""
    from acquisition.kernels import kalman_bank, kalman_mixture, kalman_swing

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
    return kalman_mixture.mixture(_belief(state.banks), np.concatenate(means), np.concatenate(variances))


def _with_work(state: PredictiveState, t_s: float) -> PredictiveState:
    if state.work is not None or t_s - state.searched_s < max(_SEARCH_EVERY_S, t_s / _SEARCHES):
        return state
    scan = state.worm.period_s is None or t_s - state.scanned_s >= min(_SCAN_EVERY_S, t_s / _SCANS)
    rows, worm, built = state.history.rows, state.worm, state.worm.period_s is not None
    due_s = t_s + max(_WORK_TAKES_S, t_s / _WORK_TAKES)
    work = Work(state.epoch_s + due_s, lambda: search(rows, worm, built, scan))
    return state._replace(searched_s=t_s, scanned_s=t_s if scan else state.scanned_s, work=work)


def _with_found(state: PredictiveState, found: Found) -> PredictiveState:
    """Take over what was found, and let new filters see the frames since."""
    state = state._replace(work=None)
    end = _LEARNED + state.known
    before, supposing = state.banks[_LEARNED:end], state.banks[end:]
    if found.banks is None:
        kept = supposing if found.worm.cosines else ()
        return state._replace(worm=found.worm, banks=(*state.banks[:end], *kept))
    fresh = state.history.rows[found.frames - 1 :]
    banks = [_seeing(bank, fresh) for bank in found.banks]
    for i, bank in enumerate(banks):
        proven = not found.anew and i < len(before)
        banks[i] = bank._replace(score=before[i].score, recent=before[i].recent) if proven else _unproven(bank)
    if not found.worm.taught(float(state.history.rows[-1, 0])):
        supposing = tuple(_unproven(_seeing(bank, fresh)) for bank in found.supposing)
    return state._replace(worm=found.worm, banks=(*state.banks[:_LEARNED], *banks, *supposing), known=len(banks))


def _unproven(bank: Bank) -> Bank:
    """A bank that has been made to fit what it has seen, and is believed less for that."""
    return bank._replace(score=bank.score - _UNPROVEN, recent=bank.recent - _UNPROVEN)


def _seeing(bank: Bank, rows: FloatArray) -> Bank:
    """A copy that has seen the frames after the first of `rows`."""
    from acquisition.kernels.kalman_bank import update

    bank = bank.copy()
    for before, row in pairwise(rows):
        update(bank, row[0] - before[0], row[0], row[1], np.full(len(bank.x), row[2]), row[3], MEMORY)
    return bank
