"""``lx200://``: mounts on a serial line, as `Mount`.

In: a port and a dialect. Out: pulses, slews and states; the line is only touched by the device's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from acquisition import epoch
from acquisition.device_thread import DeviceThread
from acquisition.devices import DeviceContext, DeviceUrl, Driver, Listing, emulated
from acquisition.errors import ConfigError, DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, Unsupported
from acquisition.mount import Direction, Mount, MountInfo, MountState, check_coordinates, check_offset, check_pulse

from .dialects import DIALECTS, SIDEREAL_ARCSEC_PER_S, Answer, Dialect, Status
from .line import Line

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL_S = 15.0
STOP_S = 10.0
POLL_S = 0.25
SLEW_S = 600.0
HALTS_S = 5.0
"""How long a mount may take to halt."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where the mount is and how it speaks.

    Attributes
    ----------
    address : str
        As pyserial opens it.
    dialect : Dialect
    baud : int
    of_date : bool
        Whether the mount's coordinates are of date, otherwise J2000.
    settle_s : float
        How long to wait after a pulse before it counts as ended.
    """

    address: str
    dialect: Dialect
    baud: int
    of_date: bool = True
    settle_s: float = 0.0


class SerialMount:
    """A mount on a serial line. Connecting moves nothing and sets nothing."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._dialect = port.dialect
        self._name = f"{port.dialect.title} at {port.address}"
        self._thread = DeviceThread(self._name)
        self._opening = asyncio.Lock()
        self._users = 0
        self._line: Line | None = None
        self._info: MountInfo | None = None
        self._rates: tuple[float, float] | None = None
        self._slewing = False
        self._parked = False
        self._pulsing: set[bool] = set()  # axes: whether along RA
        self._one_axis = asyncio.Lock()  # where the mount can guide on one axis at a time only
        self._stopped = asyncio.Event()

    @property
    def info(self) -> MountInfo:
        if self._info is None:
            raise DeviceError(f"{self._name} is not connected; use it as: async with open_mount(...) as mount")
        return self._info

    async def connect(self) -> None:
        async with self._opening:
            if self._info is None or self._thread.gone:
                title = await self._thread.open(self._open_line, deadline_s=CALL_S)
                self._info = MountInfo(
                    name=f"{title} at {self._port.address}",
                    can_slew=True,
                    can_park=self._dialect.can_park,
                    parallel_pulses=self._dialect.parallel,
                    pulses_while_exposing=True,
                    max_pulse_s=10.0,
                )
            self._users += 1

    async def close(self) -> None:
        async with self._opening:
            self._users = max(self._users - 1, 0)
            if self._users or self._info is None:
                return
            self._info = None
            self._end_motions()
            with suppress(DeviceError):
                await self._thread.close(self._close_line, deadline_s=STOP_S)

    async def state(self) -> MountState:
        _ = self.info
        ra_deg, dec_deg, status = await self._call(self._read_state)
        self._parked = status.parked
        rates = self._rates
        return MountState(
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            pier_side=status.pier_side,
            tracking=status.tracking,
            slewing=status.slewing or self._slewing,
            parked=status.parked,
            ra_guide_rate_arcsec_per_s=None if rates is None else rates[0] * SIDEREAL_ARCSEC_PER_S,
            dec_guide_rate_arcsec_per_s=None if rates is None else rates[1] * SIDEREAL_ARCSEC_PER_S,
        )

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        check_pulse(duration_s, self.info)
        self._check_free()
        along_ra = direction in (Direction.EAST, Direction.WEST)
        if along_ra in self._pulsing:
            raise DeviceBusy(f"{self._name} still guides on the axis of {direction.name}; wait for that pulse")
        left_ms = round(duration_s * 1000)
        if left_ms < 1:
            return
        self._pulsing.add(along_ra)
        stopped = self._stopped
        try:
            async with self._axis():
                while left_ms > 0 and not stopped.is_set():
                    part_ms = min(left_ms, self._dialect.max_pulse_ms)
                    await self._pulse(direction, part_ms, stopped)
                    left_ms -= part_ms
            await asyncio.sleep(self._port.settle_s)
        finally:
            self._pulsing.discard(along_ra)

    async def slew(self, ra_deg: float, dec_deg: float) -> None:
        check_coordinates(ra_deg, dec_deg)
        self._check_free()
        ra_deg, dec_deg = self._spoken(ra_deg, dec_deg)
        await self._drive(lambda ask: self._dialect.slew(ask, ra_deg, dec_deg), f"slew to {ra_deg:.3f} {dec_deg:.3f}")

    async def offset(self, dra_deg: float, ddec_deg: float) -> None:
        check_offset(dra_deg, ddec_deg)
        _ = self.info
        raise Unsupported(f"{self._name}: its protocol knows no offsets of the pointing; guide by pulses")

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        check_coordinates(ra_deg, dec_deg)
        self._check_free()
        ra_deg, dec_deg = self._spoken(ra_deg, dec_deg)
        await self._call(lambda: self._dialect.sync(self._asking(), ra_deg, dec_deg))

    async def set_tracking(self, on: bool) -> None:
        self._check_free()
        await self._call(lambda: self._dialect.track(self._asking(), on))

    async def park(self) -> None:
        if not self.info.can_park:
            raise Unsupported(f"{self._name} cannot park")
        if self._parked:
            return
        self._check_free()
        await self._drive(self._dialect.park, "parking")
        self._parked = True

    async def unpark(self) -> None:
        if not self.info.can_park:
            raise Unsupported(f"{self._name} cannot unpark")
        await self._call(lambda: self._dialect.unpark(self._asking()))
        self._parked = False

    async def stop(self) -> None:
        _ = self.info
        self._end_motions()
        await self._call(lambda: self._dialect.halt_all(self._asking()))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- on the loop ---

    @asynccontextmanager
    async def _axis(self) -> AsyncIterator[None]:
        if self._dialect.parallel:
            yield
        else:
            async with self._one_axis:
                yield

    async def _pulse(self, direction: Direction, ms: int, stopped: asyncio.Event) -> None:
        command = self._dialect.pulse(direction, ms)
        ended = False
        try:
            if command is None:
                for step in self._dialect.move(direction):
                    await self._send(step)
            else:
                await self._send(command)
            with suppress(TimeoutError):
                async with asyncio.timeout(ms / 1000):
                    await stopped.wait()
            ended = command is not None and not stopped.is_set()  # the mount ends a pulse itself
        finally:
            if not ended:
                await self._to_the_end(lambda: self._dialect.halt(self._asking(), direction))

    async def _drive(self, begin: Callable[[Callable[..., str]], None], what: str) -> None:
        """Set off and wait until the mount is there; halt it when cancelled or failing."""
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + SLEW_S
        stopped, self._slewing, arrived = self._stopped, True, False
        try:
            await self._call(lambda: begin(self._asking()))
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await stopped.wait()
                if stopped.is_set():
                    raise DeviceError(f"{self._name}: {what} was stopped")
                if not (await self._call(self._read_status)).slewing:
                    break
                if clock() > deadline_s:
                    raise DeviceTimeout(f"{self._name}: {what} took more than {SLEW_S:g} s")
            arrived = True
        finally:
            if not arrived:
                await self._to_the_end(self._halt_and_wait)
            self._slewing = False

    async def _send(self, command: str) -> None:
        await self._call(lambda: self._asking()(command, Answer.NONE))

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._thread.call(function, deadline_s=CALL_S)

    async def _to_the_end(self, function: Callable[[], None]) -> None:
        """Make a call even if the caller is cancelled meanwhile, and only log its failure."""

        async def attempt() -> None:
            try:
                await self._thread.call(function, deadline_s=STOP_S)
            except DeviceGone:
                pass  # the thread has said so, once
            except DeviceError as error:
                log.error("%s: COULD NOT BE STOPPED: %s", self._name, error)

        await asyncio.shield(asyncio.ensure_future(attempt()))

    def _end_motions(self) -> None:
        self._stopped.set()
        self._stopped = asyncio.Event()

    def _check_free(self) -> None:
        _ = self.info
        for busy, why in ((self._slewing, "is slewing"), (self._parked, "is parked")):
            if busy:
                raise DeviceBusy(f"{self._name} {why}")

    def _spoken(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """ICRS coordinates in the mount's equinox."""
        return epoch.of_date(ra_deg, dec_deg, datetime.now(UTC)) if self._port.of_date else (ra_deg, dec_deg)

    # --- in the thread ---

    def _open_line(self) -> str:
        if self._line is not None:
            with suppress(DeviceError, OSError):
                self._line.close()
        self._line = Line(self._port.address, self._port.baud)
        title = self._dialect.identify(self._asking())
        self._parked = self._read_status().parked
        with suppress(DeviceTimeout):  # firmware differs
            self._rates = self._dialect.guide_rates(self._asking())
        return title

    def _close_line(self) -> None:
        if self._line is None:
            return
        try:
            if self._pulsing or self._slewing:
                self._dialect.halt_all(self._asking())
        finally:
            self._line.close()
            self._line = None

    def _asking(self) -> Callable[..., str]:
        if self._line is None:
            raise DeviceGone(f"{self._name}: the line is closed")
        return self._line.ask

    def _read_state(self) -> tuple[float, float, Status]:
        ra_deg, dec_deg = self._dialect.position(self._asking())
        if self._port.of_date:
            ra_deg, dec_deg = epoch.icrs(ra_deg, dec_deg, datetime.now(UTC))
        return ra_deg, dec_deg, self._read_status()

    def _read_status(self) -> Status:
        return self._dialect.status(self._asking())

    def _halt_and_wait(self) -> None:
        """Halt, and wait until that has happened."""
        self._dialect.halt_all(self._asking())
        deadline_s = time.monotonic() + HALTS_S
        while self._read_status().slewing and time.monotonic() < deadline_s:
            time.sleep(0.1)


def _open(url: DeviceUrl, context: DeviceContext) -> Mount:
    emulation = emulated(url, context)
    url.check_options(
        "dialect", "baud", "epoch", "settle", "emulate", *(() if emulation is None else emulation.options)
    )
    dialect = url.query.get("dialect", "")
    if dialect not in DIALECTS:
        raise ConfigError(f"dialect is {dialect!r} in {url.text!r}; allowed: {', '.join(DIALECTS)}")
    equinox = url.query.get("epoch", "date")
    if equinox not in ("date", "j2000"):
        raise ConfigError(f"epoch is {equinox!r} in {url.text!r}; allowed: date, j2000")
    if emulation is not None:
        address = emulation.address
    elif url.name:
        address = f"socket://{url.name}"
    else:
        address = url.path
    if not address or (url.name and ":" not in url.name):
        raise ConfigError(f"{url.text!r} names no port; write {DRIVER.example} or lx200://host:port?dialect=...")
    baud = int(url.number("baud", DIALECTS[dialect].baud, 1, 4e6))
    settle_s = url.number("settle", 0.0, 0.0, 60.0)
    return SerialMount(Port(address, DIALECTS[dialect], baud, equinox == "date", settle_s))


def _discover() -> Sequence[Listing]:
    """The serial adapters that are plugged in; whether a mount is behind one only asking would tell."""
    from serial.tools import list_ports

    return [
        Listing(f"lx200://{port.device}?dialect=...", f"serial port: {port.description}")
        for port in sorted(list_ports.comports())
        if port.vid is not None
    ]


DRIVER: Driver[Mount] = Driver(
    summary="mounts on a serial line or socket (?dialect= ?baud= ?epoch= ?settle= ?emulate=1)",
    example="lx200:///dev/serial/by-id/usb-...?dialect=onstep",
    open=_open,
    discover=_discover,
)
