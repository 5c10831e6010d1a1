"""A circle on the image.

In: an `Image`. Out: the image with a circle in its pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor

from .drawing import Color, check_color, drawn, number_of, place_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MAX_RADIUS_PX = 1e5


class Circle(ImageProcessor):
    """Draw a circle. An image without data passes unchanged.

    Parameters
    ----------
    x, y : float or str
        Centre: pixels, the first being 0, or keywords of such, the first being 1 (FITS). With `wcs`: degrees, keywords
        of such, or sexagesimal texts (hours and degrees).
    radius : float or str
        px, up to 100000; or the keyword of such a number.
    fill, outline : float or sequence of 3 floats, optional
        Colour inside and of the line, in the unit of the pixels: grey, or red, green, blue. With neither, the line is
        as bright as can be.
    width : int
        Of the line, px, >= 1.
    wcs : bool
        Whether `x` and `y` are on the sky.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        x: float | str,
        y: float | str,
        radius: float | str,
        fill: Color = None,
        outline: Color = None,
        width: int = 1,
        wcs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for color in (fill, outline):
            check_color(color)
        if not isinstance(radius, str) and not 0 <= radius <= MAX_RADIUS_PX:
            raise ValueError(f"radius is {radius} px; allowed: 0 to {MAX_RADIUS_PX:g}")
        if width < 1:
            raise ValueError(f"width is {width} px; allowed: from 1")
        self._x, self._y, self._radius, self._wcs = x, y, radius, wcs
        self._fill, self._outline, self._width = fill, outline, width

    async def __call__(self, image: Image) -> Image:
        """Draw on an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, or the header lacks a number or the WCS.
        """
        if image.safe_data is None:
            return image
        centre = place_of(image, self._x, self._y, self._wcs)
        radius = number_of(image, self._radius)
        if not 0 <= radius <= MAX_RADIUS_PX:
            raise ImageError(f"radius is {radius:g} px; need 0 to {MAX_RADIUS_PX:g}")

        def inside(draw: ImageDraw) -> None:
            draw.circle(centre, radius, fill=255)

        def line(draw: ImageDraw) -> None:
            draw.circle(centre, radius, outline=255, width=self._width)

        if self._fill is not None:
            image = image.derive(data=drawn(image, self._fill, inside))
        if self._outline is not None or self._fill is None:
            image = image.derive(data=drawn(image, self._outline, line))
        return image
