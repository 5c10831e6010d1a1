"""A mount that may fail without costing the night.

In: pulses. Out: whether they were sent. A mount that fails is reopened, for as long as it takes; that is told once when
it goes and once when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

from acquisition.errors import DeviceBusy, DeviceError
from acquisition.guiding.apply import Pulse, send
from acquisition.images import FrameFacts
from acquisition.images.processors.offsets.horizon import alt_az_offsets
from acquisition.mount import Mount, MountInfo, MountState, PierSide
from acquisition.virtual_time import utc_now

_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 1.0
_REPOINTED_DEG = 0.1
"""Pulses and drifts move the telescope far less, somebody's slew more."""


class WatchedMount:
    """The guider's view of a mount.

    Parameters
    ----------
    mount : Mount
        Connected.
    notice : callable
        Told, in a sentence, when the mount fails and when it is back.
    alt_az_site : (float, float) or None
        Latitude and longitude, degrees, of an alt-azimuth mount whose pulses go along RA and Dec, and which does not
        say itself how it turns the field.
    """

    def __init__(
        self, mount: Mount, notice: Callable[[str], None], alt_az_site: tuple[float, float] | None = None
    ) -> None:
        self._mount = mount
        self._alt_az_site = alt_az_site
        self._notice = notice
        self._down = False
        self._silent = False

    @property
    def info(self) -> MountInfo:
        return self._mount.info

    @property
    def down(self) -> bool:
        """Whether it refused the last pulse."""
        return self._down

    async def pulse(self, *pulses: Pulse) -> None:
        """Send pulses; raises `DeviceError` when the mount fails."""
        await send(self._mount, *pulses)

    async def try_pulse(self, *pulses: Pulse) -> bool:
        """Send pulses; False when the mount failed. It is reopened then, unless it was only busy."""
        try:
            await send(self._mount, *pulses)
        except DeviceError as error:
            if not self._down:
                self._notice(f"mount: {error}")
            self._down = True
            if not isinstance(error, DeviceBusy):
                await self._reopen()
            return False
        if self._down:
            self._notice("mount: it takes pulses again")
        self._down = False
        return True

    async def state(self) -> MountState:
        """What the mount says; nothing known where it does not answer, which is told once."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                state = await self._mount.state()
        except (TimeoutError, DeviceError) as error:
            if not self._silent:
                self._notice(f"mount: it does not say where it points: {str(error) or 'no answer'}")
            self._silent = True
            return MountState()
        self._silent = False
        if self._alt_az_site is None or state.field_angle_deg is not None:
            return state
        return replace(state, field_angle_deg=_parallactic_deg(state, *self._alt_az_site))

    async def stop(self) -> None:
        """Whatever happened, no pulse is left running."""
        with contextlib.suppress(TimeoutError, DeviceError):
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await self._mount.stop()

    async def _reopen(self) -> None:
        with contextlib.suppress(TimeoutError, DeviceError):
            async with asyncio.timeout(_DEADLINE_S):
                await self._mount.close()
                await self._mount.connect()


def _parallactic_deg(state: MountState, lat_deg: float, lon_deg: float) -> float | None:
    """Position angle of the zenith, from north towards east; None where the mount does not say where it points."""
    if state.ra_deg is None or state.dec_deg is None:
        return None
    here_and_now = FrameFacts(start_utc=utc_now(), site_lat_deg=lat_deg, site_lon_deg=lon_deg)
    north = alt_az_offsets(here_and_now, 0.0, 1.0, state.ra_deg, state.dec_deg)
    return None if north is None else math.degrees(math.atan2(north.daz, north.dalt))


def same_pointing(before: MountState, now: MountState) -> bool:
    """Whether nothing says that the telescope was pointed elsewhere or changed sides."""
    if PierSide.UNKNOWN not in (before.pier_side, now.pier_side) and before.pier_side is not now.pier_side:
        return False
    if before.ra_deg is None or before.dec_deg is None or now.ra_deg is None or now.dec_deg is None:
        return True
    ra = math.remainder(now.ra_deg - before.ra_deg, 360) * math.cos(math.radians(now.dec_deg))
    return math.hypot(ra, now.dec_deg - before.dec_deg) < _REPOINTED_DEG
