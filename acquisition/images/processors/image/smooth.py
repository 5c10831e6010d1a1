"""A smoothed image.

In: an `Image`. Out: the image convolved with a Gaussian.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, picture

_MODES = ("reflect", "constant", "nearest", "mirror", "wrap", "grid-constant", "grid-mirror", "grid-wrap")


class Smooth(ImageProcessor):
    """Convolve with a Gaussian (`scipy.ndimage.gaussian_filter`), each colour by itself; flux is conserved.

    The result is float32 (float64 for such and for integers of more than 16 bits). With order 0, masked and NaN pixels
    do not count: their neighbours fill them, and the mask stays. Without any usable pixel, or with another order and
    NaN, the result has NaN. The uncertainty goes, since neighbours are correlated now. An image without data passes
    unchanged.

    Parameters
    ----------
    sigma : float
        Standard deviation, px, >= 0.
    order, mode, cval, truncate
        As of scipy: derivative (0: none), how borders are continued, with which value, and after how many sigma
        the Gaussian ends.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        sigma: float,
        order: int = 0,
        mode: str = "reflect",
        cval: float = 0.0,
        truncate: float = 4.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= sigma < np.inf or not 0 < truncate < np.inf or order < 0:
            raise ValueError(f"sigma {sigma}, truncate {truncate}, order {order}; allowed: >= 0, > 0, >= 0")
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}; allowed: {', '.join(_MODES)}")
        self._sigma, self._order = sigma, order
        self._how = {"mode": mode, "cval": cval, "truncate": truncate}

    async def __call__(self, image: Image) -> Image:
        """Smooth an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, or the mask does not fit.
        """
        from scipy.ndimage import gaussian_filter

        if image.safe_data is None:
            return image
        data = picture(image)
        pixels = data.astype(np.result_type(data.dtype, np.float32))
        bad = ~np.isfinite(pixels)
        mask = masked(image)
        if mask is not None:
            bad |= mask
        sigma = (*(0.0 for _ in pixels.shape[:-2]), self._sigma, self._sigma)
        if self._order != 0 or not bad.any():
            return image.derive(data=gaussian_filter(pixels, sigma, self._order, **self._how), uncertainty=None)
        pixels[bad] = 0.0
        smooth = gaussian_filter(pixels, sigma, **self._how)
        weight = gaussian_filter((~bad).astype(pixels.dtype), sigma, **{**self._how, "cval": 1.0})
        with np.errstate(divide="ignore", invalid="ignore"):
            smooth = np.where(weight > 1e-6, smooth / weight, np.nan).astype(pixels.dtype)
        return image.derive(data=smooth, uncertainty=None)
