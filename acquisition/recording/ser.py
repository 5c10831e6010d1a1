"""SER video, version 3 (Heiko Wilkens & Grischa Hahn, 2014): many frames in one file, with a time for each.

In: frames and times. Out: a file that is readable at any moment, even when the program dies: the number of frames in
the header follows the frames. The times stand behind the frames and are written at the end.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FILE_ID = b"LUCAM-RECORDER"
HEADER = struct.Struct("<14s7i40s40s40sqq")
HEADER_BYTES = 178
COUNT_AT = 38
MONO, RGB, BGR = 0, 100, 101
COLOUR_IDS = {"RGGB": 8, "GRBG": 9, "GBRG": 10, "BGGR": 11}
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SerHeader:
    """What a file says of all its frames.

    Attributes
    ----------
    width_px, height_px : int
    bits : int
        Of a pixel (and colour), 1 to 16; above 8 a pixel takes two bytes.
    colour_id : int
        0 mono; 8 RGGB, 9 GRBG, 10 GBRG, 11 BGGR; 100 RGB, 101 BGR.
    little_endian_field : int
        As stored. The specification says 1 for little-endian data, but programs read 0 so (see `SerReader`).
    observer, instrument, telescope : str
    start_utc : datetime or None
    """

    width_px: int
    height_px: int
    bits: int
    colour_id: int = MONO
    little_endian_field: int = 0
    observer: str = ""
    instrument: str = ""
    telescope: str = ""
    start_utc: datetime | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame as stored: [y, x], or [y, x, 3] in colour."""
        planes = (3,) if self.colour_id in (RGB, BGR) else ()
        return self.height_px, self.width_px, *planes

    @property
    def frame_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape))


class SerWriter:
    """Writes frames as they come. Blocking: not for the event loop.

    Parameters
    ----------
    path : Path
        Must not exist, unless `overwrite`.
    header : SerHeader
    overwrite : bool

    Raises
    ------
    FileExistsError
    ValueError
        If the header describes no frame.
    """

    def __init__(self, path: Path, header: SerHeader, *, overwrite: bool = False) -> None:
        if header.width_px < 1 or header.height_px < 1 or not 1 <= header.bits <= 16:
            raise ValueError(
                f"SER frames are {header.width_px}x{header.height_px} px of {header.bits} bits; "
                "allowed: 1x1 px or more, 1 to 16 bits"
            )
        self.path = path
        self.header = header
        self.n_frames = 0
        self._times = array("q")
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        self._file = os.open(path, flags, 0o644)
        self._write(memoryview(_packed(header, 0)))

    def write(self, frame: NDArray[Any], utc: datetime) -> None:
        """Append a frame; `utc` is the start of its exposure.

        Raises
        ------
        ValueError
            If the frame is not as the header says.
        OSError
            If it cannot be written, such as on a full disk; what was written before stays readable.
        """
        header = self.header
        if frame.shape != header.shape or frame.dtype != header.dtype:
            raise ValueError(f"frame is {frame.shape} {frame.dtype}; expected {header.shape} {header.dtype}")
        if self.n_frames == _LARGEST_COUNT:
            raise OSError(f"{self.path}: a SER file holds {_LARGEST_COUNT} frames")
        data = np.ascontiguousarray(frame, dtype=header.dtype.newbyteorder("<"))
        self._write(data.reshape(-1).view(np.uint8).data)
        self._times.append(_ticks(utc))
        self.n_frames += 1
        os.pwrite(self._file, struct.pack("<i", self.n_frames), COUNT_AT)

    def close(self) -> None:
        """Write the times and close the file."""
        if self._file < 0:
            return
        try:
            os.lseek(self._file, HEADER_BYTES + self.n_frames * self.header.frame_bytes, os.SEEK_SET)
            self._write(memoryview(np.array(self._times, dtype="<i8").tobytes()))
            os.ftruncate(self._file, HEADER_BYTES + self.n_frames * (self.header.frame_bytes + 8))
        finally:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._file, data) :]


class SerReader:
    """Reads a SER file by frames, which are mapped from the file, not loaded.

    Parameters
    ----------
    path : Path
    little_endian : bool, optional
        How 16-bit data is stored, whatever the header says. By default as most programs have it: a 0 in the header
        means little-endian, and a 1 big-endian, which contradicts the specification.

    Raises
    ------
    ValueError
        If it is no SER file.
    """

    def __init__(self, path: Path, *, little_endian: bool | None = None) -> None:
        with path.open("rb") as stream:
            start = stream.read(HEADER_BYTES)
        if len(start) < HEADER_BYTES or not start.startswith(FILE_ID):
            raise ValueError(f"{path} is no SER file: it does not begin with {FILE_ID.decode()}")
        self.header, stated = _unpacked(start)
        if self.header.width_px < 1 or self.header.height_px < 1 or not 1 <= self.header.bits <= 16:
            raise ValueError(f"{path} has an impossible SER header: {self.header}")
        there = (path.stat().st_size - HEADER_BYTES) // self.header.frame_bytes
        self.n_frames = max(min(stated, there), 0)  # of a file that was cut off, those that are there
        if little_endian is None:
            little_endian = self.header.little_endian_field == 0
        dtype = self.header.dtype.newbyteorder("<" if little_endian else ">")
        shape = (self.n_frames, *self.header.shape)
        self._frames = (
            np.memmap(path, dtype, "r", HEADER_BYTES, shape) if self.n_frames else np.empty(shape, self.header.dtype)
        )
        self.times_utc = _times(path, HEADER_BYTES + self.n_frames * self.header.frame_bytes, self.n_frames)

    def __len__(self) -> int:
        return self.n_frames

    def __getitem__(self, index: int) -> NDArray[Any]:
        """A frame in the machine's own byte order, [y, x] or [y, x, 3]."""
        if not -self.n_frames <= index < self.n_frames:
            raise IndexError(f"frame {index} of {self.n_frames}")
        return np.asarray(self._frames[index], dtype=self.header.dtype)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[index] for index in range(self.n_frames))


def colour_id(bayer_pattern: str | None, x_offset: int = 0, y_offset: int = 0) -> int:
    """The colour id of a Bayer pattern whose first pixel is at an offset."""
    if bayer_pattern is None:
        return MONO
    rows = [bayer_pattern[:2], bayer_pattern[2:]]
    if x_offset % 2:
        rows = [row[::-1] for row in rows]
    if y_offset % 2:
        rows = rows[::-1]
    return COLOUR_IDS["".join(rows)]


def _packed(header: SerHeader, n_frames: int) -> bytes:
    ticks = 0 if header.start_utc is None else _ticks(header.start_utc)
    names = (text.encode("ascii", "replace")[:40] for text in (header.observer, header.instrument, header.telescope))
    return HEADER.pack(
        FILE_ID,
        0,
        header.colour_id,
        header.little_endian_field,
        header.width_px,
        header.height_px,
        header.bits,
        n_frames,
        *names,
        ticks,
        ticks,
    )


def _unpacked(data: bytes) -> tuple[SerHeader, int]:
    _, _, colour, endian, width, height, bits, n_frames, *names, _, ticks = HEADER.unpack(data)
    observer, instrument, telescope = (name.split(b"\0")[0].decode("latin-1").strip() for name in names)
    return SerHeader(width, height, bits, colour, endian, observer, instrument, telescope, _utc(ticks)), n_frames


def _times(path: Path, offset: int, n_frames: int) -> list[datetime] | None:
    """The times behind the frames; None when they are not all there."""
    with path.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(8 * n_frames)
    if len(data) < 8 * n_frames or n_frames == 0:
        return None
    times = [_utc(int(ticks)) for ticks in np.frombuffer(data, "<i8")]
    return [time for time in times if time is not None] if None not in times else None


def _ticks(utc: datetime) -> int:
    """100 ns since the year 1."""
    return (utc - _EPOCH) // _MICROSECOND * 10


def _utc(ticks: int) -> datetime | None:
    if ticks <= 0:
        return None
    try:
        return _EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None
