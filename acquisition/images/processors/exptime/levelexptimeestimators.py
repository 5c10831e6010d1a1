"""The exposure time that brings the sky, or the bright part of a picture, to a given share of saturation.

In: an `Image`. Out: the image with `ExpTime`.
"""

from __future__ import annotations

import math
from typing import Any

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import ExpTime
from acquisition.kernels.exposure import AnyLaw, BackgroundLaw, Limits, PercentileLaw

from .measure import MeasureRule, began_s, exposed_s, measure


class _ByLaw(ImageProcessor):
    """Asks a law about every image; what it knows of earlier ones is in `state`, until `reset`."""

    def __init__(self, law: AnyLaw, rule: MeasureRule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._law = law
        self._rule = rule
        self.state: Any = law.start()

    async def __call__(self, image: Image) -> Image:
        """Set the next exposure time; where nothing can be measured, it stays as it is.

        Raises
        ------
        ImageError
            If the image does not say how long it was exposed.
        """
        exposed_s(image)
        self.state, decision = self._law.step(self.state, measure(image, self._rule, began_s(image)))
        image = image.derive()
        image.set_meta(ExpTime(decision.exposure_s))
        return image

    async def reset(self) -> None:
        """Forget how the light has changed."""
        self.state = self._law.start()


class BackgroundExpTimeEstimator(_ByLaw):
    """Next exposure time from the median of the image, for sky flats: `kernels.exposure.BackgroundLaw`.

    Follows twilight: the sky is on target in the middle of the next exposure. A wholly clipped image is cut to a tenth
    and less.

    Parameters
    ----------
    target : float
        Share of the saturation that the median should have, above the bias.
    bias : float
        Pixel value without light, ADU.
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
        target: float = 0.4,
        bias: float = 0.0,
        min_exp_time: float = 0.001,
        max_exp_time: float | None = None,
        **kwargs: Any,
    ) -> None:
        law = BackgroundLaw(target, _limits(min_exp_time, max_exp_time))
        super().__init__(law, MeasureRule(stars=False, bias_adu=bias), **kwargs)


class PercentileExpTimeEstimator(_ByLaw):
    """Next exposure time from a percentile of the image, for Sun, Moon and planets: `kernels.exposure.PercentileLaw`.

    Parameters
    ----------
    percentile : float
        Below which so many per cent of the pixels are.
    target : float
        Share of the saturation that it should have, above the bias.
    bias : float
        Pixel value without light, ADU.
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
        percentile: float = 99.5,
        target: float = 0.7,
        bias: float = 0.0,
        min_exp_time: float = 0.0001,
        max_exp_time: float | None = None,
        **kwargs: Any,
    ) -> None:
        law = PercentileLaw(percentile, target, _limits(min_exp_time, max_exp_time))
        super().__init__(law, MeasureRule(stars=False, percentile=percentile, bias_adu=bias), **kwargs)


def _limits(min_s: float, max_s: float | None) -> Limits:
    return Limits(min_s, 1e5 if max_s is None else max_s, math.inf)
