"""Offset between two places that the header names.

In: an `Image`. Out: the image with `GenericOffset`.
"""

from __future__ import annotations

from typing import Any

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import GenericOffset
from acquisition.images.processors.demands import header_number


class FitsHeaderOffsets(ImageProcessor):
    """Target minus centre, in the unit of the cards.

    Parameters
    ----------
    target, center : tuple of 2 str
        Keywords of both coordinates.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If there are not two keywords each.
    """

    def __init__(
        self, target: tuple[str, str], center: tuple[str, str] = ("DET-CPX1", "DET-CPX2"), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if len(target) != 2 or len(center) != 2:
            raise ValueError(f"target is {target}, center {center}; allowed: two keywords each")
        self._target, self._center = target, center

    async def __call__(self, image: Image) -> Image:
        """Read an image's offset.

        Raises
        ------
        ImageError
            If a card is missing or no number.
        """
        dx, dy = (
            header_number(image, to) - header_number(image, since)
            for to, since in zip(self._target, self._center, strict=True)
        )
        image = image.derive()
        image.set_meta(GenericOffset(dx, dy))
        return image
