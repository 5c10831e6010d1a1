"""An image from the net.

In: nothing that matters. Out: the image that a URL has.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.fetch import check_url, fetch
from acquisition.virtual_time import utc_now

_FITS, _GZIP = b"SIMPLE", b"\x1f\x8b"


class Download(ImageProcessor):
    """Fetch an image by HTTP or HTTPS, instead of the one that is given: FITS, or a picture that Pillow can read.

    What it is says its content, not its name. Of a picture row 0 is the top one; colour becomes [3, y, x], grey of 16
    bits stays that, transparency goes. Its header has the time of the download as DATE-OBS (UTC), and EXPTIME 0.

    Parameters
    ----------
    url : str
    ssl_check : bool
        Whether the server's certificate must be one that is trusted.
    timeout : float
        For all of it, s, > 0.
    max_bytes : int
        Larger files are refused.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self, url: str, ssl_check: bool = True, timeout: float = 30.0, max_bytes: int = 1 << 30, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_url(url)
        if not 0 < timeout < math.inf or max_bytes < 1:
            raise ValueError(f"timeout is {timeout} s, max_bytes {max_bytes}; allowed: above 0, from 1")
        self._url, self._ssl_check, self._timeout_s, self._max_bytes = url, ssl_check, timeout, max_bytes

    async def __call__(self, image: Image) -> Image:
        """Fetch an image.

        Raises
        ------
        ImageError
            If it does not come in time, or is none.
        """
        asked_utc = utc_now()
        status, content = await fetch(
            self._url, timeout_s=self._timeout_s, max_bytes=self._max_bytes, verify=self._ssl_check
        )
        if status != 200:
            raise ImageError(f"{self._url}: status {status}")
        if content.startswith((_FITS, _GZIP)):
            try:
                return Image.from_bytes(content)
            except (OSError, ValueError) as error:
                raise ImageError(f"{self._url}: {error}") from error
        picture = _decoded(self._url, content)
        picture.header["DATE-OBS"] = (asked_utc.replace(tzinfo=None).isoformat(), "[UTC] when it was asked for")
        picture.header["EXPTIME"] = (0.0, "[s] not known")
        return picture


def _decoded(url: str, content: bytes) -> Image:
    import PIL.Image

    try:
        with warnings.catch_warnings(), io.BytesIO(content) as stream:
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # of odd metadata
            picture: PIL.Image.Image = PIL.Image.open(stream)
            picture.load()
            is_grey = picture.mode in ("L", "1", "F", "I") or picture.mode.startswith("I;16")
            if picture.mode in ("LA", "La", "1"):
                picture, is_grey = picture.convert("L"), True
            pixels = np.array(picture if is_grey else picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError, Warning) as error:
        raise ImageError(f"{url}: neither FITS nor a picture: {error}") from error
    return Image(pixels if is_grey else np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))
