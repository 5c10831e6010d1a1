"""How far the Sun, the Moon or a planet moved since the first frame.

In: an `Image`. Out: the image with `PixelOffsets`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError, NoStars, StarLost
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.plane import plane_of
from acquisition.kernels.correlate import correlate, find_disk

_ALIKE = 0.3  # correlation coefficient below which two pictures do not show the same


class DiskOffsets(ImageProcessor):
    """Offset of an extended disk, or of any detail, against the first frame.

    The first frame (after construction or `reset`) is the reference, with offset 0; offset = place - place in the
    first frame, px of the image as delivered.

    Parameters
    ----------
    method : str
        ``limb``: centre of the circle on which the limb lies; phases and clipped parts do not matter, but enough of
        the limb must be in the frame. ``correlation``: shift of the whole picture, for details of a surface that
        fills the frame; without error bars.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If the method is none of these.
    """

    def __init__(self, method: str = "limb", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if method not in ("limb", "correlation"):
            raise ValueError(f"method is {method!r}; allowed: limb, correlation")
        self._method = method
        self.centre: tuple[float, float, float] | None = None  # of the first frame: x, y, error
        self.picture: NDArray[Any] | None = None

    async def __call__(self, image: Image) -> Image:
        """Measure a frame.

        Raises
        ------
        NoStars
            If the first frame shows no disk.
        StarLost
            If a later one does not, or nothing that resembles the first.
        ImageError
            If the frame is no picture, or of another size than the first (correlation).
        """
        offsets = self._limb(image) if self._method == "limb" else self._correlation(image)
        image = image.derive()
        image.set_meta(offsets)
        return image

    async def reset(self) -> None:
        """Forget the reference."""
        self.centre = self.picture = None

    def _limb(self, image: Image) -> PixelOffsets:
        plane = plane_of(image)
        found = find_disk(_without_bad(plane.frame, plane.bad))
        if found is None:
            trouble = StarLost if self.centre is not None else NoStars
            raise trouble("no disk: no limb lies on a circle of 4 px radius or more")
        x, y, error = plane.to_image(found[0]), plane.to_image(found[1]), found[3] * plane.step
        if self.centre is None:
            self.centre = (x, y, error)
        total = math.hypot(error, self.centre[2]) if (x, y) != self.centre[:2] else error
        return PixelOffsets(x - self.centre[0], y - self.centre[1], total, total)

    def _correlation(self, image: Image) -> PixelOffsets:
        plane = plane_of(image)
        picture = _without_bad(plane.frame, plane.bad)
        if self.picture is None:
            self.picture = picture
        if picture.shape != self.picture.shape:
            raise ImageError(f"frame is {picture.shape}, the first one was {self.picture.shape}; reset to begin anew")
        dx, dy, likeness = correlate(self.picture, picture)
        if likeness < _ALIKE:
            raise StarLost(f"nothing resembles the first frame: correlation {likeness:.2f}, need {_ALIKE:g}")
        return PixelOffsets(dx * plane.step, dy * plane.step)


def _without_bad(frame: NDArray[Any], bad: NDArray[np.uint8]) -> NDArray[np.float32]:
    picture = frame.astype(np.float32)
    if bad.size:
        picture[bad != 0] = np.nan
    return picture
