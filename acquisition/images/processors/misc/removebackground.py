"""An image without the sky.

In: an `Image`. Out: the image with the sky's background subtracted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, picture
from acquisition.images.processors.extras import need
from acquisition.images.processors.skybackground import SkyBackground


class RemoveBackground(ImageProcessor):
    """Subtract a two-dimensional background, of each colour its own (photutils' `Background2D`).

    Masked and NaN pixels do not count. The result is float32 (float64 for such). An image without data passes
    unchanged.

    Parameters
    ----------
    sigma, box_size, filter_size
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
        sigma: float = 3.0,
        box_size: tuple[int, int] = (50, 50),
        filter_size: tuple[int, int] = (3, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        need("photutils", "photometry", "RemoveBackground")
        self._background = SkyBackground(sigma, (box_size[0], box_size[1]), (filter_size[0], filter_size[1]))

    async def __call__(self, image: Image) -> Image:
        """Subtract an image's background.

        Raises
        ------
        ImageError
            If the pixels are no picture, too few are usable, or the mask does not fit.
        """
        if image.safe_data is None:
            return image
        data = picture(image)
        pixels = data.astype(np.result_type(data.dtype.newbyteorder("="), np.float32))
        mask = masked(image)
        for plane in pixels if pixels.ndim == 3 else [pixels]:
            bad = ~np.isfinite(plane) if mask is None else mask | ~np.isfinite(plane)
            plane -= self._background(plane, bad)
        return image.derive(data=pixels)
