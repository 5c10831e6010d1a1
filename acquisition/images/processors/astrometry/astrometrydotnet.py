"""Astrometry by a service, as pyobs runs one around astrometry.net.

In: an `Image` with a catalog. Out: the image with a WCS.
"""

from __future__ import annotations

import json
import logging
import math
from typing import Any

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.fetch import check_url, fetch

from .solution import brightest_stars, failed, reference_pixel, scale_arcsec, solved

log = logging.getLogger(__name__)

_MAX_PEAK = 60000.0
_MAX_ANSWER = 1 << 20
_NUMBERS = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


class AstrometryDotNet(ImageProcessor):
    """Ask a service of pyobs' kind, which runs astrometry.net, for the WCS.

    The brightest stars are posted as JSON, with scale and position from the header; the answer has the cards of the
    WCS. The catalog gets columns ra and dec (degrees). A failure sets WCSERR = 1 where `on_error` is ``error``.

    Parameters
    ----------
    url : str
    source_count : int
        How many stars to send, >= 3.
    radius : float
        How far from the header's position to search, degrees, > 0.
    timeout : float
        Of the request, s, > 0.
    exceptions : bool, optional
        pyobs' old word: false is on_error = ``error``, if that is not given.
    on_error, **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        url: str,
        source_count: int = 50,
        radius: float = 3.0,
        timeout: float = 10,
        exceptions: bool | None = None,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_error="error" if exceptions is False and on_error == "raise" else on_error, **kwargs)
        check_url(url)
        if source_count < 3 or not radius > 0 or not 0 < timeout < math.inf:
            raise ValueError(
                f"source_count is {source_count}, radius {radius} degrees, timeout {timeout} s; "
                "allowed: from 3, above 0, above 0"
            )
        self._url, self._source_count, self._radius_deg, self._timeout_s = url, source_count, radius, timeout

    async def __call__(self, image: Image) -> Image:
        """Solve an image.

        Raises
        ------
        ImageError
            If there are too few stars, the header lacks scale or position, or the service fails or finds nothing.
        """
        body = json.dumps(self._request(image)).encode()
        status, answer = await fetch(
            self._url, timeout_s=self._timeout_s, max_bytes=_MAX_ANSWER, body=body, content_type="application/json"
        )
        return solved(image, _cards(self._url, status, answer))

    def handle_error(self, image: Image, error: ImageError) -> Image:
        """The image with WCSERR = 1."""
        log.warning("no astrometry: %s", error)
        return failed(image)

    def _request(self, image: Image) -> dict[str, Any]:
        stars = brightest_stars(image, self._source_count, 3, _MAX_PEAK)
        height, width = image.data.shape[-2:]
        crpix, scale, facts = reference_pixel(image), scale_arcsec(image), image.facts
        if facts.tel_ra_deg is None or facts.tel_dec_deg is None:
            raise ImageError(f"telescope is at TEL-RA {facts.tel_ra_deg}, TEL-DEC {facts.tel_dec_deg}; need both")
        return {
            "ra": facts.tel_ra_deg,
            "dec": facts.tel_dec_deg,
            "scale_low": scale * 0.9,
            "scale_high": scale * 1.1,
            "radius": self._radius_deg,
            "crpix-x": crpix[0],
            "crpix-y": crpix[1],
            "nx": width,
            "ny": height,
            "x": (stars[:, 0] + 1).tolist(),
            "y": (stars[:, 1] + 1).tolist(),
            "flux": stars[:, 2].tolist(),
        }


def _cards(url: str, status: int, answer: bytes) -> dict[str, Any]:
    """The WCS that the service found."""
    try:
        found = json.loads(answer)
    except ValueError as error:
        raise ImageError(f"{url}: status {status}, and the answer is no JSON") from error
    if not isinstance(found, dict) or "error" in found or status != 200:
        reason = found.get("error") if isinstance(found, dict) else None
        if reason == "Could not find WCS file.":
            raise ImageError(f"{url}: the service found no WCS")
        raise ImageError(f"{url}: status {status}, error {reason!r}")
    cards: dict[str, Any] = {}
    for keyword in ("CTYPE1", "CTYPE2"):
        value = found.get(keyword)
        if not isinstance(value, str) or not value.isprintable() or not value.isascii() or len(value) > 68:
            raise ImageError(f"{url}: the answer has {keyword} = {value!r}; need a type of axis")
        cards[keyword] = value
    for keyword in _NUMBERS:
        value = found.get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ImageError(f"{url}: the answer has {keyword} = {value!r}; need a number")
        cards[keyword] = float(value)
    return cards
