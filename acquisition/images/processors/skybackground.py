"""The sky's background by DAOPHOT's way: sigma-clipped medians in boxes, smoothed (photutils).

In: pixels and what must not be used of them. Out: the background at each pixel.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError


@dataclass(frozen=True, slots=True)
class SkyBackground:
    """How the background is measured.

    Attributes
    ----------
    sigma : float
        Where values are clipped, > 0.
    box_size : tuple of 2 int
        (y, x) size of the boxes, px, > 0.
    filter_size : tuple of 2 int
        (y, x) size of the median filter over boxes, odd.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    sigma: float = 3.0
    box_size: tuple[int, int] = (50, 50)
    filter_size: tuple[int, int] = (3, 3)

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma is {self.sigma}; allowed: above 0")
        if len(self.box_size) != 2 or min(self.box_size) < 1:
            raise ValueError(f"box size is {self.box_size}; allowed: two numbers from 1")
        if len(self.filter_size) != 2 or any(size < 1 or size % 2 == 0 for size in self.filter_size):
            raise ValueError(f"filter size is {self.filter_size}; allowed: two odd numbers from 1")

    def __call__(self, pixels: NDArray[Any], bad: NDArray[np.bool_]) -> NDArray[Any]:
        """The background of [y, x] pixels.

        Boxes larger than the image are cut to its size; one with fewer than a tenth of its pixels usable is filled from
        its neighbours.

        Raises
        ------
        ImageError
            If no box has enough usable pixels.
        """
        from astropy.stats import SigmaClip
        from astropy.utils.exceptions import AstropyUserWarning
        from photutils.background import Background2D, MedianBackground

        box = tuple(min(size, length) for size, length in zip(self.box_size, pixels.shape, strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # NaN are masked; few boxes
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                background = Background2D(
                    pixels,
                    box,
                    mask=bad,
                    filter_size=self.filter_size,
                    sigma_clip=SigmaClip(sigma=self.sigma),
                    bkg_estimator=MedianBackground(),
                    exclude_percentile=90.0,
                ).background
            except ValueError as error:
                raise ImageError(f"no background: {error}") from error
        return np.asarray(background, pixels.dtype)
