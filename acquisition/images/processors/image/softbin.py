"""Larger pixels.

In: an `Image`. Out: the image with blocks of pixels averaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.cards import set_naxis
from acquisition.images.header import card_value
from acquisition.images.processors.demands import masked, picture

from .grid import Axis, regrid

_PER_PIXEL = {
    # how the camera's cards change when b x b pixels are averaged: power of b
    "XBINNING": 1, "YBINNING": 1, "DET-BIN1": 1, "DET-BIN2": 1, "XPIXSZ": 1, "YPIXSZ": 1, "PIXSIZE1": 1, "PIXSIZE2": 1,
    "XORGSUBF": -1, "YORGSUBF": -1,
    "EGAIN": 2, "DET-GAIN": 2, "DET-SATU": 2,  # an ADU of the mean is an ADU of each: b² times the electrons
    "RDNOISE": 1, "READNOIS": 1, "DET-RON": 1,  # of the sum
    "LINETIME": 1,
}  # fmt: skip


class SoftBin(ImageProcessor):
    """Average blocks of pixels; float32, or float64 where that holds the input's type only.

    Masked and NaN pixels do not count; a block without any other is NaN, and masked if the image has a mask. Rows and
    columns that fill no block are cut off at the end. The header follows: size, binning, pixel size, WCS, gain, full
    well and read noise. The uncertainty is that of the mean. `raw` stays as it was; catalog and Bayer pattern go,
    since they mean nothing on the new pixels. An image without data passes unchanged.

    Parameters
    ----------
    binning : int
        Pixels along a side of a block, >= 1.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If `binning` is less than 1.
    """

    def __init__(self, binning: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (isinstance(binning, int) and binning >= 1):
            raise ValueError(f"binning is {binning}; allowed: an integer from 1")
        self._binning = binning

    async def __call__(self, image: Image) -> Image:
        """Bin an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, fewer than one block, or the mask does not fit.
        """
        b = self._binning
        if image.safe_data is None or b == 1:
            return image
        data = picture(image)
        if min(data.shape[-2:]) < b:
            raise ImageError(f"image is of {data.shape[-1]}x{data.shape[-2]} px, smaller than a bin of {b}x{b}")
        mask = masked(image)
        pixels = _blocks(data, b)
        exact = np.result_type(data.dtype, np.float32)
        usable = np.isfinite(pixels) if data.dtype.kind == "f" else np.ones((1,) * pixels.ndim, bool)
        if mask is not None:
            usable = usable & ~_blocks(mask, b)
        if usable.all():
            binned = pixels.mean(axis=(-3, -1), dtype=exact)
            count: Any = float(b * b)
        else:
            usable = np.broadcast_to(usable, pixels.shape)
            count = usable.sum(axis=(-3, -1))
            with np.errstate(invalid="ignore", divide="ignore"):
                binned = np.where(usable, pixels, 0).sum(axis=(-3, -1), dtype=exact) / count.astype(exact)
        uncertainty = image.safe_uncertainty
        if uncertainty is not None:
            if uncertainty.shape != data.shape:
                raise ImageError(f"uncertainty is of shape {uncertainty.shape}, the image {data.shape}")
            squares = np.where(usable, _blocks(uncertainty, b), 0).astype(exact) ** 2
            with np.errstate(invalid="ignore", divide="ignore"):
                uncertainty = np.sqrt(squares.sum(axis=(-3, -1))) / count
        return image.derive(
            data=binned,
            mask=None if mask is None else np.logical_and.reduce(_blocks(mask, b), axis=(-3, -1)),
            uncertainty=uncertainty,
            catalog=None,
            header=self._header(image, binned.shape),
        )

    def _header(self, image: Image, shape: tuple[int, ...]) -> Any:
        header, b = image.header.copy(), self._binning
        set_naxis(header, shape)
        regrid(header, Axis.binned(b), Axis.binned(b))
        for keyword, power in _PER_PIXEL.items():
            value = card_value(header, keyword)
            if isinstance(value, int | float) and not isinstance(value, bool):
                new = value * b**power if power > 0 else value / b
                header[keyword] = int(new) if isinstance(value, int) and float(new).is_integer() else new
        for keyword in ("BAYERPAT", "XBAYROFF", "YBAYROFF"):
            header.remove(keyword, ignore_missing=True)
        return header


def _blocks(array: NDArray[Any], b: int) -> NDArray[Any]:
    """A view [..., y, b, x, b] of the whole blocks."""
    height, width = (length // b for length in array.shape[-2:])
    return array[..., : height * b, : width * b].reshape(*array.shape[:-2], height, b, width, b)
