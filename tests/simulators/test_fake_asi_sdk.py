"""The fake camera library under pyzwoasi's own functions: interface, frames, states, faults."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asi import needs_compiler

from drivers.zwo.library import load
from simulators.asi_sdk import FakeSdk, Fault, Stamp, build, read_stamp

pytestmark = needs_compiler

NAMES = """
CameraCheck CloseCamera DisableDarkSubtract EnableDarkSubtract EnableDebugLog GPSGetData GetCameraMode GetCameraProperty
GetCameraPropertyByID GetCameraSupportMode GetControlCaps GetControlValue GetDataAfterExp GetDataAfterExpGPS
GetDebugLogIsEnabled GetDebugLogPath GetDroppedFrames GetExpStatus GetGainOffset GetID GetLMHGainOffset
GetNumOfConnectedCameras GetNumOfControls GetProductIDs GetROIFormat GetSDKVersion GetSerialNumber GetStartPos
GetTriggerOutputIOConf GetVideoData GetVideoDataGPS InitCamera OpenCamera PulseGuideOff PulseGuideOn SendSoftTrigger
SetCameraMode SetControlValue SetID SetROIFormat SetStartPos SetTriggerOutputIOConf StartExposure StartVideoCapture
StopExposure StopVideoCapture
"""
FUNCTIONS = NAMES.split()


class Rig:
    """A fake with one opened camera, 640x480 px in 16 bits, 10 ms exposures."""

    def __init__(self, model: str = "ZWO ASI178MM") -> None:
        self.fake = FakeSdk()
        self.fake.attach(model, serial="1f0a", flash_id="guide")
        self.sdk: Any = load(str(self.fake.path))
        self.sdk.openCamera(0)
        self.sdk.initCamera(0)
        self.sdk.setROIFormat(0, 640, 480, 1, 2)

    def snap(self) -> Stamp | None:
        self.sdk.startExposure(0, False)
        return self.finish()

    def finish(self) -> Stamp | None:
        deadline_s = time.monotonic() + 10
        while self.sdk.getExpStatus(0) == 1:
            assert time.monotonic() < deadline_s
            time.sleep(0.001)
        return read_stamp(np.frombuffer(self.sdk.getDataAfterExp(0, 614400), np.uint16))

    def video(self, wait_ms: int = 1000) -> Stamp | None:
        return read_stamp(np.frombuffer(self.sdk.getVideoData(0, 614400, wait_ms), np.uint16))


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.fake.release()


def test_it_exports_what_the_library_exports(rig: Rig) -> None:
    library = ctypes.CDLL(str(rig.fake.path))
    assert len(FUNCTIONS) == 46
    for name in FUNCTIONS:
        assert getattr(library, f"ASI{name}")
    real = Path(rig.sdk.__file__).parent / "lib/Linux/x64/libASICamera2.so.1.41"
    if real.exists():  # and what it does not export, the real one does not either
        assert set(re.findall(rb"\x00(ASI[A-Z]\w+)(?=\x00)", real.read_bytes())) >= {
            b"ASI" + f.encode() for f in FUNCTIONS
        }


def test_two_fakes_share_nothing() -> None:
    first, second = Rig(), Rig("ZWO ASI224MC")
    first.sdk.setControlValue(0, 0, 100, False)
    assert (first.fake.value(0), second.fake.value(0)) == (100, 0)
    assert second.sdk.getCameraProperty(0).IsColorCam == 1


def test_the_rules_of_the_library(rig: Rig) -> None:
    sdk = rig.sdk
    assert sdk.getNumOfConnectedCameras() == 1
    assert sdk.getSerialNumber(0) == "0000000000001F0A"
    for shape in ((636, 480), (640, 481), (4000, 480)):
        with pytest.raises(sdk.ASIError, match="INVALID_SIZE"):
            sdk.setROIFormat(0, *shape, 1, 2)
    sdk.setStartPos(0, 8, 2)
    assert sdk.getStartPos(0) == (8, 2)
    sdk.setROIFormat(0, 640, 480, 1, 2)
    assert sdk.getStartPos(0) == ((3096 - 640) // 2, (2080 - 480) // 2)
    sdk.setControlValue(0, 0, 10_000, False)
    assert sdk.getControlValue(0, 0) == (510, False)
    sdk.startVideoCapture(0)
    with pytest.raises(sdk.ASIError, match="VIDEO_MODE_ACTIVE"):
        sdk.startExposure(0, False)
    sdk.stopVideoCapture(0)
    with pytest.raises(sdk.ASIError, match="INVALID_ID"):
        sdk.openCamera(3)


def test_frames_carry_number_start_and_checksum(rig: Rig) -> None:
    before_ns = time.time_ns()
    stamps = [rig.snap() for _ in range(3)]
    assert [stamp and stamp.number for stamp in stamps] == [1, 2, 3]
    assert all(stamp is not None and stamp.whole for stamp in stamps)
    assert stamps[0] is not None
    assert before_ns < stamps[0].start_utc_ns < time.time_ns() - 30_000_000
    rig.sdk.startVideoCapture(0)
    assert [stamp and stamp.number for stamp in (rig.video(), rig.video())] == [4, 5]


def test_a_frame_changed_in_one_pixel_is_not_whole(rig: Rig) -> None:
    rig.sdk.startExposure(0, False)
    time.sleep(0.03)
    pixels = np.frombuffer(rig.sdk.getDataAfterExp(0, 614400), np.uint16).copy()
    stamp = read_stamp(pixels)
    assert stamp is not None
    assert stamp.whole
    pixels[-1] ^= 16
    stamp = read_stamp(pixels)
    assert stamp is not None
    assert not stamp.whole


def test_time_runs_faster(rig: Rig) -> None:
    rig.fake.set_speed(1e6)
    rig.sdk.setControlValue(0, 1, 1_000_000_000, False)
    began_s = time.monotonic()
    assert rig.snap() is not None
    assert time.monotonic() - began_s < 2


def test_faults_of_snaps(rig: Rig) -> None:
    rig.snap()
    rig.fake.inject(Fault.FAIL)
    rig.sdk.startExposure(0, False)
    time.sleep(0.03)
    assert rig.sdk.getExpStatus(0) == 3
    rig.fake.inject(Fault.DUPLICATE)
    stamp = rig.snap()
    assert stamp is not None
    assert stamp.number == 1
    rig.fake.inject(Fault.TORN)
    stamp = rig.snap()
    assert stamp is not None
    assert not stamp.whole
    rig.fake.inject(Fault.NEVER)
    rig.sdk.startExposure(0, False)
    time.sleep(0.05)
    assert rig.sdk.getExpStatus(0) == 1
    rig.sdk.stopExposure(0)
    for fault in (Fault.FAIL, Fault.DUPLICATE, Fault.TORN, Fault.NEVER):
        assert rig.fake.happened(fault) == 1


def test_video_drops_what_nobody_fetches(rig: Rig) -> None:
    rig.sdk.startVideoCapture(0)
    time.sleep(0.1)
    stamp = rig.video()
    assert stamp is not None
    assert stamp.number > 3
    assert rig.sdk.getDroppedFrames(0) == stamp.number - 1


def test_unplugged_and_usbfs(rig: Rig) -> None:
    rig.fake.set_usbfs_mb(0.5)
    rig.sdk.startExposure(0, False)
    time.sleep(0.03)
    assert rig.sdk.getExpStatus(0) == 3
    rig.fake.plug(0, False)
    assert rig.sdk.getNumOfConnectedCameras() == 0
    with pytest.raises(rig.sdk.ASIError, match="CAMERA_REMOVED"):
        rig.sdk.getExpStatus(0)


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    with pytest.raises(build.LibraryNotFound, match="needs a C compiler: apt install gcc"):
        build.fake_library()


def test_it_compiles_without_a_warning() -> None:
    source = Path(build.__file__).with_name("fake_asi_sdk.c")
    command = [shutil.which("cc") or "gcc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(source)]
    subprocess.run(command, check=True, timeout=60)
