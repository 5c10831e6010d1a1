"""The exposure time that brings the brightest star to a given share of saturation.

In: an `Image` with `GuideStars` or a catalog. Out: the image with `ExpTime`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import ExpTime, GuideStars
from acquisition.images.processors.demands import columns
from acquisition.kernels.exposure.regulator import caution

from .measure import MeasureRule, clipped_peak_adu, exposed_s, saturation_adu

_RULE = MeasureRule()
_CLIPPED = 0.98  # of saturation: a star this bright may be any brighter
_NO_LIMIT_S = 1e5


class StarExpTimeEstimator(ImageProcessor):
    """Next exposure time from the peak of the brightest star.

    new = (saturated · S - bias) / (peak - bias) · exposure time, where S is the facts' saturation, or else 50000 ADU
    (255 ADU in 8-bit images): what the star law (`kernels.exposure.StarLaw`) does, without its memory. The peak of a
    clipped star is estimated from its wings, with the law's caution; where they say nothing, the exposure time is
    halved. Guide stars are preferred to the catalog; with neither (or none of them usable) the exposure time stays as
    it is.

    Parameters
    ----------
    edge : float
        Stars in this fraction of the width or height, at either edge of the image, do not count.
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
        if not 0 <= edge < 0.5:
            raise ValueError(f"edge is {edge}; allowed: from 0, below 0.5 of the image")
        if not 0 < saturated <= 1:
            raise ValueError(f"saturated is {saturated}; allowed: above 0, up to 1")
        self._shortest_s, self._longest_s = min_exp_time, _NO_LIMIT_S if max_exp_time is None else max_exp_time
        if not 0 <= self._shortest_s <= self._longest_s:
            raise ValueError(f"exposure limits are {min_exp_time} to {max_exp_time} s; allowed: 0 <= min <= max")
        self._edge = edge
        self._bias = bias
        self._saturated = saturated

    async def __call__(self, image: Image) -> Image:
        """Set the next exposure time.

        Raises
        ------
        ImageError
            If the image does not say how long it was exposed.
        """
        exposure_s = exposed_s(image)
        saturation = saturation_adu(image, _RULE)
        target = self._saturated * saturation - self._bias
        next_s = exposure_s
        if 0.001 * (saturation - self._bias) < target < 1e15 and 1e-9 < exposure_s < 1e6:
            next_s = exposure_s * min(self._factors(image, saturation, target), default=1.0)
        image = image.derive()
        image.set_meta(ExpTime(min(max(next_s, self._shortest_s), self._longest_s)))
        return image

    def _factors(self, image: Image, saturation: float, target: float) -> list[float]:
        """By how much the stars that may count want the exposure changed: the clipped ones, and the brightest other."""
        peak = _peaks(image)
        if peak.size and self._edge > 0 and image.safe_data is not None:
            lengths = np.array(image.data.shape[:-3:-1])[:, np.newaxis]
            margins, places = self._edge * lengths, _places(image)
            inside = ((places >= margins) & (places <= lengths - 1 - margins)).all(axis=0)
            peak = np.where(inside, peak, math.nan)
        clip = _CLIPPED * saturation
        factors = []
        brightest = float(np.fmax.reduce(peak, initial=-math.inf))  # NaN aside
        if brightest >= clip:
            for x, y in _places(image)[:, (peak >= clip) & (peak < math.inf)].T.tolist():
                estimated = clipped_peak_adu(image, x, y, clip)
                level = 2.0 if estimated is None else max((estimated - self._bias) / target, 2.0)
                factors.append(1.0 / (level * caution(level)))
            brightest = float(peak.max(initial=-math.inf, where=peak < clip))
        if brightest > self._bias:
            factors.append(target / (brightest - self._bias))
        return factors


def _peaks(image: Image) -> NDArray[np.float64]:
    """The brightest pixel of each star, ADU."""
    guiding, catalog = image.get_meta_safe(GuideStars), image.safe_catalog
    if guiding is not None:
        return np.array([star.peak for star in guiding.used], np.float64)
    if catalog is None or not {"x", "y", "peak"} <= set(catalog.colnames):
        return np.empty(0)
    return columns(catalog, "peak")[0]


def _places(image: Image) -> NDArray[np.float64]:
    """The places of the same stars, of which there is at least one: rows of x and y, 0-based px."""
    guiding = image.get_meta_safe(GuideStars)
    if guiding is not None:
        return np.array([(star.x, star.y) for star in guiding.used], np.float64).T
    return np.array(columns(image.catalog, "x", "y")) - 1  # catalogs are 1-based
