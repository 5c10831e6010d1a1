"""SER video: what is written is read, at any moment; broken files are named; recording drops and counts."""

from __future__ import annotations

import asyncio
import itertools
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sensor import FakeSensor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.camera import CameraSettings
from acquisition.recording.ser import BGR, MONO, RGB, SerHeader, SerReader, SerWriter, colour_id
from acquisition.recording.video import Recording, record
from acquisition.threaded_camera import ThreadedCamera

START = datetime(2026, 3, 1, 21, 0, 0, 123456, tzinfo=UTC)


def frames_of(header: SerHeader, n: int, seed: int = 1) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 2**header.bits, header.shape).astype(header.dtype) for _ in range(n)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 30),
    bits=st.integers(1, 16),
    colour=st.sampled_from([MONO, 8, 9, 10, 11, RGB, BGR]),
    n=st.integers(0, 4),
    name=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
)
def test_round_trip(tmp_path: Path, width: int, height: int, bits: int, colour: int, n: int, name: str) -> None:
    header = SerHeader(width, height, bits, colour, 0, name, "camera", "telescope", START)
    path = tmp_path / "video.ser"
    frames = frames_of(header, n)
    with SerWriter(path, header, overwrite=True) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, START + timedelta(milliseconds=number))
    reader = SerReader(path)
    assert reader.header == header
    assert len(reader) == n
    for frame, read in zip(frames, reader, strict=True):
        assert (frame == read).all()
    assert reader.times_utc == ([START + timedelta(milliseconds=i) for i in range(n)] if n else None)


def test_the_header_is_as_specified(tmp_path: Path) -> None:
    header = SerHeader(64, 32, 16, instrument="ZWO ASI178MM", start_utc=START)
    with SerWriter(tmp_path / "v.ser", header) as writer:
        writer.write(frames_of(header, 1)[0], START)
    data = (tmp_path / "v.ser").read_bytes()
    assert len(data) == 178 + 64 * 32 * 2 + 8
    assert data[:14] == b"LUCAM-RECORDER"
    assert struct.unpack_from("<7i", data, 14) == (0, 0, 0, 64, 32, 16, 1)
    assert data[82:94] == b"ZWO ASI178MM"
    unix_epoch = 621355968000000000
    (ticks,) = struct.unpack_from("<q", data, len(data) - 8)
    assert (ticks - unix_epoch) / 1e7 == pytest.approx(START.timestamp(), abs=1e-6)


def test_a_program_that_dies_leaves_a_readable_file(tmp_path: Path) -> None:
    header = SerHeader(64, 32, 16)
    frames = frames_of(header, 3)
    writer = SerWriter(tmp_path / "v.ser", header)
    for frame in frames:
        writer.write(frame, START)
    reader = SerReader(tmp_path / "v.ser")  # the writer was never closed
    assert len(reader) == 3
    assert (reader[-1] == frames[-1]).all()
    assert reader.times_utc is None
    writer.close()
    data = (tmp_path / "v.ser").read_bytes()
    (tmp_path / "cut.ser").write_bytes(data[: 178 + 2 * header.frame_bytes + 10])
    assert len(SerReader(tmp_path / "cut.ser")) == 2


def test_either_reading_of_the_endian_field(tmp_path: Path) -> None:
    header = SerHeader(4, 2, 16, little_endian_field=1)
    frame = np.arange(8, dtype=np.uint16).reshape(2, 4)
    with SerWriter(tmp_path / "v.ser", header) as writer:
        writer.write(frame, START)
    assert (SerReader(tmp_path / "v.ser")[0] == frame.byteswap()).all()
    assert (SerReader(tmp_path / "v.ser", little_endian=True)[0] == frame).all()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.ser"
    with pytest.raises(ValueError, match="allowed: 1x1 px or more, 1 to 16 bits"):
        SerWriter(path, SerHeader(10, 10, 24))
    with SerWriter(path, SerHeader(10, 10, 8)) as writer, pytest.raises(ValueError, match="expected"):
        writer.write(np.zeros((10, 11), np.uint8), START)
    with pytest.raises(FileExistsError):
        SerWriter(path, SerHeader(10, 10, 8))
    path.write_bytes(b"not a video")
    with pytest.raises(ValueError, match="is no SER file"):
        SerReader(path)


@pytest.mark.parametrize(
    ("pattern", "x", "y", "expected"),
    [(None, 1, 0, 0), ("RGGB", 0, 0, 8), ("RGGB", 1, 0, 9), ("RGGB", 0, 1, 10), ("RGGB", 1, 1, 11), ("GBRG", 2, 3, 8)],
)
def test_colour_follows_the_offset(pattern: str | None, x: int, y: int, expected: int) -> None:
    assert colour_id(pattern, x, y) == expected


def record_fake(path: Path, **options: Any) -> tuple[Recording, SerReader]:
    async def main() -> Recording:
        async with ThreadedCamera(FakeSensor(), "Fake camera") as camera:
            await camera.configure(CameraSettings(0.005))
            with SerWriter(path, SerHeader(256, 128, 16)) as writer:
                if "slow" in options:
                    true_write = writer.write
                    pause = options.pop("slow")

                    def slow(frame: Any, utc: datetime) -> None:
                        import time

                        time.sleep(pause)
                        true_write(frame, utc)

                    writer.write = slow  # type: ignore[method-assign]
                return await record(camera, writer, **options)

    state = asyncio.run(main())
    return state, SerReader(path)


def test_recording_ends_after_so_many_frames_with_times_in_order(tmp_path: Path) -> None:
    state, reader = record_fake(tmp_path / "v.ser", n_frames=12)
    assert state.written == len(reader) == 12
    assert state.dropped_by_disk == 0
    assert reader.times_utc is not None
    assert all(b > a - timedelta(milliseconds=1) for a, b in itertools.pairwise(reader.times_utc))  # UTC is no clock


def test_recording_ends_after_its_duration(tmp_path: Path) -> None:
    state, reader = record_fake(tmp_path / "v.ser", duration_s=0.3)
    assert 1 <= state.written == len(reader)
    assert 0.3 <= state.elapsed_s < 3


def test_a_slow_disk_drops_and_counts_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acquisition.recording.video.QUEUE_BYTES", 0)
    state, reader = record_fake(tmp_path / "v.ser", duration_s=0.5, slow=0.1)
    assert state.dropped_by_disk > 0
    assert state.written == len(reader) > 0


def test_a_full_disk_is_an_error_and_the_file_readable(tmp_path: Path) -> None:
    class Full(SerWriter):
        def write(self, frame: Any, utc: datetime) -> None:
            if self.n_frames == 2:
                raise OSError(28, "No space left on device")
            super().write(frame, utc)

    async def main() -> None:
        async with ThreadedCamera(FakeSensor(), "Fake camera") as camera:
            await camera.configure(CameraSettings(0.005))
            with Full(tmp_path / "v.ser", SerHeader(256, 128, 16)) as writer:
                await record(camera, writer, duration_s=20.0)

    with pytest.raises(OSError, match="No space left"):
        asyncio.run(main())
    assert len(SerReader(tmp_path / "v.ser")) == 2
