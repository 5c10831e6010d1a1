"""Images into FITS files.

In: an `Image`. Out: the same image with its name in FNAME, and a file.
"""

from __future__ import annotations

from typing import Any

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor

from .names import path_of


class Save(ImageProcessor):
    """Save as FITS; the file appears whole or not at all, and replaces one of the same name.

    Parameters
    ----------
    filename : str
        As of `FilenameFormatter`. Folders are made.
    broadcast : bool
        Ignored: there is nobody to tell (pyobs sends an event).
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, filename: str = "image.fits", broadcast: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._filename = filename

    async def __call__(self, image: Image) -> Image:
        """Save an image.

        Raises
        ------
        ImageError
            If it has no data, or such as FITS cannot hold, or its header not what its name needs.
        OSError
            If the file cannot be written.
        """
        _ = image.data
        image = image.derive()
        path = path_of(image, self._filename)
        try:
            image.writeto(path, overwrite=True)
        except ValueError as error:
            raise ImageError(f"cannot save {path}: {error}") from error
        return image
