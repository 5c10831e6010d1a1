"""From the displacements of single stars to the motion of the field.

In: displacement and variance of each star, where it stands. Out: shift, rotation and scale with variances, and which
stars agree with them.

The model is d = t + (a, -b; b, a) (p - pivot): exact for a rotation by any angle and a change of scale. Stars that
disagree (satellite trails, defects, blends) are found by trying the hypotheses that single stars and pairs of them
give, then left out of a least squares fit with inverse-variance weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Array = NDArray[np.float64]

_CUT = 16.0  # squared residual over variance beyond which a star disagrees


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
    residual : ndarray, shape [n, 2]
        Displacement less the model's, px.
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
    residual: Array
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
    used, residual, out = np.zeros(n, np.bool_), np.zeros((n, 2)), np.zeros(9)
    total = np.ascontiguousarray(variance, np.float64) + floor_px**2
    _combine(
        np.ascontiguousarray(displacement, np.float64),
        total,
        np.ascontiguousarray(place, np.float64),
        turn[0],
        turn[1],
        min(turn_err, 1e3),
        used,
        residual,
        out,
    )
    dx, dy, stretch, turned, var_dx, var_dy, cov, var_turn, excess = out.tolist()
    return Motion(dx, dy, stretch, turned, var_dx, var_dy, cov, var_turn, used, residual, excess)


@compiled
def _cost(d: Array, v: Array, p: Array, t: Array) -> float:
    """Truncated chi squared of a hypothesis t = (dx, dy, a, b)."""
    cost = 0.0
    for i in range(len(d)):
        rx = d[i, 0] - (t[0] + t[2] * p[i, 0] - t[3] * p[i, 1])
        ry = d[i, 1] - (t[1] + t[3] * p[i, 0] + t[2] * p[i, 1])
        cost += min(rx * rx / v[i, 0] + ry * ry / v[i, 1], _CUT)
    return cost


@compiled
def _combine(
    d: Array,
    v: Array,
    p: Array,
    a0: float,
    b0: float,
    turn_err: float,
    used: NDArray[np.bool_],
    residual: Array,
    out: Array,
) -> None:
    n = len(d)
    t, best = np.zeros(4), np.zeros(4)
    best_cost = np.inf
    best_var = np.inf
    prior = 1.0 / (turn_err * turn_err) if turn_err > 0 else 0.0
    for i in range(n):
        t[0] = d[i, 0] - (a0 * p[i, 0] - b0 * p[i, 1])
        t[1] = d[i, 1] - (b0 * p[i, 0] + a0 * p[i, 1])
        t[2], t[3] = a0, b0
        cost = _cost(d, v, p, t)
        if cost < best_cost - 1e-9 or (cost < best_cost + 1e-9 and v[i, 0] + v[i, 1] < best_var):
            best_cost, best_var = cost, v[i, 0] + v[i, 1]
            best[:] = t
    if turn_err > 0 and n >= 3:
        for i in range(n):
            for j in range(i + 1, n):
                ux, uy = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1]
                wx, wy = d[j, 0] - d[i, 0], d[j, 1] - d[i, 1]
                r2 = ux * ux + uy * uy
                if r2 < 1.0:
                    continue
                t[2], t[3] = (ux * wx + uy * wy) / r2, (ux * wy - uy * wx) / r2
                off = ((t[2] - a0) ** 2 + (t[3] - b0) ** 2) * prior
                if off > 4.0 * _CUT:
                    continue
                t[0] = d[i, 0] - (t[2] * p[i, 0] - t[3] * p[i, 1])
                t[1] = d[i, 1] - (t[3] * p[i, 0] + t[2] * p[i, 1])
                cost = _cost(d, v, p, t) + off
                if cost < best_cost - 1e-9:
                    best_cost = cost
                    best[:] = t
    inverse = np.zeros((4, 4))
    previous = -1
    for _ in range(10):
        # stars within the cut of the current solution; the best star at the least
        count, nearest, least = 0, 0, np.inf
        for i in range(n):
            rx = d[i, 0] - (best[0] + best[2] * p[i, 0] - best[3] * p[i, 1])
            ry = d[i, 1] - (best[1] + best[3] * p[i, 0] + best[2] * p[i, 1])
            r2 = rx * rx / v[i, 0] + ry * ry / v[i, 1]
            used[i] = r2 < _CUT
            count += used[i]
            if r2 < least:
                nearest, least = i, r2
        if count == 0:
            used[nearest] = True
            count = 1
        matrix, right = np.zeros((4, 4)), np.zeros(4)
        for i in range(n):
            if used[i]:
                wx, wy, x, y = 1.0 / v[i, 0], 1.0 / v[i, 1], p[i, 0], p[i, 1]
                ex = d[i, 0] - (a0 * x - b0 * y)
                ey = d[i, 1] - (b0 * x + a0 * y)
                matrix[0, 0] += wx
                matrix[1, 1] += wy
                matrix[0, 2] += wx * x
                matrix[0, 3] -= wx * y
                matrix[1, 2] += wy * y
                matrix[1, 3] += wy * x
                matrix[2, 2] += wx * x * x + wy * y * y
                matrix[3, 3] += wx * y * y + wy * x * x
                matrix[2, 3] += wy * x * y - wx * x * y
                right[0] += wx * ex
                right[1] += wy * ey
                right[2] += wx * x * ex + wy * y * ey
                right[3] += wy * x * ey - wx * y * ex
        for r in range(4):
            for c in range(r):
                matrix[r, c] = matrix[c, r]
        if turn_err > 0:
            matrix[2, 2] += prior
            matrix[3, 3] += prior
            inverse[:, :] = np.linalg.inv(matrix)
        else:
            inverse[0, 0], inverse[1, 1] = 1.0 / matrix[0, 0], 1.0 / matrix[1, 1]
        for r in range(4):
            best[r] = 0.0
            for c in range(4):
                best[r] += inverse[r, c] * right[c]
        best[2] += a0
        best[3] += b0
        signature = 0
        for i in range(n):
            if used[i]:
                signature += (i + 1) * (i + 1)
        if signature == previous:
            break
        previous = signature
    chi2, weight, weight2, count = 0.0, 0.0, 0.0, 0
    for i in range(n):
        residual[i, 0] = d[i, 0] - (best[0] + best[2] * p[i, 0] - best[3] * p[i, 1])
        residual[i, 1] = d[i, 1] - (best[1] + best[3] * p[i, 0] + best[2] * p[i, 1])
        if used[i]:
            count += 1
            for axis in range(2):
                w = 1.0 / v[i, axis]
                chi2 += residual[i, axis] ** 2 * w
                weight += w
                weight2 += w * w
    out[0], out[1], out[2], out[3] = best[0], best[1], best[2], best[3]
    out[4], out[5], out[6] = inverse[0, 0], inverse[1, 1], inverse[0, 1]
    out[7] = inverse[3, 3]
    out[8] = np.nan
    free = 2 * count - 2 - (2 if turn_err > 0 else 0)
    if count >= 3 and free > 0:
        out[8] = (chi2 - free) / (weight - weight2 / weight)  # DerSimonian & Laird 1986
