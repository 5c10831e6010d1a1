"""The ways of combining a cube of frames: mean, median, sum, clipped mean.

In: a cube of frames. Out: one frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.images import FrameFacts

from .combinestack import Array, CombineStack, mean_of

if TYPE_CHECKING:
    from astropy.io.fits import Header


class MeanStack(CombineStack):
    """The mean of the frames; parameters as of `CombineStack`."""

    _method = "mean"

    def _combine(self, block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
        return mean_of(block, count)


class MedianStack(CombineStack):
    """The median of the frames; parameters as of `CombineStack`.

    Its standard error is sqrt(pi / 2) times that of the mean, as for normal noise and many frames.
    """

    _method = "median"

    def _combine(self, block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
        median = np.nanmedian(block, axis=0)
        return median, mean_of(block, count)[1] * math.sqrt(math.pi / 2)


class SumStack(CombineStack):
    """The sum of the frames, whose EXPTIME is that of all of them together; parameters as of `CombineStack`.

    Saturation and read noise are those of the sum, too.
    """

    _method = "sum"

    def _combine(self, block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
        mean, error = mean_of(block, count)
        return mean * count, error * count

    def _describe(self, header: Header, facts: FrameFacts, frames: int, total_s: float | None) -> None:
        from acquisition.images.header import state_data_max

        if total_s is not None:
            header["EXPTIME"] = total_s
        if facts.data_max_adu is not None:
            state_data_max(header, facts.data_max_adu * frames)
        for keywords, value, factor in (
            (("DET-SATU",), facts.full_well_e, frames),
            (("RDNOISE", "READNOIS", "DET-RON"), facts.read_noise_e, math.sqrt(frames)),
        ):
            for keyword in keywords:
                if value is not None and keyword in header:
                    header[keyword] = value * factor


class SigmaClipStack(CombineStack):
    """The mean of the values that are near their median (`astropy.stats.sigma_clip`).

    Parameters
    ----------
    sigma : float
        Values further than this many standard deviations from the median are dropped, > 0.
    maxiters : int
        How often at most, >= 1.
    **kwargs
        As of `CombineStack`.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    _method = "sigmaclip"

    def __init__(self, sigma: float = 3.0, maxiters: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not sigma > 0 or maxiters < 1:
            raise ValueError(f"sigma is {sigma}, maxiters {maxiters}; allowed: above 0, from 1")
        self._sigma, self._maxiters = sigma, maxiters

    def _combine(self, block: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
        from astropy.stats import sigma_clip

        clipped: Any = sigma_clip(block, sigma=self._sigma, maxiters=self._maxiters, axis=0, masked=False, copy=True)
        return mean_of(clipped.astype(np.float32), np.isfinite(clipped).sum(axis=0))

    def _describe(self, header: Header, facts: FrameFacts, frames: int, total_s: float | None) -> None:
        header["COMBSIG"], header["COMBITER"] = self._sigma, self._maxiters
