"""Sources by DAOPHOT's algorithm (photutils), as a catalog.

In: an `Image`. Out: the image with a catalog.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, mono
from acquisition.images.processors.extras import need
from acquisition.images.processors.skybackground import SkyBackground

if TYPE_CHECKING:
    from astropy.table import Table

_COLUMNS = ("x", "y", "flux", "peak")


class DaophotSourceDetection(ImageProcessor):
    """Detect stars with photutils' `DAOStarFinder` (Stetson 1987).

    The catalog has one row a star: x, y (1-based px), flux and peak (ADU above the background); it is empty where there
    is none. Masked and NaN pixels are not detected; colour is weighted to luminance. An image without data passes
    unchanged.

    Parameters
    ----------
    fwhm : float
        Of a star, px, > 0.
    threshold : float
        In units of the background's noise, > 0.
    bkg_sigma, bkg_box_size, bkg_filter_size
        As of `SkyBackground`.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    ConfigError
        If photutils is not installed.
    """

    def __init__(
        self,
        fwhm: float = 3.0,
        threshold: float = 4.0,
        bkg_sigma: float = 3.0,
        bkg_box_size: tuple[int, int] = (50, 50),
        bkg_filter_size: tuple[int, int] = (3, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        need("photutils", "photometry", "DaophotSourceDetection")
        if not 0 < fwhm < np.inf or not 0 < threshold < np.inf:
            raise ValueError(f"fwhm is {fwhm} px, threshold {threshold}; allowed: above 0")
        self._fwhm, self._threshold = fwhm, threshold
        box, size = bkg_box_size, bkg_filter_size
        self._background = SkyBackground(bkg_sigma, (box[0], box[1]), (size[0], size[1]))

    async def __call__(self, image: Image) -> Image:
        """Detect the stars of an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, too few are usable, or the mask does not fit.
        """
        if image.safe_data is None:
            return image
        with np.errstate(over="ignore"):
            pixels = mono(image).astype(np.float64)
        bad = ~(np.abs(pixels) < 1e30)
        mask = masked(image)
        if mask is not None:
            bad |= mask
        pixels[bad] = 0.0
        pixels -= self._background(pixels, bad)
        return image.derive(catalog=self._catalog(pixels, bad))

    def _catalog(self, pixels: NDArray[np.float64], bad: NDArray[np.bool_]) -> Table:
        from astropy.stats import sigma_clipped_stats
        from astropy.table import Table
        from photutils.detection import DAOStarFinder

        found = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of photutils, that there is no star
            _, median, deviation = sigma_clipped_stats(pixels, mask=bad, sigma=3.0)
            pixels -= median
            pixels[bad] = 0.0
            if deviation > 0:
                found = DAOStarFinder(self._threshold * float(deviation), self._fwhm)(pixels, mask=bad)
        if found is None:
            table = Table({name: np.empty(0) for name in _COLUMNS})
        else:
            names = found.colnames
            x, y = ("x_centroid", "y_centroid") if "x_centroid" in names else ("xcentroid", "ycentroid")
            values = (found[x] + 1, found[y] + 1, found["flux"], found["peak"])
            table = Table([np.asarray(column, np.float64) for column in values], names=_COLUMNS)
        table["x"].unit = table["y"].unit = "pix"
        return table
