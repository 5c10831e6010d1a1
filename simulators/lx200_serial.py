"""The simulated mount behind a real pseudo-terminal, speaking LX200 or one of its dialects.

In: characters from whatever program opens the terminal. Out: answers, and motion of the simulated world's mount. It
never sends what was not asked for, and does what it is told even where that is unwise: mounts do.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import tty
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from acquisition import epoch
from acquisition.devices import DeviceContext, DeviceUrl, Emulated
from acquisition.errors import ConfigError, DeviceError
from acquisition.mount import Direction, MountState, PierSide

from .lx200_command import DIALECTS
from .mount import SimulatedMount
from .shared_world import shared_world
from .world import World

OPTIONS = frozenset({"world", "seed", "scenario"})
SIDEREAL_ARCSEC_PER_S = 15.041067
LETTERS = {direction.value.lower(): direction for direction in Direction}
KEPT_COMMANDS = 10_000
IOPTRON_PULSES = {"S": Direction.EAST, "Q": Direction.WEST, "E": Direction.NORTH, "C": Direction.SOUTH}


class SerialMount:
    """A mount at a pseudo-terminal; lives on the event loop.

    Parameters
    ----------
    world : World
    dialect : str
        One of `lx200_command.DIALECTS`.

    Attributes
    ----------
    tty : str
        The terminal's name.
    heard : deque of str
        The commands that came, the most recent ones.
    noise : bytes
        Sent before the next answer, for tests.
    deaf : int
        How many of the next commands are not answered, for tests.
    """

    def __init__(self, world: World, dialect: str) -> None:
        self.heard: deque[str] = deque(maxlen=KEPT_COMMANDS)
        self.noise = b""
        self.deaf = 0
        self._world = world
        self._dialect = dialect
        self._mount = SimulatedMount(world)
        self._target = [0.0, 0.0]
        self._motions: dict[str, asyncio.Task[None]] = {}
        self._buffer = ""
        self._connecting: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()  # ours stays open, so that programs may come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.tty = os.ttyname(self._slave)
        self._loop.add_reader(self._master, self._receive)

    def close(self) -> None:
        """Take the terminal away."""
        if self._master < 0:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._master)
        for descriptor in (self._master, self._slave):
            with suppress(OSError):
                os.close(descriptor)
        self._master = self._slave = -1

    __del__ = close

    # --- the line ---

    def _receive(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_reader(self._master)
            return
        self._connecting = self._connecting or asyncio.ensure_future(self._mount.connect())
        self._buffer += data.decode("latin-1")
        while self._buffer:
            if self._buffer[0] == "\x06":
                self._buffer = self._buffer[1:]
                self._send("P")
                continue
            begin, end = self._buffer.find(":"), self._buffer.find("#")
            if end < 0:
                return
            command, self._buffer = self._buffer[begin + 1 : end], self._buffer[end + 1 :]
            if 0 <= begin < end:
                self.heard.append(f":{command}#")
                self._loop.create_task(self._answer(command))

    async def _answer(self, command: str) -> None:
        if self._connecting is not None:
            await self._connecting
        respond = self._ioptron if self._dialect == "ioptron" else self._lx200
        self._send(await respond(command))

    def _send(self, text: str) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        if text and self._master >= 0:
            data, self.noise = self.noise + text.encode("latin-1"), b""
            with suppress(OSError):
                os.write(self._master, data)

    # --- what it says ---

    async def _lx200(self, command: str) -> str:
        state = await self._state()
        ra_deg, dec_deg = epoch.of_date(state.ra_deg or 0.0, state.dec_deg or 0.0, datetime.now(UTC))
        rate = (state.ra_guide_rate_arcsec_per_s or 0.0) / SIDEREAL_ARCSEC_PER_S
        smart = self._dialect in ("onstep", "am5")
        fixed: dict[str, Callable[[], str]] = {
            "GR": lambda: _sexagesimal(ra_deg / 15, 24, ":") + "#",
            "GD": lambda: _signed(dec_deg, "\xdf" if not smart else "*", "'" if smart else ":") + "#",
            "GVP": lambda: {"onstep": "On-Step", "am5": "AM5"}.get(self._dialect, "LX2001") + "#",
            "GVN": lambda: "4.2g#",
            "D": lambda: "\x7f#" if state.slewing else "#",
            "CM": lambda: self._order(self._mount.sync(*self._aim()), " M31 EX GAL MAG 3.5 SZ178.0'#"),
            "MS": lambda: self._motion("slew", self._mount.slew(*self._aim()), "0") if not state.parked else "1below#",
            "Q": self._halt_all,
            "AL": lambda: self._order(self._mount.set_tracking(False), ""),
            "AP": lambda: self._order(self._mount.set_tracking(True), ""),
        }
        if smart:
            fixed |= {
                "GU": lambda: self._flags(state) + "#",
                "Gm": lambda: {PierSide.EAST: "E#", PierSide.WEST: "W#"}.get(state.pier_side, "N#"),
                "GX90" if self._dialect == "onstep" else "Ggr": lambda: f"{rate:.2f}#",
                "Td": lambda: self._order(self._mount.set_tracking(False), "1"),
                "Te": lambda: self._order(self._mount.set_tracking(True), "1"),
            }
        if self._dialect == "onstep":
            fixed |= {
                "hP": lambda: self._motion("slew", self._mount.park(), "1"),
                "hR": lambda: self._order(self._mount.unpark(), "1"),
            }
        if command in fixed:
            return fixed[command]()
        if match := re.fullmatch(r"S([rd]) ?(.+)", command):
            value = _degrees(match[2])
            self._target["rd".index(match[1])] = value * 15 if match[1] == "r" else value
            return "1"
        if (match := re.fullmatch(r"M(g?)([nsew])(\d{3,4})", command)) and self._pulses(bool(match[1])):
            return self._pulse(LETTERS[match[2]], int(match[3]))
        if match := re.fullmatch(r"M([nsew])", command):
            return self._pulse(LETTERS[match[1]], 10_000)
        if match := re.fullmatch(r"Q([nsew])", command):
            return self._halt(LETTERS[match[1]])
        return ""  # what a mount does not know it does not answer

    async def _ioptron(self, command: str) -> str:
        state = await self._state()
        ra_deg, dec_deg = epoch.of_date(state.ra_deg or 0.0, state.dec_deg or 0.0, datetime.now(UTC))
        side = {PierSide.EAST: 0, PierSide.WEST: 1}.get(state.pier_side, 2)
        rate = round((state.ra_guide_rate_arcsec_per_s or 0.0) / SIDEREAL_ARCSEC_PER_S * 100)
        system = 6 if state.parked else 2 if state.slewing else 1 if state.tracking else 0
        fixed: dict[str, Callable[[], str]] = {
            "MountInfo": lambda: "0040",
            "GEP": lambda: f"{round(dec_deg * 360000):+09d}{round(ra_deg * 360000) % 129600000:09d}{side}1#",
            "GLS": lambda: f"{4176000:+09d}{49680000:08d}2{system}0511#",
            "AG": lambda: f"{rate:02d}{rate:02d}#",
            "CM": lambda: self._order(self._mount.sync(*self._aim()), "1"),
            "MS1": lambda: self._motion("slew", self._mount.slew(*self._aim()), "1") if not state.parked else "0",
            "Q": lambda: self._halt_all() + "1",
            "qR": lambda: self._halt(Direction.EAST) + "1",
            "qD": lambda: self._halt(Direction.NORTH) + "1",
            "ST0": lambda: self._order(self._mount.set_tracking(False), "1"),
            "ST1": lambda: self._order(self._mount.set_tracking(True), "1"),
            "MP1": lambda: self._motion("slew", self._mount.park(), "1"),
            "MP0": lambda: self._order(self._mount.unpark(), "1"),
        }
        if command in fixed:
            return fixed[command]()
        if match := re.fullmatch(r"SRA(\d{9})", command):
            self._target[0] = int(match[1]) / 360000
            return "1"
        if match := re.fullmatch(r"Sd([+-]\d{8})", command):
            self._target[1] = int(match[1]) / 360000
            return "1"
        if match := re.fullmatch(r"Z([SQEC])(\d{5})", command):
            return self._pulse(IOPTRON_PULSES[match[1]], int(match[2]))
        return ""

    async def _state(self) -> MountState:
        """The mount's; a drive that has not ended is a slew, settling included."""
        state = await self._mount.state()
        drive = self._motions.get("slew")
        return state if drive is None or drive.done() else replace(state, slewing=True)

    def _flags(self, state: MountState) -> str:
        tracks, slews, parked = ("" if state.tracking else "n"), ("" if state.slewing else "N"), state.parked
        return f"{tracks}{slews}{'P' if parked else 'p'}E"

    # --- what it does ---

    def _pulses(self, has_g: bool) -> bool:
        """Whether the dialect has the pulse command that came."""
        return self._dialect != "classic" and has_g == (self._dialect != "astrophysics")

    def _aim(self) -> tuple[float, float]:
        return epoch.icrs(self._target[0], self._target[1], datetime.now(UTC))

    def _pulse(self, direction: Direction, ms: int) -> str:
        self._halt(direction)
        axis = "ra" if direction in (Direction.EAST, Direction.WEST) else "dec"
        return self._motion(axis, self._mount.pulse_guide(direction, min(ms / 1000, self._mount.info.max_pulse_s)), "")

    def _halt(self, direction: Direction) -> str:
        motion = self._motions.pop("ra" if direction in (Direction.EAST, Direction.WEST) else "dec", None)
        if motion is not None:
            motion.cancel()
            self._world.mechanics.pulsing.discard(self._world.mechanics.guide_motor(direction)[0])
        return ""

    def _halt_all(self) -> str:
        for motion in self._motions.values():
            motion.cancel()
        self._motions.clear()
        return ""

    def _motion(self, name: str, motion: Coroutine[Any, Any, None], answer: str) -> str:
        """Begin something that takes its time."""
        self._motions[name] = self._loop.create_task(_quietly(motion))
        return answer

    def _order(self, order: Coroutine[Any, Any, None], answer: str) -> str:
        """Do something that takes no time."""
        self._loop.create_task(_quietly(order))
        return answer


async def _quietly(motion: Coroutine[Any, Any, None]) -> None:
    with suppress(DeviceError, ValueError):  # a mount has no words for it
        await motion


def _sexagesimal(value: float, turn: int, colon: str) -> str:
    seconds = round(value * 3600) % (turn * 3600)
    return f"{seconds // 3600:02d}{colon}{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _signed(value: float, degree: str, minute: str) -> str:
    seconds = round(abs(value) * 3600)
    sign = "-" if value < 0 else "+"
    return f"{sign}{seconds // 3600:02d}{degree}{seconds // 60 % 60:02d}{minute}{seconds % 60:02d}"


def _degrees(text: str) -> float:
    """A number from sexagesimal text with any separators."""
    parts = [float(part) for part in re.findall(r"\d+(?:\.\d+)?", text)]
    value = sum(part * 60.0**-place for place, part in enumerate(parts))
    return -value if text.strip().startswith("-") else value


def emulate(url: DeviceUrl, context: DeviceContext) -> Emulated:
    """The terminal of an emulated mount; the same one for the same dialect and world in a run.

    Raises
    ------
    ConfigError
        If there is no such dialect.
    """
    dialect = url.query.get("dialect", "")
    if dialect not in DIALECTS:
        raise ConfigError(f"dialect is {dialect!r} in {url.text!r}; allowed: {', '.join(DIALECTS)}")
    place = f"simulators.lx200_serial:{url.query.get('world', '')}:{dialect}"
    if place not in context.shared:
        context.shared[place] = SerialMount(shared_world(url, context), dialect)
    mount = context.shared[place]
    assert isinstance(mount, SerialMount)
    return Emulated(mount.tty, OPTIONS, keep=mount)
