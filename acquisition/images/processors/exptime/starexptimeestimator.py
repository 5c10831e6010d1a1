"""The exposure time that brings the brightest star to a given share of saturation.

In: an `Image` with `GuideStars` or a catalog. Out: the image with `ExpTime`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import ExpTime, GuideStars

_USUAL_SATURATION_ADU = 50000.0
_CLIPPED = 0.98  # of saturation: a star this bright may be any brighter


class StarExpTimeEstimator(ImageProcessor):
    """Next exposure time from the peak of the brightest star.

    new = (saturated · S - bias) / (peak - bias) · exposure time, where S is the facts' saturation, or else 50000 ADU
    (255 ADU in 8-bit images). A star that is clipped may be any brighter, so the exposure time is halved then. Guide
    stars are preferred to the catalog; with neither (or none of them usable) the exposure time stays as it is.

    Parameters
    ----------
    edge : float
        Stars closer than this to the edge of the image do not count, px.
    bias : float
        Pixel value without light, ADU.
    saturated : float
        Share of the saturation that the peak should have, above 0, up to 1.
    min_exp_time, max_exp_time : float
        Limits, s; None: no upper limit.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        edge: float = 0.0,
        bias: float = 0.0,
        saturated: float = 0.7,
        min_exp_time: float = 0.0,
        max_exp_time: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < saturated <= 1:
            raise ValueError(f"saturated is {saturated}; allowed: above 0, up to 1")
        if not 0 <= min_exp_time <= (math.inf if max_exp_time is None else max_exp_time):
            raise ValueError(f"exposure limits are {min_exp_time} to {max_exp_time} s; allowed: 0 <= min <= max")
        self._edge = edge
        self._bias = bias
        self._saturated = saturated
        self._min_s = min_exp_time
        self._max_s = math.inf if max_exp_time is None else max_exp_time

    async def __call__(self, image: Image) -> Image:
        """Set the next exposure time.

        Raises
        ------
        ImageError
            If the image does not say how long it was exposed.
        """
        exposure_s = image.facts.exposure_s
        if exposure_s is None:
            raise ImageError("no next exposure time: the image does not say how long it was exposed")
        new_s = exposure_s * self._factor(image)
        image = image.derive()
        image.set_meta(ExpTime(min(max(new_s, self._min_s), self._max_s)))
        return image

    def _factor(self, image: Image) -> float:
        peaks = self._peaks(image)
        if not peaks:
            return 1.0
        saturation = _saturation_adu(image)
        peak = max(peaks)
        if peak >= _CLIPPED * saturation:
            return 0.5
        if peak <= self._bias:
            return 1.0
        return max(self._saturated * saturation - self._bias, 0.0) / (peak - self._bias)

    def _peaks(self, image: Image) -> list[float]:
        """Peaks of the stars that count, ADU."""
        stars = image.get_meta_safe(GuideStars)
        if stars is not None:
            found = [(star.x, star.y, star.peak) for star in stars.used]
        elif image.safe_catalog is not None and {"x", "y", "peak"} <= set(image.catalog.colnames):
            # catalogs are 1-based
            found = [(row["x"] - 1, row["y"] - 1, row["peak"]) for row in image.catalog]
        else:
            found = []
        if image.safe_data is not None and self._edge > 0:
            height, width = image.data.shape[-2:]
            e = self._edge
            found = [(x, y, p) for x, y, p in found if e <= x <= width - 1 - e and e <= y <= height - 1 - e]
        return [float(peak) for _, _, peak in found if np.isfinite(peak)]


def _saturation_adu(image: Image) -> float:
    known = image.facts.saturation_adu
    if known is not None:
        return known
    data = image.safe_data
    if data is not None and data.dtype.kind == "u" and data.dtype.itemsize == 1:
        return 255.0
    return _USUAL_SATURATION_ADU
