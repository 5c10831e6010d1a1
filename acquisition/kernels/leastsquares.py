"""Weighted least squares with a handful of parameters.

In: a model's derivatives, weights, residuals. Out: a step, and covariances.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place, vectorised

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@vectorised
def add_place(terms: Floats, weight: Floats, pull: Floats, flux: float, matrix: Array, right: Array) -> None:
    """Normal equations for x, y, flux and base: lower triangle of the matrix, and the right side.

    ``terms`` are a profile's derivatives by x and by y, and itself; ``pull`` is weight times residual.
    """
    dx, dy, p = terms[0], terms[1], terms[2]
    xx = xy = yy = xp = yp = pp = x1 = y1 = p1 = one = rx = ry = rp = r1 = np.float32(0.0)
    for i in range(weight.size):
        w, r, a, b, c = weight[i], pull[i], dx[i], dy[i], p[i]
        wa, wb, wc = w * a, w * b, w * c
        xx += wa * a
        xy += wa * b
        yy += wb * b
        xp += wa * c
        yp += wb * c
        pp += wc * c
        x1 += wa
        y1 += wb
        p1 += wc
        one += w
        rx += r * a
        ry += r * b
        rp += r * c
        r1 += r
    f2 = flux * flux
    matrix[0, 0], matrix[1, 0], matrix[1, 1] = xx * f2, xy * f2, yy * f2
    matrix[2, 0], matrix[2, 1], matrix[2, 2] = xp * flux, yp * flux, pp
    matrix[3, 0], matrix[3, 1], matrix[3, 2], matrix[3, 3] = x1 * flux, y1 * flux, p1, one
    right[0], right[1], right[2], right[3] = rx * flux, ry * flux, rp, r1


@vectorised
def add_widths(terms: Floats, weight: Floats, pull: Floats, flux: float, matrix: Array, right: Array) -> None:
    """The rows of the normal equations that both widths add: ``terms`` 3 and 4 are the derivatives by them."""
    dx, dy, p, lx, ly = terms[0], terms[1], terms[2], terms[3], terms[4]
    ax = ay = ap = a1 = aa = bx = by = bp = b1 = ab = bb = ra = rb = np.float32(0.0)
    for i in range(weight.size):
        w, r, u, v = weight[i], pull[i], lx[i], ly[i]
        wu, wv = w * u, w * v
        ax += wu * dx[i]
        ay += wu * dy[i]
        ap += wu * p[i]
        a1 += wu
        aa += wu * u
        bx += wv * dx[i]
        by += wv * dy[i]
        bp += wv * p[i]
        b1 += wv
        ab += wu * v
        bb += wv * v
        ra += r * u
        rb += r * v
    f2 = flux * flux
    matrix[4, 0], matrix[4, 1], matrix[4, 2], matrix[4, 3], matrix[4, 4] = (
        ax * f2,
        ay * f2,
        ap * flux,
        a1 * flux,
        aa * f2,
    )
    matrix[5, 0], matrix[5, 1], matrix[5, 2], matrix[5, 3] = bx * f2, by * f2, bp * flux, b1 * flux
    matrix[5, 4], matrix[5, 5] = ab * f2, bb * f2
    right[4], right[5] = ra * flux, rb * flux


@in_place
def factor(matrix: Array, n: int) -> bool:
    """Cholesky's factor in place of the leading n by n lower triangle; False unless that is positive definite.

    The factor's own leading part belongs to the leading part of the matrix.
    """
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    return True


@in_place
def solve(factored: Array, right: Array, n: int, solution: Array) -> None:
    """Solve the leading n equations of a system that `factor` has factored."""
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= factored[i, k] * solution[k]
        solution[i] = total / factored[i, i]
    for i in range(n - 1, -1, -1):
        total = solution[i]
        for k in range(i + 1, n):
            total -= factored[k, i] * solution[k]
        solution[i] = total / factored[i, i]
