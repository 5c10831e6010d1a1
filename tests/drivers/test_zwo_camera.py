"""ZWO cameras through the real driver: which one, what opening leaves alone, headers by model, rules, cooler."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asi import needs_compiler
from hypothesis import given
from hypothesis import strategies as st
from zwo_rig import SETTINGS, SHORT, Rig, with_zwo

from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.errors import (
    ConfigError,
    DeviceBusy,
    DeviceNotFound,
    DevicePermissionDenied,
    LibraryNotFound,
    Unsupported,
)
from acquisition.usb import UsbDevice, usb_devices, usbfs_memory_mb
from drivers.zwo import library
from drivers.zwo import sensor as zwo_sensor
from drivers.zwo.cooler import Ramp
from drivers.zwo.frame_check import FrameCheck, Verdict
from drivers.zwo.roi import allowed_roi

WHERE = {"XORGSUBF", "YORGSUBF", "DET-CPX1", "DET-CPX2"}
_ALWAYS = """
DATE-OBS DATE-BEG DATE-AVG DATE-END MJD-OBS MJD-AVG TIMESYS EXPTIME EXPOSURE XPOSURE TIMSYER INSTRUME CAMERAID XBINNING
YBINNING XPIXSZ YPIXSZ GAIN OFFSET EGAIN BITDEPTH DATAMAX CCD-TEMP ROWORDER READOUTM USBLIMIT FRAMESEQ NDROPPED DET-BIN1
DET-BIN2 DET-PIXL DET-GAIN DET-TEMP SWCREATE
"""
ALWAYS = set(_ALWAYS.split())
COOLED = {"SET-TEMP", "COOLPWR"}
ROLLING = {"LINETIME"}
COLOUR = {"BAYERPAT", "XBAYROFF", "YBAYROFF"}
# The sensor's name, read noise and full well are not in the library's answers; the rest is not the camera's to say.
_NEVER = """
DETECTOR RDNOISE DET-SATU IMAGETYP OBJECT FILTER OBSERVER TELESCOP FOCALLEN APTDIA SITELAT SITELONG SITEELEV LATITUDE
LONGITUD HEIGHT RA DEC OBJCTRA OBJCTDEC TEL-RA TEL-DEC AIRMASS CRVAL1
"""
NEVER = set(_NEVER.split())


@needs_compiler
@pytest.mark.parametrize(
    ("model", "also"),
    [
        ("ASI120MM Mini", set()),
        ("ASI178MM", ROLLING),
        ("ASI224MC", COLOUR | ROLLING),
        ("ASI1600MM Pro", COOLED | ROLLING),
    ],
)
def test_every_keyword_is_there_or_deliberately_absent(model: str, also: set[str]) -> None:
    async def body(rig: Rig) -> None:
        cooled = rig.camera.info.has_cooler
        asked = replace(SETTINGS, gain=20.0, offset=5.0, target_temp_c=10.0 if cooled else None)
        await rig.camera.configure(replace(asked, cooler_on=True if cooled else None))
        header = (await rig.camera.expose()).header
        expected = ALWAYS | WHERE | also
        assert [key for key in sorted(expected) if key not in header] == []
        assert [key for key in sorted(NEVER | COOLED | COLOUR | ROLLING) if key not in expected and key in header] == []
        depth = rig.camera.info.bit_depth
        assert header["INSTRUME"] == f"ZWO {model}"
        assert header["BITDEPTH"] == depth
        assert header["DATAMAX"] == (2**depth - 1) * 2 ** (16 - depth)
        assert header["GAIN"] == 20
        assert header["READOUTM"] == "RAW16"

    with_zwo(body, f"zwo://{model.replace(' ', '%20')}?emulate=1&pattern=1", settings=None)


@needs_compiler
def test_electrons_per_adu_follow_gain_bits_and_binning() -> None:
    async def body(rig: Rig) -> None:
        async def egain(**change: Any) -> float:
            await rig.camera.configure(replace(SETTINGS, roi=None, **change))
            value = (await rig.camera.expose()).facts.egain_e_per_adu
            assert value is not None
            return value

        assert await egain(gain=0.0) == pytest.approx(0.9 / 4)  # 14 bits, left-aligned in 16
        assert await egain(gain=200.0) == pytest.approx(0.09 / 4)
        assert await egain(gain=0.0, binning=2) == pytest.approx(0.9)  # the mean of four
        assert await egain(gain=0.0, bits=8) == pytest.approx(0.9 * 64)

    with_zwo(body)


@needs_compiler
def test_binned_colour_keeps_its_pattern_unless_mono_bin_is_on() -> None:
    for option, there in (("", True), ("&mono_bin=1", False)):

        async def body(rig: Rig, there: bool = there) -> None:
            header = (await rig.camera.expose()).header
            assert ("BAYERPAT" in header) == there

        with_zwo(body, f"zwo://ASI224MC?emulate=1{option}", settings=CameraSettings(0.01, binning=2))


@needs_compiler
def test_opening_and_closing_change_nothing() -> None:
    async def body(rig: Rig) -> None:
        before = [rig.fake.value(control) for control in range(29)]
        await rig.camera.close()
        assert not rig.fake.is_open()
        await rig.camera.connect()
        assert [rig.fake.value(control) for control in range(29)] == before
        assert before[17] == 0  # the cooler
        assert not rig.fake.dark_subtraction()

    with_zwo(body, "zwo://ASI1600MM%20Pro?emulate=1", settings=None)


@needs_compiler
def test_cameras_are_told_apart() -> None:
    async def main() -> None:
        context = DeviceContext()
        first = open_camera("zwo://ASI178MM?emulate=1&serial=0a01", context)
        second = open_camera("zwo://ASI178MM?emulate=1&serial=0a02&id=guider", context)
        async with first, second:
            assert first.info.camera_id.endswith("0a01")
            assert second.info.camera_id.endswith("0a02")
            with pytest.raises(DeviceBusy, match="open already"):
                await open_camera("zwo://ASI178MM?emulate=1&serial=0a02&id=guider&index=1", context).connect()
        with pytest.raises(DeviceNotFound, match=r"no ASI178MM .index 5. is attached; there are: ZWO ASI178MM"):
            await open_camera("zwo://ASI178MM?emulate=1&index=5", context).connect()

    asyncio.run(main())


@needs_compiler
def test_two_of_a_kind_need_a_name() -> None:
    async def body(rig: Rig) -> None:
        await rig.camera.close()
        rig.fake.attach("ZWO ASI178MM", "0b")
        with pytest.raises(DeviceNotFound, match=r"more than one ASI178MM is attached.*name one by serial="):
            await open_camera("zwo://ASI178MM?emulate=1&ramp=5", rig.context).connect()
        await rig.camera.connect()  # which knows its serial number by now

    with_zwo(body)


@needs_compiler
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("zwo://ASI9999?emulate=1", "no emulated camera 'ZWO ASI9999'.*there are: ZWO ASI120MM Mini"),
        ("zwo://?emulate=1&serial=xyz", "non-hexadecimal"),
        ("zwo://?emulate=2", "allowed: 0 to 1"),
        ("zwo://?speed=2", "unknown option 'speed'"),
        ("zwo://?emulate=1&bandwidth=high", "bandwidth is 'high'.*whole number"),
        ("zwo:///dev/video0", "has a path"),
    ],
)
def test_wrong_urls_are_explained(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asyncio.run(_open(url))


async def _open(url: str) -> None:
    open_camera(url, DeviceContext())


@needs_compiler
def test_a_control_that_the_camera_lacks_is_named() -> None:
    async def body(rig: Rig) -> None:
        with pytest.raises(Unsupported, match=r"no control mono_bin; it has .*bandwidth"):
            await rig.camera.configure(SETTINGS)

    with_zwo(body, "zwo://ASI178MM?emulate=1&mono_bin=1", settings=None)


@needs_compiler
def test_usb2_begins_with_little_bandwidth_unless_told() -> None:
    for option, limit in (("", 40), ("&bandwidth=75", 75)):

        async def body(rig: Rig, limit: int = limit) -> None:
            assert (await rig.camera.expose()).facts.usb_limit == limit

        with_zwo(body, f"zwo://ASI120MM%20Mini?emulate=1&pattern=1{option}")


@needs_compiler
def test_the_cooler_ramps_down_and_up_again() -> None:
    async def body(rig: Rig) -> None:
        target, cooler, seen = 16, 17, []

        async def watch() -> None:
            await rig.camera.status()
            if seen[-1:] != [rig.fake.value(target)]:
                seen.append(rig.fake.value(target))

        accepted = await rig.camera.configure(replace(SETTINGS, target_temp_c=2.4, cooler_on=True))
        assert (accepted.settings.target_temp_c, accepted.settings.cooler_on) == (2.0, True)
        assert rig.fake.value(cooler) == 1
        while rig.fake.value(target) != 2:
            await watch()
        assert len(seen) > 5
        assert seen == sorted(seen, reverse=True)
        status = await rig.camera.status()
        assert status.ccd_temp_c is not None
        assert status.ccd_temp_c < 12
        assert status.cooler_power_percent
        accepted = await rig.camera.configure(replace(SETTINGS, cooler_on=False))
        assert accepted.settings.cooler_on is False
        assert rig.fake.value(cooler) == 1  # until it is warm
        seen.clear()
        await until_async(watch, lambda: rig.fake.value(cooler) == 0)
        assert seen == sorted(seen)
        assert len(seen) > 5

    with_zwo(body, "zwo://ASI1600MM%20Pro?emulate=1&speed=100&ramp=30")


async def until_async(watch: Any, happened: Any) -> None:
    deadline_s = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline_s
        await watch()


@given(
    start=st.floats(-30, 30),
    goal=st.integers(-30, 30),
    rate=st.floats(0.5, 20),
    times=st.lists(st.floats(0, 1e4), min_size=2),
)
def test_a_ramp_goes_one_way_and_not_too_fast(start: float, goal: int, rate: float, times: list[float]) -> None:
    ramp = Ramp(start, goal, 0.0, rate)
    points = [ramp.setpoint_c(time_s) for time_s in sorted(times)]
    assert abs(goal - start) < 1 or points == sorted(points, reverse=goal < start)
    for time_s, point in zip(sorted(times), points, strict=True):
        assert min(start, goal) - 1 <= point <= max(start, goal) + 1
        assert abs(point - start) <= rate / 60 * time_s + 1 or point == goal
    assert ramp.setpoint_c(1e9) == goal


@needs_compiler
@pytest.mark.parametrize("model", ["ASI120MM Mini", "ASI178MM"])
def test_every_region_inside_the_detector_is_made_acceptable(model: str) -> None:
    random = np.random.default_rng(1)

    async def body(rig: Rig) -> None:
        info = rig.camera.info
        for _ in range(60):
            binning = int(random.choice(info.binnings))
            width, height = info.width_px // binning, info.height_px // binning
            x, y = int(random.integers(width - 128)), int(random.integers(height - 256))
            roi = Roi(x, y, int(random.integers(64, width - x + 1)), int(random.integers(256, height - y + 1)))
            accepted = await rig.camera.configure(CameraSettings(0.01, roi=roi, binning=binning))
            now = accepted.settings.roi
            assert now is not None
            assert (now.x, now.y) == (roi.x, roi.y)
            assert roi.width - 8 < now.width <= roi.width
            assert now.height <= roi.height

    with_zwo(body, f"zwo://{model.replace(' ', '%20')}?emulate=1&pattern=1", settings=None)


def test_a_region_too_small_for_the_library_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: at least 8x128 binned px"):
        allowed_roi(Roi(0, 0, 8, 100), 1280, 960, 1, "ZWO ASI120MM Mini")


def test_quiet_frames_are_never_taken_for_duplicates() -> None:
    random = np.random.default_rng(1)
    quiet = (lambda: np.zeros((64, 640), np.uint16), lambda: (random.random((64, 640)) < 0.02).astype(np.uint8))
    for make in quiet:
        check = FrameCheck()
        for _ in range(20):
            frame = make()
            check.prepare(frame.copy())
            assert check.judge(frame) is Verdict.GOOD


def test_a_check_that_is_wrong_all_the_time_gives_up() -> None:
    frame = np.random.default_rng(1).integers(0, 4096, (64, 640)).astype(np.uint16)
    check = FrameCheck()
    verdicts = [check.judge(frame) for _ in range(15)]
    assert verdicts[:11] == [Verdict.GOOD, *[Verdict.DUPLICATE] * 9, Verdict.GOOD]
    assert check.gave_up


@needs_compiler
def test_electrons_per_adu_agree_with_the_noise() -> None:
    """Photon transfer over the emulated sky: the variance of a flat background against its mean."""

    async def body(rig: Rig) -> None:
        await rig.camera.configure(CameraSettings(0.05, gain=50.0, offset=8.0, roi=Roi(256, 256, 512, 512)))
        means, variances = [], []
        for exposure_s in (0.05, 1.5):
            await rig.camera.configure(replace(rig.camera.settings, exposure_s=exposure_s))
            first, second = [(await rig.camera.expose()).data.astype(float) for _ in range(2)]
            quiet = np.abs(first - np.median(first)) < 4 * first.std()
            dark = first < np.percentile(first[quiet], 99.5)
            means.append(((first + second) / 2)[dark].mean())
            variances.append((first - second)[dark].var() / 2)
        egain = (await rig.camera.expose()).facts.egain_e_per_adu
        measured = (means[1] - means[0]) / (variances[1] - variances[0])
        assert measured == pytest.approx(egain, rel=0.2)

    with_zwo(body, "zwo://ASI120MM%20Mini?emulate=1", settings=None, deadlines=replace(SHORT, read_s=5.0))


# --- the library and the machine ---


@needs_compiler
def test_another_library_is_taken_from_url_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(rig: Rig) -> None:
        await rig.camera.close()
        path = str(rig.fake.path)
        async with open_camera(f"zwo://?sdk_library={path}", DeviceContext()) as camera:
            assert camera.info.name == "ZWO ASI178MM"
        monkeypatch.setenv(library.ENVIRONMENT, path)
        assert library.load(None) is library.load(path)
        await rig.camera.connect()

    with_zwo(body)


def test_what_is_no_library_is_said(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="cannot be loaded"):
        library.load(str(tmp_path / "libASICamera2.so"))


@needs_compiler
def test_without_libusb_the_package_is_named(tmp_path: Path) -> None:
    """A library that needs libusb, on a machine that has none."""
    cc = shutil.which("cc") or "gcc"
    (tmp_path / "empty.c").write_text("int nothing(void) { return 0; }\n")
    usb = tmp_path / "libusb-1.0.so.0-missing"
    made = tmp_path / "libASICamera2.so"
    build = [cc, "-shared", "-fPIC", str(tmp_path / "empty.c"), "-Wl,--no-as-needed"]
    subprocess.run([*build, "-Wl,-soname,libusb-1.0-nowhere.so.0", "-o", str(usb)], check=True)
    subprocess.run([*build, str(usb), "-o", str(made)], check=True)
    usb.unlink()
    with pytest.raises(LibraryNotFound, match=r"needs libusb, which is not installed: apt install libusb-1.0-0"):
        library.load(str(made))


def test_a_library_that_is_not_zwos_is_said(tmp_path: Path) -> None:
    import math

    with pytest.raises(LibraryNotFound, match="is not ZWO's, or too old"):
        library.load(math.__file__)


def test_the_real_library_without_a_camera() -> None:
    try:
        sdk = zwo_sensor.Sdk(library.load(None))
    except LibraryNotFound as error:
        pytest.skip(str(error))
    if sdk.attached():
        pytest.skip("a camera is attached")
    with pytest.raises(DeviceNotFound, match="no ZWO camera is attached; there are: none"):
        zwo_sensor.ZwoSensor(lambda: sdk, zwo_sensor.Wanted()).open()


@needs_compiler
def test_a_device_node_without_permission_names_the_udev_step(monkeypatch: pytest.MonkeyPatch) -> None:
    node = UsbDevice("03c3", "120d", "ASI120MM Mini", Path("/dev/bus/usb/001/099"))
    monkeypatch.setattr(zwo_sensor, "usb_devices", lambda vendor: [node])

    async def body(rig: Rig) -> None:
        await rig.camera.close()
        rig.fake.refuse("ASIOpenCamera", 5)
        with pytest.raises(DevicePermissionDenied, match=r"001/099 may not be opened.*starlatch doctor --install-udev"):
            await rig.camera.connect()
        await rig.camera.connect()

    with_zwo(body)


def test_what_the_kernel_says_about_usb(tmp_path: Path) -> None:
    memory = tmp_path / "usbfs_memory_mb"
    assert usbfs_memory_mb(memory) is None
    memory.write_text("16\n")
    assert usbfs_memory_mb(memory) == 16
    place = tmp_path / "devices" / "1-2"
    place.mkdir(parents=True)
    for name, text in (("idVendor", "03c3"), ("idProduct", "120d"), ("busnum", "1"), ("devnum", "7"), ("product", "A")):
        (place / name).write_text(text + "\n")
    (found,) = usb_devices("03c3", tmp_path / "devices", tmp_path)
    assert found.node == tmp_path / "001" / "007"
    assert not found.may_be_opened
    assert usb_devices("dead", tmp_path / "devices") == usb_devices("03c3", tmp_path / "nowhere") == []
