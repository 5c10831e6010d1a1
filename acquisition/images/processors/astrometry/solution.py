"""What every way of astrometry shares: the stars that go in, the WCS that comes out.

In: an `Image` with a catalog. Out: its best stars; and the image with a solved WCS in its header and its catalog.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError, NoStars
from acquisition.images import Image
from acquisition.images.processors.demands import columns
from acquisition.images.processors.skyplane import header_without_wcs, wcs_of


def brightest_stars(image: Image, count: int, at_least: int, max_peak: float = np.inf) -> NDArray[np.float64]:
    """x, y (0-based px) and flux of the brightest stars of the catalog, brightest first.

    Raises
    ------
    ImageError
        If there is no catalog, or it lacks x, y or flux.
    NoStars
        If fewer stars are usable (finite, with a positive flux and a peak below the limit) than are needed.
    """
    x, y, flux = columns(image.catalog, "x", "y", "flux")
    good = np.isfinite(x) & np.isfinite(y) & (flux > 0) & np.isfinite(flux)
    if "peak" in image.catalog.colnames:
        (peak,) = columns(image.catalog, "peak")
        good &= ~(peak >= max_peak)
    if int(good.sum()) < at_least:
        raise NoStars(f"catalog has {int(good.sum())} usable stars; astrometry needs {at_least}")
    order = np.flatnonzero(good)[np.argsort(-flux[good], kind="stable")][:count]
    return np.column_stack([x[order] - 1, y[order] - 1, flux[order]])


def reference_pixel(image: Image) -> tuple[float, float]:
    """Where the WCS is to be anchored, 1-based px: the CRPIX that the header has, or the middle of the image."""
    height, width = image.data.shape[-2:]
    found = []
    for keyword, length in (("CRPIX1", width), ("CRPIX2", height)):
        value = image.header_value(keyword)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
        found.append(float(value) if is_number else (length + 1) / 2)
    return found[0], found[1]


def solved(image: Image, cards: dict[str, Any]) -> Image:
    """The image with a WCS instead of the one that it had, WCSERR = 0, and columns ra, dec (degrees) in its catalog.

    Parameters
    ----------
    cards : dict
        CTYPE, CRPIX, CRVAL, CD matrix and whatever belongs to it; ICRS unless they say otherwise.

    Raises
    ------
    ImageError
        If they are no WCS.
    """
    header = header_without_wcs(image)
    header["RADESYS"] = ("ICRS", "frame of the coordinates")
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    for keyword, value in cards.items():
        header[keyword] = value
    header["WCSERR"] = (0, "1 if astrometry failed")
    result = image.derive(header=header)
    wcs = wcs_of(result)
    catalog = image.safe_catalog
    if catalog is not None:
        x, y = columns(catalog, "x", "y")
        catalog = catalog.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of stars without a place
            catalog["ra"], catalog["dec"] = wcs.all_pix2world(x, y, 1)
        catalog["ra"].unit = catalog["dec"].unit = "deg"
        result = result.derive(catalog=catalog)
    return result


def failed(image: Image) -> Image:
    """The image with WCSERR = 1."""
    header = image.header.copy()
    header["WCSERR"] = (1, "1 if astrometry failed")
    return image.derive(header=header)


def scale_arcsec(image: Image) -> float:
    """The scale, arcsec per px, from the header's WCS or from focal length and pixel size.

    Raises
    ------
    ImageError
        If the header has neither.
    """
    scale, facts = image.pixel_scale, image.facts
    if scale is None and facts.focal_length_mm and facts.x_pixel_size_um:
        scale = abs(np.degrees(facts.x_pixel_size_um * 1e-3 / facts.focal_length_mm) * 3600)
    if scale is None or not 1e-4 < scale < 1e5:
        raise ImageError(
            f"scale is {scale} arcsec/px; astrometry needs a CD matrix or CDELT1, or FOCALLEN and XPIXSZ, in the header"
        )
    return float(scale)
