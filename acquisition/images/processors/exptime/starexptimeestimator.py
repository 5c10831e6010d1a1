"""The exposure time that brings the brightest star to a given share of saturation.

In: an `Image` with `GuideStars` or a catalog. Out: the image with `ExpTime`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import ExpTime, GuideStars
from acquisition.images.processors.demands import columns
from acquisition.kernels.exposure import Limits, Measurement, StarLaw, StarLight

from .measure import MeasureRule, clipped_peak_adu, exposed_s, saturation_adu

_CLIPPED = 0.98  # of saturation: a star this bright may be any brighter


class StarExpTimeEstimator(ImageProcessor):
    """Next exposure time from the peak of the brightest star.

    new = (saturated · S - bias) / (peak - bias) · exposure time, where S is the facts' saturation, or else 50000 ADU
    (255 ADU in 8-bit images): the star law (`kernels.exposure.StarLaw`) without memory, steps or dead band. The peak of
    a clipped star is estimated from its wings; where they say nothing, the exposure time is halved. Guide stars are
    preferred to the catalog; with neither (or none of them usable) the exposure time stays as it is.

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
        if not 0 <= min_exp_time <= (math.inf if max_exp_time is None else max_exp_time):
            raise ValueError(f"exposure limits are {min_exp_time} to {max_exp_time} s; allowed: 0 <= min <= max")
        self._edge = edge
        self._bias = bias
        self._saturated = saturated
        self._limits = Limits(
            max(min_exp_time, 1e-6), 1e5 if max_exp_time is None else max_exp_time, math.inf, dead_band=0.0
        )

    async def __call__(self, image: Image) -> Image:
        """Set the next exposure time.

        Raises
        ------
        ImageError
            If the image does not say how long it was exposed.
        """
        exposure_s = exposed_s(image)
        saturation = saturation_adu(image, MeasureRule())
        well = saturation - self._bias
        share = (self._saturated * saturation - self._bias) / well if well > 0 else 0.0
        next_s = exposure_s
        if share > 0.001:
            stars = tuple(self._light(image, star, saturation, share) for star in self._stars(image, saturation))
            law = StarLaw(full_well=share, limits=self._limits)
            measured = Measurement(0.0, exposure_s, well, stars=stars)
            if stars:
                next_s = law.step(law.start(), measured)[1].exposure_s
        image = image.derive()
        image.set_meta(ExpTime(min(max(next_s, self._limits.min_s), self._limits.max_s)))
        return image

    def _light(self, image: Image, star: tuple[float, float, float], saturation: float, share: float) -> StarLight:
        """A star, (x, y, peak), as the law takes it."""
        x, y, peak = star
        if peak < _CLIPPED * saturation:
            return StarLight(peak - self._bias)
        estimated = clipped_peak_adu(image, x, y, _CLIPPED * saturation)
        halved = 2.0 * share * (saturation - self._bias)
        return StarLight(halved if estimated is None else max(estimated - self._bias, halved), clipped=True)

    def _stars(self, image: Image, saturation: float) -> list[tuple[float, float, float]]:
        """x, y (0-based) and peak, ADU, of the stars that may count: the clipped ones, and the brightest other."""
        stars = image.get_meta_safe(GuideStars)
        if stars is not None:
            x, y, peak = np.array([(star.x, star.y, star.peak) for star in stars.used]).reshape(-1, 3).T
        elif image.safe_catalog is not None and {"x", "y", "peak"} <= set(image.catalog.colnames):
            x, y, peak = columns(image.catalog, "x", "y", "peak")
            x, y = x - 1, y - 1  # catalogs are 1-based
        else:
            return []
        usable = np.isfinite(peak)
        if image.safe_data is not None and self._edge > 0:
            height, width = image.data.shape[-2:]
            for place, length in ((x, width), (y, height)):
                margin = self._edge * length
                usable &= (place >= margin) & (place <= length - 1 - margin)
        is_clipped = peak >= _CLIPPED * saturation
        counting = np.flatnonzero(usable & is_clipped).tolist()
        others = np.flatnonzero(usable & ~is_clipped)
        if others.size:
            counting.append(int(others[peak[others].argmax()]))
        return [(float(x[k]), float(y[k]), float(peak[k])) for k in counting]
