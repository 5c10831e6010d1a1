"""Files as a camera: order, timing, what their headers say, and what happens at the end.

What every camera does is in ``contracts/``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.camera import Camera, CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.errors import ConfigError, DeviceGone, DeviceNotFound, ExposureFailed
from acquisition.images import FrameFacts, Image

START = datetime(2026, 3, 1, 21, tzinfo=UTC)


def save(
    path: Path, value: int = 0, exposure_s: float | None = 30.0, start_utc: datetime | None = START, **facts: object
) -> None:
    image = Image.from_camera(
        np.full((6, 8), value, np.uint16),
        FrameFacts(start_utc=start_utc, exposure_s=exposure_s, **facts),  # type: ignore[arg-type]
    )
    image.header["WEATHER"] = "clear"
    image.writeto(path)


def play(pattern: object, body: Callable[[Camera], Awaitable[None]], options: str = "") -> None:
    async def main() -> None:
        async with open_camera(f"replay://{pattern}{options}", DeviceContext()) as camera:
            await body(camera)

    virtual_time.run(main())


def test_files_come_in_the_order_of_their_names_each_after_its_exposure_time(tmp_path: Path) -> None:
    for name, exposure_s in (("b", 20.0), ("c", 0.5), ("a", 10.0)):
        save(tmp_path / f"{name}.fits", ord(name), exposure_s)

    async def body(camera: Camera) -> None:
        clock = asyncio.get_running_loop().time
        for name, exposure_s in (("a", 10.0), ("b", 20.0), ("c", 0.5)):
            began_s = clock()
            image = await camera.expose()
            assert image.data[0, 0] == ord(name)
            assert clock() - began_s == pytest.approx(exposure_s, abs=1e-6)
            assert image.facts.start_loop_s == began_s

    play(tmp_path / "*.fits", body)


def test_pauses_are_those_of_date_obs_but_for_the_longest(tmp_path: Path) -> None:
    starts = [0.0, 5.0, 6.0, 10.0, 9.0, 3600.0, None, 3700.0]  # the third begins while the second is exposed
    for number, start_s in enumerate(starts):
        utc = None if start_s is None else START + timedelta(seconds=start_s)
        save(tmp_path / f"{number}.fits", number, 2.0, utc)

    async def body(camera: Camera) -> None:
        first_s = asyncio.get_running_loop().time()
        began = [((await camera.expose()).facts.start_loop_s or 0.0) - first_s for _ in starts]
        assert began == pytest.approx([0.0, 5.0, 7.0, 11.0, 13.0, 75.0, 77.0, 79.0])

    play(tmp_path / "*.fits", body)


def test_who_asks_late_gets_a_frame_that_begins_then(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.fits", number, 2.0, START + timedelta(seconds=5 * number))

    async def body(camera: Camera) -> None:
        await camera.expose()
        await asyncio.sleep(30.0)
        asked_s = asyncio.get_running_loop().time()
        assert (await camera.expose()).facts.start_loop_s == asked_s

    play(tmp_path / "*.fits", body)


def test_header_and_facts_are_those_of_the_file(tmp_path: Path) -> None:
    save(tmp_path / "a.fits", gain=120.0, egain_e_per_adu=0.3, object_name="M 31", frame_seq=77)

    async def body(camera: Camera) -> None:
        image = await camera.expose()
        facts = image.facts
        assert (facts.start_utc, facts.gain, facts.egain_e_per_adu) == (START, 120.0, 0.3)
        assert (facts.object_name, facts.frame_seq) == ("M 31", 77)
        assert image.header["WEATHER"] == "clear"

    play(tmp_path / "*.fits", body)


def test_other_parts_of_a_file_come_along(tmp_path: Path) -> None:
    data = np.ones((6, 8), np.float32)
    Image(data, mask=data > 2, uncertainty=data / 2, raw=np.full((6, 8), 7, np.uint16)).writeto(tmp_path / "a.fits")

    async def body(camera: Camera) -> None:
        image = await camera.expose()
        assert not image.mask.any()
        assert (image.uncertainty == 0.5).all()
        assert (image.raw == 7).all()
        assert not image.data.flags.writeable

    play(tmp_path / "*.fits", body)


def test_settings_cannot_be_changed_and_say_so(tmp_path: Path) -> None:
    save(tmp_path / "a.fits", gain=120.0)

    async def body(camera: Camera) -> None:
        assert camera.settings.exposure_s == 30.0
        accepted = await camera.configure(CameraSettings(exposure_s=2.0, gain=50.0, bits=8, roi=Roi(0, 0, 4, 4)))
        assert {a.name: a.accepted for a in accepted.adjustments} == {
            "exposure_s": 30.0,
            "gain": 120.0,
            "bits": 16,
            "roi": None,
        }
        with pytest.raises(ValueError, match="binning is 2; allowed: 1"):
            await camera.configure(CameraSettings(binning=2))
        assert (await camera.expose()).data.shape == (6, 8)

    play(tmp_path / "*.fits", body)


def test_file_without_exposure_time_takes_the_one_asked_for(tmp_path: Path) -> None:
    save(tmp_path / "a.fits", exposure_s=None)

    async def body(camera: Camera) -> None:
        clock = asyncio.get_running_loop().time
        assert (await camera.configure(CameraSettings(exposure_s=3.0))).adjustments == ()
        began_s = clock()
        image = await camera.expose()
        assert clock() - began_s == pytest.approx(3.0, abs=1e-6)
        assert image.facts.exposure_s is None

    play(tmp_path / "*.fits", body)


def test_after_the_last_file_the_camera_is_gone_until_connected_anew(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.fits", number)

    async def body(camera: Camera) -> None:
        for _ in range(2):
            assert [(await camera.expose()).data[0, 0] for _ in range(2)] == [0, 1]
            with pytest.raises(DeviceGone, match="all 2 frames"):
                await camera.expose()
            await camera.close()
            await camera.connect()

    play(tmp_path / "*.fits", body)


def test_stream_ends_with_the_last_file(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.fits", number)

    async def body(camera: Camera) -> None:
        async with aclosing(camera.stream()) as frames:
            assert [int(image.data[0, 0]) async for image in frames] == [0, 1, 2]

    play(tmp_path / "*.fits", body)


def test_loop_starts_over_and_numbers_on(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.fits", number)

    async def body(camera: Camera) -> None:
        images = [await camera.expose() for _ in range(5)]
        assert [int(image.data[0, 0]) for image in images] == [0, 1, 0, 1, 0]
        assert [image.facts.frame_seq for image in images] == [1, 2, 3, 4, 5]
        assert [image.header["FRAMESEQ"] for image in images] == [1, 2, 3, 4, 5]

    play(tmp_path / "*.fits", body, "?loop=1")


def test_cancelled_frame_comes_again(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.fits", number)

    async def body(camera: Camera) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await camera.expose()
        assert (await camera.expose()).data[0, 0] == 0

    play(tmp_path / "*.fits", body)


def test_broken_files_fail_one_by_one(tmp_path: Path) -> None:
    save(tmp_path / "b.fits", 1)
    whole = (tmp_path / "b.fits").read_bytes()
    (tmp_path / "a.fits").write_text("no FITS at all\n" * 300)
    (tmp_path / "c.fits").write_bytes(whole[:2880])
    (tmp_path / "d.fits").write_bytes(b"")
    save(tmp_path / "e.fits", 5)

    async def body(camera: Camera) -> None:
        assert camera.info.width_px == 8
        for name, value in (("a", None), ("b", 1), ("c", None), ("d", None), ("e", 5)):
            if value is None:
                with pytest.raises(ExposureFailed, match=f"{name}.fits"):
                    await camera.expose()
            else:
                assert (await camera.expose()).data[0, 0] == value

    play(tmp_path / "*.fits", body)


def test_no_match_names_the_pattern(tmp_path: Path) -> None:
    async def body(camera: Camera) -> None:
        raise AssertionError("connected to nothing")

    with pytest.raises(DeviceNotFound, match=r"no file matches .*x\*\.fits"):
        play(tmp_path / "x*.fits", body)
    (tmp_path / "x1.fits").write_text("no FITS")
    with pytest.raises(DeviceNotFound, match=r"no readable image among 1 files: .*x1\.fits"):
        play(tmp_path / "x*.fits", body)


def test_directory_means_its_fits_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.fits", 1)
    (tmp_path / "notes.txt").write_text("none of them")

    async def body(camera: Camera) -> None:
        assert (await camera.expose()).data[0, 0] == 1
        with pytest.raises(DeviceGone):
            await camera.expose()

    play(tmp_path, body)
    monkeypatch.chdir(tmp_path.parent)
    play(os.path.join(tmp_path.name, "*.fits"), body)  # a relative path, too


@pytest.mark.parametrize("url", ["replay://", "replay:///x.fits?speed=2", "replay:///x.fits?loop=yes"])
def test_bad_url(url: str) -> None:
    async def main() -> None:
        open_camera(url, DeviceContext())

    with pytest.raises(ConfigError):
        virtual_time.run(main())


def test_same_in_real_time(tmp_path: Path) -> None:
    save(tmp_path / "a.fits", 3, exposure_s=0.05)

    async def main() -> None:
        async with open_camera(f"replay://{tmp_path}") as camera:
            clock = asyncio.get_running_loop().time
            began_s = clock()
            assert (await camera.expose()).data[0, 0] == 3
            assert clock() - began_s >= 0.05

    asyncio.run(main())


def test_real_frames_keep_their_time_and_header(realdata: Path) -> None:
    paths = sorted((realdata / "hatp32").glob("*.fits.fz"))[:2]

    async def body(camera: Camera) -> None:
        clock = asyncio.get_running_loop().time
        for path in paths:
            image = await camera.expose()
            saved = Image.from_file(path)
            assert image.facts.start_loop_s is not None
            assert clock() - image.facts.start_loop_s == pytest.approx(saved.header["EXPTIME"], abs=1e-6)
            assert (image.data == saved.data).all()
            assert image.facts.start_utc == saved.facts.start_utc
            assert set(saved.header) <= set(image.header)

    play(realdata / "hatp32" / "*.fits.fz", body)
