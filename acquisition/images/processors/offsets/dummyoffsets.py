"""Constant offsets of any kind, to try out what follows.

In: an `Image`. Out: the image with the offsets.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from acquisition.images import Image, ImageProcessor, meta
from acquisition.images.meta import SkyOffsets

_CLASSES = ("PixelOffsets", "RaDecOffsets", "AltAzOffsets", "GenericOffset")


class DummyOffsets(ImageProcessor):
    """Set offsets whose two values are the same.

    Parameters
    ----------
    offset_class : str
        PixelOffsets, RaDecOffsets, AltAzOffsets or GenericOffset; whatever is before a last dot does not matter, so
        that pyobs' names will do.
    offset : float
        In the unit of the class.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If there is no such class.
    """

    def __init__(self, offset_class: str, offset: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = offset_class.rpartition(".")[2]
        if name not in _CLASSES:
            raise ValueError(f"offset class is {offset_class!r}; allowed: {', '.join(_CLASSES)}")
        self._offsets = getattr(meta, name)(offset, offset)

    async def __call__(self, image: Image) -> Image:
        """Set an image's offsets."""
        image = image.derive()
        image.set_meta(copy(self._offsets))
        return image


class DummySkyOffsets(ImageProcessor):
    """Set `SkyOffsets`.

    Parameters
    ----------
    coord0, coord1 : SkyCoord or dict
        Where the telescope points and where it should; a dictionary has the arguments of `SkyCoord`, whatever its
        ``class`` says.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a dictionary describes no place.
    """

    def __init__(self, coord0: Any, coord1: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._offsets = SkyOffsets(_place(coord0), _place(coord1))

    async def __call__(self, image: Image) -> Image:
        """Set an image's offsets."""
        image = image.derive()
        image.set_meta(copy(self._offsets))
        return image


def _place(coord: Any) -> Any:
    from astropy.coordinates import SkyCoord

    if isinstance(coord, SkyCoord):
        return coord
    try:
        return SkyCoord(**{key: value for key, value in coord.items() if key != "class"})
    except Exception as error:  # astropy's own are of many kinds
        raise ValueError(f"coordinate is {coord!r}: {error}") from error
