"""Offsets of the whole scene against the first frame.

In: `Image`s of one scene. Out: from the second on, the images with `PixelOffsets`.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.cardvalues import parse_section
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.demands import masked, mono

from .registration import Scene, displacement, scene_of

log = logging.getLogger(__name__)


class ProjectedOffsets(ImageProcessor):
    """Displacement of the scene against the first frame, which is the reference until `reset`.

    Unlike pyobs' processor of this name it does not project onto the axes, where the noise and the defects of the whole
    frame fall on every star; see `registration`. `PixelOffsets` come with standard errors. It needs no stars: a planet,
    the Moon or a slit will do. For stars, `GuideStarOffsets` says more.

    The reference gets no offsets, and neither does a frame that says nothing of its displacement (constant, without
    stars, or of another size than the reference): it passes unchanged, with a warning. Only what is in TRIMSEC counts.

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reference: Scene | None = None

    async def reset(self) -> None:
        """Take the next frame as the reference."""
        self._reference = None

    async def __call__(self, image: Image) -> Image:
        """Measure an image's displacement.

        Raises
        ------
        ImageError
            If there is no data, the pixels are no picture, or mask or TRIMSEC do not fit.
        """
        frame, bad = _trimmed(image)
        scene = scene_of(frame, bad)
        if scene is None:
            log.warning("no offsets: there is nothing in the frame that could be displaced")
            return image
        if self._reference is None:
            self._reference = scene
            return image
        found = displacement(self._reference, scene)
        if found is None:
            log.warning("no offsets: the frame does not resemble the reference")
            return image
        image = image.derive()
        image.set_meta(PixelOffsets(found.dx, found.dy, found.dx_err, found.dy_err))
        return image


def _trimmed(image: Image) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels and what must not be used of them, within TRIMSEC."""
    frame, bad = mono(image), masked(image)
    if bad is None:
        bad = np.zeros(frame.shape, bool)
    section = image.header_value("TRIMSEC")
    if section is None:
        return frame, bad
    try:
        rows, columns = parse_section(section)
    except ValueError as error:
        raise ImageError(f"TRIMSEC: {error}") from error
    if rows.start >= frame.shape[0] or columns.start >= frame.shape[1]:
        raise ImageError(f"TRIMSEC is {section}, outside of the image of {frame.shape[1]}x{frame.shape[0]} px")
    return frame[rows, columns], bad[rows, columns]
