"""Aperture photometry by the sep library.

In: an `Image` with a catalog. Out: the image with fluxes in its catalog.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError

from .aperturephotometry import AperturePhotometry, Array


class SepPhotometry(AperturePhotometry):
    """Measure fluxes with sep (Barbary 2016), above its background of the whole image; more as of `AperturePhotometry`.

    A column ``background`` has the background at each source, per pixel.

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.
    """

    def _measure(
        self,
        pixels: Array,
        bad: NDArray[np.bool_],
        error: Array | None,
        gain_e_per_adu: float | None,
        x: Array,
        y: Array,
        radii_px: dict[int, float],
    ) -> dict[str, Array]:
        import sep

        try:
            background = sep.Background(pixels, mask=bad, bw=32, bh=32, fw=3, fh=3)
        except Exception as problem:  # sep's own
            raise ImageError(f"no background: {problem}") from problem
        sky = background.back()
        pixels = pixels - sky
        noise = background.globalrms if error is None else error
        gain = gain_e_per_adu if error is None and gain_e_per_adu is not None and gain_e_per_adu > 0 else None
        height, width = pixels.shape
        columns, rows = (np.clip(np.rint(p), 0, n - 1).astype(int) for p, n in ((x, width), (y, height)))
        found = {"background": np.asarray(sky[rows, columns], np.float64)}
        for diameter, radius in radii_px.items():
            flux, flux_error, flags = sep.sum_circle(pixels, x, y, radius, err=noise, mask=bad, gain=gain)
            nothing = (flags & sep.APER_ALLMASKED) != 0
            found[f"fluxaper{diameter}"] = np.where(nothing, np.nan, flux)
            found[f"fluxerr{diameter}"] = np.where(nothing, np.nan, flux_error)
        return found
