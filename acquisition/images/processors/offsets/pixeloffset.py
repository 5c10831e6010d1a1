"""A constant offset on the detector.

In: an `Image`. Out: the image with `PixelOffsets`.
"""

from __future__ import annotations

from typing import Any

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets


class PixelOffset(ImageProcessor):
    """Set `PixelOffsets` to given values, whatever they were.

    Parameters
    ----------
    pixel_offset_x, pixel_offset_y : float
        px.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, pixel_offset_x: float, pixel_offset_y: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._dx, self._dy = pixel_offset_x, pixel_offset_y

    async def __call__(self, image: Image) -> Image:
        """Set an image's offset."""
        image = image.derive()
        image.set_meta(PixelOffsets(self._dx, self._dy))
        return image
