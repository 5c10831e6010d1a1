"""The exposure daemon: well exposed, whatever camera, disk, config and clock do. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sky_camera import BIAS, INFO, SATURATION, SkyCamera

from acquisition import virtual_time
from acquisition.camera import CameraSettings
from acquisition.errors import ConfigError, DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, ExposureFailed
from acquisition.exposure.report import FrameReport
from acquisition.exposure.service import ExposureService, Wishes
from acquisition.exposure.systemd import ServiceManager
from acquisition.exposure.table import ExposureTable
from acquisition.images import Image

TARGET = 0.4
TEN_SECONDS = TARGET * (SATURATION - BIAS) / 10.0
"""ADU/s of a sky that wants exposures of 10 s."""


def wishes(**table: Any) -> Wishes:
    exposure_s = table.pop("exposure_s", 1.0)
    values = {"law": "background", "parameters": {"target": TARGET}, "bias_adu": BIAS, "max_step": 1000.0} | table
    return Wishes("sky://", CameraSettings(exposure_s=exposure_s), ExposureTable(**values))


@dataclass
class Night:
    """A service over a camera, and what it reported."""

    camera: SkyCamera
    wishes: Wishes = field(default_factory=wishes)
    read: Callable[[], Wishes] | None = None
    reports: Any = field(default_factory=list)
    service: ExposureService = field(init=False)

    async def run(self, n_frames: int | None = None, *, once: bool = False, meanwhile: Any = None) -> None:
        """To the end, or until `meanwhile`, a coroutine function that gets the night, is done."""
        async with self.camera:
            read = self.read or (lambda: self.wishes)
            self.service = ExposureService(self.camera, self.wishes, read, self.reports.append)
            running = asyncio.create_task(self.service.run(n_frames, once=once))
            if meanwhile is not None:
                await meanwhile(self)
                running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    @property
    def levels(self) -> list[float]:
        return [report.decision.level for report in self.reports]


def steady(adu_per_s: float = TEN_SECONDS, fault: Any = lambda number: None) -> SkyCamera:
    return SkyCamera(lambda _: adu_per_s, fault)


def at(numbers: dict[int, BaseException]) -> Callable[[int], BaseException | None]:
    return numbers.get


@pytest.mark.parametrize("start_s", [0.1, 1.0, 10.0, 290.0])
def test_the_camera_is_set_before_the_next_frame_and_never_within_one(start_s: float) -> None:
    night = Night(steady(), wishes(exposure_s=start_s, max_s=300.0))
    virtual_time.run(night.run(8))  # the camera raises DeviceBusy when it is set within an exposure
    asked = [report.decision.exposure_s for report in night.reports]
    assert night.camera.exposures == pytest.approx([start_s, *asked[:-1]])
    assert night.reports[-1].on_target
    assert night.service.status.failures == 0


def test_a_camera_that_is_on_target_is_left_alone() -> None:
    night = Night(steady(), wishes(exposure_s=10.0))
    virtual_time.run(night.run(10))
    assert len(night.camera.configured) == 1


def test_first_exposure_and_limits_are_drawn_into_what_the_camera_can() -> None:
    night = Night(steady(1.0), wishes(exposure_s=1000.0, max_s=1e4))
    virtual_time.run(night.run(3))
    assert max(night.camera.exposures) == INFO.exposure_range_s[1]


def test_a_camera_that_fails_is_tried_again_and_keeps_its_exposure() -> None:
    fault = at({4: DeviceTimeout("no frame"), 5: ExposureFailed("lost"), 6: DeviceBusy("busy"), 9: DeviceGone("gone")})
    night = Night(steady(fault=fault))
    virtual_time.run(night.run(12))
    status = night.service.status
    assert (status.frames, status.failures, status.reopened) == (12, 4, 2)
    assert status.state == "stopped"
    assert night.camera.exposures[4:] == pytest.approx([10.0] * 12, rel=0.1), "a reopened camera has forgotten it"


def test_a_camera_that_is_unplugged_for_an_hour_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    night = Night(steady(fault=at({5: DeviceGone("pulled out")})))

    async def an_hour(night: Night) -> None:
        await asyncio.sleep(35)
        night.camera.gone = True
        await asyncio.sleep(3600)
        assert night.service.status.state == "no camera"
        night.camera.gone = False
        await asyncio.sleep(100)
        assert night.service.status.state == "exposing"
        assert night.reports[-1].on_target

    virtual_time.run(night.run(meanwhile=an_hour))
    said = [record.message for record in caplog.records if record.message.startswith("camera")]
    assert said == ["camera: pulled out", "camera: frames again"]


def test_another_camera_in_its_place_is_refused_until_the_right_one_is_back(caplog: pytest.LogCaptureFixture) -> None:
    camera = steady(fault=at({3: DeviceGone("pulled out")}))
    night = Night(camera, wishes(exposure_s=10.0))

    async def swap(night: Night) -> None:
        await asyncio.sleep(25)
        camera.fails_to_configure = [ValueError("Other camera: ROI is 900x900; allowed: less")] * 2
        await asyncio.sleep(60)

    virtual_time.run(night.run(meanwhile=swap))
    assert "camera: Other camera: ROI is 900x900" in caplog.text
    assert night.camera.exposures == [10.0] * len(night.camera.exposures), "no frame with the other camera's settings"
    assert night.service.status.frames >= 5


def test_a_frame_that_never_comes_starves_the_watchdog() -> None:
    fed: list[tuple[float, bool]] = []

    class Manager(ServiceManager):
        async def keep_awake(self, at_work: Callable[[], bool]) -> None:
            while True:
                await asyncio.sleep(10)
                fed.append((asyncio.get_running_loop().time(), at_work()))

    async def main() -> None:
        never = asyncio.Event()
        camera = SkyCamera(lambda _: TEN_SECONDS)
        async with camera:
            service = ExposureService(camera, wishes(), wishes, lambda report: None, Manager({}))
            running = asyncio.create_task(service.run())
            await asyncio.sleep(500)
            camera.expose = never.wait  # type: ignore[method-assign, assignment]  # a driver that has lost its way
            await asyncio.sleep(500)
            running.cancel()

    virtual_time.run(main())
    assert all(at_work for at_s, at_work in fed if at_s < 600)
    assert not any(at_work for at_s, at_work in fed if at_s > 700)


def test_settings_that_the_camera_did_not_take_are_put_again() -> None:
    camera = steady()
    camera.fails_to_configure = [DeviceTimeout("no answer")] * 2
    night = Night(camera, wishes(exposure_s=3.0))
    virtual_time.run(night.run(4))
    assert night.camera.exposures[0] == 3.0
    assert night.service.status.failures == 2


def test_gain_helps_where_the_exposure_cannot() -> None:
    gain = {"lowest": 10.0, "highest": 90.0, "step": 20.0}
    night = Night(steady(TEN_SECONDS / 3), wishes(max_s=20.0, gain=gain))
    virtual_time.run(night.run(6))
    assert [one.gain for one in night.camera.configured][-1] == 90.0


def test_a_reload_is_followed_from_the_next_frame_on(caplog: pytest.LogCaptureFixture) -> None:
    later = wishes(parameters={"target": TARGET / 2})
    night = Night(steady(), wishes(exposure_s=10.0), read=lambda: later)

    async def meanwhile(night: Night) -> None:
        await asyncio.sleep(35)  # in the middle of the fourth frame
        night.service.reload()
        await asyncio.sleep(60)

    virtual_time.run(night.run(meanwhile=meanwhile))
    assert night.camera.exposures[3:6] == pytest.approx([10.0, 5.0, 5.0], rel=1e-2)
    assert night.reports[-1].on_target
    assert night.service.status.reloads == 1
    assert "reloaded" in caplog.text


def bad_file() -> Wishes:
    raise ConfigError("night.toml: not TOML: line 3")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (bad_file, "not TOML: line 3"),
        (lambda: wishes(parameters={"target": 7.0}), "target is 7.0"),
        (lambda: wishes(law="guiding", parameters={}), "needs a guider"),
        (lambda: Wishes("sky://", CameraSettings(binning=4), wishes().table), "binning is 4"),
        (lambda: Wishes("other://", CameraSettings(), wishes().table), "camera.url is other://"),
        (lambda: wishes(socket=Path("elsewhere")), "exposure.socket is elsewhere"),
    ],
)
def test_a_bad_reload_is_refused_and_the_old_config_kept(
    read: Callable[[], Wishes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(steady(), wishes(exposure_s=10.0), read=read)

    async def meanwhile(night: Night) -> None:
        await asyncio.sleep(15)
        night.service.reload()
        night.service.reload()  # before the first was begun: once is enough
        await asyncio.sleep(60)

    virtual_time.run(night.run(meanwhile=meanwhile))
    status = night.service.status
    assert status.bad_reloads == 1
    assert why in (status.reload_error or "")
    assert f"the old config stays in force: {status.reload_error}" in caplog.text
    assert night.camera.exposures == [10.0] * len(night.camera.exposures)
    assert status.frames >= 6


def test_a_full_disk_costs_frames_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = Image.writeto

    def fails(image: Image, path: Any, *args: Any, **kwargs: Any) -> None:
        if 3 <= (image.facts.frame_seq or 0) < 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(image, path, *args, **kwargs)

    monkeypatch.setattr(Image, "writeto", fails)
    night = Night(steady(), wishes(frames_dir=tmp_path))

    async def meanwhile(night: Night) -> None:
        await asyncio.sleep(58)
        assert night.service.status.disk is not None
        await asyncio.sleep(42)

    virtual_time.run(night.run(meanwhile=meanwhile))
    status = night.service.status
    assert (status.not_saved, status.disk) == (4, None)
    assert status.saved == len(list(tmp_path.glob("*.fits"))) == status.frames - 4
    assert all(report.on_target for report in night.reports[2:])
    said = [record.message for record in caplog.records if "saved" in record.message]
    assert len(said) == 2
    assert "No space left" in said[0]
    assert "saved again" in said[1]


def test_steps_of_the_clock_change_nothing() -> None:
    def twilight(t_s: float) -> float:
        return float(TEN_SECONDS * 2.0 ** (t_s / 200))

    async def step(night: Night) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        for hours in (-5, 12, -100):
            await asyncio.sleep(100)
            loop.epoch += timedelta(hours=hours)
        await asyncio.sleep(100)

    async def calm(night: Night) -> None:
        await asyncio.sleep(400)

    exposures = []
    for meanwhile in (step, calm):
        night = Night(SkyCamera(twilight))
        virtual_time.run(night.run(meanwhile=meanwhile))
        exposures.append(night.camera.exposures)
    assert len(exposures[0]) > 40
    assert exposures[0] == exposures[1]


def test_once_ends_with_the_first_frame_on_target() -> None:
    night = Night(steady(), wishes(exposure_s=0.2))
    virtual_time.run(night.run(20, once=True))
    assert [report.on_target for report in night.reports] == [False] * (len(night.reports) - 1) + [True]


def test_once_ends_where_the_limits_keep_it_from_the_target() -> None:
    night = Night(steady(1.0), wishes(max_s=5.0))
    virtual_time.run(night.run(20, once=True))
    assert len(night.reports) <= 4
    assert night.reports[-1].at_limit


def test_a_run_with_an_end_gives_up_a_camera_that_does_not_come_back() -> None:
    night = Night(steady(fault=lambda number: DeviceTimeout("no frame")))
    with pytest.raises(DeviceError, match="3 failures running"):
        virtual_time.run(night.run(20, once=True))


def test_nobody_reads_the_reports_and_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Closed(list[FrameReport]):
        def append(self, report: FrameReport) -> None:
            super().append(report)
            raise BrokenPipeError("nobody reads")

    night = Night(steady(), reports=Closed())
    virtual_time.run(night.run(5))
    assert night.service.status.frames == 5
    assert len(night.reports) == 1
    assert "the work goes on without them" in caplog.text


def test_a_line_and_a_dict_say_the_same() -> None:
    night = Night(steady())
    virtual_time.run(night.run(3))
    for report in night.reports:
        line = report.line()
        assert f"exposure_s={report.measured.exposure_s:g} " in line
        assert "\n" not in line
        assert report.values()["next_exposure_s"] == pytest.approx(report.decision.exposure_s, rel=1e-6)
    assert 'verdict="on target"' in night.reports[-1].line()


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_ten_hours_of_random_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception, no growing memory, and whenever there is light and a camera, a good exposure."""
    chance = random.Random(8)
    errors = (DeviceTimeout, ExposureFailed, DeviceBusy, DeviceGone, DeviceError)
    disk = {"full": False}
    pages: list[int] = []

    def fault(number: int) -> BaseException | None:
        return chance.choice(errors)("at random") if chance.random() < 0.05 else None

    def write(image: Image, path: Any, *args: Any, **kwargs: Any) -> None:
        if disk["full"]:
            raise OSError(errno.ENOSPC, "disk full")

    def read() -> Wishes:
        if chance.random() < 0.5:
            raise ConfigError("half written")
        return wishes(parameters={"target": chance.choice([0.3, TARGET])}, **places)

    async def trouble(night: Night) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        reader, writer = None, None
        for _ in range(10):
            for _ in range(12):
                await asyncio.sleep(300)
                loop.epoch += timedelta(seconds=chance.choice([0, -3600, 86400]))
                disk["full"] = chance.random() < 0.5
                night.camera.gone = chance.random() < 0.1
                night.service.reload()
                if writer is None and chance.random() < 0.5:
                    reader, writer = await asyncio.open_unix_connection(str(places["socket"]))
                elif writer is not None and chance.random() < 0.2:  # it never read a line
                    writer.close()
                    with contextlib.suppress(ConnectionError):
                        await writer.wait_closed()
                    reader, writer = None, None
            pages.append(resident_pages())
        if writer is not None:
            writer.close()
        del reader

    places = {"max_s": 200.0, "frames_dir": tmp_path, "socket": tmp_path / "s", "metrics": tmp_path / "exposure.prom"}
    monkeypatch.setattr(Image, "writeto", write)
    # the sky goes up and down by a factor of 10 in the course of two hours
    camera = SkyCamera(lambda t_s: TEN_SECONDS / 15 * 10.0 ** abs((t_s / 3600) % 2 - 1), fault)
    night = Night(camera, wishes(**places), read=read, reports=deque(maxlen=10))
    virtual_time.run(night.run(meanwhile=trouble))
    status = night.service.status
    assert status.frames > 300
    assert status.on_target > 0.85 * status.frames, "a reload asks for another level every fifth minute"
    assert min(status.failures, status.reopened, status.reloads, status.bad_reloads, status.not_saved) > 5
    assert (pages[-1] - pages[1]) * os.sysconf("SC_PAGE_SIZE") < 3e6
