"""What every `Camera` does, whoever made it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from implementations import CameraCase

from acquisition.camera import Camera, CameraSettings, CameraStatus, FrameTruth, Roi, frame_shape
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone
from acquisition.images import Image
from acquisition.virtual_time import utc_now

FACTS = [
    "start_utc",
    "exposure_s",
    "start_uncertainty_s",
    "start_loop_s",
    "instrument",
    "camera_id",
    "x_binning",
    "y_binning",
    "x_pixel_size_um",
    "y_pixel_size_um",
    "x_origin_px",
    "y_origin_px",
    "egain_e_per_adu",
    "bit_depth",
    "data_max_adu",
    "row_order",
    "frame_seq",
    "n_dropped",
    "software",
]
KEYWORDS = [
    "DATE-OBS",
    "DATE-BEG",
    "DATE-AVG",
    "DATE-END",
    "MJD-OBS",
    "MJD-AVG",
    "TIMESYS",
    "EXPTIME",
    "EXPOSURE",
    "XPOSURE",
    "TIMSYER",
    "INSTRUME",
    "CAMERAID",
    "XBINNING",
    "YBINNING",
    "XPIXSZ",
    "YPIXSZ",
    "XORGSUBF",
    "YORGSUBF",
    "EGAIN",
    "BITDEPTH",
    "DATAMAX",
    "ROWORDER",
    "FRAMESEQ",
    "NDROPPED",
    "DET-BIN1",
    "DET-BIN2",
    "DET-PIXL",
    "DET-GAIN",
    "DET-CPX1",
    "DET-CPX2",
    "SWCREATE",
]

Body = Callable[[Camera], Awaitable[None]]


@pytest.fixture
def on_camera(camera_case: CameraCase, tmp_path: Path) -> Callable[[Body], None]:
    """Run a test's body with a connected camera that is set to a short exposure."""

    async def main(body: Body) -> None:
        async with camera_case.open(tmp_path) as camera:
            await camera.configure(CameraSettings(exposure_s=camera_case.exposure_s))
            await body(camera)

    return lambda body: camera_case.run(main(body))


async def expose_long(camera: Camera, case: CameraCase) -> asyncio.Task[Image]:
    """A long exposure that has begun."""
    await camera.configure(replace(camera.settings, exposure_s=case.long_s))
    task = asyncio.ensure_future(camera.expose())
    await asyncio.sleep(0.05)
    assert not task.done()
    return task


def test_keeps_to_the_protocol(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        assert isinstance(camera, Camera)

    on_camera(body)


def test_nothing_works_before_connect_and_after_close(camera_case: CameraCase, tmp_path: Path) -> None:
    async def refused(camera: Camera) -> None:
        with pytest.raises(DeviceError):
            _ = camera.info
        for attempt in (camera.expose, camera.status, lambda: camera.configure(CameraSettings())):
            with pytest.raises(DeviceError):
                await attempt()

    async def main() -> None:
        camera = camera_case.open(tmp_path)
        await refused(camera)
        await camera.connect()
        assert camera.info.width_px > 0
        await camera.close()
        await refused(camera)

    camera_case.run(main())


def test_connect_and_close_nest(camera_case: CameraCase, tmp_path: Path) -> None:
    async def main() -> None:
        camera = camera_case.open(tmp_path)
        await camera.close()
        await asyncio.gather(camera.connect(), camera.connect())
        await camera.close()
        assert camera.info.height_px > 0
        await camera.configure(CameraSettings(exposure_s=camera_case.exposure_s))
        assert (await camera.expose()).data.ndim == 2
        await camera.close()
        with pytest.raises(DeviceError):
            _ = camera.info
        await camera.close()
        async with camera, camera:
            assert camera.info.height_px > 0
        with pytest.raises(DeviceError):
            _ = camera.info

    camera_case.run(main())


def test_info_makes_sense(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        info = camera.info
        assert info.name
        assert info.camera_id
        assert 1 in info.binnings
        assert set(info.bits) <= {8, 16}
        assert info.pixel_size_um is None or 0.5 < info.pixel_size_um < 100
        assert 1 <= info.bit_depth <= 16
        shortest, longest = info.exposure_range_s
        assert 0 <= shortest < longest

    on_camera(body)


def test_accepted_settings_come_back_and_are_in_force(
    on_camera: Callable[[Body], None], camera_case: CameraCase
) -> None:
    async def body(camera: Camera) -> None:
        accepted = await camera.configure(replace(camera.settings, exposure_s=2 * camera_case.exposure_s))
        assert accepted.settings == camera.settings
        if camera_case.settable:
            assert accepted.adjustments == ()
            assert camera.settings.exposure_s == pytest.approx(2 * camera_case.exposure_s, rel=0.01)
        facts = (await camera.expose()).facts
        assert facts.exposure_s == camera.settings.exposure_s
        assert facts.gain == camera.settings.gain
        assert facts.offset == camera.settings.offset

    on_camera(body)


def test_clamped_settings_are_told(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        if camera.info.gain_range is None:
            return
        highest = camera.info.gain_range[1]
        accepted = await camera.configure(replace(camera.settings, gain=highest + 1000))
        assert [(a.name, a.requested, a.accepted) for a in accepted.adjustments] == [("gain", highest + 1000, highest)]
        assert camera.settings.gain == highest

    on_camera(body)


def test_a_setting_that_is_none_stays_as_it_is(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        if camera.info.gain_range is None:
            return
        low, high = camera.info.gain_range
        await camera.configure(replace(camera.settings, gain=round((low + high) / 3)))
        before = camera.settings
        accepted = await camera.configure(CameraSettings(exposure_s=before.exposure_s))
        assert accepted.settings.gain == before.gain
        assert accepted.settings.offset == before.offset
        assert accepted.adjustments == ()

    on_camera(body)


@pytest.mark.parametrize(
    "change",
    [
        {"exposure_s": -1.0},
        {"exposure_s": math.nan},
        {"exposure_s": math.inf},
        {"gain": math.nan},
        {"binning": 7},
        {"binning": 0},
        {"bits": 12},
        {"roi": Roi(0, 0, 100_000, 8)},
        {"roi": Roi(-8, 0, 8, 8)},
        {"roi": Roi(0, 0, 0, 8)},
    ],
    ids=str,
)
def test_impossible_settings_are_refused_and_change_nothing(
    on_camera: Callable[[Body], None], change: dict[str, object]
) -> None:
    async def body(camera: Camera) -> None:
        before = camera.settings
        with pytest.raises(ValueError, match=r"allowed"):
            await camera.configure(replace(before, **{"gain": before.gain and before.gain + 1, **change}))
        assert camera.settings == before
        image = await camera.expose()
        assert image.data.shape == frame_shape(before, camera.info)
        assert image.facts.gain == before.gain

    on_camera(body)


def test_shape_and_type_follow_roi_binning_and_bits(on_camera: Callable[[Body], None], camera_case: CameraCase) -> None:
    async def body(camera: Camera) -> None:
        info = camera.info
        for binning in info.binnings:
            for bits in info.bits:
                for roi in (None, Roi(8, 4, 64, 32)):
                    asked = CameraSettings(exposure_s=camera_case.exposure_s, binning=binning, bits=bits, roi=roi)
                    accepted = await camera.configure(asked)
                    if camera_case.settable:
                        assert accepted.adjustments == ()
                    image = await camera.expose()
                    assert image.data.shape == frame_shape(accepted.settings, info)
                    assert image.data.dtype == (np.uint8 if accepted.settings.bits == 8 else np.uint16)
                    assert image.facts.x_binning == image.facts.y_binning == accepted.settings.binning
                    where = accepted.settings.roi or Roi(0, 0, 0, 0)
                    assert (image.facts.x_origin_px, image.facts.y_origin_px) == (where.x, where.y)
                    if info.pixel_size_um is not None:
                        assert image.facts.x_pixel_size_um == pytest.approx(info.pixel_size_um * binning)
                if not camera_case.settable:
                    return

    on_camera(body)


def test_facts_and_header_are_complete(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        image = await camera.expose()
        assert [name for name in FACTS if getattr(image.facts, name) is None] == []
        assert [keyword for keyword in KEYWORDS if keyword not in image.header] == []
        assert "BAYERPAT" not in image.header or camera.info.bayer_pattern is not None
        assert image.header["NAXIS1"] == image.data.shape[1]
        assert image.header["NAXIS2"] == image.data.shape[0]
        again = Image.from_bytes(image.to_bytes())
        assert replace(again.facts, start_loop_s=image.facts.start_loop_s) == image.facts
        assert (again.data == image.data).all()

    on_camera(body)


def test_start_is_stamped_before_the_exposure(on_camera: Callable[[Body], None], camera_case: CameraCase) -> None:
    async def body(camera: Camera) -> None:
        clock = asyncio.get_running_loop().time
        before_s, before_utc = clock(), utc_now()
        facts = (await camera.expose()).facts
        after_s, after_utc = clock(), utc_now()
        assert facts.start_loop_s is not None
        assert facts.exposure_s is not None
        assert before_s <= facts.start_loop_s <= after_s - facts.exposure_s + 1e-6
        if camera_case.settable:  # otherwise UTC is that of the file
            assert facts.start_utc is not None
            assert before_utc <= facts.start_utc
            assert (after_utc - facts.start_utc).total_seconds() >= facts.exposure_s - 1e-6
            assert facts.start_uncertainty_s is not None
            assert 0 <= facts.start_uncertainty_s < 2.0

    on_camera(body)


def test_frames_are_numbered(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        numbers = [(await camera.expose()).facts.frame_seq for _ in range(3)]
        assert numbers == sorted(set(numbers))

    on_camera(body)


def test_pixels_are_read_only_and_raw_is_data(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        image = await camera.expose()
        assert image.raw is image.data
        with pytest.raises(ValueError, match="read-only"):
            image.data[0, 0] = 1

    on_camera(body)


def test_a_frame_that_is_held_is_not_overwritten(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        first = await camera.expose()
        pixels = first.data.copy()
        for _ in range(4):
            await camera.expose()
        assert (first.data == pixels).all()

    on_camera(body)


def test_cancelling_ends_the_exposure_and_the_camera_goes_on(
    on_camera: Callable[[Body], None], camera_case: CameraCase
) -> None:
    async def body(camera: Camera) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        for _ in range(2):
            exposing = await expose_long(camera, camera_case)
            exposing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await exposing
        assert clock() - began_s < 5.0
        await camera.configure(replace(camera.settings, exposure_s=camera_case.exposure_s))
        assert (await camera.expose()).data.ndim == 2

    on_camera(body)


def test_one_exposure_at_a_time(on_camera: Callable[[Body], None], camera_case: CameraCase) -> None:
    async def body(camera: Camera) -> None:
        exposing = await expose_long(camera, camera_case)
        with pytest.raises(DeviceBusy):
            await camera.expose()
        assert not exposing.done()
        exposing.cancel()
        await asyncio.wait([exposing])

    on_camera(body)


def test_status_answers_during_an_exposure(on_camera: Callable[[Body], None], camera_case: CameraCase) -> None:
    async def body(camera: Camera) -> None:
        exposing = await expose_long(camera, camera_case)
        status = await camera.status()
        assert not exposing.done()
        assert isinstance(status, CameraStatus)
        assert status.ccd_temp_c is None or -100 < status.ccd_temp_c < 100
        assert status.n_dropped >= 0
        exposing.cancel()
        await asyncio.wait([exposing])

    on_camera(body)


def test_stream_numbers_frames_and_can_be_left(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        for _ in range(2):
            numbers = []
            async with aclosing(camera.stream()) as frames:
                async for image in frames:
                    assert image.data.shape == frame_shape(camera.settings, camera.info)
                    assert image.facts.start_loop_s is not None
                    numbers.append(image.facts.frame_seq)
                    if len(numbers) == 3:
                        break
            assert numbers == sorted(set(numbers))
        assert (await camera.expose()).facts.frame_seq > numbers[-1]

    on_camera(body)


def test_cancelled_stream_leaves_the_camera_usable(on_camera: Callable[[Body], None], camera_case: CameraCase) -> None:
    async def body(camera: Camera) -> None:
        async def watch() -> None:
            async with aclosing(camera.stream()) as frames:
                async for _ in frames:
                    pass

        await camera.configure(replace(camera.settings, exposure_s=camera_case.long_s))
        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0.05)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await camera.configure(replace(camera.settings, exposure_s=camera_case.exposure_s))
        assert (await camera.expose()).data.ndim == 2

    on_camera(body)


def test_close_ends_a_running_exposure(camera_case: CameraCase, tmp_path: Path) -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().time
        camera = camera_case.open(tmp_path)
        await camera.connect()
        exposing = await expose_long(camera, camera_case)
        began_s = clock()
        await camera.close()
        with pytest.raises(DeviceGone):
            await exposing
        assert clock() - began_s < 5.0
        async with camera:
            await camera.configure(CameraSettings(exposure_s=camera_case.exposure_s))
            assert (await camera.expose()).data.ndim == 2

    camera_case.run(main())


def test_truth_is_known_of_own_frames_or_not_at_all(on_camera: Callable[[Body], None]) -> None:
    async def body(camera: Camera) -> None:
        image = await camera.expose()
        truth = camera.truth(image)
        assert truth is None or isinstance(truth, FrameTruth)
        assert camera.truth(Image(np.zeros((4, 4)))) is None

    on_camera(body)
