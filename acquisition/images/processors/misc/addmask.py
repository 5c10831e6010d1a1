"""A mask by instrument and binning.

In: an `Image`. Out: the image with a mask.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor

log = logging.getLogger(__name__)


class AddMask(ImageProcessor):
    """Give the image the mask of its instrument and binning, instead of any that it has.

    An image of another instrument or binning, or that does not state them, passes unchanged, with a warning.

    Parameters
    ----------
    masks : dict of dict
        Instrument -> binning such as ``"1x1"`` -> mask: an array [y, x], nonzero where a pixel must not be used, or the
        name of a FITS file that has it.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a mask is neither.
    OSError
        If a file cannot be read.
    """

    def __init__(self, masks: Mapping[str, Mapping[str, NDArray[Any] | str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._masks = {
            (instrument, binning): _mask(mask)
            for instrument, by_binning in masks.items()
            for binning, mask in by_binning.items()
        }

    async def __call__(self, image: Image) -> Image:
        """Mask an image.

        Raises
        ------
        ImageError
            If the mask is of another size.
        """
        facts = image.facts
        mask = self._masks.get((facts.instrument or "", f"{facts.x_binning}x{facts.y_binning}"))
        if mask is None:
            log.warning("no mask for instrument %s, binning %sx%s", facts.instrument, facts.x_binning, facts.y_binning)
            return image
        if image.safe_data is not None and image.data.shape[-2:] != mask.shape:
            raise ImageError(f"mask is of shape {mask.shape}, the image {image.data.shape}; they must agree")
        return image.derive(mask=mask.copy())


def _mask(mask: Any) -> NDArray[Any]:
    array: Any = Image.from_file(mask).data if isinstance(mask, str) else mask
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise ValueError(f"mask is {type(mask).__name__}; allowed: an array [y, x] or the name of a FITS file")
    return array
