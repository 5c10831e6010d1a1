"""Pixels as a picture file.

In: an array [y, x] or [3, y, x]. Out: the bytes of a JPEG or PNG, row 0 at the bottom.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .levels import Stretch, to_8_bit

if TYPE_CHECKING:
    import PIL.Image


def to_picture(
    data: NDArray[Any],
    file_format: Literal["jpeg", "png"],
    vmin: float | None = None,
    vmax: float | None = None,
    stretch: Stretch = "linear",
) -> bytes:
    """A picture file; see `draw` for what is in it and what is raised."""
    return encode(draw(data, vmin, vmax, stretch), file_format)


def draw(
    data: NDArray[Any], vmin: float | None = None, vmax: float | None = None, stretch: Stretch = "linear"
) -> PIL.Image.Image:
    """A picture of the same width and height, row 0 at the bottom, eight bits a colour.

    Parameters
    ----------
    data : array
        [y, x], or [3, y, x] in red, green, blue, for which limits are common.
    vmin, vmax, stretch
        See `levels.to_8_bit`.

    Raises
    ------
    ValueError
        If the array has another shape, no pixels, or no real numbers.
    """
    import PIL.Image

    is_colour = data.ndim == 3 and data.shape[0] == 3
    if not (data.ndim == 2 or is_colour) or data.size == 0:
        raise ValueError(f"pixels have shape {data.shape}; a picture needs [y, x] or [3, y, x]")
    pixels = to_8_bit(data, vmin, vmax, stretch, upside_down=True)
    if is_colour:
        pixels = np.moveaxis(pixels, 0, -1)
    return PIL.Image.fromarray(np.ascontiguousarray(pixels))


def encode(picture: PIL.Image.Image, file_format: Literal["jpeg", "png"]) -> bytes:
    """The picture as a file.

    Raises
    ------
    ValueError
        If it is too large for the format.
    """
    # PNG's best compression takes seconds and gains a percent on noise
    options: dict[str, Any] = {"compress_level": 1} if file_format == "png" else {}
    with io.BytesIO() as stream:
        try:
            picture.save(stream, format=file_format, **options)
        except OSError as error:
            raise ValueError(f"{picture.width}x{picture.height} px cannot be {file_format}: {error}") from error
        return stream.getvalue()
