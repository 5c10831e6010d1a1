"""A crosshair on the image.

In: an `Image`. Out: the image with a crosshair in its pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acquisition.images import Image, ImageProcessor

from .circle import MAX_RADIUS_PX
from .drawing import Color, check_color, drawn, place_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw


class Crosshair(ImageProcessor):
    """Draw a circle with a cross in it, their lines a tenth of the radius wide. An image without data passes unchanged.

    Parameters
    ----------
    x, y : float or str
        Centre, as of `Circle`.
    radius : float
        px, up to 100000.
    color : float or sequence of 3 floats, optional
        Grey, or red, green, blue, in the unit of the pixels; by default as bright as can be.
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
        self, x: float | str, y: float | str, radius: float, color: Color = None, wcs: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_color(color)
        if not 0 <= radius <= MAX_RADIUS_PX:
            raise ValueError(f"radius is {radius} px; allowed: 0 to {MAX_RADIUS_PX:g}")
        self._x, self._y, self._radius, self._color, self._wcs = x, y, radius, color, wcs

    async def __call__(self, image: Image) -> Image:
        """Draw on an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, or the header lacks a number or the WCS.
        """
        if image.safe_data is None:
            return image
        x, y = place_of(image, self._x, self._y, self._wcs)
        radius, width = self._radius, max(1, int(self._radius / 10))

        def cross(draw: ImageDraw) -> None:
            draw.circle((x, y), radius, outline=255, width=width)
            draw.line([(x - radius, y), (x + radius, y)], 255, width)
            draw.line([(x, y - radius), (x, y + radius)], 255, width)

        return image.derive(data=drawn(image, self._color, cross))
