"""Aperture photometry by the sep library.

In: an `Image` with a catalog. Out: the image with fluxes in its catalog.
"""

from __future__ import annotations

import numpy as np

from acquisition.errors import ImageError

from .aperturephotometry import AperturePhotometry, Array, Field


class SepPhotometry(AperturePhotometry):
    """Measure fluxes with sep (Barbary 2016), above its background of the whole image; more as of `AperturePhotometry`.

    A column ``background`` has the background at each source, per pixel.

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.
    """

    def _measure(self, field: Field) -> dict[str, Array]:
        import sep

        try:
            background = sep.Background(field.pixels, mask=field.bad, bw=32, bh=32, fw=3, fh=3)
        except Exception as problem:  # sep's own
            raise ImageError(f"no background: {problem}") from problem
        sky = background.back()
        pixels = field.pixels - sky
        noise, gain = (field.error, None) if field.error is not None else (background.globalrms, field.egain_e_per_adu)
        gain = gain if gain is not None and gain > 0 else None
        height, width = pixels.shape
        columns, rows = (np.clip(np.rint(p), 0, n - 1).astype(int) for p, n in ((field.x, width), (field.y, height)))
        found = {"background": np.asarray(sky[rows, columns], np.float64)}
        for diameter, radius in field.radii_px.items():
            flux, flux_error, flags = sep.sum_circle(
                pixels, field.x, field.y, radius, err=noise, mask=field.bad, gain=gain
            )
            nothing = (flags & sep.APER_ALLMASKED) != 0
            found[f"fluxaper{diameter}"] = np.where(nothing, np.nan, flux)
            found[f"fluxerr{diameter}"] = np.where(nothing, np.nan, flux_error)
        return found
