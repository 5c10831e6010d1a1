"""From the displacements of single stars to the motion of the field.

In: displacement and variance of each star, where it stands. Out: shift, rotation and scale with variances, and which
stars agree with them.

The model is d = t + (a, -b; b, a) (p - pivot): exact for a rotation by any angle and a change of scale. Stars that
disagree (satellite trails, defects, blends) are found by trying the hypotheses that single stars and pairs of them
give, then left out of a least squares fit with inverse-variance weights. Where most stars scatter by more than twice
what is stated, all are given the variance that explains it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Array = NDArray[np.float64]

_CUT = 16.0  # squared residual over variance beyond which a star disagrees
_MEDIAN = 1.386  # of chi squared with two degrees of freedom
_SLACK_PX = 0.05  # by which stars may differ when it is decided which agree at all


@dataclass(frozen=True, slots=True)
class Motion:
    """How the stars moved.

    Attributes
    ----------
    dx, dy : float
        Shift at the pivot, px.
    stretch, turn : float
        a and b of the model: scale times cos of the rotation, less 1; scale times sin of the rotation.
    var_dx, var_dy, cov : float
        Of the shift, px².
    var_turn : float
        Of stretch and of turn.
    used : ndarray of bool
        Stars that agree.
    excess : float
        Variance of one star beyond its stated one that the scatter of the used stars suggests, px²; negative when they
        agree better than stated, NaN with fewer than 3.
    """

    dx: float
    dy: float
    stretch: float
    turn: float
    var_dx: float
    var_dy: float
    cov: float
    var_turn: float
    used: NDArray[np.bool_]
    excess: float

    @property
    def midway(self) -> tuple[float, float]:
        """Displacement of that point whose way has the pivot as its middle, px.

        The same as the shift for small motions. It changes sign when frame and reference change places, and adds up
        over frames while the field turns and drifts, which the shift of a fixed star does not.
        """
        moved = 2.0 * complex(self.dx, self.dy) / (2.0 + complex(self.stretch, self.turn))
        return moved.real, moved.imag


def combine(
    displacement: Array,
    variance: Array,
    place: Array,
    *,
    floor_px: float = 0.0,
    turn: tuple[float, float] = (0.0, 0.0),
    turn_err: float = 0.0,
) -> Motion:
    """Robust inverse-variance mean of star displacements.

    Parameters
    ----------
    displacement, variance : ndarray, shape [n, 2]
        Of each star along x and y, px and px²; n >= 1, finite.
    place : ndarray, shape [n, 2]
        Place of each star in the reference, relative to the pivot, px.
    floor_px : float
        What each star moves on its own (differential seeing), added in quadrature.
    turn : (float, float)
        Stretch and turn expected beforehand.
    turn_err : float
        Standard deviation of that expectation; 0 keeps both fixed, infinity leaves them free (then n >= 2).

    Raises
    ------
    ValueError
        If there is no star.
    """
    n = len(displacement)
    if n == 0:
        raise ValueError("no star to combine; need at least 1")
    used, out = np.zeros(n, np.bool_), np.zeros(9)
    total = np.ascontiguousarray(variance, np.float64) + floor_px**2
    _combine(
        np.ascontiguousarray(displacement, np.float64),
        total,
        np.ascontiguousarray(place, np.float64),
        turn[0],
        turn[1],
        min(turn_err, 1e3),
        used,
        out,
    )
    dx, dy, stretch, turned, var_dx, var_dy, cov, var_turn, excess = out.tolist()
    return Motion(dx, dy, stretch, turned, var_dx, var_dy, cov, var_turn, used, excess)


@compiled
def _squared(d: Array, v: Array, p: Array, t: Array, i: int, extra: float) -> float:
    """Squared residual over variance of one star, two degrees of freedom; t = (dx, dy, a, b)."""
    rx = d[i, 0] - (t[0] + t[2] * p[i, 0] - t[3] * p[i, 1])
    ry = d[i, 1] - (t[1] + t[3] * p[i, 0] + t[2] * p[i, 1])
    return float(rx * rx / (v[i, 0] + extra) + ry * ry / (v[i, 1] + extra))


@compiled
def _hypothesis(d: Array, v: Array, p: Array, a0: float, b0: float, turn_err: float, best: Array) -> None:
    """The motion of a star, or of a pair of stars, with which most others agree to about `_SLACK_PX`."""
    n = len(d)
    t = np.zeros(4)
    extra = _SLACK_PX**2 if n > 2 else 0.0
    least, least_variance = np.inf, np.inf
    for i in range(n):
        for j in range(i, n):
            if i == j:
                t[2], t[3], off = a0, b0, 0.0
            elif turn_err > 0 and n >= 3:
                ux, uy = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1]
                wx, wy = d[j, 0] - d[i, 0], d[j, 1] - d[i, 1]
                r2 = max(ux * ux + uy * uy, 1.0)
                t[2], t[3] = (ux * wx + uy * wy) / r2, (ux * wy - uy * wx) / r2
                off = ((t[2] - a0) ** 2 + (t[3] - b0) ** 2) / (turn_err * turn_err)
                if off > 4.0 * _CUT:
                    continue
            else:
                break
            t[0] = d[i, 0] - (t[2] * p[i, 0] - t[3] * p[i, 1])
            t[1] = d[i, 1] - (t[3] * p[i, 0] + t[2] * p[i, 1])
            cost = off
            for k in range(n):
                cost += min(_squared(d, v, p, t, k, extra), _CUT)
            variance = v[i, 0] + v[i, 1]
            # of two stars that contradict each other, the better measured one
            if cost < least - 1e-9 or (cost < least + 1e-9 and variance < least_variance):
                least, least_variance = cost, variance
                for m in range(4):
                    best[m] = t[m]


@compiled
def _refine(
    d: Array,
    v: Array,
    p: Array,
    a0: float,
    b0: float,
    turn_err: float,
    extra: float,
    used: NDArray[np.bool_],
    best: Array,
    inverse: Array,
) -> None:
    """Least squares over the stars that agree, until these stay the same."""
    n = len(d)
    matrix, right, row = np.empty((4, 4)), np.empty(4), np.empty(4)
    previous = -1
    for step in range(10):
        # first with the slack of the hypothesis: it has the error of a star or two, which may be the faintest
        allowed = extra + _SLACK_PX**2 if step == 0 and n > 2 else extra
        count, nearest, least, signature = 0, 0, np.inf, 0
        for i in range(n):
            r2 = _squared(d, v, p, best, i, allowed)
            used[i] = r2 < _CUT
            if used[i]:
                count += 1
                signature += (i + 1) * (i + 1)
            if r2 < least:
                nearest, least = i, r2
        if signature == previous:
            break
        previous = signature
        if count == 0:
            used[nearest] = True
        for r in range(4):
            right[r] = 0.0
            for c in range(4):
                matrix[r, c] = 0.0
        matrix[2, 2] = matrix[3, 3] = 1.0 / (turn_err * turn_err)
        for i in range(n):
            if not used[i]:
                continue
            x, y = p[i, 0], p[i, 1]
            for axis in range(2):
                if axis == 0:
                    row[0], row[1], row[2], row[3] = 1.0, 0.0, x, -y
                    value = d[i, 0] - (a0 * x - b0 * y)
                else:
                    row[0], row[1], row[2], row[3] = 0.0, 1.0, y, x
                    value = d[i, 1] - (b0 * x + a0 * y)
                weight = 1.0 / (v[i, axis] + extra)
                for r in range(4):
                    right[r] += weight * row[r] * value
                    for c in range(4):
                        matrix[r, c] += weight * row[r] * row[c]
        _invert(matrix, inverse)
        for r in range(4):
            best[r] = 0.0
            for c in range(4):
                best[r] += inverse[r, c] * right[c]
        best[2] += a0
        best[3] += b0


@compiled
def _invert(matrix: Array, inverse: Array) -> None:
    """Inverse of a symmetric positive definite 4 x 4 matrix by Gauss-Jordan; destroys the matrix."""
    for r in range(4):
        for q in range(4):
            inverse[r, q] = 1.0 if r == q else 0.0
    for k in range(4):
        pivot = 1.0 / matrix[k, k]
        for q in range(4):
            matrix[k, q] *= pivot
            inverse[k, q] *= pivot
        for r in range(4):
            if r != k:
                factor = matrix[r, k]
                for q in range(4):
                    matrix[r, q] -= factor * matrix[k, q]
                    inverse[r, q] -= factor * inverse[k, q]


@compiled
def _misfit(d: Array, v: Array, p: Array, best: Array, factor: float) -> float:
    """Variance to be added to each star's so that half of them lie within the median of chi squared.

    0 when half of them already lie within `factor` times that median. Bad stars, if they are fewer than half, do not
    matter.
    """
    n = len(d)
    half = n // 2 + 1
    inside = 0
    for i in range(n):
        inside += _squared(d, v, p, best, i, 0.0) <= _MEDIAN * factor
    if n < 4 or inside >= half:
        return 0.0
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = math.sqrt(max(low, 1e-8) * high)
        inside = 0
        for i in range(n):
            inside += _squared(d, v, p, best, i, middle) <= _MEDIAN
        if inside >= half:
            high = middle
        else:
            low = middle
    return high


@compiled
def _combine(
    d: Array,
    v: Array,
    p: Array,
    a0: float,
    b0: float,
    turn_err: float,
    used: NDArray[np.bool_],
    out: Array,
) -> None:
    n = len(d)
    best, inverse = np.zeros(4), np.zeros((4, 4))
    _hypothesis(d, v, p, a0, b0, turn_err, best)
    _refine(d, v, p, a0, b0, max(turn_err, 1e-12), 0.0, used, best, inverse)
    extra = _misfit(d, v, p, best, 4.0)
    if extra > 0.0:
        _refine(d, v, p, a0, b0, max(turn_err, 1e-12), extra, used, best, inverse)
    chi2, weight, weight2, count = 0.0, 0.0, 0.0, 0
    for i in range(n):
        if used[i]:
            count += 1
            chi2 += _squared(d, v, p, best, i, extra)
            for axis in range(2):
                w = 1.0 / (v[i, axis] + extra)
                weight += w
                weight2 += w * w
    for m in range(4):
        out[m] = best[m]
    out[4], out[5], out[6] = inverse[0, 0], inverse[1, 1], inverse[0, 1]
    out[7] = inverse[3, 3]
    out[8] = np.nan
    free = 2 * count - 2 - (2 if turn_err > 0 else 0)
    if count >= 3 and free > 0:
        # DerSimonian & Laird 1986
        out[8] = extra + (chi2 - free) / (weight - weight2 / weight)
