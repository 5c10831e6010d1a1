"""Where the stars should be.

In: the frame that sets the lock, and dithers. Out: displacements from the lock, measured and (simulators) true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from acquisition.camera import FrameTruth
from acquisition.geometry import MountResponse
from acquisition.guiding.measure import Measurement
from acquisition.images import TangentWcs
from acquisition.images.processors.tangent import pixel_to_sky, sky_to_pixel

_MARGIN_PX = 15.0  # of the frame, where dithers do not lead
_TURNED_DEG = 0.01  # a field that turned by less has not turned


@dataclass(slots=True)
class Lock:
    """The place of the stars in the chain's reference frame, plus what dithers have added; px.

    Attributes
    ----------
    x, y, hfd : float
        Of the best guide star in the reference frame (0, 0 and NaN if the chain names none).
    truth : FrameTruth or None
        Of the reference frame.
    pivot : (float, float) or None
        About which the field turns, as the chain has it.
    dx, dy : float
        How far dithers have moved the lock on the detector.
    ra_px, dec_px : float
        The same along the mount's axes.
    """

    x: float
    y: float
    hfd: float
    truth: FrameTruth | None
    pivot: tuple[float, float] | None = None
    dx: float = 0.0
    dy: float = 0.0
    ra_px: float = 0.0
    dec_px: float = 0.0

    @classmethod
    def on(cls, first: Measurement) -> Self:
        """The lock that the chain's first frame sets."""
        best = max((star for star in first.stars if star.used), key=lambda star: star.snr, default=None)
        x, y, hfd = (best.x, best.y, best.hfd) if best is not None else (0.0, 0.0, math.nan)
        return cls(x, y, hfd, first.truth, first.pivot)

    def move(self, ra_px: float, dec_px: float, response: MountResponse) -> None:
        """Dither."""
        dx, dy = response.to_pixels(ra_px, dec_px)
        self.dx, self.dy = self.dx + dx, self.dy + dy
        self.ra_px, self.dec_px = self.ra_px + ra_px, self.dec_px + dec_px

    def room(self, ra_px: float, dec_px: float, response: MountResponse, shape: tuple[int, ...]) -> float:
        """How far inside the margins of a frame ([y, x]) the best star would be after another dither, px."""
        if math.isnan(self.hfd):
            return 0.0
        dx, dy = response.to_pixels(ra_px, dec_px)
        x, y = self.x + self.dx + dx, self.y + self.dy + dy
        return min(x, y, shape[-1] - 1 - x, shape[-2] - 1 - y) - _MARGIN_PX

    def displacement(self, found: Measurement) -> tuple[float, float]:
        """(dx, dy) from the lock on the detector."""
        return found.dx - self.dx, found.dy - self.dy

    def true_displacement(
        self, truth: FrameTruth | None, scale_arcsec: float | None, response: MountResponse
    ) -> FrameTruth | None:
        """Where the stars are without seeing and noise, against the lock; None where nobody knows.

        Along the axes dithers count as the calibration has them: with a wrong one, this is not true after a dither.
        """
        if truth is None or self.truth is None or scale_arcsec is None:
            return None
        dx, dy = truth.dx_px - self.truth.dx_px - self.dx, truth.dy_px - self.truth.dy_px - self.dy
        if _turned_deg(self.truth.wcs, truth.wcs) > _TURNED_DEG:
            # the place pointed at goes about the stars that are held: what counts is the way of these
            moved = _moved(self.pivot, self.truth.wcs, truth.wcs)
            if moved is None:
                return None
            dx, dy = moved[0] - self.dx, moved[1] - self.dy
            ra_px, dec_px = response.to_axes(dx, dy)
            return FrameTruth(dx, dy, ra_px * scale_arcsec, dec_px * scale_arcsec)
        return FrameTruth(
            dx,
            dy,
            truth.ra_arcsec - self.truth.ra_arcsec - self.ra_px * scale_arcsec,
            truth.dec_arcsec - self.truth.dec_arcsec - self.dec_px * scale_arcsec,
        )


def _turned_deg(before: TangentWcs | None, now: TangentWcs | None) -> float:
    """By how much the field has turned on the detector, 0 to 180."""
    if before is None or now is None:
        return 0.0
    return abs(math.remainder(_angle_deg(before) - _angle_deg(now), 360))


def _angle_deg(wcs: TangentWcs) -> float:
    return math.degrees(math.atan2(wcs.cd[1], wcs.cd[3]))


def _moved(
    place: tuple[float, float] | None, before: TangentWcs | None, now: TangentWcs | None
) -> tuple[float, float] | None:
    """How a place of the sky has moved over the detector, px; None where that is not known."""
    if place is None or before is None or now is None:
        return None
    ra_deg, dec_deg = pixel_to_sky(before, np.array(place[0]), np.array(place[1]))
    there = sky_to_pixel(now, float(ra_deg), float(dec_deg))
    return None if there is None else (there[0] - place[0], there[1] - place[1])
