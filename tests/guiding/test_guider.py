"""The guider on the simulated sky, in virtual time: what it does in fair weather and in foul."""

import asyncio
import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from guided_night import CloudFrom, Night, Wrapped, night

from acquisition import virtual_time
from acquisition.camera import Camera
from acquisition.errors import CalibrationFailed, DeviceGone, DeviceTimeout
from acquisition.guiding.algorithms import Hysteresis, ResistSwitch
from acquisition.guiding.calibration import CalibrationRule
from acquisition.guiding.dither import DitherRule
from acquisition.guiding.events import (
    Calibrated,
    DitherBegan,
    Dropped,
    Event,
    GuidingEnded,
    Notice,
    Settling,
    State,
    StateChanged,
    Step,
)
from acquisition.guiding.settings import GuiderSettings
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets
from acquisition.mount import Direction, Mount, MountState


def at_frame(frame: int, act: Callable[[], None]) -> Callable[[Event], None]:
    def react(event: Event) -> None:
        if isinstance(event, Step | Dropped) and event.frame == frame:
            act()

    return react


def test_guides_to_a_fraction_of_what_the_mount_does_by_itself():
    guided = night(480.0)
    free = night(480.0, GuiderSettings(corrections=False))
    assert guided.statistics.true_rms_arcsec.total < free.statistics.true_rms_arcsec.total / 3
    assert guided.statistics.lost_frames == free.statistics.lost_frames == 0
    assert guided.states == [
        State.LOOPING, State.SELECTED, State.CALIBRATING, State.LOOPING, State.SELECTED, State.GUIDING, State.STOPPED,
    ]  # fmt: skip
    begin = next(event.t_s for event in free.events if isinstance(event, StateChanged) and event.state is State.GUIDING)
    assert [pulse for pulse in free.pulses if pulse[0] >= begin] == []
    (ended,) = guided.of(GuidingEnded)
    assert ended.guided_s == pytest.approx(480, abs=5)


def test_calibration_finds_the_simulated_mount():
    (calibrated,) = night(10.0).of(Calibrated)
    response = calibrated.response
    # guide rate 7.5"/s at 3.22"/px, RA on the sky smaller by cos 30 degrees; the preset's rate errors are some percent
    assert response.dec.rate_px_per_s == pytest.approx(7.5 / 3.223, rel=0.15)
    assert response.ra.rate_px_per_s == pytest.approx(7.5 / 3.223 * math.cos(math.radians(30)), rel=0.15)
    assert response.orthogonality_error_deg < 4
    assert response.dec_deg == pytest.approx(30, abs=0.1)


def test_same_seed_same_events():
    assert night(60.0).events == night(60.0).events


def test_a_pause_stops_the_pulses_and_nothing_else():
    run = Night()

    def react(event: Event) -> None:
        at_frame(5, run.guider.pause)(event)
        at_frame(15, run.guider.resume)(event)

    run.react = react
    virtual_time.run(run.run(100.0))
    paused = [step for step in run.of(Step) if 6 <= step.frame <= 15]
    assert len(paused) == 10
    assert all(step.ra.direction is None and step.dec.direction is None for step in paused)
    assert State.PAUSED in run.states
    assert run.states[run.states.index(State.PAUSED) + 1] is State.GUIDING


def test_a_dither_moves_the_lock_and_settles():
    run = night(300.0, GuiderSettings(dither=DitherRule(every_s=60.0, amount_px=4.0)))
    dithers, settlings = run.of(DitherBegan), run.of(Settling)
    assert len(dithers) >= 3
    assert [event.done for event in settlings if event.done is not None].count(True) >= 3
    for dither in dithers:  # the telescope is sent there at once
        after = next(step for step in run.of(Step) if step.t_s > dither.t_s)
        assert abs(after.ra.displacement_px) < 0.3 * abs(dither.ra_px) + 0.5
    assert run.statistics.true_rms_arcsec.total < 2.5, "counted against the lock that moves, settling left out"


def test_stop_ends_after_the_frame():
    run = Night()
    run.react = at_frame(4, lambda: run.guider.stop("enough"))
    virtual_time.run(run.run(None))
    assert run.of(Step)[-1].frame == 4
    assert run.of(GuidingEnded)[0].reason == "enough"
    assert run.states[-1] is State.STOPPED


PHD2 = GuiderSettings(ra_law=Hysteresis(), dec_law=ResistSwitch())


def test_a_cloud_costs_the_frames_it_covers_and_no_more():
    run = night(200.0, PHD2, steps=[CloudFrom(30, 39)])
    dropped = run.of(Dropped)
    assert len(dropped) == 10
    assert {event.reason for event in dropped} == {"brightest star has SNR 1.2, need 5"}
    assert State.LOST_LOCK in run.states
    assert run.states[-2] is State.GUIDING
    assert not [p for p in run.pulses if dropped[0].t_s <= p[0] <= dropped[-1].t_s]


def test_our_laws_go_on_guiding_through_a_short_cloud():
    run = night(240.0, steps=[CloudFrom(80, 84)])
    first, *_, last = run.of(Dropped)
    assert [p for p in run.pulses if first.t_s <= p[0] <= last.t_s]
    (after,) = (step for step in run.of(Step) if step.frame == last.frame + 1)
    assert math.hypot(after.truth.ra_arcsec, after.truth.dec_arcsec) < 3.0


class WithoutScale(Wrapped):
    """A camera that knows nothing of its optics."""

    async def expose(self) -> Image:
        image = await self.inner.expose()
        return Image.from_camera(image.data, dataclasses.replace(image.facts, focal_length_mm=None, wcs=None))


def test_our_laws_guide_where_nobody_knows_the_pixel_scale():
    def unstated(mount: Mount) -> Any:
        class Silent(Wrapped):
            async def state(self) -> MountState:
                said = await self.inner.state()
                return dataclasses.replace(said, ra_guide_rate_arcsec_per_s=None, dec_guide_rate_arcsec_per_s=None)

        return Silent(mount)

    run = night(240.0, camera=WithoutScale, mount=unstated)
    known = night(240.0)
    assert run.statistics.scale_arcsec is None
    assert run.statistics.rms_px.total < 1.3 * known.statistics.rms_px.total
    (told,) = [event.text for event in run.of(Notice)]
    assert re.search(r'not known; by the guide rate, laws take it to be 3\.\d"/px: set focal_length_mm', told)


def test_clouds_during_the_calibration_cost_an_attempt_not_the_night():
    run = night(60.0, steps=[CloudFrom(8, 30)])
    assert any("calibration failed, trying again: no position in 10 frames" in event.text for event in run.of(Notice))
    assert run.statistics.frames > 10


class Nan(ImageProcessor):
    async def __call__(self, image: Image) -> Image:
        if (image.facts.frame_seq or 0) > 25:
            image.set_meta(PixelOffsets(math.nan, 0.0))
        return image


def test_a_number_that_is_none_never_reaches_the_mount():
    run = night(60.0, PHD2, steps=[Nan()])
    assert all("is not finite" in event.reason for event in run.of(Dropped))
    first = run.of(Dropped)[0].t_s
    assert not [pulse for pulse in run.pulses if pulse[0] >= first]
    assert all(math.isfinite(pulse[2]) for pulse in run.pulses)


class FlakyCamera(Wrapped):
    """Fails in some frames, and stays gone until it is reopened."""

    def __init__(self, inner: Camera, error: Exception, frames: range) -> None:
        super().__init__(inner)
        self.error, self.frames, self.n, self.gone, self.opened = error, frames, 0, False, 0

    async def connect(self) -> None:
        self.opened += 1
        self.gone = False
        await self.inner.connect()

    async def expose(self) -> Image:
        self.n += 1
        if self.gone or self.n in self.frames:
            self.gone = isinstance(self.error, DeviceGone)
            raise self.error
        image = await self.inner.expose()
        self.shape = image.data.shape
        return image


@pytest.mark.parametrize("error", [DeviceTimeout("no frame after 7 s"), DeviceGone("camera unplugged")])
def test_a_camera_that_fails_is_brought_back(error):
    cameras = []

    def flaky(camera: Camera) -> FlakyCamera:
        cameras.append(FlakyCamera(camera, error, range(30, 36)))
        return cameras[-1]

    run = night(200.0, camera=flaky)
    assert cameras[0].opened >= 1
    assert cameras[0].shape == (480, 640), "its settings are in force again"
    texts = [event.text for event in run.of(Notice)]
    assert texts == [f"camera: {error}", "camera: frames again"], "told once when it goes, once when it is back"
    assert run.statistics.lost_frames == 6
    assert run.states[-2] is State.GUIDING


class DeadMount(Wrapped):
    """Takes so many pulses, then none for a while."""

    def __init__(self, inner: Mount, after: int, until: int) -> None:
        super().__init__(inner)
        self.after, self.until, self.n = after, until, 0

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        self.n += 1
        if self.after < self.n <= self.until:
            raise DeviceGone("mount: cable pulled")
        await self.inner.pulse_guide(direction, duration_s)


def test_a_dead_cable_does_not_cost_the_night():
    run = night(300.0, mount=lambda mount: DeadMount(mount, 20, 30))
    texts = [event.text for event in run.of(Notice)]
    assert texts == ["mount: mount: cable pulled", "mount: it takes pulses again"]
    assert run.statistics.lost_frames == 0


def test_a_pulse_that_never_ends_does_not_hold_the_guider():
    class Hanging(DeadMount):
        async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
            self.n += 1
            if self.n == 20:
                await asyncio.sleep(10**6)
            await self.inner.pulse_guide(direction, duration_s)

    run = night(120.0, mount=lambda mount: Hanging(mount, 0, 0))
    assert any("pulse of" in event.text and "had not ended" in event.text for event in run.of(Notice))
    assert run.of(GuidingEnded)[0].guided_s == pytest.approx(120, abs=10)


def test_a_mount_that_does_not_move_is_told_after_the_attempts():
    class Stuck(Wrapped):
        async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
            await asyncio.sleep(duration_s)

    with pytest.raises(CalibrationFailed, match="RA: the stars moved"):
        night(60.0, GuiderSettings(calibration=CalibrationRule(pulse_s=5.0)), mount=Stuck)


def test_cancelling_stops_a_running_pulse():
    ended = []

    class Watched(Wrapped):
        async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
            try:
                await self.inner.pulse_guide(direction, duration_s)
            finally:
                ended.append(asyncio.get_running_loop().time())

        async def stop(self) -> None:
            ended.append("stop")
            await self.inner.stop()

    async def main() -> Night:
        run = Night()
        task = asyncio.create_task(run.run(None, mount=Watched))
        while not run.pulses:  # noqa: ASYNC110  # under virtual time polling costs nothing
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return run

    run = virtual_time.run(main())
    began, _, duration_s = run.pulses[-1]
    assert ended[0] < began + duration_s, "the pulse was cut short"
    assert "stop" in ended
    assert run.states[-1] is State.STOPPED


def test_a_slew_while_guiding_gets_new_stars_and_no_wild_pulse():
    """Somebody points the telescope elsewhere, and later back."""

    class Slews(Wrapped):
        slewing: asyncio.Task[None] | None = None

    run = Night()
    mounts: list[Any] = []

    def react(event: Event) -> None:
        if isinstance(event, Step | Dropped) and event.frame == 20 and not mounts[0].slewing:
            mounts[0].slewing = asyncio.ensure_future(mounts[0].inner.slew(125.0, 32.0))

    def wrap(mount: Mount) -> Slews:
        mounts.append(Slews(mount))
        return mounts[0]

    run.react = react
    virtual_time.run(run.run(240.0, mount=wrap))
    assert any("points elsewhere" in event.text for event in run.of(Notice))
    ends = run.of(GuidingEnded)
    assert [end.reason for end in ends] == ["the telescope points elsewhere", "duration reached"]
    after = [step for step in run.of(Step) if step.t_s > ends[0].t_s]
    assert len(after) > 50
    assert max(math.hypot(step.dx, step.dy) for step in after) < 3
    assert max(step.ra.pulse_s for step in run.of(Step)) < 2.0
