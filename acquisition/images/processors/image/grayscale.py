"""Colour to grey.

In: an `Image`. Out: a mono image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor


class Grayscale(ImageProcessor):
    """The weighted sum of the colours as float32; by default luminance (ITU-R BT.709).

    A pixel is masked if it is in any colour; uncertainties are taken for independent. `raw` stays as it was. A mono
    image, or one without data, passes unchanged.

    Parameters
    ----------
    r, g, b : float
        Weights.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, r: float = 0.2126, g: float = 0.7152, b: float = 0.0722, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weights = r, g, b

    async def __call__(self, image: Image) -> Image:
        """Make an image grey."""
        if image.safe_data is None or not image.is_color:
            return image
        r, g, b = self._weights
        gray = image.to_grayscale(r, g, b)
        mask, uncertainty = image.safe_mask, image.safe_uncertainty
        if mask is not None and mask.ndim == 3:
            mask = np.any(mask, axis=0)
        if uncertainty is not None and uncertainty.ndim == 3:
            weights = np.array(self._weights, np.float32)[:, None, None]
            uncertainty = np.sqrt(((weights * uncertainty) ** 2).sum(axis=0))
        return image.derive(data=gray.data, mask=mask, uncertainty=uncertainty)
