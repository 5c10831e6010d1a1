"""A mirrored image.

In: an `Image`. Out: the image with rows, columns or both in reverse order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import picture

from .grid import UNCHANGED, Axis, regrid

_ROW_ORDERS = {"TOP-DOWN": "BOTTOM-UP", "BOTTOM-UP": "TOP-DOWN"}


class Flip(ImageProcessor):
    """Reverse the order of rows or columns.

    Mask, uncertainty, raw, catalog positions, WCS, Bayer pattern, row order and line time follow, so that the result
    says the same of the sky. An image without data passes unchanged.

    Parameters
    ----------
    flip_x : bool
        Reverse the order of the ROWS (array axis y): as pyobs does, whatever its documentation says.
    flip_y : bool
        Reverse the order of the COLUMNS.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, flip_x: bool = False, flip_y: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rows, self._columns = flip_x, flip_y

    async def __call__(self, image: Image) -> Image:
        """Mirror an image.

        Raises
        ------
        ImageError
            If the pixels are no picture.
        """
        if image.safe_data is None or not (self._rows or self._columns):
            return image
        height, width = picture(image).shape[-2:]
        rows = slice(None, None, -1 if self._rows else 1)
        columns = slice(None, None, -1 if self._columns else 1)

        def mirrored(array: NDArray[Any] | None) -> NDArray[Any] | None:
            if array is None or array.shape[-2:] != (height, width):  # raw may be of another size
                return array
            return np.ascontiguousarray(array[..., rows, columns])

        x = Axis.mirrored(width) if self._columns else UNCHANGED
        y = Axis.mirrored(height) if self._rows else UNCHANGED
        return image.derive(
            data=mirrored(image.data),
            mask=mirrored(image.safe_mask),
            uncertainty=mirrored(image.safe_uncertainty),
            raw=mirrored(image.safe_raw),
            catalog=_catalog(image, x, y),
            header=self._header(image, x, y),
        )

    def _header(self, image: Image, x: Axis, y: Axis) -> Any:
        height, width = image.data.shape[-2:]
        facts, header = image.facts, image.header.copy()
        regrid(header, x, y)
        if facts.row_order in _ROW_ORDERS and self._rows:
            header["ROWORDER"] = _ROW_ORDERS[facts.row_order]
        if facts.line_time_s is not None and self._rows:
            header["LINETIME"] = -facts.line_time_s  # the last row begins first
        pattern = facts.bayer_pattern
        if pattern is not None and len(pattern) == 4:
            i0, j0 = facts.x_bayer_offset or 0, facts.y_bayer_offset or 0
            first_columns = [(width - 1 - i if self._columns else i) + i0 for i in (0, 1)]
            first_rows = [(height - 1 - j if self._rows else j) + j0 for j in (0, 1)]
            header["BAYERPAT"] = "".join(pattern[j % 2 * 2 + i % 2] for j in first_rows for i in first_columns)
            for keyword in ("XBAYROFF", "YBAYROFF"):
                if keyword in header:
                    header[keyword] = 0
        return header


def _catalog(image: Image, x: Axis, y: Axis) -> Any:
    catalog = image.safe_catalog
    if catalog is None:
        return None
    catalog = catalog.copy()
    for names, axis in ((("x", "xwin"), x), (("y", "ywin"), y)):
        for name in names:
            if name in catalog.colnames and catalog[name].dtype.kind in "iuf":
                catalog[name] = catalog[name] * (1 / axis.scale) - axis.shift / axis.scale
    if "theta" in catalog.colnames and x.scale != y.scale:
        catalog["theta"] = -catalog["theta"]
    return catalog
