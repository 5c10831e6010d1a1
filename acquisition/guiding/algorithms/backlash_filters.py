"""The filters of our Dec law: eleven for each idea of the gears.

In: a bank of filters and the gears. Out: what they expect, idea by idea.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.gears import Gears

if TYPE_CHECKING:
    from acquisition.kernels.kalman_gusts import GustBank

FloatArray = NDArray[np.float64]

_BACKLASH = np.array([0, 0.4, 0.8, 1.3, 2, 3, 4, 5, 6.5, 8, 10, 13, 16, 20, 25])
_WALKS = [(0, 1e-8), (1e-4, 1e-7), (1e-3, 1e-7), (0.01, 1e-6), (0.05, 1e-5), (0.3, 1e-5), (1.5, 1e-4)]
_GUSTY_WALKS = [(1e-3, 1e-7), (0.01, 1e-7)]
_GUSTS = [(2.5, 2.0), (2.5, 8.0)]
_DRIFT = 0.02  # arcsec/s, at first

GEARS = Gears.new(np.concatenate([_BACKLASH, _BACKLASH[1:]]), np.concatenate([_BACKLASH, np.zeros(len(_BACKLASH) - 1)]))
"""Every backlash twice: all of it ahead of the first South pulse, or none."""
_PLAY_ERROR = np.interp(GEARS.backlash, _BACKLASH, np.gradient(_BACKLASH) / 12**0.5) * (GEARS.backlash > 0)
"""Standard deviation of what lies between one backlash and the next."""
REVERSAL_ERROR = 0.1 * (GEARS.backlash > 0)
"""Standard deviation of what one reversal adds to that: friction, balance, another side of the pier."""
_LOPSIDED = 0.06
"""Standard deviation of by how much a pulse South moves more, and one North less, than either should."""
_FILTER_WALKS = np.array(_WALKS + [walk for walk in _GUSTY_WALKS for _ in _GUSTS])
_FILTER_GUSTS = np.array([(1.0, 0.0)] * len(_WALKS) + _GUSTS * len(_GUSTY_WALKS))
FILTERS = len(_FILTER_WALKS)
_PER_ARCSEC = -1.0
"""What an arcsec more of backlash adds to a score. While gears keep to one side nothing tells gaps apart: a star that
is guided well stays where it is, as if a large gap kept every pulse from it. Gaps that are there show at every
reversal."""


class Expected(NamedTuple):
    """What the filters expect.

    Attributes
    ----------
    shares : array (hypotheses,)
        How likely each is.
    positions : array (hypotheses,)
        Without corrections.
    variance : float
        Of the position, the mean over all filters.
    play : array (hypotheses,)
        How much more play there is than was believed.
    lopsided : array (hypotheses,)
        How much larger the rate South is, and how much smaller the one North.
    """

    shares: FloatArray
    positions: FloatArray
    variance: float
    play: FloatArray
    lopsided: FloatArray


def new_bank(positions: FloatArray) -> GustBank:
    """Filters before their first measurement, which is at `positions` (hypotheses,)."""
    from acquisition.kernels.kalman_gusts import new_gust_bank

    return new_gust_bank(_FILTER_WALKS, _FILTER_GUSTS, np.repeat(positions, FILTERS), _DRIFT, _PLAY_ERROR, _LOPSIDED)


def expected(bank: GustBank, gears: Gears, means: FloatArray, variances: FloatArray) -> Expected:
    """What filters expect, made one expectation for each hypothesis.

    `means` and `variances` (filters,) are of the position.
    """
    from acquisition.kernels.kalman_mixture import groups

    scores = bank.score + np.repeat(_PER_ARCSEC * np.maximum(gears.backlash, 0.0), FILTERS)
    shares, positions, variance = groups(scores, means, variances, FILTERS)
    play, lopsided = (groups(scores, bank.x[:, i].copy(), variances, FILTERS)[1] for i in (3, 4))
    return Expected(shares, positions, variance, play, lopsided)
