"""How far a star is from the fibre or slit that it should fall into, from the light that spills around it.

In: an `Image` of the acquisition mirror. Out: the image with `PixelOffsets`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import NoStars
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.plane import detector_of, plane_of
from acquisition.kernels import columns as c
from acquisition.kernels.background import measure_background
from acquisition.kernels.fit import fit_stars
from acquisition.kernels.patches import cut_patches
from acquisition.kernels.psf import Psf
from acquisition.kernels.ring import RING

Array = NDArray[np.float64]


class ApertureOffsets(ImageProcessor):
    """Place of a star against a hole in the acquisition mirror, though the hole swallows its middle.

    The star's profile is fitted to the light around the hole, the hole itself left out: two lobes beside a slit, a
    ring about a fibre. `PixelOffsets` is place of the star - middle of the hole, px.

    Parameters
    ----------
    x, y : float
        Middle of the hole, 0-based px.
    size_px : float
        Diameter of a fibre's hole, or width of a slit.
    slit_angle_deg : float, optional
        Direction of a slit, from +x (columns) towards +y (rows). None: a round hole.
    fwhm_px : float
        Width of the stars.
    search_px : float
        The star's light is looked for within this distance of the hole.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a length is not above 0.
    """

    def __init__(
        self,
        x: float,
        y: float,
        size_px: float,
        slit_angle_deg: float | None = None,
        fwhm_px: float = 4.0,
        search_px: float = 20.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("size_px", size_px), ("fwhm_px", fwhm_px), ("search_px", search_px)):
            if not value > 0:
                raise ValueError(f"{name} is {value}; allowed: above 0")
        self._x, self._y = x, y
        self._size_px = size_px
        self._slit_angle_deg = slit_angle_deg
        self._fwhm_px = fwhm_px
        self._search_px = search_px

    async def __call__(self, image: Image) -> Image:
        """Measure a frame.

        Raises
        ------
        NoStars
            If no light stands out around the hole.
        ImageError
            If the frame is no picture.
        """
        plane = plane_of(image)
        x, y = plane.from_image(self._x), plane.from_image(self._y)
        psf = Psf(self._fwhm_px / plane.step, self._fwhm_px / plane.step)
        half = psf.half_window_px + math.ceil(self._size_px / plane.step / 2)
        search = math.ceil(self._search_px / plane.step)
        reach = half + search + RING + 2
        patches, corner = cut_patches(plane.frame, plane.bad, np.array([x]), np.array([y]), reach)
        patch, (left, top) = patches[0], corner[0]
        hole = self._hole(patch.shape, x - left, y - top, self._size_px / plane.step)
        patch[hole] = np.nan
        background = measure_background(plane.frame, plane.bad)
        level, noise = background.level_at(x, y), background.noise_at(x, y)
        guess = _light_about(patch, level, noise, search, psf.fwhm)
        if guess is None:
            raise NoStars(f"no star around the hole at ({self._x:g}, {self._y:g}): no light above the noise")
        detector = detector_of(plane, image.facts, level, noise)
        best, weight = None, math.inf
        # from the middle of all light, from the middle of the hole, from the brightest light
        for start_x, start_y in guess:
            table, sky = np.empty((1, c.COLUMNS)), np.array([[level, 0.0, 0.0, noise]])
            fit_stars(
                patches, corner, np.array([start_x + left]), np.array([start_y + top]), psf.fwhm_x, psf.fwhm_y,
                psf.weights, psf.scales, np.array([False]), detector.adu_per_e, detector.saturation, half,
                self._search_px + 2 * self._fwhm_px, sky, table,
            )  # fmt: skip
            if table[0, c.STATUS] == c.OK and table[0, c.CHI2] < weight:
                best, weight = table[0], float(table[0, c.CHI2])
        if best is None or not best[c.FLUX] > 4.0 * math.sqrt(best[c.VAR_FLUX]):
            raise NoStars(f"no star around the hole at ({self._x:g}, {self._y:g}): nothing there has its profile")
        step, scale = plane.step, math.sqrt(max(best[c.CHI2], 1.0))
        image = image.derive()
        image.set_meta(
            PixelOffsets(
                plane.to_image(best[c.X]) - self._x,
                plane.to_image(best[c.Y]) - self._y,
                math.sqrt(best[c.VAR_X]) * scale * step,
                math.sqrt(best[c.VAR_Y]) * scale * step,
            )
        )
        return image

    def _hole(self, shape: tuple[int, ...], x: float, y: float, size: float) -> NDArray[np.bool_]:
        """Pixels that the hole touches."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        if self._slit_angle_deg is None:
            distance = np.hypot(columns - x, rows - y)
        else:
            angle = math.radians(self._slit_angle_deg)
            distance = np.abs((rows - y) * math.cos(angle) - (columns - x) * math.sin(angle))
        touched: NDArray[np.bool_] = distance < 0.5 * size + 0.5
        return touched


def _light_about(
    patch: NDArray[np.float32], level: float, noise: float, search: int, fwhm: float
) -> list[tuple[float, float]] | None:
    """Places to start a fit from, or None where nothing stands out."""
    middle = patch.shape[0] // 2
    rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
    within = np.hypot(columns - middle, rows - middle) <= search + fwhm
    light = np.where(np.isfinite(patch) & within, patch - level, 0.0)
    light[light < 3.0 * noise] = 0.0
    if (light > 0).sum() < 3:
        return None
    x, y = float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())
    j, i = np.unravel_index(int(np.argmax(light)), light.shape)
    return [(x, y), (float(middle), float(middle)), (float(i), float(j))]
