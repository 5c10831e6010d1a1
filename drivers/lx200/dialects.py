"""What each family of mounts says: conversations without input or output of their own.

In: a function that asks the mount. Out: what it answers, as numbers; and the texts of guide pulses. `Lx200` is a table
with one entry a family, `Ioptron` a language of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from acquisition.errors import DeviceError, Unsupported
from acquisition.mount import Direction, PierSide

from .text import dec_text, parse_dec, parse_ra, ra_text

SIDEREAL_ARCSEC_PER_S = 15.041067
PIER_SIDES = {"E": PierSide.EAST, "W": PierSide.WEST}


class Answer(enum.Enum):
    """How an answer ends."""

    NONE = "nothing comes"
    TEXT = "text that ends in #"
    CHARACTER = "one character, without #"
    FOUR = "four characters, without #"


class Ask(Protocol):
    """Sends a command and gives the answer, without the ``#``."""

    def __call__(self, command: str, answer: Answer = Answer.TEXT, check: Callable[[str], object] = str) -> str:
        """`check` raises ValueError for what cannot be an answer; the command is then repeated."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a mount says of itself; None where it does not."""

    slewing: bool = False
    tracking: bool | None = None
    parked: bool = False
    pier_side: PierSide = PierSide.UNKNOWN


class Dialect(Protocol):
    """How to talk to a family of mounts; coordinates are degrees in whatever equinox the mount uses."""

    @property
    def title(self) -> str: ...
    @property
    def baud(self) -> int: ...
    @property
    def can_park(self) -> bool: ...
    @property
    def parallel(self) -> bool:
        """Whether both axes can be pulsed at the same time."""

    @property
    def max_pulse_ms(self) -> int:
        """Longer pulses are sent in parts."""

    def identify(self, ask: Ask) -> str: ...
    def position(self, ask: Ask) -> tuple[float, float]: ...
    def status(self, ask: Ask) -> Status: ...
    def guide_rates(self, ask: Ask) -> tuple[float, float] | None:
        """Of RA and Dec, times the sidereal rate."""

    def pulse(self, direction: Direction, ms: int) -> str | None:
        """The command of a guide pulse, which is not answered; None where the mount must be moved for a time."""

    def move(self, direction: Direction) -> tuple[str, ...]:
        """Commands that set off at guide speed; not answered."""

    def halt(self, ask: Ask, direction: Direction) -> None:
        """Stop the motion in one direction, pulses too."""

    def halt_all(self, ask: Ask) -> None: ...
    def slew(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        """Set off; DeviceError when the mount refuses."""

    def sync(self, ask: Ask, ra_deg: float, dec_deg: float) -> None: ...
    def track(self, ask: Ask, on: bool) -> None: ...
    def park(self, ask: Ask) -> None: ...
    def unpark(self, ask: Ask) -> None: ...


def _mg(prefix: str = ":") -> dict[Direction, str]:
    return {direction: f"{prefix}Mg{direction.value.lower()}{{ms:04d}}#" for direction in Direction}


@dataclass(frozen=True, slots=True)
class Lx200:
    """The language of Meade's LX200, and what others made of it.

    Attributes
    ----------
    pulses : mapping
        Format of a guide pulse by direction, with ``{ms}``; empty where there is none.
    flags : bool
        Whether ``:GU#`` gives status flags: n not tracking, N not slewing, P parked; and ``:Gm#`` the side of the pier.
    rate : str
        Asks for the guide rate, times sidereal.
    tracking : tuple
        Commands off and on, and how they are answered.
    parking : tuple
        Commands to park and unpark, answered by one character.
    """

    title: str
    pulses: Mapping[Direction, str] = field(default_factory=_mg)
    max_pulse_ms: int = 9999
    parallel: bool = False
    flags: bool = False
    rate: str = ""
    tracking: tuple[str, str, Answer] = (":AL#", ":AP#", Answer.NONE)  # land and polar alignment mode
    parking: tuple[str, str] | None = None
    baud: int = 9600

    @property
    def can_park(self) -> bool:
        return self.parking is not None

    def identify(self, ask: Ask) -> str:
        return ask(":GVP#").strip() or self.title

    def position(self, ask: Ask) -> tuple[float, float]:
        return parse_ra(ask(":GR#", check=parse_ra)), parse_dec(ask(":GD#", check=parse_dec))

    def status(self, ask: Ask) -> Status:
        if not self.flags:
            return Status(slewing=bool(ask(":D#").strip()))
        flags, side = ask(":GU#"), ask(":Gm#")
        return Status(
            slewing="N" not in flags,
            tracking="n" not in flags,
            parked="P" in flags,
            pier_side=PIER_SIDES.get(side.strip(), PierSide.UNKNOWN),
        )

    def guide_rates(self, ask: Ask) -> tuple[float, float] | None:
        if not self.rate:
            return None
        rate = float(ask(self.rate, check=float))
        return (rate, rate) if 0 < rate <= 2 else None

    def pulse(self, direction: Direction, ms: int) -> str | None:
        return self.pulses[direction].format(ms=ms) if self.pulses else None

    def move(self, direction: Direction) -> tuple[str, ...]:
        return ":RG#", f":M{direction.value.lower()}#"

    def halt(self, ask: Ask, direction: Direction) -> None:
        ask(f":Q{direction.value.lower()}#", Answer.NONE)

    def halt_all(self, ask: Ask) -> None:
        ask(":Q#", Answer.NONE)

    def slew(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        self._target(ask, ra_deg, dec_deg)
        answer = ask(":MS#", Answer.CHARACTER)
        if answer != "0":
            raise DeviceError(f"{self.title} refuses to slew there (code {answer}), such as below the horizon")

    def sync(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        self._target(ask, ra_deg, dec_deg)
        ask(":CM#")

    def track(self, ask: Ask, on: bool) -> None:
        off_command, on_command, answer = self.tracking
        if ask(on_command if on else off_command, answer) == "0":
            raise DeviceError(f"{self.title} refuses to {'begin' if on else 'stop'} tracking")

    def park(self, ask: Ask) -> None:
        self._park(ask, 0, "park")

    def unpark(self, ask: Ask) -> None:
        self._park(ask, 1, "unpark")

    def _park(self, ask: Ask, which: int, what: str) -> None:
        if self.parking is None:
            raise Unsupported(f"{self.title} cannot {what}")
        if ask(self.parking[which], Answer.CHARACTER) == "0":
            raise DeviceError(f"{self.title} refuses to {what}")

    def _target(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        for command in (f":Sr{ra_text(ra_deg)}#", f":Sd{dec_text(dec_deg)}#"):
            if ask(command, Answer.CHARACTER) != "1":
                raise DeviceError(f"{self.title} does not take the coordinates {command[3:-1]}")


@dataclass(frozen=True, slots=True)
class Ioptron:
    """iOptron's RS-232 command language, version 3: digits of hundredths of an arcsecond."""

    title: str = "iOptron"
    baud: int = 115200
    can_park: bool = True
    parallel: bool = True
    max_pulse_ms: int = 99999

    def identify(self, ask: Ask) -> str:
        return f"iOptron model {ask(':MountInfo#', Answer.FOUR, int)}"

    def position(self, ask: Ask) -> tuple[float, float]:
        answer = ask(":GEP#", check=_position)
        return _position(answer)

    def status(self, ask: Ask) -> Status:
        system = _system(ask(":GLS#", check=_system))
        side = ask(":GEP#", check=_position)[18:19]
        return Status(
            slewing=system in (2, 4),
            tracking=system in (1, 3, 5),
            parked=system == 6,
            pier_side={"0": PierSide.EAST, "1": PierSide.WEST}.get(side, PierSide.UNKNOWN),
        )

    def guide_rates(self, ask: Ask) -> tuple[float, float] | None:
        answer = ask(":AG#", check=int)
        return int(answer[:2]) / 100, int(answer[2:4]) / 100

    def pulse(self, direction: Direction, ms: int) -> str | None:
        letter = {Direction.EAST: "S", Direction.WEST: "Q", Direction.NORTH: "E", Direction.SOUTH: "C"}[direction]
        return f":Z{letter}{ms:05d}#"

    def move(self, direction: Direction) -> tuple[str, ...]:
        return (":SR1#", f":m{direction.value.lower()}#")

    def halt(self, ask: Ask, direction: Direction) -> None:
        ask(":qR#" if direction in (Direction.EAST, Direction.WEST) else ":qD#", Answer.CHARACTER)

    def halt_all(self, ask: Ask) -> None:
        ask(":Q#", Answer.CHARACTER)

    def slew(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        self._target(ask, ra_deg, dec_deg)
        self._order(ask, ":MS1#", "slew there")

    def sync(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        self._target(ask, ra_deg, dec_deg)
        self._order(ask, ":CM#", "be synchronised")

    def track(self, ask: Ask, on: bool) -> None:
        self._order(ask, f":ST{int(on)}#", "change tracking")

    def park(self, ask: Ask) -> None:
        self._order(ask, ":MP1#", "park")

    def unpark(self, ask: Ask) -> None:
        self._order(ask, ":MP0#", "unpark")

    def _target(self, ask: Ask, ra_deg: float, dec_deg: float) -> None:
        self._order(ask, f":SRA{round(ra_deg % 360 * 360000) % 129600000:09d}#", "take the right ascension")
        self._order(ask, f":Sd{round(dec_deg * 360000):+09d}#", "take the declination")

    def _order(self, ask: Ask, command: str, what: str) -> None:
        if ask(command, Answer.CHARACTER) != "1":
            raise DeviceError(f"{self.title} refuses to {what}")


def _position(answer: str) -> tuple[float, float]:
    """(RA, Dec) in degrees from sDDDDDDDDRRRRRRRRRps."""
    if len(answer) != 20 or answer[0] not in "+-":
        raise ValueError(f"position is {answer!r}; expected a sign and 19 digits")
    return int(answer[9:18]) / 360000, int(answer[:9]) / 360000


def _system(answer: str) -> int:
    """The system status from :GLS#."""
    if len(answer) != 23:
        raise ValueError(f"status is {answer!r}; expected a sign and 22 digits")
    return int(answer[18])


DIALECTS: Mapping[str, Dialect] = {
    "classic": Lx200("Meade LX200 Classic", pulses={}),
    "gps": Lx200("Meade LX200GPS"),
    "onstep": Lx200(
        "OnStep",
        parallel=True,
        flags=True,
        rate=":GX90#",
        tracking=(":Td#", ":Te#", Answer.CHARACTER),
        parking=(":hP#", ":hR#"),
    ),
    "am5": Lx200(
        "ZWO AM5",
        max_pulse_ms=3000,
        parallel=True,
        flags=True,
        rate=":Ggr#",
        tracking=(":Td#", ":Te#", Answer.CHARACTER),
    ),
    "astrophysics": Lx200(
        "Astro-Physics GTO",
        pulses={direction: f":M{direction.value.lower()}{{ms:03d}}#" for direction in Direction},
        max_pulse_ms=999,
    ),
    "pulsar2": Lx200("Pulsar2", pulses=_mg("#:")),
    "ioptron": Ioptron(),
}
