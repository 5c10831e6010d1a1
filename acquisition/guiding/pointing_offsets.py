"""From offsets on the sky to shifts of the mount's pointing: the actuator without guide pulses.

In: an `Image` with `RaDecOffsets` or `PixelOffsets`. Out: a shift at the mount, and what became of it.
"""

from __future__ import annotations

import asyncio
import enum
import math
from dataclasses import dataclass

from acquisition.errors import DeviceTimeout, Unsupported
from acquisition.images import Image
from acquisition.images.meta import PixelOffsets, RaDecOffsets
from acquisition.images.processors.offsets import RaDecFromPixels
from acquisition.mount import Direction, Mount

_SHIFT_DEADLINE_S = 120.0
_SLEW_ABOVE_ARCSEC = 60.0
"""Where a mount takes no offsets: what is farther is slewed, the rest is pulsed."""


@dataclass(frozen=True, slots=True)
class OffsetLimits:
    """Which offsets are applied; the defaults are pyobs'.

    Parameters
    ----------
    min_arcsec : float
        Smaller ones are not worth a motion.
    max_arcsec : float
        Larger ones are taken for a mistake.
    """

    min_arcsec: float = 0.5
    max_arcsec: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_arcsec < self.max_arcsec < math.inf:
            raise ValueError(
                f"offsets are applied from {self.min_arcsec} to {self.max_arcsec} arcsec; allowed: 0 <= min < max"
            )


class Verdict(enum.Enum):
    """What became of an offset."""

    APPLIED = "applied"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    NOT_FINITE = "not finite"


@dataclass(frozen=True, slots=True)
class Applied:
    """An offset (dra: an arc), and what became of it."""

    verdict: Verdict
    dra_arcsec: float
    ddec_arcsec: float

    @property
    def length_arcsec(self) -> float:
        return math.hypot(self.dra_arcsec, self.ddec_arcsec)


async def sky_offsets(image: Image) -> RaDecOffsets:
    """The offsets of an image on the sky: its `RaDecOffsets`, otherwise its `PixelOffsets` through its WCS.

    Raises
    ------
    ValueError
        If it has neither.
    ImageError
        If it has pixel offsets, but no WCS.
    """
    direct = image.get_meta_safe(RaDecOffsets)
    if direct is not None:
        return direct
    if image.get_meta_safe(PixelOffsets) is None:
        raise ValueError("the image has no offsets; the chain must set RaDecOffsets or PixelOffsets")
    return (await RaDecFromPixels()(image)).get_meta(RaDecOffsets)


async def apply_offsets(image: Image, mount: Mount, limits: OffsetLimits) -> Applied:
    """Move the telescope so that the stars of an image come back.

    Parameters
    ----------
    image : Image
        With the offsets that its chain found.
    mount : Mount
    limits : OffsetLimits

    Returns
    -------
    Applied
        What is too small, too large or not finite is not applied.

    Raises
    ------
    ValueError, ImageError
        As `sky_offsets`.
    DeviceError
        As `shift`.
    """
    offsets = await sky_offsets(image)
    outcome = Applied(_verdict(offsets, limits), offsets.dra * 3600, offsets.ddec * 3600)
    if outcome.verdict is Verdict.APPLIED:
        await shift(mount, offsets.dra, offsets.ddec)
    return outcome


def _verdict(offsets: RaDecOffsets, limits: OffsetLimits) -> Verdict:
    length_arcsec = math.hypot(offsets.dra, offsets.ddec) * 3600
    if not math.isfinite(length_arcsec):
        return Verdict.NOT_FINITE
    if length_arcsec < limits.min_arcsec:
        return Verdict.TOO_SMALL
    return Verdict.APPLIED if length_arcsec <= limits.max_arcsec else Verdict.TOO_LARGE


async def shift(mount: Mount, dra_deg: float, ddec_deg: float) -> None:
    """Shift a telescope's pointing by arcs on the sky, in the best way that its mount has; returns when there.

    By `Mount.offset`; where there is none, by a slew if it is far, otherwise by pulses at the guide rates that the
    mount states.

    Parameters
    ----------
    mount : Mount
    dra_deg, ddec_deg : float
        Towards east (Δα·cos δ) and north, degrees.

    Raises
    ------
    Unsupported
        If the mount can do none of these.
    DeviceTimeout
        If it takes more than two minutes.
    ValueError
        If a shift is not finite.
    """
    if not math.isfinite(dra_deg) or not math.isfinite(ddec_deg):
        raise ValueError(f"shift is {dra_deg}, {ddec_deg} degrees; allowed: finite numbers")
    try:
        async with asyncio.timeout(_SHIFT_DEADLINE_S):
            if mount.info.can_offset:
                await mount.offset(dra_deg, ddec_deg)
            else:
                await _otherwise(mount, dra_deg, ddec_deg)
    except TimeoutError:
        raise DeviceTimeout(
            f"{mount.info.name}: a shift by {dra_deg * 3600:.1f}, {ddec_deg * 3600:.1f} arcsec had not ended after "
            f"{_SHIFT_DEADLINE_S:g} s"
        ) from None


async def _otherwise(mount: Mount, dra_deg: float, ddec_deg: float) -> None:
    state = await mount.state()
    if state.ra_deg is None or state.dec_deg is None:
        raise Unsupported(f"{mount.info.name} takes no offsets and does not say where it points; nothing else can do")
    cos_dec = max(math.cos(math.radians(state.dec_deg)), 0.01)
    if math.hypot(dra_deg, ddec_deg) * 3600 > _SLEW_ABOVE_ARCSEC and mount.info.can_slew:
        dec_deg = min(max(state.dec_deg + ddec_deg, -90.0), 90.0)
        await mount.slew((state.ra_deg + dra_deg / cos_dec) % 360, dec_deg)
        return
    rates = state.ra_guide_rate_arcsec_per_s, state.dec_guide_rate_arcsec_per_s
    if rates[0] is None or rates[1] is None:
        raise Unsupported(f"{mount.info.name} takes no offsets and does not say its guide rates; nothing else can do")
    east = Direction.EAST, dra_deg * 3600 / (rates[0] * cos_dec)
    north = Direction.NORTH, ddec_deg * 3600 / rates[1]
    for direction, seconds in (east, north):
        towards, left_s = direction if seconds > 0 else direction.opposite, abs(seconds)
        while left_s >= max(mount.info.min_pulse_s, 0.001):
            part_s = min(left_s, mount.info.max_pulse_s)
            await mount.pulse_guide(towards, part_s)
            left_s -= part_s
