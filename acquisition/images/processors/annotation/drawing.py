"""Shapes drawn on pixels of any type.

In: an `Image`, a place, a colour, and what Pillow is to draw. Out: the pixels with the shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.processors.demands import header_number, picture
from acquisition.images.processors.skyplane import pixel_of_degrees, wcs_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Color = float | Sequence[float] | None
"""A grey level, red, green and blue in the unit of the pixels, or None for the brightest there is."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # as `Image.to_grayscale`
_FAR_PX = 1e6  # Pillow's coordinates are 32-bit integers


def check_color(color: Any) -> None:
    """Make sure that it is a `Color`.

    Raises
    ------
    ValueError
        If it is not.
    """
    levels = color if isinstance(color, list | tuple) else [0.0 if color is None else color]
    is_number = all(isinstance(level, int | float) and math.isfinite(level) for level in levels)
    if not is_number or (isinstance(color, list | tuple) and len(color) != 3):
        raise ValueError(f"colour is {color!r}; allowed: a number, three of them (red, green, blue), or none")


def number_of(image: Image, value: float | str) -> float:
    """A number, or that of the keyword that is given instead.

    Raises
    ------
    ImageError
        If the header has no finite number there.
    """
    return header_number(image, value) if isinstance(value, str) else float(value)


def place_of(image: Image, x: float | str, y: float | str, wcs: bool) -> tuple[int, int]:
    """The pixel at a place in the image, 0-based.

    Parameters
    ----------
    x, y : float or str
        Pixels, the first being 0; or keywords of such, the first being 1 as for all FITS coordinates. With `wcs`,
        degrees on the sky, keywords of such, or sexagesimal texts (hours and degrees).

    Raises
    ------
    ImageError
        If the header lacks a keyword or the WCS, or the place is not in the projection.
    """
    if not wcs:
        column, row = (number_of(image, value) - isinstance(value, str) for value in (x, y))
    else:
        column, row = pixel_of_degrees(wcs_of(image), _angle(image, x, "hourangle"), _angle(image, y, "deg"))
    if not (abs(column) < _FAR_PX and abs(row) < _FAR_PX):
        raise ImageError(f"place is ({column:g}, {row:g}), far from the image")
    return round(column), round(row)


def _angle(image: Image, value: float | str, unit: str) -> float:
    """Degrees; `unit` is that of sexagesimal texts."""
    if isinstance(value, str) and image.header_value(value) is None:
        from astropy.coordinates import Angle

        try:
            angle = float(Angle(value, unit=unit).deg)
        except ValueError as error:
            raise ImageError(f"{value!r} is neither a keyword of the header nor an angle such as 10:00:00") from error
        return angle
    return number_of(image, value)


def drawn(image: Image, color: Color, draw: Callable[[ImageDraw], None]) -> NDArray[Any]:
    """A copy of the pixels with a shape of one colour in it.

    Parameters
    ----------
    color : Color
        Clipped to what the pixels' type holds; on mono images, the luminance of one in red, green and blue.
    draw : callable
        Draws with the ink 255 on black, row 0 at the top; what is grey there (the rim of a letter) is mixed.

    Raises
    ------
    ImageError
        If the pixels are no picture.
    """
    import PIL.Image
    import PIL.ImageDraw

    data = picture(image)
    canvas = PIL.Image.new("L", (data.shape[-1], data.shape[-2]))
    draw(PIL.ImageDraw.Draw(canvas))
    cover = np.asarray(canvas, np.float64) / 255
    touched = cover > 0
    share = cover[touched]
    out = data.copy()
    planes = out if out.ndim == 3 else [out]
    for plane, level in zip(planes, _levels(data, color), strict=True):
        old = plane[touched].astype(np.float64)
        with np.errstate(invalid="ignore"):  # of infinite pixels
            mixed = np.where(share == 1, level, old + (level - old) * share)
        plane[touched] = np.rint(mixed) if data.dtype.kind in "ui" else mixed
    return out


def _levels(data: NDArray[Any], color: Color) -> list[float]:
    """The colour, one number a plane."""
    n_planes = 3 if data.ndim == 3 else 1
    if data.dtype.kind in "ui":
        low, high = float(np.iinfo(data.dtype).min), float(np.iinfo(data.dtype).max)
        if data.dtype.itemsize == 8:
            high = math.nextafter(high, 0)  # which a float can hold
    elif data.dtype.kind == "f":
        low, high = float(np.finfo(data.dtype).min), float(np.finfo(data.dtype).max)
    else:
        low, high = 0.0, 1.0
    if color is None:
        levels = [high if data.dtype.kind in "ub" else _brightest(data)] * n_planes
    elif isinstance(color, int | float):
        levels = [float(color)] * n_planes
    else:
        levels = [float(level) for level in color] if n_planes == 3 else [float(_LUMINANCE @ np.asarray(color))]
    return [min(max(level, low), high) for level in levels]


def _brightest(data: NDArray[Any]) -> float:
    """The highest value, or one that stands out where all are the same."""
    finite = data[np.isfinite(data)] if data.dtype.kind == "f" else data
    if finite.size == 0:
        return 1.0
    low, high = float(finite.min()), float(finite.max())
    return high if high > low else high + 1.0
