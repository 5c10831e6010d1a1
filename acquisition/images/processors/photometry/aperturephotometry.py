"""Light of each source within circles of 1 to 8 arcsec.

In: an `Image` with a catalog and a scale. Out: the image with columns fluxaper1 ... fluxaper8 in its catalog.
"""

from __future__ import annotations

import asyncio
import logging
import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import columns, masked, mono

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_UNUSABLE = 1e30  # pixels beyond are none


@dataclass(frozen=True, slots=True)
class Field:
    """What there is to measure.

    Attributes
    ----------
    pixels : array
        [y, x]; 0 where `bad`.
    bad : array of bool
        [y, x].
    error : array or None
        Standard deviation of each pixel, where the image states it.
    egain_e_per_adu : float or None
    x, y : array
        Of the sources, 0-based px, finite and within the image.
    radii_px : dict
        Of the apertures by their diameter in arcsec, none above the image's diagonal.
    """

    pixels: Array
    bad: NDArray[np.bool_]
    error: Array | None
    egain_e_per_adu: float | None
    x: Array
    y: Array
    radii_px: dict[int, float]


class AperturePhotometry(ImageProcessor):
    """Measure the flux of each source of the catalog in circular apertures of 1 to 8 arcsec DIAMETER, as pyobs.

    Columns of the result, one of each for a diameter d of 1 to 8: fluxaperd, flux above the background, and fluxerrd,
    its standard error, both in the unit of the pixels. Masked and NaN pixels do not count; what cannot be measured
    (no place, outside the image, an aperture larger than it) is NaN. Colour is weighted to luminance. Errors rest on
    the image's uncertainty, or else on the background's noise and the camera's gain. The catalog that the image came
    with stays as it was.

    An image without data, catalog or scale (CD matrix or CDELT1) passes unchanged, with a warning.

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.
    """

    APERTURE_DIAMETERS_ARCSEC = range(1, 9)

    @abstractmethod
    def _measure(self, field: Field) -> dict[str, Array]:
        """New columns, one row a source of the field. Runs beside the event loop."""

    async def __call__(self, image: Image) -> Image:
        """Measure an image's sources.

        Raises
        ------
        ImageError
            If the pixels are no picture, mask or uncertainty do not fit, or the catalog lacks x and y.
        """
        catalog = image.safe_catalog
        if image.safe_data is None or catalog is None:
            log.warning("no photometry: the image has no %s", "data" if image.safe_data is None else "catalog")
            return image
        scale_arcsec = _scale_arcsec(image)
        if scale_arcsec is None:
            log.warning("no photometry: the image does not state its scale")
            return image
        with np.errstate(over="ignore"):
            pixels = mono(image).astype(np.float64)
        bad = ~(np.abs(pixels) < _UNUSABLE)
        mask = masked(image)
        if mask is not None:
            bad |= mask
        pixels[bad] = 0.0
        error = _error(image, pixels.shape)
        x, y = columns(catalog, "x", "y")
        x, y = x - 1, y - 1  # catalogs are 1-based
        height, width = pixels.shape
        there = (np.abs(x - (width - 1) / 2) <= width / 2) & (np.abs(y - (height - 1) / 2) <= height / 2)
        diameters = self.APERTURE_DIAMETERS_ARCSEC
        radii_px = {d: d / 2 / scale_arcsec for d in diameters if d / 2 / scale_arcsec <= math.hypot(height, width)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about apertures without a usable pixel
            field = Field(pixels, bad, error, image.facts.egain_e_per_adu, x[there], y[there], radii_px)
            found = await asyncio.to_thread(self._measure, field)
        catalog = catalog.copy()
        for diameter in diameters:
            for name in (f"fluxaper{diameter}", f"fluxerr{diameter}"):
                found.setdefault(name, np.full(int(there.sum()), math.nan))
        for name, values in found.items():
            column = np.full(len(catalog), math.nan)
            column[there] = values
            catalog[name] = column
        return image.derive(catalog=catalog)


def _scale_arcsec(image: Image) -> float | None:
    scale = image.pixel_scale
    if scale is not None and not 1e-6 < scale < 1e6:
        raise ImageError(f"scale is {scale:g} arcsec/px; need a true one")
    return scale


def _error(image: Image, shape: tuple[int, ...]) -> Array | None:
    """Standard deviation of each pixel of the luminance, if the image has an uncertainty."""
    uncertainty = image.safe_uncertainty
    if uncertainty is None:
        return None
    if uncertainty.shape != image.data.shape:
        raise ImageError(f"uncertainty is of shape {uncertainty.shape}, the image {image.data.shape}")
    error: Array = uncertainty.astype(np.float64)
    if error.ndim == 3:
        weights = np.array([0.2126, 0.7152, 0.0722])[:, None, None]  # as `Image.to_grayscale`
        error = np.sqrt(((weights * error) ** 2).sum(axis=0))
    return np.where(error >= 0, error, 0.0)
