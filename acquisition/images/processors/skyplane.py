"""Pixels on the sky by an image's WCS.

In: an `Image` and places in it. Out: places on the sky, and angles between them.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image

from .tangent import pixel_to_sky

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.io.fits import Header
    from astropy.wcs import WCS


def wcs_of(image: Image) -> WCS:
    """The celestial WCS of an image, of any projection and distortion.

    Raises
    ------
    ImageError
        If the header has none.
    """
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what astropy mends in other programs' headers
        try:
            wcs = WCS(image.header, naxis=2)
            if not wcs.has_celestial:
                raise ValueError("no celestial axes")
        except Exception as error:  # a damaged header can make wcslib raise anything
            raise ImageError(f"image has no usable WCS: {' '.join(str(error).split())}") from error
    return wcs


def header_without_wcs(image: Image) -> Header:
    """A copy of the header without cards of a WCS of the pixels, distortion included."""
    header = image.header.copy()
    for keyword in [keyword for keyword in header if _OF_WCS.fullmatch(keyword)]:
        header.remove(keyword, ignore_missing=True, remove_all=True)
    return header


_OF_WCS = re.compile(
    r"(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PV[12]_\d+|(A|B|AP|BP)_(ORDER|DMAX|\d_\d)"
    r"|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|EPOCH|WCSNAME|WCSAXES"
)


def sky_of(wcs: WCS, x: float, y: float) -> SkyCoord:
    """The place on the sky of a 0-based pixel.

    Raises
    ------
    ImageError
        If the pixel is not on the sky.
    """
    return _or_image_error(lambda: wcs.pixel_to_world(x, y), f"pixel ({x:.1f}, {y:.1f})")


def icrs_of(
    image: Image, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ICRS coordinates, degrees, of 0-based pixels.

    Raises
    ------
    ImageError
        If the image has no WCS, or one whose sky has no stars.
    """
    wcs = image.facts.wcs
    if wcs is not None and not wcs.is_distorted:
        return pixel_to_sky(wcs, x, y)
    celestial = wcs_of(image)
    sky = _or_image_error(lambda: celestial.pixel_to_world(x, y).transform_to("icrs"), f"pixels {x}, {y}")
    return sky.ra.deg, sky.dec.deg


def pixel_of(wcs: WCS, sky: SkyCoord) -> tuple[float, float]:
    """The 0-based pixel of a place on the sky.

    Raises
    ------
    ImageError
        If it is not in the projection.
    """
    x, y = _or_image_error(lambda: wcs.world_to_pixel(sky), f"position {sky.to_string()}")
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ImageError(f"position {sky.to_string()} is not in the image's projection")
    return float(x), float(y)


def pixel_of_degrees(wcs: WCS, lon_deg: float, lat_deg: float) -> tuple[float, float]:
    """The 0-based pixel of a longitude and a latitude in the WCS's own frame, whatever that is.

    Raises
    ------
    ImageError
        If it is not in the projection.
    """
    what = f"position ({lon_deg:g}, {lat_deg:g}) degrees"
    x, y = _or_image_error(lambda: wcs.celestial.all_world2pix(lon_deg, lat_deg, 0), what)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ImageError(f"{what} is not in the image's projection")
    return float(x), float(y)


def _or_image_error(convert: Any, what: str) -> Any:
    try:
        return convert()
    except Exception as error:  # wcslib's exceptions are many
        raise ImageError(f"{what} has no counterpart by the image's WCS: {error}") from error
