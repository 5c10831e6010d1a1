"""A cube of frames combined into one frame.

In: an `Image` whose data are [frame, y, x] (CTYPE3 = FRAME). Out: an image [y, x]; anything else passes unchanged.
"""

from __future__ import annotations

import asyncio
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.processors.demands import columns

if TYPE_CHECKING:
    from astropy.io.fits import Header

Array = NDArray[np.float32]

_OF_CUBES = ("CTYPE3", "CUNIT3", "CNAME3", "CRVAL3", "CRPIX3", "CDELT3", "NAXIS3")
_COPIES = 6  # of a block, that combining it may take


class CombineStack(ImageProcessor):
    """Combine the frames of a cube pixel by pixel, in blocks of rows and beside the event loop; float32.

    NaN and masked values (mask [frame, y, x], or [y, x] for all frames) do not count; a pixel without any value is
    NaN. COMBMETH says how it was done, TEXPTIME how long all frames were exposed together (the sum of the column
    EXPTIME of `frames`, or else EXPTIME times the number of frames). `raw` goes. An image that is no cube of frames
    passes unchanged.

    Parameters
    ----------
    uncertainty : bool
        Estimate the standard error of each pixel from the scatter of the frames; NaN where there are fewer than two.
    mask : bool
        Mask the pixels without any value.
    chunk_bytes : int
        Memory that combining may take, besides the cube and the result.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If `chunk_bytes` is less than 1.
    """

    _method = ""

    def __init__(
        self, uncertainty: bool = False, mask: bool = False, chunk_bytes: int = 268435456, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if chunk_bytes < 1:
            raise ValueError(f"chunk_bytes is {chunk_bytes}; allowed: from 1")
        self._uncertainty, self._mask, self._chunk_bytes = uncertainty, mask, chunk_bytes

    @abstractmethod
    def _combine(self, block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
        """Value and standard error of each pixel of a block [frame, ...], whose bad values are NaN.

        `count` is the number of good values; what comes of pixels without any is not used. The block may be changed.
        """

    def _describe(self, header: Header, facts: FrameFacts, frames: int, total_s: float | None) -> None:
        """Say in the result's header what is different from a frame of the cube, whose facts these are."""

    async def __call__(self, image: Image) -> Image:
        """Combine a cube.

        Raises
        ------
        ImageError
            If the pixels are no real numbers, or mask or frame table do not fit.
        """
        data = image.safe_data
        if data is None or data.ndim != 3 or image.header_value("CTYPE3") != "FRAME":
            return image
        if data.size == 0 or data.dtype.kind not in "biuf":
            raise ImageError(f"pixels are of shape {data.shape} and type {data.dtype}; need real numbers")
        bad = image.safe_mask
        if bad is not None and bad.shape not in (data.shape, data.shape[1:]):
            raise ImageError(f"mask is of shape {bad.shape}, the cube {data.shape}; they must agree")
        total_s = _total_exposure_s(image)
        header = image.derive().header  # a copy of its own
        for keyword in _OF_CUBES:
            header.remove(keyword, ignore_missing=True)
        header["COMBMETH"] = (self._method, "how frames were combined")
        if total_s is not None:
            header["TEXPTIME"] = (total_s, "[s] exposure of all frames together")
        self._describe(header, image.facts, len(data), total_s)
        value, error = await asyncio.to_thread(self._by_blocks, data, bad)
        result = image.derive(header=header, raw=None)
        return result.derive(
            data=value,
            uncertainty=error if self._uncertainty else None,
            mask=~np.isfinite(value) if self._mask else None,
        )

    def _by_blocks(self, data: NDArray[Any], bad: NDArray[Any] | None) -> tuple[Array, Array]:
        frames, height, width = data.shape
        rows = max(1, self._chunk_bytes // (4 * _COPIES * frames * width))
        value, error = np.empty((2, height, width), np.float32)
        for top in range(0, height, rows):
            part = slice(top, top + rows)
            with np.errstate(over="ignore"):
                block = data[:, part].astype(np.float32)
            block[~np.isfinite(block)] = np.nan
            if bad is not None:
                block[np.broadcast_to(bad[..., part, :] != 0, block.shape)] = np.nan
            count = np.isfinite(block).sum(axis=0)
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numpy and astropy, about NaN and pixels without values
                value[part], error[part] = self._combine(block, count)
            value[part][count == 0] = np.nan
            error[part][count < 2] = np.nan
        return value, error


def _total_exposure_s(image: Image) -> float | None:
    if image.safe_frames is not None and "EXPTIME" in image.frames.colnames:
        (exposures,) = columns(image.frames, "EXPTIME")
        return float(exposures.sum()) if np.isfinite(exposures).all() else None
    exposure_s = image.facts.exposure_s
    return None if exposure_s is None else exposure_s * len(image.data)


def mean_of(block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
    """Mean and its standard error, of the values that are not NaN."""
    mean = np.nansum(block, axis=0, dtype=np.float64) / count
    block -= mean.astype(np.float32)
    variance = np.nansum(block * block, axis=0, dtype=np.float64) / (count - 1)
    return mean.astype(np.float32), np.sqrt(variance / count).astype(np.float32)
