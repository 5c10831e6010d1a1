"""Aperture photometry by the photutils library.

In: an `Image` with a catalog. Out: the image with fluxes in its catalog.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images.processors.extras import need

from .aperturephotometry import AperturePhotometry, Array, Field


class PhotUtilsPhotometry(AperturePhotometry):
    """Measure fluxes with photutils, above the sky in a ring around each source; more as of `AperturePhotometry`.

    Columns bkgaper1 ... bkgaper8 have that sky: the clipped median of the usable pixels between 2 and 3 radii of the
    LARGEST aperture, where the source's own light is not (pyobs takes those of each aperture), or of the whole image if
    there is none. Apertures of less than 1 px radius are not measured.

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ConfigError
        If photutils is not installed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        need("photutils", "photometry", "PhotUtilsPhotometry")

    def _measure(self, field: Field) -> dict[str, Array]:
        from astropy.stats import SigmaClip, mad_std
        from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture
        from photutils.utils import calc_total_error

        pixels, bad, error, x, y = field.pixels, field.bad, field.error, field.x, field.y
        found: dict[str, Array] = {f"bkgaper{d}": np.full(x.size, np.nan) for d in self.APERTURE_DIAMETERS_ARCSEC}
        if x.size == 0 or bad.all():
            return found
        if error is None:
            usable = pixels[~bad]
            error = np.full(pixels.shape, float(mad_std(usable)))
            if field.egain_e_per_adu is not None and field.egain_e_per_adu > 0:
                above = np.maximum(pixels - float(np.median(usable)), 0.0)
                error = calc_total_error(above, error, field.egain_e_per_adu)
        places = np.column_stack([x, y])
        largest = max(field.radii_px.values(), default=0.0)
        if largest < 1:
            return found
        ring = CircularAnnulus(places, 2 * largest, 3 * largest)
        clip = SigmaClip(3.0)
        sky = np.asarray(ApertureStats(pixels, ring, mask=bad, sigma_clip=clip, sum_method="center").median, np.float64)
        sky = np.where(np.isfinite(sky), sky, np.median(pixels[~bad]))
        for diameter, radius in field.radii_px.items():
            if radius >= 1:
                stats = ApertureStats(pixels, CircularAperture(places, radius), mask=bad, error=error, local_bkg=sky)
                found[f"bkgaper{diameter}"] = sky
                found[f"fluxaper{diameter}"] = np.asarray(stats.sum, np.float64)
                found[f"fluxerr{diameter}"] = np.asarray(stats.sum_err, np.float64)
        return found
