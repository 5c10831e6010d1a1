"""Pixels, sky and mount axes: how one becomes the other, as 2x2 matrices.

In: displacements in one frame of reference. Out: the same displacements in another. Nothing here knows a device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

ARCSEC_PER_RADIAN = math.degrees(1) * 3600

MAX_COMPENSATED_DEC_DEG = 89.0
"""Closer to the pole, cos δ is taken as it is here (PHD2's limit)."""


def pixel_scale_arcsec(pixel_size_um: float, focal_length_mm: float) -> float:
    """Arcsec per pixel in the middle of the field: pixel size over focal length."""
    return pixel_size_um * 1e-3 / focal_length_mm * ARCSEC_PER_RADIAN


def cd_scale_arcsec(cd: tuple[float, float, float, float]) -> float:
    """Arcsec per pixel of a CD matrix (CD1_1, CD1_2, CD2_1, CD2_2 in degrees), also when it is rotated."""
    return math.sqrt(abs(cd[0] * cd[3] - cd[1] * cd[2])) * 3600


def pixels_to_sky(dx: float, dy: float, cd: tuple[float, float, float, float]) -> tuple[float, float]:
    """Degrees east (an arc) and north that lead from a pixel to the one (dx, dy) further, by the WCS' CD matrix."""
    return cd[0] * dx + cd[1] * dy, cd[2] * dx + cd[3] * dy


@dataclass(frozen=True, slots=True)
class MountAxis:
    """How the stars move on the detector when one axis of the mount moves.

    Attributes
    ----------
    angle_deg : float
        Direction on the detector of a positive displacement: from +x (columns) towards +y (rows).
    rate_px_per_s : float
        Speed during a guide pulse, px (as delivered) per second of pulse, > 0.
    angle_err_deg, rate_err_px_per_s : float
        Standard errors.
    """

    angle_deg: float
    rate_px_per_s: float
    angle_err_deg: float = 0.0
    rate_err_px_per_s: float = 0.0

    @classmethod
    def from_motion(cls, vx: float, vy: float, vx_err: float = 0.0, vy_err: float = 0.0) -> MountAxis:
        """From the velocity (px/s) that has the direction of a positive displacement."""
        rate = math.hypot(vx, vy)
        if not rate > 0:
            raise ValueError(f"an axis that moves at {rate} px/s has no direction; allowed: a speed above 0")
        along = math.hypot(vx * vx_err, vy * vy_err) / rate
        across = math.hypot(vy * vx_err, vx * vy_err) / rate
        return cls(math.degrees(math.atan2(vy, vx)), rate, math.degrees(across / rate), along)


@dataclass(frozen=True, slots=True)
class MountResponse:
    """The 2x2 response of the stars on the detector to the mount's guide pulses.

    A positive RA displacement is the one that a West pulse removes (stars move against `ra.angle_deg` during it); a
    positive Dec displacement is the one that a South pulse removes: PHD2's signs. The axes need not be orthogonal:
    displacements are resolved obliquely, so that a pulse on one axis leaves the other alone. (PHD2 projects.)

    Attributes
    ----------
    ra, dec : MountAxis
    dec_deg : float or None
        Declination at which it was measured; None when the mount did not say.
    pier_side : str
        As `acquisition.mount.PierSide` names it.
    binning : int
    rotator_deg : float or None
        By how much a rotator had turned the camera, from north towards east; None where nobody says.
    field_angle_deg : float or None
        The same for the mount itself, as `acquisition.mount.MountState` says it.
    """

    ra: MountAxis
    dec: MountAxis
    dec_deg: float | None = None
    pier_side: str = "Unknown"
    binning: int = 1
    rotator_deg: float | None = None
    field_angle_deg: float | None = None

    @property
    def parity(self) -> int:
        """1 when Dec is a quarter turn from RA in the sense of x to y, -1 for a mirrored view."""
        return 1 if math.sin(math.radians(self.dec.angle_deg - self.ra.angle_deg)) > 0 else -1

    @property
    def orthogonality_error_deg(self) -> float:
        """How far the angle between the axes is from 90 degrees, 0 to 90."""
        between = math.degrees(math.acos(math.cos(math.radians(self.dec.angle_deg - self.ra.angle_deg))))
        return abs(between - 90)

    def to_axes(self, dx: float, dy: float) -> tuple[float, float]:
        """(RA, Dec) displacement in px along the mount's axes, from (dx, dy) on the detector."""
        a, d = math.radians(self.ra.angle_deg), math.radians(self.dec.angle_deg)
        det = math.sin(d - a)
        return (
            (dx * math.sin(d) - dy * math.cos(d)) / det,
            (dy * math.cos(a) - dx * math.sin(a)) / det,
        )

    def to_pixels(self, ra_px: float, dec_px: float) -> tuple[float, float]:
        """(dx, dy) on the detector, from displacements in px along the mount's axes."""
        a, d = math.radians(self.ra.angle_deg), math.radians(self.dec.angle_deg)
        return (
            ra_px * math.cos(a) + dec_px * math.cos(d),
            ra_px * math.sin(a) + dec_px * math.sin(d),
        )

    def at_binning(self, binning: int) -> MountResponse:
        """The response in pixels of another binning."""
        factor = self.binning / binning
        return replace(self, ra=_faster(self.ra, factor), dec=_faster(self.dec, factor), binning=binning)

    def at_pier_side(self, pier_side: str, pulses_know_pier: bool = True) -> MountResponse:
        """The response with the telescope on the other side of the pier: the view is turned by 180 degrees.

        Unchanged where either side is unknown. `pulses_know_pier` says whether a North pulse still moves the telescope
        north; where it does not, the turned view and the turned motion leave Dec as it was.
        """
        if "Unknown" in (pier_side, self.pier_side) or pier_side == self.pier_side:
            return self
        dec = _turned(self.dec, 180) if pulses_know_pier else self.dec
        return replace(self, ra=_turned(self.ra, 180), dec=dec, pier_side=pier_side)

    def at_rotator(self, rotator_deg: float | None) -> MountResponse:
        """The response with the camera turned by a rotator. Unchanged where either angle is unknown.

        Which way the axes turn on the detector follows from the parity, so convert before `at_pier_side`, and where a
        North pulse moves the telescope north.
        """
        if rotator_deg is None or self.rotator_deg is None:
            return self
        return replace(self._with_camera_turned(rotator_deg - self.rotator_deg), rotator_deg=rotator_deg)

    def at_field_angle(self, field_angle_deg: float | None) -> MountResponse:
        """The same for a camera turned by the mount."""
        if field_angle_deg is None or self.field_angle_deg is None:
            return self
        turn_deg = field_angle_deg - self.field_angle_deg
        return replace(self._with_camera_turned(turn_deg), field_angle_deg=field_angle_deg)

    def _with_camera_turned(self, turn_deg: float) -> MountResponse:
        """With the camera turned from north towards east: what is fixed to the sky turns the other way in its view."""
        turn_deg = math.remainder(turn_deg, 360)
        if turn_deg == 0:
            return self
        # RA counts to the west and Dec to the south: where parity is -1, north to east is the sense of x to y
        return replace(self, ra=_turned(self.ra, self.parity * turn_deg), dec=_turned(self.dec, self.parity * turn_deg))

    def at_declination(self, dec_deg: float | None) -> MountResponse:
        """The response at another declination: the RA rate goes with cos δ. Unchanged where either is unknown."""
        if dec_deg is None or self.dec_deg is None:
            return self
        factor = _cos_dec(dec_deg) / _cos_dec(self.dec_deg)
        return replace(self, ra=_faster(self.ra, factor), dec_deg=dec_deg)


def _faster(axis: MountAxis, factor: float) -> MountAxis:
    rate, error = axis.rate_px_per_s * factor, axis.rate_err_px_per_s * factor
    return replace(axis, rate_px_per_s=rate, rate_err_px_per_s=error)


def _turned(axis: MountAxis, turn_deg: float) -> MountAxis:
    return replace(axis, angle_deg=math.remainder(axis.angle_deg + turn_deg, 360))


def _cos_dec(dec_deg: float) -> float:
    limit = MAX_COMPENSATED_DEC_DEG
    return math.cos(math.radians(max(-limit, min(limit, dec_deg))))
