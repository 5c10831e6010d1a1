"""Images into picture files.

In: an `Image`. Out: the same image with the file's name in FNAME, and a JPEG, PNG, TIFF ...
"""

from __future__ import annotations

from typing import Any

from acquisition.images import Image, ImageProcessor

from .encode import encode_image, format_of
from .names import path_of


class SaveImage(ImageProcessor):
    """Save as a picture, row 0 at the top; see `encode_image` for how pixels are scaled.

    Parameters
    ----------
    filename : str
        As of `FilenameFormatter`. Folders are made.
    format : str, optional
        As Pillow names it, such as JPEG; by default that of the filename's ending.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If Pillow writes no such format.
    """

    def __init__(self, filename: str = "image.jpg", format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._filename, self._format = filename, format_of(filename, format)

    encode_image = staticmethod(encode_image)

    async def __call__(self, image: Image) -> Image:
        """Save an image.

        Raises
        ------
        ImageError
            If its pixels are no picture, or its header not what its name needs.
        OSError
            If the file cannot be written.
        """
        encoded = encode_image(image, "", self._format)
        image = image.derive()
        path_of(image, self._filename).write_bytes(encoded)
        return image
