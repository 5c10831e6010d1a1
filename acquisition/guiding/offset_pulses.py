"""Guide pulses made of pointing offsets, so that a mount that takes only those is calibrated and guided like any other.

In: a mount that takes offsets. Out: a mount that takes pulses.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import TracebackType
from typing import Self

from acquisition.errors import DeviceError, Unsupported
from acquisition.mount import MAX_OFFSET_DEG, Direction, Mount, MountInfo, MountState, check_pulse

GUIDE_RATE_ARCSEC_PER_S = 7.5
"""Half the sidereal rate, as of a common mount: what a pulse of one second is worth."""

_STEPS = {Direction.EAST: (1, 0), Direction.WEST: (-1, 0), Direction.NORTH: (0, 1), Direction.SOUTH: (0, -1)}


class OffsetPulses:
    """A mount whose guide pulses shift its pointing; everything else goes to the mount itself.

    As of a real pulse, one in RA moves the telescope by rate x duration x cos δ on the sky.

    Parameters
    ----------
    mount : Mount
        Takes offsets, which is found out when it is connected (`Unsupported`).
    """

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    @property
    def info(self) -> MountInfo:
        return replace(
            self._mount.info, parallel_pulses=False, pulses_while_exposing=False, min_pulse_s=0.001, max_pulse_s=10.0
        )

    async def connect(self) -> None:
        await self._mount.connect()
        if not self._mount.info.can_offset:
            name = self._mount.info.name
            await self._mount.close()
            raise Unsupported(f"{name} takes no pointing offsets; guide it by pulses")

    async def close(self) -> None:
        await self._mount.close()

    async def state(self) -> MountState:
        return replace(
            await self._mount.state(),
            ra_guide_rate_arcsec_per_s=GUIDE_RATE_ARCSEC_PER_S,
            dec_guide_rate_arcsec_per_s=GUIDE_RATE_ARCSEC_PER_S,
        )

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        check_pulse(duration_s, self.info)
        dec_deg = (await self._mount.state()).dec_deg
        if dec_deg is None:
            raise DeviceError(f"{self._mount.info.name} does not say its declination, which pulses need")
        east, north = _STEPS[direction]
        arc_deg = min(GUIDE_RATE_ARCSEC_PER_S * duration_s / 3600, MAX_OFFSET_DEG)
        await self._mount.offset(east * arc_deg * math.cos(math.radians(dec_deg)), north * arc_deg)

    async def slew(self, ra_deg: float, dec_deg: float) -> None:
        await self._mount.slew(ra_deg, dec_deg)

    async def offset(self, dra_deg: float, ddec_deg: float) -> None:
        await self._mount.offset(dra_deg, ddec_deg)

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        await self._mount.sync(ra_deg, dec_deg)

    async def set_tracking(self, on: bool) -> None:
        await self._mount.set_tracking(on)

    async def park(self) -> None:
        await self._mount.park()

    async def unpark(self) -> None:
        await self._mount.unpark()

    async def stop(self) -> None:
        await self._mount.stop()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
