"""An image as the bytes of a picture file.

In: an `Image` and a format. Out: JPEG, PNG, TIFF or whatever else Pillow writes, row 0 at the top.
"""

from __future__ import annotations

import io
import os

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.levels import to_8_bit
from acquisition.images.processors.demands import picture

_OF_SUFFIX = {"JPG": "JPEG", "TIF": "TIFF"}
_16_BIT = ("PNG", "TIFF")


def format_of(filename: str, image_format: str | None) -> str:
    """Pillow's name of a format, from its name or else from a filename's ending.

    Raises
    ------
    ValueError
        If Pillow writes no such format.
    """
    import PIL.Image

    name = (image_format or os.path.splitext(filename)[1].removeprefix(".")).upper()
    name = _OF_SUFFIX.get(name, name)
    PIL.Image.init()
    if name not in PIL.Image.SAVE:
        raise ValueError(f"picture format is {name!r} ({filename}); allowed: {', '.join(sorted(PIL.Image.SAVE))}")
    return name


def encode_image(image: Image, filename: str, image_format: str | None = None) -> bytes:
    """A picture file. Pixels of 8 bits are taken as they are, and mono ones of 16 bits for PNG and TIFF.

    All others are scaled from the 5 % to the 95 % order statistic.

    Raises
    ------
    ImageError
        If the pixels are no picture, or the format cannot hold them.
    ValueError
        If Pillow writes no such format.
    """
    import PIL.Image

    data, name = picture(image), format_of(filename, image_format)
    keeps_16_bit = data.dtype.kind == "u" and data.dtype.itemsize == 2 and data.ndim == 2 and name in _16_BIT
    if keeps_16_bit or data.dtype == np.uint8:
        pixels = data.astype(data.dtype.newbyteorder("="), copy=False)
    else:
        pixels = to_8_bit(data)
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    with io.BytesIO() as stream:
        try:
            PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(stream, name)
        except (OSError, ValueError, KeyError) as error:
            raise ImageError(f"image of {data.shape[-1]}x{data.shape[-2]} px cannot be {name}: {error}") from error
        return stream.getvalue()
