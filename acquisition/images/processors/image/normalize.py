"""Pixels scaled to 8 bits.

In: an `Image`. Out: the image with uint8 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.levels import to_8_bit
from acquisition.images.processors.demands import picture


class Normalize(ImageProcessor):
    """Scale pixels linearly to 0..255, the same for all colours; values outside the limits are clipped, NaN become 0.

    Constant pixels become 0. An image without data passes unchanged.

    Parameters
    ----------
    vmin, vmax : float, optional
        Become 0 and 255; by default the minimum and maximum of the finite pixels.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, vmin: float | None = None, vmax: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._vmin, self._vmax = vmin, vmax

    async def __call__(self, image: Image) -> Image:
        """Scale an image.

        Raises
        ------
        ImageError
            If the pixels are no picture.
        """
        if image.safe_data is None:
            return image
        data = picture(image)
        finite = data[np.isfinite(data)] if data.dtype.kind == "f" else data
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        vmin = low if self._vmin is None else self._vmin
        vmax = high if self._vmax is None else self._vmax
        return image.derive(data=to_8_bit(data, vmin, vmax), uncertainty=None)
