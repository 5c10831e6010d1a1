"""How far one picture is shifted against another, whatever it shows.

In: two pictures of one size. Out: shift, and how clear it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]


def correlate(reference: NDArray[Any], picture: NDArray[Any]) -> tuple[float, float, float]:
    """Shift of a picture against a reference by cross-correlation, px.

    Both are tapered to nothing at their edges and freed of what varies over more than a tenth of their width; the
    peak is refined by a parabola on each axis.

    Parameters
    ----------
    reference, picture : ndarray, [y, x]
        Of one shape; NaN count as the mean.

    Returns
    -------
    dx, dy : float
        Positive: the picture's content is at larger columns and rows.
    likeness : float
        Correlation coefficient at that shift, up to 1: what both pictures share of their detail, noise included.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if reference.shape != picture.shape:
        raise ValueError(f"pictures are {reference.shape} and {picture.shape} px; both must be the same")
    ny, nx = reference.shape
    window = np.hanning(ny + 2)[1:-1, None] * np.hanning(nx + 2)[None, 1:-1]
    fy, fx = fft.fftfreq(ny)[:, None] * ny, fft.rfftfreq(nx)[None, :] * nx
    # band-pass: from a tenth of the field down to 2 px
    band = (1.0 - np.exp(-(fx**2 + fy**2) / 2 / 10.0**2)) * np.exp(-((fx / nx) ** 2 + (fy / ny) ** 2) / 2 / 0.25**2)
    spectra = []
    for data in (reference, picture):
        values = np.asarray(data, np.float64)
        finite = np.isfinite(values)
        mean = values[finite].mean() if finite.any() else 0.0
        spectra.append(fft.rfft2(np.where(finite, values - mean, 0.0) * window))
    surface = fft.irfft2(spectra[1] * np.conj(spectra[0]) * band, s=(ny, nx))
    j, i = np.unravel_index(int(np.argmax(surface)), surface.shape)
    own = [float(fft.irfft2(np.abs(spectrum) ** 2 * band, s=(ny, nx))[0, 0]) for spectrum in spectra]
    if not min(own) > 0.0:
        return 0.0, 0.0, 0.0
    dx = i + _vertex(surface[j, i - 1], surface[j, i], surface[j, (i + 1) % nx])
    dy = j + _vertex(surface[j - 1, i], surface[j, i], surface[(j + 1) % ny, i])
    return (
        float(dx - nx if dx > nx / 2 else dx),
        float(dy - ny if dy > ny / 2 else dy),
        float(surface[j, i] / math.sqrt(own[0] * own[1])),
    )


def _vertex(before: float, peak: float, after: float) -> float:
    """Place of the maximum of the parabola through three equidistant values."""
    curvature = before - 2 * peak + after
    return 0.0 if curvature >= 0 else min(max(0.5 * (before - after) / curvature, -0.5), 0.5)


def find_disk(picture: NDArray[Any], rays: int = 360) -> tuple[float, float, float, float] | None:
    """Centre and radius of a bright disk on a dark sky from its limb; terminators and clipped parts do not matter.

    The limb is where brightness along rays passes half of the disk's; a circle is fitted to these points, those that
    do not lie on it left out.

    Parameters
    ----------
    picture : ndarray, [y, x]
    rays : int
        How many.

    Returns
    -------
    x, y, radius, error : float
        px; the error is that of x and y. None where there is no disk: nothing bright of at least 4 px radius, or too
        few points on one circle.
    """
    values = np.asarray(picture, np.float64)
    values = np.where(np.isfinite(values), values, np.nanmedian(values))
    low, high = np.percentile(values, (2.0, 99.0))
    bright = values > 0.5 * (low + high)
    if not high > low or bright.sum() < 50:
        return None
    rows, columns = np.nonzero(bright)
    cx, cy = float(columns.mean()), float(rows.mean())
    points = _limb(values, cx, cy, 0.5 * (low + high), rays)
    return _fit_circle(points)


def _limb(values: Array, cx: float, cy: float, threshold: float, rays: int) -> Array:
    """The outermost downward crossings of a threshold along rays from a point, [n, 2]."""
    height, width = values.shape
    radii = np.arange(0.0, math.hypot(height, width), 0.5)
    points = []
    for angle in np.arange(rays) * (2 * math.pi / rays):
        x, y = cx + radii * math.cos(angle), cy + radii * math.sin(angle)
        inside = (x >= 0) & (y >= 0) & (x < width - 1) & (y < height - 1)
        x, y = x[inside], y[inside]
        i, j = x.astype(int), y.astype(int)
        u, v = x - i, y - j
        along = (
            values[j, i] * (1 - u) * (1 - v)
            + values[j, i + 1] * u * (1 - v)
            + values[j + 1, i] * (1 - u) * v
            + values[j + 1, i + 1] * u * v
        )
        falls = np.flatnonzero((along[:-1] > threshold) & (along[1:] <= threshold))
        if len(falls):
            k = falls[-1]
            r = radii[k] + 0.5 * (along[k] - threshold) / (along[k] - along[k + 1])
            points.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
    return np.array(points).reshape(-1, 2)


def _fit_circle(points: Array) -> tuple[float, float, float, float] | None:
    """Circle that most points lie on: best of circles through three, then least squares over those near it."""
    n = len(points)
    if n < 20:
        return None
    rng = np.random.default_rng(0)
    best, most = None, 0
    for _ in range(200):
        circle = _circle_through(points[rng.choice(n, 3, replace=False)])
        if circle is None or circle[2] < 4.0:
            continue
        off = np.hypot(points[:, 0] - circle[0], points[:, 1] - circle[1]) - circle[2]
        near = np.abs(off) < 1.0 + 0.005 * circle[2]
        if near.sum() > most:
            best, most = circle, int(near.sum())
    if best is None or most < max(20, 0.2 * n):
        return None
    x, y, radius = best
    scatter, covariance = 1.0, np.eye(3)
    for _ in range(10):
        distance = np.hypot(points[:, 0] - x, points[:, 1] - y)
        off = distance - radius
        use = np.abs(off) < max(3.0 * scatter, 0.2)
        if use.sum() < 10:
            return None
        jacobian = np.column_stack(
            ((points[use, 0] - x) / distance[use], (points[use, 1] - y) / distance[use], np.ones(int(use.sum())))
        )
        covariance = np.linalg.inv(jacobian.T @ jacobian)
        step = covariance @ jacobian.T @ off[use]
        x, y, radius = x + step[0], y + step[1], radius + step[2]
        scatter = max(1.4826 * float(np.median(np.abs(off[use]))), 0.02)
    error = scatter * math.sqrt(0.5 * (covariance[0, 0] + covariance[1, 1]))
    return float(x), float(y), float(radius), error


def _circle_through(points: Array) -> tuple[float, float, float] | None:
    (ax, ay), (bx, by), (cx, cy) = points
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(d) < 1e-9:
        return None
    a2, b2, c2 = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    x = (a2 * (by - cy) + b2 * (cy - ay) + c2 * (ay - by)) / d
    y = (a2 * (cx - bx) + b2 * (ax - cx) + c2 * (bx - ax)) / d
    return x, y, math.hypot(ax - x, ay - y)
