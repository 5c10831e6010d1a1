"""Offsets on the sky, from offsets on the detector.

In: an `Image` with `PixelOffsets`. Out: the image with `RaDecOffsets` (degrees).
"""

from __future__ import annotations

import math
from typing import Any

from acquisition.errors import ImageError
from acquisition.geometry import pixels_to_sky
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets, RaDecOffsets


class RaDecFromPixels(ImageProcessor):
    """What must be added to the telescope's pointing to undo the `PixelOffsets`.

    An image without `PixelOffsets` passes unchanged.

    Parameters
    ----------
    matrix : tuple of 4 floats, optional
        (d east/dx, d east/dy, d north/dx, d north/dy) in degrees per pixel, in the order and with the signs of
        CD1_1, CD1_2, CD2_1, CD2_2. By default the WCS of each image's facts.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If the matrix is not finite or is singular.
    """

    def __init__(self, matrix: tuple[float, float, float, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if matrix is not None:
            determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2]
            if not math.isfinite(determinant) or determinant == 0:
                raise ValueError(f"matrix is {matrix}; allowed: 4 finite numbers with a determinant other than 0")
        self._matrix = matrix

    async def __call__(self, image: Image) -> Image:
        """Convert an image's offsets.

        Raises
        ------
        ImageError
            If the image has pixel offsets but no WCS, and no matrix was given.
        """
        offsets = image.get_meta_safe(PixelOffsets)
        if offsets is None:
            return image
        matrix = self._matrix
        if matrix is None:
            wcs = image.facts.wcs
            if wcs is None:
                raise ImageError("no offsets on the sky: the image has no WCS, and no matrix was given")
            matrix = wcs.cd
        image = image.derive()
        image.set_meta(RaDecOffsets(*pixels_to_sky(offsets.dx, offsets.dy, matrix)))
        return image
