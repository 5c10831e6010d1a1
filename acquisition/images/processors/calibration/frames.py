"""The pixels of masters.

In: a `Master`. Out: a `Frame`, whole or the part that an image covers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image
from acquisition.images.processors.demands import masked, picture

from .arithmetic import Frame
from .library import Master


def loaded(master: Master) -> Frame:
    """The pixels of a master; a flat scaled to a median of 1.

    Raises
    ------
    ImageError
        If the file cannot be read, or has no usable pixel.
    """
    try:
        image = Image.from_file(master.path)
    except (OSError, ValueError) as error:
        raise ImageError(f"master {master.path} cannot be read: {error}") from error
    value = picture(image).astype(np.float32)
    bad = masked(image)
    bad = ~np.isfinite(value) if bad is None else bad | ~np.isfinite(value)
    if bad.all():
        raise ImageError(f"master {master.path} has no usable pixel")
    variance: Any = 0.0
    if image.safe_uncertainty is not None and image.uncertainty.shape == value.shape:
        variance = np.nan_to_num(image.uncertainty.astype(np.float32)) ** 2
    if master.kind == "flat":
        level = np.float32(np.median(value[~bad]))
        if not level > 0:
            raise ImageError(f"master {master.path} has a median of {level}; a flat needs light")
        value /= level
        if isinstance(variance, np.ndarray):
            variance /= level**2
    elif bad.any():  # a pixel that is bad still has a value to subtract, so that the eye is not hurt
        value[~np.isfinite(value)] = np.median(value[~bad])
    return Frame(value, variance, bad)


def part_of(whole: Frame, master: Master, facts: FrameFacts, shape: tuple[int, ...]) -> Frame:
    """The part of a master's pixels that an image covers.

    Raises
    ------
    ImageError
        If it reaches outside, or the file is not what it was when the library was made.
    """
    window = master.window_for(facts, shape)
    if window is None or whole.value.shape != master.shape:
        raise ImageError(f"{master.path}: pixels are of shape {whole.value.shape}; the image's are {shape}")
    return Frame(
        whole.value[window],
        whole.variance if isinstance(whole.variance, float) else whole.variance[window],
        None if whole.bad is None else whole.bad[window],
    )
