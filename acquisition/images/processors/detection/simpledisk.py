"""A bright disk: the Sun, the Moon, a planet.

In: an `Image`. Out: the image with the disk's centre and radius in the header.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, picture


class SimpleDisk(ImageProcessor):
    """The largest circle that lies in the largest connected area above a threshold, holes filled.

    Header: centre, the first pixel being 1 as for all FITS coordinates (pyobs counts from 0), and radius, px. Of colour
    the first is taken. Masked and NaN pixels are dark. An image without data, or without such an area, passes
    unchanged.

    Parameters
    ----------
    threshold : float
        Pixels above it belong to the disk.
    keyword_x, keyword_y, keyword_radius : str
        Where the result goes.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(
        self,
        threshold: float = 10.0,
        keyword_x: str = "DISKPOS1",
        keyword_y: str = "DISKPOS2",
        keyword_radius: str = "DISKRAD",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._threshold = threshold
        self._keywords = keyword_x, keyword_y, keyword_radius

    async def __call__(self, image: Image) -> Image:
        """Find the disk of an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, or the mask does not fit.
        """
        from scipy import ndimage

        if image.safe_data is None:
            return image
        data, mask = picture(image), masked(image)
        bright = (data if data.ndim == 2 else data[0]) > self._threshold
        if mask is not None:
            bright &= ~mask
        areas, count = ndimage.label(bright)
        if count == 0:
            return image
        largest = 1 + int(np.argmax(np.bincount(areas.ravel())[1:]))
        disk = np.pad(ndimage.binary_fill_holes(areas == largest), 1)  # the image's edge is one of the disk's, too
        distance = ndimage.distance_transform_edt(disk)
        row, column = np.unravel_index(int(np.argmax(distance)), distance.shape)
        header = image.header.copy()
        values = (int(column), int(row), float(distance[row, column]))  # padded by one, as FITS counts
        comments = ("[px] disk centre, column", "[px] disk centre, row", "[px] disk radius")
        for keyword, value, comment in zip(self._keywords, values, comments, strict=True):
            header[keyword] = (value, comment)
        return image.derive(header=header)
