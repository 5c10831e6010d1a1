"""A text on the image.

In: an `Image`. Out: the image with words in its pixels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.text import from_ascii

from .drawing import Color, check_color, drawn, place_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_FIELD = re.compile(r"\{([\w-]+)(?::([^{}]*))?\}")


class Text(ImageProcessor):
    """Write a text, with values from the header in it. An image without data passes unchanged.

    Parameters
    ----------
    x, y : float or str
        Where, as of `Circle`.
    text : str
        ``{KEY}`` is the value of a card, ``{KEY:.1f}`` the same by Python's format. If a card is missing, or its value
        does not suit the format, the text is written as it is.
    font : str, optional
        File of a TrueType font; by default Pillow's own.
    font_size : float
        px, > 0, up to 1000.
    fill : float or sequence of 3 floats, optional
        Colour: grey, or red, green, blue, in the unit of the pixels; by default as bright as can be.
    anchor : str, optional
        Which point of the text is at (x, y), by Pillow's letters: ``"la"`` top left (the default), ``"mm"`` the middle.
    spacing : int
        px between lines.
    align : str
        Of several lines: left, center or right.
    direction : str, optional
        rtl, ltr or ttb, where Pillow was built with libraqm.
    wcs : bool
        Whether `x` and `y` are on the sky.
    bottom_up : bool
        Readable where row 0 is shown at the bottom, as `Image.to_jpeg` and most viewers of FITS do; otherwise where it
        is at the top, as in the files of `SaveImage` and `HttpServer`.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    OSError
        If the font cannot be read.
    """

    def __init__(
        self,
        x: float | str,
        y: float | str,
        text: str,
        font: str | None = None,
        font_size: float = 10,
        fill: Color = None,
        anchor: str | None = None,
        spacing: int = 4,
        align: str = "left",
        direction: str | None = None,
        wcs: bool = False,
        bottom_up: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        import PIL.ImageFont

        check_color(fill)
        if not 0 < font_size <= 1000:
            raise ValueError(f"font size is {font_size} px; allowed: above 0, up to 1000")
        if align not in ("left", "center", "right"):
            raise ValueError(f"align is {align!r}; allowed: left, center, right")
        if anchor is not None and not re.fullmatch(r"[lmr][amsd]" if "\n" in text else r"[lmr][atmsbd]", anchor):
            raise ValueError(f"anchor is {anchor!r}; allowed: two of Pillow's letters, such as la, mm, rs")
        self._x, self._y, self._wcs, self._text, self._fill = x, y, wcs, text, fill
        self._font: Any = (
            PIL.ImageFont.load_default(font_size) if font is None else PIL.ImageFont.truetype(font, font_size)
        )
        self._how: dict[str, Any] = {"anchor": anchor, "spacing": spacing, "align": align, "direction": direction}
        self._bottom_up = bottom_up

    async def __call__(self, image: Image) -> Image:
        """Write on an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, the header lacks a number or the WCS, or Pillow cannot write the text.
        """
        if image.safe_data is None:
            return image
        x, y = place_of(image, self._x, self._y, self._wcs)
        text = self._filled(image)
        if self._bottom_up:
            y = image.data.shape[-2] - 1 - y

        def words(draw: ImageDraw) -> None:
            try:
                draw.text((x, y), text, fill=255, font=self._font, **self._how)
            except (ValueError, KeyError, OSError) as error:  # KeyError: a direction without libraqm
                raise ImageError(f"text {text!r} cannot be written: {' '.join(str(error).split())}") from error

        if not self._bottom_up:
            return image.derive(data=drawn(image, self._fill, words))
        upside_down = drawn(image.derive(data=image.data[..., ::-1, :]), self._fill, words)
        return image.derive(data=np.ascontiguousarray(upside_down[..., ::-1, :]))

    def _filled(self, image: Image) -> str:
        def value(match: re.Match[str]) -> str:
            found = image.header_value(match[1])
            if found is None:
                raise KeyError(match[1])
            return format(from_ascii(found) if isinstance(found, str) else found, match[2] or "")

        try:
            return _FIELD.sub(value, self._text)
        except (KeyError, ValueError, TypeError):
            return self._text
