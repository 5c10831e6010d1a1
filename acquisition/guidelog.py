"""PHD2's guide-log format (version 2.5), written and read.

In: rows and header facts of a session, or a log's text. Out: lines that PHD Log Viewer and Ekos take, each written
whole; or the sections of somebody's log. Lengths are pixels, times seconds, pulses milliseconds, as in PHD2.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ConfigError

COLUMNS = (
    "Frame,Time,mount,dx,dy,RARawDistance,DECRawDistance,RAGuideDistance,DECGuideDistance,"
    "RADuration,RADirection,DECDuration,DECDirection,XStep,YStep,StarMass,SNR,ErrorCode"
)
_CALIBRATION_COLUMNS = "Direction,Step,dx,dy,x,y,Dist"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class GuideRow:
    """One guided frame.

    Attributes
    ----------
    time_s : float
        Since guiding began.
    dx, dy : float
        Star minus lock on the detector, px.
    ra_raw, dec_raw : float
        The same along the mount's axes, px; positive is removed by a West, a South pulse.
    ra_guide, dec_guide : float
        What the laws asked for, px.
    ra_ms, dec_ms : int
        Pulses sent, and `ra_direction` (W, E or empty), `dec_direction` (N, S or empty).
    error_code : int
        PHD2's: 0 OK, 1 saturated.
    """

    frame: int
    time_s: float
    dx: float
    dy: float
    ra_raw: float
    dec_raw: float
    ra_guide: float
    dec_guide: float
    ra_ms: int
    ra_direction: str
    dec_ms: int
    dec_direction: str
    star_mass: float
    snr: float
    error_code: int = 0
    mount: str = "Mount"


@dataclass(frozen=True, slots=True)
class DropRow:
    """A frame without a measurement, and why."""

    frame: int
    time_s: float
    star_mass: float
    snr: float
    error_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """One step of a calibration: position, and START minus current, px."""

    direction: str  # West East Backlash North South
    step: int
    dx: float
    dy: float
    x: float
    y: float
    distance: float


@dataclass(slots=True)
class GuidingSection:
    """From "Guiding Begins" to its end (None if the log breaks off)."""

    begins: datetime
    header: list[str] = field(default_factory=list)
    rows: list[GuideRow | DropRow] = field(default_factory=list)
    infos: list[tuple[int, str]] = field(default_factory=list)  # (number of rows before it, text)
    ends: datetime | None = None

    def setting(self, name: str) -> float | None:
        """A number of the header, such as ``xRate`` (px/s), ``xAngle`` (deg), ``Pixel scale`` (arcsec/px)."""
        found = re.search(rf"(?<!\w){re.escape(name)} = (-?\d+(?:\.\d+)?)", "\n".join(self.header))
        return float(found[1]) if found else None


@dataclass(slots=True)
class CalibrationSection:
    """From "Calibration Begins" to "Calibration complete" (or not)."""

    begins: datetime
    header: list[str] = field(default_factory=list)
    rows: list[CalibrationRow] = field(default_factory=list)
    complete: bool = False


class GuideLogWriter:
    """Writes a guide log line by line; each line is flushed whole, so a crash loses none that was written.

    Parameters
    ----------
    stream : text file
        Stays the caller's: not closed here.
    version : str
        Of the program, for the first line.
    now : datetime
        Times in the log are written as they are given (Starlatch gives UTC; PHD2 itself gives local time).
    """

    def __init__(self, stream: TextIO, version: str, now: datetime) -> None:
        self._stream = stream
        self._counts = {"calibrations": 0, "guidings": 0}
        self._guided_s = 0.0
        self._line(f"PHD2 version 2.6.13 [Starlatch {version}], Log version 2.5. Log enabled at {_time(now)}")

    def calibration_begins(self, now: datetime, header: Sequence[str]) -> None:
        self._counts["calibrations"] += 1
        self._lines(["", f"Calibration Begins at {_time(now)}", *header, _CALIBRATION_COLUMNS])

    def calibration_row(self, row: CalibrationRow) -> None:
        numbers = (row.dx, row.dy, row.x, row.y, row.distance)
        self._line(f"{row.direction},{row.step}," + ",".join(f"{number:.3f}" for number in numbers))

    def axis_calibrated(self, direction: str, angle_deg: float, rate_px_per_s: float, parity: str = "N/A") -> None:
        """`direction` is West or North."""
        self._line(
            f"{direction} calibration complete. Angle = {angle_deg:.1f} deg, "
            f"Rate = {rate_px_per_s:.3f} px/sec, Parity = {parity}"
        )

    def calibration_ends(self, mount: str) -> None:
        self._lines([f"Calibration complete, mount = {mount}.", ""])

    def guiding_begins(self, now: datetime, header: Sequence[str]) -> None:
        self._counts["guidings"] += 1
        self._lines(["", f"Guiding Begins at {_time(now)}", *header, COLUMNS])

    def row(self, row: GuideRow | DropRow) -> None:
        if isinstance(row, DropRow):
            tail = f'{row.star_mass:.0f},{row.snr:.2f},{row.error_code},"{row.reason.replace(chr(34), chr(39))}"'
            self._line(f'{row.frame},{row.time_s:.3f},"DROP",,,,,,,,,,,,,{tail}')
            return
        self._line(
            f'{row.frame},{row.time_s:.3f},"{row.mount}",{row.dx:.3f},{row.dy:.3f},{row.ra_raw:.3f},{row.dec_raw:.3f},'
            f"{row.ra_guide:.3f},{row.dec_guide:.3f},{row.ra_ms},{row.ra_direction},{row.dec_ms},{row.dec_direction},,,"
            f"{row.star_mass:.0f},{row.snr:.2f},{row.error_code}"
        )

    def info(self, text: str) -> None:
        """An ``INFO:`` line, such as ``DITHER by 1.000, 0.000, new lock pos = 5.000, 7.000``."""
        self._line("INFO: " + " ".join(text.split()))

    def guiding_ends(self, now: datetime, guided_s: float) -> None:
        self._guided_s += guided_s
        self._lines([f"Guiding Ends at {_time(now)}"])

    def end(self, now: datetime) -> None:
        """The summary; the log is complete."""
        summary = f"calcnt:{self._counts['calibrations']} gcnt:{self._counts['guidings']} gdur:{self._guided_s:.0f}"
        self._lines(["", f"Log Summary: {summary} gacnt:0", f"Log closed at {_time(now)}"])

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def read_guide_log(lines: Iterable[str]) -> list[GuidingSection | CalibrationSection]:
    """The sections of a guide log, in order.

    Tolerates what real logs contain: settings that go over several lines, empty pulses, logs that break off, a last
    row cut in the middle.

    Parameters
    ----------
    lines : iterable of str
        An open file, for example.

    Raises
    ------
    ConfigError
        If there is no section at all: this is not a guide log.
    """
    sections = list(_sections(lines))
    if not sections:
        raise ConfigError('not a PHD2 guide log: no line "Guiding Begins at" or "Calibration Begins at"')
    return sections


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Where the stars would have gone without guiding, as a guided night tells; contains its seeing and noise.

    Attributes
    ----------
    t_s : array
        Since guiding began; frames without a star are left out.
    ra_px, dec_px : array
        Displacement along the mount's axes against the first lock.
    snr : array
    lost_s : array
        When frames had no star.
    scale_arcsec : float or None
        Arcsec per px, where the log states it.
    """

    t_s: NDArray[np.float64]
    ra_px: NDArray[np.float64]
    dec_px: NDArray[np.float64]
    snr: NDArray[np.float64]
    lost_s: NDArray[np.float64]
    scale_arcsec: float | None


def open_loop(section: GuidingSection) -> OpenLoop:
    """Undo a section's guiding: raw displacement + lock shifts + earlier pulses (guide, manual) times the rate.

    Raises
    ------
    ConfigError
        If the header does not state the calibrated rates (xRate, yRate), or no frame has a star.
    """
    rates = section.setting("xRate"), section.setting("yRate")
    if rates[0] is None or rates[1] is None:
        raise ConfigError(f"guiding of {section.begins}: the log's header has no xRate and yRate (px/s)")
    shifts: dict[int, tuple[float, float]] = {}
    for after, text in section.infos:
        ra, dec = shifts.get(after, (0.0, 0.0))
        if found := re.match(r"DITHER by (-?[\d.]+), (-?[\d.]+)", text):
            shifts[after] = ra + float(found[1]), dec + float(found[2])
        elif found := re.match(r"Manual guide \(Mount\) (West|East|North|South) (\d+) ms", text):
            way, ms = found[1][0], int(found[2])
            ra += _signed_s(ms, way, "W") * rates[0] if way in "WE" else 0.0
            dec += _signed_s(ms, way, "S") * rates[1] if way in "SN" else 0.0
            shifts[after] = ra, dec
    ra_sum = dec_sum = 0.0
    points: list[tuple[float, float, float, float]] = []
    for i, row in enumerate(section.rows):
        ra_shift, dec_shift = shifts.get(i, (0.0, 0.0))
        ra_sum, dec_sum = ra_sum + ra_shift, dec_sum + dec_shift
        if isinstance(row, DropRow):
            continue
        points.append((row.time_s, row.ra_raw + ra_sum, row.dec_raw + dec_sum, row.snr))
        ra_sum += _signed_s(row.ra_ms, row.ra_direction, "W") * rates[0]
        dec_sum += _signed_s(row.dec_ms, row.dec_direction, "S") * rates[1]
    if not points:
        raise ConfigError(f"guiding of {section.begins}: no frame has a star")
    t_s, ra_px, dec_px, snr = np.array(points).T
    lost_s = np.array([row.time_s for row in section.rows if isinstance(row, DropRow)])
    return OpenLoop(t_s, ra_px, dec_px, snr, lost_s, section.setting("Pixel scale"))


def _signed_s(duration_ms: int, direction: str, positive: str) -> float:
    if not direction:
        return 0.0
    return duration_ms / 1000 if direction == positive else -duration_ms / 1000


def _sections(lines: Iterable[str]) -> Iterator[GuidingSection | CalibrationSection]:
    section: GuidingSection | CalibrationSection | None = None
    in_table = False
    for raw in lines:
        line = raw.strip()
        if line.startswith(("Guiding Begins at ", "Calibration Begins at ")):
            if section is not None:
                yield section
            kind = GuidingSection if line.startswith("Guiding") else CalibrationSection
            section, in_table = kind(_parse_time(line)), False
        elif section is None or not line:
            continue
        elif line.startswith((_CALIBRATION_COLUMNS, "Frame,Time,mount")):
            in_table = True
        elif line.startswith("Guiding Ends") and isinstance(section, GuidingSection):
            section.ends = _parse_time(line)
            yield section
            section = None
        elif line.startswith("Calibration complete") and isinstance(section, CalibrationSection):
            section.complete = True
            yield section
            section = None
        elif not in_table:
            section.header.append(line)
        elif isinstance(section, CalibrationSection):
            if (step := _calibration_row(line)) is not None:
                section.rows.append(step)
        elif line.startswith("INFO: "):
            section.infos.append((len(section.rows), line.removeprefix("INFO: ")))
        elif (row := _guide_row(line)) is not None:
            section.rows.append(row)
    if section is not None:
        yield section


def _guide_row(line: str) -> GuideRow | DropRow | None:
    cells = next(csv.reader([line]))
    try:
        frame, time_s, mount = int(cells[0]), float(cells[1]), cells[2]
        mass, snr, code = float(cells[15] or 0), float(cells[16] or 0), int(cells[17])
        if mount == "DROP":
            return DropRow(frame, time_s, mass, snr, code, cells[18] if len(cells) > 18 else "")
        dx, dy, ra_raw, dec_raw, ra_guide, dec_guide = (float(cell) for cell in cells[3:9])
        return GuideRow(
            frame, time_s, dx, dy, ra_raw, dec_raw, ra_guide, dec_guide,
            int(cells[9] or 0), cells[10], int(cells[11] or 0), cells[12], mass, snr, code, mount,
        )  # fmt: skip
    except (ValueError, IndexError):
        return None


def _calibration_row(line: str) -> CalibrationRow | None:
    cells = line.split(",")
    try:
        x, y, dx, dy, distance = (float(cells[i]) for i in (4, 5, 2, 3, 6))
        return CalibrationRow(cells[0], int(cells[1]), dx, dy, x, y, distance)
    except (ValueError, IndexError):
        return None


def _time(when: datetime) -> str:
    return when.strftime(_TIME_FORMAT)


def _parse_time(line: str) -> datetime:
    return datetime.strptime(line.partition(" at ")[2].strip(), _TIME_FORMAT)
