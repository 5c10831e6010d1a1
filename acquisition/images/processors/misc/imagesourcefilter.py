"""The sources that are good for something.

In: an `Image` with a catalog. Out: the image with the best of its sources, brightest first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import columns


class ImageSourceFilter(ImageProcessor):
    """Drop sources that are near the border, clipped, too small, too large, elongated or faint, and keep the brightest.

    Too large is more than 2 standard deviations above the median number of pixels, over the sources away from the
    border. A source with a value that is not finite is dropped. An image without a catalog passes unchanged.

    Parameters
    ----------
    min_dist_to_border : float
        Sources must be further than this from the image's edge, px.
    num_stars : int
        How many to keep at most; 0: all.
    min_pixels : int
        Of a source.
    max_ellipticity : float
    min_weber_contrast : float
        (peak - background) / background must be above this, if the catalog has a column ``background``.
    max_saturation : float
        The peak must be below this, ADU.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(
        self,
        min_dist_to_border: float,
        num_stars: int,
        min_pixels: int,
        max_ellipticity: float = 0.4,
        min_weber_contrast: float = 1.5,
        max_saturation: float = 50000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._border_px = min_dist_to_border
        self._num_stars = num_stars
        self._min_pixels = min_pixels
        self._max_ellipticity = max_ellipticity
        self._min_contrast = min_weber_contrast
        self._max_peak = max_saturation

    async def __call__(self, image: Image) -> Image:
        """Filter an image's catalog.

        Raises
        ------
        ImageError
            If the image has no data, or the catalog lacks one of the columns x, y, flux, peak, tnpix, ellipticity.
        """
        catalog = image.safe_catalog
        if catalog is None:
            return image
        height, width = image.data.shape[-2:] if image.data.ndim >= 2 else (1, image.data.size)
        x, y, flux, peak, pixels, ellipticity = columns(catalog, "x", "y", "flux", "peak", "tnpix", "ellipticity")
        border = np.minimum.reduce([x - 0.5, width + 0.5 - x, y - 0.5, height + 0.5 - y])  # the edge is at 0.5
        inside = border > self._border_px
        counted = pixels[inside & np.isfinite(pixels)]
        largest = np.median(counted) + 2 * np.std(counted) if counted.size else 0.0
        good = inside & np.isfinite(flux) & (peak < self._max_peak) & (ellipticity <= self._max_ellipticity)
        good &= (pixels >= self._min_pixels) & (pixels <= largest)
        if "background" in catalog.colnames:
            (background,) = columns(catalog, "background")
            good &= (background > 0) & (peak - background > self._min_contrast * background)
        best = np.flatnonzero(good)[np.argsort(-flux[good], kind="stable")]
        return image.derive(catalog=catalog[best[: self._num_stars] if self._num_stars > 0 else best])
