"""``st4://camera``: the guide port of a camera that the same run has opened, as a mount.

In: guide pulses. Out: contacts that close for as long, and that are open whenever no pulse runs.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self

from acquisition.devices import DeviceContext, DeviceUrl, Driver
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceNotFound, Unsupported
from acquisition.mount import Direction, Mount, MountInfo, MountState, check_offset, check_pulse

from .port import GuidePort, ports

log = logging.getLogger(__name__)

CALL_S = 2.0
ATTEMPTS_OFF = 3


class St4Mount:
    """A mount that is known only by its guide port: it can be pulsed, and says nothing.

    Parameters
    ----------
    context : DeviceContext
        Of the run; its first camera with a guide port is used.
    """

    def __init__(self, context: DeviceContext) -> None:
        self._context = context
        self._users = 0
        self._opening = asyncio.Lock()
        self._port: GuidePort | None = None
        self._pulses: dict[bool, asyncio.Task[None] | None] = {True: None, False: None}  # along RA, along Dec
        self._stopped = asyncio.Event()

    @property
    def info(self) -> MountInfo:
        return MountInfo(f"guide port of {self._there().name}", parallel_pulses=True, pulses_while_exposing=True)

    async def connect(self) -> None:
        """Connect the camera and open all contacts; `DeviceNotFound` when no camera of the run has a guide port."""
        async with self._opening:
            if self._port is None:
                self._port = await self._find()
                await self._all_off(self._port)
            self._users += 1

    async def close(self) -> None:
        async with self._opening:
            self._users = max(self._users - 1, 0)
            if self._users or self._port is None:
                return
            port, self._port = self._port, None
            self._end_pulses()
            await self._all_off(port)
            await port.camera.close()

    async def state(self) -> MountState:
        self._there()
        return MountState()

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        port = self._there()
        check_pulse(duration_s, self.info)
        along_ra = direction in (Direction.EAST, Direction.WEST)
        if self._pulses[along_ra] is not None:
            raise DeviceBusy(f"{port.name} still guides on the axis of {direction.name}; wait for that pulse")
        if duration_s < self.info.min_pulse_s:
            return
        self._pulses[along_ra] = asyncio.current_task()
        stopped = self._stopped
        try:
            await port.thread.call(port.on, direction, deadline_s=CALL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(duration_s):
                    await stopped.wait()
        finally:
            try:
                await asyncio.shield(asyncio.ensure_future(self._off(port, direction)))
            finally:
                self._pulses[along_ra] = None

    async def slew(self, ra_deg: float, dec_deg: float) -> None:
        self._cannot("slew")

    async def offset(self, dra_deg: float, ddec_deg: float) -> None:
        check_offset(dra_deg, ddec_deg)
        self._cannot("offset its pointing")

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        self._cannot("be synchronised")

    async def set_tracking(self, on: bool) -> None:
        """Nothing can be switched through a guide port; the mount is taken to track."""
        self._there()

    async def park(self) -> None:
        self._cannot("park")

    async def unpark(self) -> None:
        self._cannot("unpark")

    async def stop(self) -> None:
        port = self._there()
        self._end_pulses()
        await self._all_off(port)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _find(self) -> GuidePort:
        for port in ports(self._context):
            await port.camera.connect()
            if port.camera.info.has_guide_port:
                return port
            await port.camera.close()
        raise DeviceNotFound("st4://camera: no camera with a guide port was opened before, in the same run")

    async def _all_off(self, port: GuidePort) -> None:
        for direction in Direction:
            await self._off(port, direction)

    async def _off(self, port: GuidePort, direction: Direction) -> None:
        """Open a contact; tried again, and only logged when it cannot be."""
        for attempt in range(ATTEMPTS_OFF):
            try:
                await port.thread.call(port.off, direction, deadline_s=CALL_S)
                return
            except DeviceGone as error:
                log.warning("%s: %s cannot be switched off: %s", port.name, direction.name, error)
                return  # opening the camera anew switches it off
            except DeviceError as error:
                if attempt == ATTEMPTS_OFF - 1:
                    log.error("%s: %s CANNOT BE SWITCHED OFF, the mount may run: %s", port.name, direction.name, error)

    def _end_pulses(self) -> None:
        self._stopped.set()
        self._stopped = asyncio.Event()

    def _there(self) -> GuidePort:
        if self._port is None:
            raise DeviceError("st4://camera is not connected; use it as: async with open_mount(...) as mount")
        return self._port

    def _cannot(self, what: str) -> NoReturn:
        raise Unsupported(f"a mount cannot {what} through a camera's guide port ({self._there().name})")


def _open(url: DeviceUrl, context: DeviceContext) -> Mount:
    url.check_options()
    return St4Mount(context)


def _discover() -> None:
    return None


DRIVER: Driver[Mount] = Driver(
    summary="the guide port of the camera that is open in the same run",
    example="st4://camera",
    open=_open,
    discover=_discover,
)
