"""How far a star is from its fibre, from the light that spills around it.

In: an `Image` of the fibre's head. Out: the image with `PixelOffsets`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.demands import header_number, masked, mono

log = logging.getLogger(__name__)


class SpilledLightGuiding(ImageProcessor):
    """Offset of a star from its fibre by the ring of light around it: towards where it is brightest.

    As pyobs does, the length is a guess from the contrast of the brightest part of the ring and the one opposite,
    r / (1 + exp(-5 (ratio - 0.8))) with the fibre's radius r: good for steps that end in the middle, not as a
    measurement, which is what `ApertureOffsets` is for. A ring that is even gives no offset: 0, 0.

    Parameters
    ----------
    fibers : sequence of 3 floats or str
        Place (column, row, the first being 0) and radius of the fibre, in unbinned px; or keywords of such. (pyobs
        has a module's name here, which it asks for them.)
    radius_ratio : float
        Outer radius of the ring over that of the fibre, > 1.
    max_relative_sigma : float
        The ring is even if the standard deviation of its parts is below this share of their median.
    section_angular_width, section_angular_shift : float
        Width of the parts of the ring, and from one to the next, degrees.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        fibers: Sequence[float | str],
        radius_ratio: float = 2.0,
        max_relative_sigma: float = 0.1,
        section_angular_width: float = 36.0,
        section_angular_shift: float = 18.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(fibers, str) or len(fibers) != 3:
            raise ValueError(f"fibers is {fibers!r}; allowed: column, row and radius, or three keywords of such")
        if not radius_ratio > 1 or not max_relative_sigma >= 0:
            raise ValueError(
                f"radius_ratio is {radius_ratio}, max_relative_sigma {max_relative_sigma}; allowed: > 1, >= 0"
            )
        if not 0 < section_angular_width <= 180 or not 1 <= section_angular_shift <= 180:
            raise ValueError(
                f"sections are {section_angular_width} degrees wide, every {section_angular_shift}; "
                "allowed: above 0 up to 180, 1 to 180"
            )
        self._fibre = tuple(fibers)
        self._radius_ratio, self._max_relative_sigma = radius_ratio, max_relative_sigma
        self._width_deg = section_angular_width
        self._directions = np.arange(0.0, 360.0, section_angular_shift)

    async def __call__(self, image: Image) -> Image:
        """Measure an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, the header lacks a number, or the ring is not in the image.
        """
        x, y, radius = self._place(image)
        with np.errstate(over="ignore"):
            pixels = mono(image).astype(np.float64)
        bad = ~(np.abs(pixels) < 1e30)
        mask = masked(image)
        if mask is not None:
            bad |= mask
        if bad.all():
            raise ImageError("no usable pixel in the image")
        light = pixels - np.median(pixels[~bad])
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        distance = np.hypot(columns - x, rows - y)
        ring = (distance >= radius) & (distance <= radius * self._radius_ratio) & ~bad
        angle_deg = np.degrees(np.arctan2(rows - y, columns - x))[ring]
        parts = np.array([_mean_about(light[ring], angle_deg, d, self._width_deg) for d in self._directions])
        if not np.isfinite(parts).all():
            raise ImageError(
                f"ring about ({x:g}, {y:g}) of {radius:g} to {radius * self._radius_ratio:g} px is cut off"
            )
        offset = self._offset(parts, light[ring], angle_deg, radius)
        image = image.derive()
        image.set_meta(PixelOffsets(*offset))
        return image

    def _place(self, image: Image) -> tuple[float, float, float]:
        """Column, row (0-based) and radius of the fibre, px of the image."""
        x, y, radius = (header_number(image, v) if isinstance(v, str) else float(v) for v in self._fibre)
        facts = image.facts
        binning = facts.x_binning or 1, facts.y_binning or 1
        if binning[0] != binning[1]:
            raise ImageError(
                f"binning is {binning[0]}x{binning[1]}; a fibre is round only with the same along both axes"
            )
        radius /= binning[0]
        if not 0.5 <= radius < 1e5 or max(abs(x), abs(y)) > 1e6:
            raise ImageError(f"fibre is at ({x:g}, {y:g}) px with a radius of {radius:g} binned px; need 0.5 or more")
        return (x + 0.5) / binning[0] - 0.5, (y + 0.5) / binning[1] - 0.5, radius

    def _offset(
        self, parts: NDArray[np.float64], light: NDArray[np.float64], angle_deg: NDArray[np.float64], radius: float
    ) -> tuple[float, float]:
        median = float(np.median(parts))
        if not parts.max() > 0 or np.std(parts) < self._max_relative_sigma * median:
            log.info("the ring of light is even: no offset")
            return 0.0, 0.0
        turns = np.radians(self._directions)
        towards = math.degrees(math.atan2(float(parts @ np.sin(turns)), float(parts @ np.cos(turns))))
        brightest = _mean_about(light, angle_deg, towards, self._width_deg)
        opposite = _mean_about(light, angle_deg, towards + 180.0, self._width_deg)
        ratio = max(brightest / opposite, 0.0) if opposite > 0 else math.inf
        length = radius / (1 + math.exp(-5 * (ratio - 0.8))) if ratio < 100 else radius
        return length * math.cos(math.radians(towards)), length * math.sin(math.radians(towards))


def _mean_about(
    light: NDArray[np.float64], angle_deg: NDArray[np.float64], direction_deg: float, width_deg: float
) -> float:
    """Mean light of the part of the ring about a direction; NaN where it has no pixel."""
    inside = np.abs((angle_deg - direction_deg + 180.0) % 360.0 - 180.0) <= width_deg / 2
    return float(light[inside].mean()) if inside.any() else math.nan
