"""A star's profile as a sum of Gaussians, which motion blurs exactly and pixels integrate exactly.

In: an `OpticsSpec`. Out: parts for `render.add_stars`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import roots_genlaguerre

from .process import Floats
from .setup import OpticsSpec

MOFFAT_PARTS = 8
MOST_SPOTS = 400


def psf_parts(optics: OpticsSpec, sigma_px: float, scale_arcsec_per_px: float) -> Floats:
    """The parts of a star whose core has this sigma.

    Returns
    -------
    [k, 4] array
        Share of the light, variance over that of the core, and displacement along x and y, px. Shares add up to 1.
    """
    shape = _profile(optics.moffat_beta, optics.halo_share, optics.halo_width)
    if not optics.defocus_arcsec:
        return shape
    spots = _pupil(optics.defocus_arcsec / scale_arcsec_per_px / 2, optics.obstruction, sigma_px)
    parts = np.repeat(shape, len(spots), axis=0)
    parts[:, 0] /= len(spots)
    parts[:, 2:] = np.tile(spots, (len(shape), 1))
    return parts


@cache
def _profile(moffat_beta: float, halo_share: float, halo_width: float) -> Floats:
    """The parts of a star in focus."""
    if moffat_beta:
        shape = moffat_parts(moffat_beta)
    else:
        shape = np.array([[1 - halo_share, 1.0], [halo_share, halo_width**2]])
        shape = shape[shape[:, 0] > 0]
    parts = np.zeros((len(shape), 4))
    parts[:, :2] = shape
    return parts


@cache
def moffat_parts(beta: float) -> Floats:
    """A Moffat profile of index β > 1 with the full width at half maximum of a Gaussian of variance 1: [k, 2].

    ``(1 + r²/α²)^-β`` is the mixture of Gaussians of variance α²/(2x) over x of a gamma distribution of shape β - 1;
    Gauss and Laguerre's nodes stand for it.
    """
    nodes, weights = roots_genlaguerre(MOFFAT_PARTS, beta - 2)
    alpha2 = 2 * math.log(2) / (2 ** (1 / beta) - 1)
    return np.column_stack([weights / weights.sum(), alpha2 / (2 * nodes)])


def _pupil(radius_px: float, obstruction: float, sigma_px: float) -> Floats:
    """Places that fill a ring evenly (Vogel 1979), close enough together for a star to hide them: [n, 2]."""
    inner2 = obstruction**2
    n = math.ceil(4 * (radius_px / sigma_px) ** 2 * (1 - inner2)) + 6
    n = min(n, MOST_SPOTS)
    k = np.arange(n)
    r = radius_px * np.sqrt(inner2 + (1 - inner2) * (k + 0.5) / n)
    angle = k * math.pi * (3 - math.sqrt(5))
    places = np.column_stack([r * np.cos(angle), r * np.sin(angle)])
    centred: Floats = places - places.mean(axis=0)
    return centred
