"""Gears with play, of which several ideas are at hand: which move of the motor suits them all best.

In: hypotheses (backlash, where the axis stands, how likely, how far the axis should move). Out: the motor's move.

An axis stands between motor - backlash and motor; the motor drags it where it would be left outside. (With a negative
backlash it leaps.) Lengths are arcsec; a move is positive where it takes the axis to larger positions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled

FloatArray = NDArray[np.float64]

_SMALL_GAP = 0.05
_UNLIKELY = 1e-3
_LARGE_ERROR = 1.5  # from here on an error counts twice as much as its square


@compiled
def best_move(
    shares: FloatArray, wanted: FloatArray, axis: FloatArray, backlash: FloatArray, motor: FloatArray,
    rates: FloatArray, worth: float,
) -> tuple[float, float]:  # fmt: skip
    """Which move leaves the least loss on average over the hypotheses, and the mean square error that it leaves.

    The loss is an error's square, and more for large errors: whoever is nearly sure of a large gap should not bet that
    much on it.

    Parameters
    ----------
    shares : array (n,)
        How likely each hypothesis is; the sum is 1.
    wanted : array (n,)
        How far it wants the axis to move, arcsec.
    axis, backlash, motor : array (n,)
        Where it has the axis, how much play, and where the motor.
    rates : array (2, n)
        How far the motor moves of a move of 1 to larger and to smaller positions.
    worth : float
        A move through the likeliest hypothesis' gap must reduce the loss by this much, arcsec², else the motor rests.
    """
    at_rest, square_at_rest, _ = _left_by(0.0, shares, wanted, axis, backlash, motor, rates)
    move, least, square = 0.0, at_rest, square_at_rest
    for j in range(len(shares)):
        if shares[j] > _UNLIKELY and wanted[j] != 0:
            end = axis[j] + wanted[j] + (backlash[j] if wanted[j] > 0 else 0.0)
            ideal = (end - motor[j]) / rates[0 if wanted[j] > 0 else 1, j]
            loss, left, _ = _left_by(ideal, shares, wanted, axis, backlash, motor, rates)
            if loss < least:
                move, least, square = ideal, loss, left
    # those whose axis it moves may on average want a little more or less
    lacking = _left_by(move, shares, wanted, axis, backlash, motor, rates)[2]
    loss, left, _ = _left_by(move + lacking, shares, wanted, axis, backlash, motor, rates)
    if loss < least:
        move, least, square = move + lacking, loss, left
    likeliest = np.argmax(shares)
    gap = motor[likeliest] - axis[likeliest]
    if move > 0:
        gap = backlash[likeliest] - gap
    if gap > _SMALL_GAP and at_rest - least < worth:
        return 0.0, square_at_rest
    return move, square


@compiled
def _left_by(
    move: float, shares: FloatArray, wanted: FloatArray, axis: FloatArray, backlash: FloatArray, motor: FloatArray,
    rates: FloatArray,
) -> tuple[float, float, float]:  # fmt: skip
    """What a move leaves: loss, mean square, and the mean error of the hypotheses whose axis it moves."""
    loss, mean_square, lacking, moved = 0.0, 0.0, 0.0, 0.0
    for j in range(len(shares)):
        end = motor[j] + move * rates[0 if move > 0 else 1, j]
        change = 0.0
        if move > 0:
            change = max(axis[j], end - backlash[j]) - axis[j]
        elif move < 0:
            change = min(axis[j], end) - axis[j]
        error = wanted[j] - change
        square = error * error
        loss += shares[j] * square * (1 + square / _LARGE_ERROR**2)
        mean_square += shares[j] * square
        if change != 0:
            lacking += shares[j] * error
            moved += shares[j]
    return loss, mean_square, lacking / moved if moved > 0 else 0.0
