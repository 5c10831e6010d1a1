"""What processors demand of an image: pixels that are a picture, a mask that fits, numbers in the header.

In: an `Image`. Out: what was asked for, or `ImageError` with the reason.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image

if TYPE_CHECKING:
    from astropy.table import Table


def picture(image: Image) -> NDArray[Any]:
    """The pixels, [y, x] or [3, y, x], of real numbers; at least one.

    Raises
    ------
    ImageError
        If they are anything else, or absent.
    """
    data = image.data
    is_plane = data.ndim == 2 or (data.ndim == 3 and image.is_color)
    if not is_plane or data.size == 0 or data.dtype.kind not in "biuf":
        raise ImageError(
            f"pixels are of shape {data.shape} and type {data.dtype}; need real numbers, [y, x] or colour [3, y, x]"
        )
    return data


def mono(image: Image) -> NDArray[Any]:
    """The pixels, [y, x]; colour is weighted to luminance.

    Raises
    ------
    ImageError
        As of `picture`.
    """
    return picture(image.to_grayscale())


def masked(image: Image) -> NDArray[np.bool_] | None:
    """Where a pixel must not be used, [y, x]; None if there is no mask.

    Raises
    ------
    ImageError
        If the mask is of another size than the image.
    """
    mask = image.safe_mask
    if mask is None:
        return None
    bad: NDArray[np.bool_] = np.asarray(mask) != 0
    if bad.ndim == 3:
        bad = np.logical_or.reduce(bad, axis=0)
    if bad.shape != image.data.shape[-2:]:
        raise ImageError(f"mask is of shape {np.shape(mask)}, the image {image.data.shape}; they must agree")
    return bad


def header_number(image: Image, keyword: str) -> float:
    """A number that the header must have.

    Raises
    ------
    ImageError
        If it is missing, or no finite number.
    """
    value = image.header_value(keyword)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ImageError(f"header has {keyword} = {value!r}; need a finite number")
    return number


def columns(catalog: Table, *names: str) -> list[NDArray[np.float64]]:
    """Columns of numbers as float arrays; masked entries are NaN.

    Raises
    ------
    ImageError
        If a column is missing, or not one of numbers.
    """
    missing = [name for name in names if name not in catalog.colnames]
    if missing:
        raise ImageError(f"catalog has no column {', '.join(missing)}; there are: {', '.join(catalog.colnames)}")
    arrays = []
    for name in names:
        column = catalog[name]
        values = np.asarray(column)
        if values.dtype.kind not in "biuf" or values.ndim != 1:
            raise ImageError(f"catalog column {name} is of type {values.dtype}; need one number a row")
        numbers = values.astype(np.float64)
        if isinstance(column, np.ma.MaskedArray):
            numbers[np.ma.getmaskarray(column)] = math.nan
        arrays.append(numbers)
    return arrays
