"""``sim://``: a mount that moves the simulated world's telescope, on the event loop.

In: guide pulses, coordinates. Out: motion of the world's `Mechanics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from acquisition.devices import DeviceContext, DeviceUrl, Driver, Listing
from acquisition.errors import ConfigError, DeviceBusy, DeviceError, DeviceGone, Unsupported
from acquisition.mount import (
    Direction,
    Mount,
    MountInfo,
    MountState,
    PierSide,
    check_coordinates,
    check_offset,
    check_pulse,
)

from .mechanics import shortest_turn_deg
from .shared_world import WORLD_OPTIONS, shared_world
from .signal import Signal
from .world import World

FLIP_DEG = 180.0
"""How far both axes turn when the telescope goes to the other side of the pier."""


class SimulatedMount:
    """A German equatorial mount in a simulated world, or an alt-azimuth one.

    Parameters
    ----------
    world : World
    guide_port : bool
        Only the mount's guide port is connected (ST-4): it takes pulses, and says and does nothing else.
    """

    def __init__(self, world: World, guide_port: bool = False) -> None:
        self.world = world
        self._guide_port = guide_port
        self._spec = world.setup.mount
        self._mechanics = world.mechanics
        self._users = 0  # connects without their close
        self._stopped = Signal()
        self._info = MountInfo(
            name=f"{self._spec.name}, guide port" if guide_port else self._spec.name,
            can_slew=not guide_port,
            can_park=not guide_port,
            can_offset=not guide_port,
            parallel_pulses=True,
            pulses_while_exposing=True,
            min_pulse_s=self._spec.min_pulse_s,
            max_pulse_s=self._spec.max_pulse_s,
        )

    @property
    def info(self) -> MountInfo:
        self._check_opened()
        return self._info

    async def connect(self) -> None:
        self._users += 1

    async def close(self) -> None:
        self._users = max(0, self._users - 1)
        if self._users == 0:
            self._end_motions()

    async def state(self) -> MountState:
        self._check_connected()
        if self._guide_port:
            return MountState()
        mechanics = self._mechanics
        now_s = self.world.now_s()
        ra_deg, dec_deg = mechanics.said_deg(now_s)
        pier_side = PierSide.EAST if mechanics.beyond_meridian else PierSide.WEST
        axes = self.world.alt_az_axes(np.array([now_s]))
        return MountState(
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            pier_side=PierSide.UNKNOWN if self._spec.alt_az else pier_side,
            field_angle_deg=(
                None if axes is None or not self._spec.pulses_on_sky else math.degrees(float(axes.up_rad[0]))
            ),
            tracking=mechanics.tracking,
            slewing=mechanics.slewing,
            parked=mechanics.parked,
            ra_guide_rate_arcsec_per_s=self._spec.guide_rate_arcsec_per_s,
            dec_guide_rate_arcsec_per_s=self._spec.guide_rate_arcsec_per_s,
        )

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        check_pulse(duration_s, self.info)
        self._check_free()
        motor, rate = self._mechanics.guide_motor(direction)
        if motor in self._mechanics.pulsing:
            raise DeviceBusy(f"{self._spec.name} still guides on the axis of {direction.name}; wait for that pulse")
        if duration_s < self._spec.min_pulse_s:
            return
        self._mechanics.pulsing.add(motor)
        start_s = self.world.now_s() + self._spec.pulse_latency_s
        if self.world.faults.active("loose-cable", self.world.now_s()) is not None:
            rate = 0.0
        motor.set_rate(start_s, rate)
        motor.set_rate(start_s + duration_s, 0.0)  # the mount itself ends a pulse in time, however late we hear of it
        try:
            await self._wait(self._spec.pulse_latency_s + duration_s)
        finally:
            now_s = self.world.now_s()
            if now_s < start_s + duration_s:
                motor.set_rate(now_s, 0.0)
            self._mechanics.pulsing.discard(motor)

    async def slew(self, ra_deg: float, dec_deg: float) -> None:
        check_coordinates(ra_deg, dec_deg)
        self._check_commands()
        self._check_free()
        await self._slew(ra_deg, dec_deg)

    async def offset(self, dra_deg: float, ddec_deg: float) -> None:
        check_offset(dra_deg, ddec_deg)
        self._check_commands()
        self._check_free()
        mechanics, spec = self._mechanics, self._spec
        _, dec_deg = mechanics.said_deg(self.world.now_s())
        turn_ra = dra_deg / max(math.cos(math.radians(dec_deg)), 1e-3)
        duration_s = max(abs(turn_ra), abs(ddec_deg)) / spec.slew_rate_deg_per_s
        target = mechanics.target_arcsec
        mechanics.start_slew(self.world.now_s(), turn_ra, ddec_deg, duration_s)
        arrived = False
        try:
            arrived = not await self._wait(duration_s)
        finally:
            mechanics.end_slew(self.world.now_s(), arrived)
            mechanics.target_arcsec = target  # a shift serves to stay at what it points at
        if not arrived:
            raise DeviceError(f"{spec.name}: offset by {dra_deg * 3600:.1f}, {ddec_deg * 3600:.1f} arcsec was stopped")
        shifted_ra, shifted_dec = mechanics.shifted_deg
        mechanics.shifted_deg = shifted_ra + turn_ra, shifted_dec + ddec_deg

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        check_coordinates(ra_deg, dec_deg)
        self._check_commands()
        self._check_free()
        mechanics = self._mechanics
        said_ra, said_dec = mechanics.said_deg(self.world.now_s())
        offset_ra, offset_dec = mechanics.sync_offset_deg
        mechanics.sync_offset_deg = (
            offset_ra + shortest_turn_deg(said_ra, ra_deg),
            offset_dec + dec_deg - said_dec,
        )

    async def set_tracking(self, on: bool) -> None:
        self._check_commands()
        self._check_free()
        self._mechanics.track(self.world.now_s(), on)

    async def park(self) -> None:
        self._check_commands()
        if self._mechanics.parked:
            return
        self._check_free()
        ra_deg, _ = self._mechanics.said_deg(self.world.now_s())
        await self._slew(ra_deg, 90.0)
        self._mechanics.track(self.world.now_s(), False)
        self._mechanics.parked = True

    async def unpark(self) -> None:
        self._check_commands()
        self._mechanics.parked = False

    async def stop(self) -> None:
        self._check_connected()
        self._end_motions()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _slew(self, ra_deg: float, dec_deg: float) -> None:
        """Drive both axes to where the mount believes a place to be; wherever that ends is the new target."""
        mechanics, world = self._mechanics, self.world
        mechanics.shifted_deg = 0.0, 0.0
        said_ra, said_dec = mechanics.said_deg(world.now_s())
        turn_ra, turn_dec = shortest_turn_deg(said_ra, ra_deg), dec_deg - said_dec
        beyond_meridian = world.hour_angle_deg(world.now_s(), ra_deg - mechanics.sync_offset_deg[0]) > 0
        flips = beyond_meridian != mechanics.beyond_meridian and not self._spec.alt_az
        over_deg = FLIP_DEG if flips else 0.0
        duration_s = max(abs(turn_ra), abs(turn_dec), over_deg) / self._spec.slew_rate_deg_per_s
        mechanics.start_slew(world.now_s(), turn_ra, turn_dec, duration_s)
        arrived = False
        try:
            arrived = not await self._wait(duration_s)
        finally:
            mechanics.end_slew(world.now_s(), arrived)
            mechanics.arrived_s = world.now_s()
            if arrived:
                mechanics.set_side(beyond_meridian)
        if await self._wait(self._spec.settle_s) or not arrived:
            raise DeviceError(f"{self._spec.name}: slew to RA {ra_deg:.4f} Dec {dec_deg:.4f} was stopped")

    async def _wait(self, duration_s: float) -> bool:
        """Wait; True when a stop came before, `DeviceGone` when the power went."""
        now_s = self.world.now_s()
        power_goes_s = self.world.faults.next_s("power-cycle", now_s) - now_s
        if await self._stopped.wait(min(duration_s, power_goes_s)):
            return True
        self._check_powered()
        return False

    def _end_motions(self) -> None:
        """Wake every pulse and slew that waits, so that it ends itself."""
        self._stopped.give()

    def _check_opened(self) -> None:
        if self._users == 0:
            raise DeviceError(f"{self._spec.name} is not connected; use it as: async with open_mount(...) as mount")

    def _check_connected(self) -> None:
        self._check_opened()
        self._check_powered()

    def _check_powered(self) -> None:
        if self.world.faults.active("power-cycle", self.world.now_s()) is not None:
            raise DeviceGone(f"{self._spec.name} does not answer: it has no power")

    def _check_commands(self) -> None:
        self._check_connected()
        if self._guide_port:
            raise Unsupported(f"{self._spec.name}: a guide port takes pulses and nothing else")

    def _check_free(self) -> None:
        self._check_connected()
        for busy, why in ((self._mechanics.slewing, "is slewing"), (self._mechanics.parked, "is parked")):
            if busy:
                raise DeviceBusy(f"{self._spec.name} {why}")


def _open(url: DeviceUrl, context: DeviceContext) -> Mount:
    url.check_options(*WORLD_OPTIONS, "port")
    port = url.query.get("port", "serial")
    if port not in ("serial", "guide"):
        raise ConfigError(f"port is {port!r} in {url.text!r}; allowed: serial, guide")
    return SimulatedMount(shared_world(url, context), guide_port=port == "guide")


def _discover() -> Sequence[Listing]:
    return [Listing("sim://", "simulated equatorial mount with worm error, drift and Dec backlash")]


DRIVER: Driver[Mount] = Driver(
    summary="the simulated camera's mount (?scenario= ?seed= ?world= ?port=guide)",
    example="sim://?seed=1",
    open=_open,
    discover=_discover,
)
