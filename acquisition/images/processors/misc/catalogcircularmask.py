"""The sources inside a circle, or outside of it.

In: an `Image` with a catalog. Out: the image with fewer sources.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import columns, header_number


class CatalogCircularMask(ImageProcessor):
    """Keep the sources within a radius of a centre. An image without a catalog passes unchanged.

    Parameters
    ----------
    radius : float
        px; sources at just this distance are within.
    center : tuple of 2 numbers or 2 str
        Column and row as catalogs count them (the first is 1), or keywords that state them.
    exclude_circle : bool
        Keep the others instead. Sources whose position is not finite are dropped in either case.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If the radius is negative, or the centre not two of a kind.
    """

    def __init__(
        self,
        radius: float,
        center: tuple[float, float] | tuple[str, str] = ("CRPIX1", "CRPIX2"),
        exclude_circle: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not radius >= 0:
            raise ValueError(f"radius is {radius} px; allowed: from 0")
        kinds = {isinstance(coordinate, str) for coordinate in center}
        if len(center) != 2 or len(kinds) != 1:
            raise ValueError(f"center is {center}; allowed: two numbers or two keywords")
        self._radius, self._center, self._exclude = radius, center, exclude_circle

    async def __call__(self, image: Image) -> Image:
        """Filter an image's catalog.

        Raises
        ------
        ImageError
            If the header lacks the centre, or the catalog columns x and y.
        """
        catalog = image.safe_catalog
        if catalog is None:
            return image
        cx, cy = (header_number(image, c) if isinstance(c, str) else float(c) for c in self._center)
        x, y = columns(catalog, "x", "y")
        distance = np.hypot(x - cx, y - cy)
        keep = distance > self._radius if self._exclude else distance <= self._radius
        return image.derive(catalog=catalog[keep])
