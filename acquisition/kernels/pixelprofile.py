"""Gaussians integrated over pixels, along one axis: what the profile fits are made of.

In: a centre and a width. Out: the light of each pixel, and how it changes with both.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .bell import bell
from .compiled import in_place, vectorised

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_SQRT_HALF = np.float32(math.sqrt(0.5))
_PDF = 1.0 / math.sqrt(2.0 * math.pi)


@in_place
def integrate(centre: float, fwhm: float, scales: Array, edges: Floats, out: Floats) -> None:
    """Pixel-integrated Gaussians of unit sum, to some 1e-7.

    Parameters
    ----------
    centre : float
        Of all Gaussians, px.
    fwhm, scales
        See `psf.Psf`.
    edges : ndarray, shape [3, m + 8]
        A place to work in.
    out : ndarray, shape [Gaussians, 3, m]
        Value at pixels 0 to m - 1, its derivatives by the centre and by ln FWHM.
    """
    for k in range(scales.size):
        sigma = fwhm * scales[k]
        _integrals(centre + 0.5, 1.0 / sigma, edges[0], edges[1], edges[2])
        _differences(edges[1], 1.0, out[k, 0])
        _differences(edges[0], -_PDF / sigma, out[k, 1])
        _differences(edges[2], -_PDF, out[k, 2])


@vectorised
def _integrals(centre: float, inverse: float, bells: Floats, integral: Floats, moment: Floats) -> None:
    """Normal distribution: its density but for a factor, integral from 0, density times place.

    Abramowitz & Stegun 7.1.26.
    """
    c, scale = np.float32(centre), np.float32(inverse)
    one, half, none, per32 = np.float32(1.0), np.float32(0.5), np.float32(0.0), np.float32(1.0 / 32.0)
    a1, a2, a3 = np.float32(0.254829592), np.float32(-0.284496736), np.float32(1.421413741)
    a4, a5, p = np.float32(-1.453152027), np.float32(1.061405429), np.float32(0.3275911) * _SQRT_HALF
    for i in range(bells.size):
        t = (np.float32(i) - c) * scale
        density = bell(t * t * per32)
        u = one / (one + p * abs(t))
        half_left = half - half * (u * (a1 + u * (a2 + u * (a3 + u * (a4 + u * a5))))) * density
        integral[i] = half_left if t > none else -half_left
        bells[i] = density
        moment[i] = t * density


@vectorised
def _differences(edge: Floats, factor: float, out: Floats) -> None:
    """From each pixel's left edge to its right."""
    scale = np.float32(factor)
    for i in range(out.size):
        out[i] = (edge[i + 1] - edge[i]) * scale
