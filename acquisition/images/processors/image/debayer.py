"""Colours from a raw Bayer matrix.

In: a raw frame of a colour sensor. Out: a colour image, [3, y, x].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, picture

_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


class Debayer(ImageProcessor):
    """Fill the two colours that each pixel lacks with the mean of the nearest pixels that have them (bilinear).

    Measured values stay as they are. Linear and local, so that photometry of each colour remains that of its own
    pixels. Masked and NaN pixels are filled from their neighbours (and stay masked); where there is none either, they
    are 0 (NaN for floats). Integers stay integers. The uncertainty goes, `raw` stays. The filter is scipy's.

    An image that is not raw colour (no pattern in its facts and none given), is colour already, or has no data passes
    unchanged.

    Parameters
    ----------
    pattern : str, optional
        Colours of the first 2 x 2 pixels: RGGB, BGGR, GRBG or GBRG. By default that of each image's facts, with its
        offsets.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If it is none of these.
    """

    def __init__(self, pattern: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pattern is not None and pattern not in _PATTERNS:
            raise ValueError(f"pattern is {pattern!r}; allowed: {', '.join(_PATTERNS)}")
        self._pattern = pattern

    async def __call__(self, image: Image) -> Image:
        """Make a colour image.

        Raises
        ------
        ImageError
            If the pixels are no picture, fewer than 2 x 2, or the pattern is unknown.
        """
        facts = image.facts
        pattern = self._pattern or facts.bayer_pattern
        if image.safe_data is None or pattern is None:
            return image
        data = picture(image)
        if data.ndim == 3:
            return image
        if pattern not in _PATTERNS:
            raise ImageError(f"Bayer pattern is {pattern!r}; need {', '.join(_PATTERNS)}")
        if min(data.shape) < 2:
            raise ImageError(f"image is of {data.shape[1]}x{data.shape[0]} px; a Bayer matrix needs 2x2")
        first_column, first_row = (0, 0) if self._pattern else (facts.x_bayer_offset or 0, facts.y_bayer_offset or 0)
        good = np.isfinite(data)
        mask = masked(image)
        if mask is not None:
            good &= ~mask
        colours = np.empty((3, *data.shape), data.dtype)
        for k, colour in enumerate("RGB"):
            own = np.zeros(data.shape, bool)
            for n, letter in enumerate(pattern):
                if letter == colour:
                    own[(n // 2 - first_row) % 2 :: 2, (n % 2 - first_column) % 2 :: 2] = True
            own &= good
            colours[k] = _filled(data, own)
        header = image.header.copy()
        for keyword in ("BAYERPAT", "XBAYROFF", "YBAYROFF"):
            header.remove(keyword, ignore_missing=True)
        image = image.derive(header=header)  # so that deriving with colours states their NAXIS
        return image.derive(data=colours, uncertainty=None)


def _filled(data: NDArray[Any], own: NDArray[np.bool_]) -> NDArray[Any]:
    """The data where `own`, elsewhere the weighted mean of `own` pixels among the eight neighbours."""
    from scipy.ndimage import correlate1d

    exact = np.result_type(data.dtype, np.float32)
    near = [np.where(own, data, 0).astype(exact), own.astype(np.float32)]
    for axis in (0, 1):
        near = [correlate1d(plane, (0.5, 1.0, 0.5), axis, mode="constant") for plane in near]
    total, weight = near
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0, total / weight, 0.0 if data.dtype.kind != "f" else np.nan)
    if data.dtype.kind != "f":
        mean = np.rint(mean)
    return np.where(own, data, mean.astype(data.dtype))
