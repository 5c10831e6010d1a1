"""A name for the image.

In: an `Image`. Out: the image with its name in FNAME.
"""

from __future__ import annotations

from typing import Any

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.image.names import filename_of

_USUAL = "{SITEID}{TELID}-{INSTRUME}-{DAY-OBS|date:}-{FRAMENUM|string:04d}-{IMAGETYP|type}01.fits"


class CreateFilename(ImageProcessor):
    """Put a name made from the header into FNAME.

    Parameters
    ----------
    pattern : str or None
        As of `FilenameFormatter`; None for one of site, telescope, camera, night, number and type.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, pattern: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pattern = _USUAL if pattern is None else pattern

    async def __call__(self, image: Image) -> Image:
        """Name an image.

        Raises
        ------
        ImageError
            If the header lacks what the name needs.
        """
        image = image.derive()
        filename_of(image, self._pattern)
        return image
