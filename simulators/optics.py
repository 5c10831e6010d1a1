"""The telescope: from directions on the sky to pixels, and how wide a star becomes.

In: an `OpticsSpec` and the pixel size. Out: 2x2 matrices and widths in px of the unbinned detector.
"""

from __future__ import annotations

import math

import numpy as np

from .atmosphere import ARCSEC_PER_RAD, WAVELENGTH_M
from .process import Floats
from .setup import OpticsSpec

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


def scale_arcsec_per_px(optics: OpticsSpec, pixel_size_um: float) -> float:
    """Plate scale in the middle of the field."""
    return pixel_size_um * 1e-3 / optics.focal_length_mm * ARCSEC_PER_RAD


def cd_deg_per_px(optics: OpticsSpec, pixel_size_um: float) -> Floats:
    """The WCS' CD matrix, unbinned: (east, north) = CD · (x, y).

    Without rotation north is +y and east is -x (or +x when mirrored).
    """
    scale = scale_arcsec_per_px(optics, pixel_size_um) / 3600
    c, s = math.cos(math.radians(optics.rotation_deg)), math.sin(math.radians(optics.rotation_deg))
    matrix = scale * np.array([[-c, s], [s, c]])
    if optics.mirrored:
        matrix[:, 0] *= -1
    return matrix


def turned(cd_deg_per_px: Floats, rotation_rad: float) -> Floats:
    """A CD matrix after the camera was turned from north towards east."""
    c, s = math.cos(rotation_rad), math.sin(rotation_rad)
    (a, b), (d, e) = cd_deg_per_px.tolist()
    return np.array([[c * a + s * d, c * b + s * e], [c * d - s * a, c * e - s * b]])


def inverse(cd: Floats) -> Floats:
    """Of a 2x2 matrix."""
    (a, b), (c, d) = cd.tolist()
    determinant = a * d - b * c
    return np.array([[d / determinant, -b / determinant], [-c / determinant, a / determinant]])


def diffraction_fwhm_arcsec(optics: OpticsSpec) -> float:
    """Width of an unobstructed aperture's Airy disc, 1.03 λ/D."""
    return 1.03 * WAVELENGTH_M / (optics.aperture_mm * 1e-3) * ARCSEC_PER_RAD


def sigma_arcsec(optics: OpticsSpec, seeing_fwhm_arcsec: float, tilt_variance_arcsec2: float) -> float:
    """Sigma of a star's core without the image motion, which moves the star while the shutter is open.

    Seeing, diffraction and aberrations in quadrature, less the variance of the tilt (a part of the seeing).
    """
    total = math.hypot(seeing_fwhm_arcsec, diffraction_fwhm_arcsec(optics), optics.blur_fwhm_arcsec)
    variance = (total / FWHM_PER_SIGMA) ** 2 - tilt_variance_arcsec2
    return math.sqrt(max(variance, (diffraction_fwhm_arcsec(optics) / FWHM_PER_SIGMA) ** 2))
