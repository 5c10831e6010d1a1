"""Fine acquisition: bring a target to its place in the frame, by looking and moving a few times.

In: a camera, a mount, and a chain that measures how far off the target is. Out: a target that is there, or why not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from acquisition.camera import Camera
from acquisition.errors import AcquisitionError, ImageError, OffsetTooLarge
from acquisition.guiding.pointing_offsets import shift, sky_offsets
from acquisition.images import Image, Pipeline
from acquisition.images.meta import ExpTime, OnSkyDistance
from acquisition.mount import Mount


@dataclass(frozen=True, slots=True)
class AcquisitionRule:
    """When a target counts as acquired, and when it is given up.

    Parameters
    ----------
    attempts : int
        Exposures, at most.
    tolerance_arcsec : float
        Closer is there.
    max_offset_arcsec : float
        Farther is a mistake, and nothing is moved.
    """

    attempts: int = 5
    tolerance_arcsec: float = 1.0
    max_offset_arcsec: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; allowed: 1 and more")
        if not 0 < self.tolerance_arcsec < self.max_offset_arcsec < math.inf:
            raise ValueError(
                f"tolerance is {self.tolerance_arcsec}, largest offset {self.max_offset_arcsec} arcsec; "
                "allowed: 0 < tolerance < largest offset"
            )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exposure: how far off the target was, or why that is not known. `moved` says whether the mount was."""

    number: int
    distance_arcsec: float | None
    moved: bool = False
    failure: str = ""


async def acquire(
    camera: Camera, mount: Mount, chain: Pipeline, rule: AcquisitionRule, tell: Callable[[Attempt], None]
) -> Attempt:
    """Expose, measure and move until the target is at its place.

    Parameters
    ----------
    camera : Camera
        Configured; its exposure follows `ExpTime` where the chain sets one.
    mount : Mount
        Connected.
    chain : Pipeline
        Sets `RaDecOffsets`, or `PixelOffsets` on frames with a WCS; `OnSkyDistance` is used where it sets that.
    rule : AcquisitionRule
    tell : callable
        Gets every attempt.

    Returns
    -------
    Attempt
        The last, which found the target at its place.

    Raises
    ------
    OffsetTooLarge
        If the target is farther off than the rule allows; nothing is moved then.
    AcquisitionError
        When the attempts are used up.
    DeviceError
        Of camera and mount.
    """
    last = Attempt(0, None)
    for number in range(1, rule.attempts + 1):
        image = await camera.expose()
        try:
            image = await chain(image)
            offsets = await sky_offsets(image)
            distance_arcsec = _distance_arcsec(image, offsets.dra, offsets.ddec)
        except (ImageError, ValueError) as error:  # ValueError: nothing was measured
            last = Attempt(number, None, failure=str(error))
            tell(last)
            continue
        if not math.isfinite(distance_arcsec):
            last = Attempt(number, None, failure="the measured offset is not finite")
            tell(last)
            continue
        if distance_arcsec > rule.max_offset_arcsec:
            raise OffsetTooLarge(
                f"target is {distance_arcsec:.1f} arcsec off, at most {rule.max_offset_arcsec:g} is moved; "
                "nothing was moved"
            )
        there = distance_arcsec < rule.tolerance_arcsec
        last = Attempt(number, distance_arcsec, moved=not there)
        tell(last)
        if there:
            return last
        await shift(mount, offsets.dra, offsets.ddec)
        await _follow_exposure(camera, image)
    where = f"{last.distance_arcsec:.1f} arcsec off" if last.distance_arcsec is not None else last.failure
    raise AcquisitionError(
        f"target not within {rule.tolerance_arcsec:g} arcsec after {rule.attempts} attempts; last: {where}"
    )


def _distance_arcsec(image: Image, dra_deg: float, ddec_deg: float) -> float:
    stated = image.get_meta_safe(OnSkyDistance)
    return math.hypot(dra_deg, ddec_deg) * 3600 if stated is None else float(stated.distance.deg) * 3600


async def _follow_exposure(camera: Camera, image: Image) -> None:
    wanted = image.get_meta_safe(ExpTime)
    if wanted is not None and math.isfinite(wanted.exptime) and wanted.exptime > 0:
        await camera.configure(replace(camera.settings, exposure_s=wanted.exptime))
