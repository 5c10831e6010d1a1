"""The guider when its assumptions are wrong: response, mount, camera, stars; in virtual time."""

import asyncio
import dataclasses
import math
import re
import statistics

import pytest
from guided_night import CloudFrom, Night, Wrapped, night

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.errors import CalibrationFailed, DeviceTimeout, StarLost
from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.algorithms import Hysteresis, ResistSwitch
from acquisition.guiding.apply import AxisLimits
from acquisition.guiding.calibration import CalibrationRule
from acquisition.guiding.dither import DitherRule
from acquisition.guiding.events import (
    Alarm,
    AlarmKind,
    DitherBegan,
    Dropped,
    GuidingBegan,
    GuidingEnded,
    Notice,
    Settling,
    State,
    StateChanged,
    Step,
)
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.settle import SettleRule
from acquisition.images import Image, ImageProcessor
from acquisition.mount import Direction

SMALL = CameraSettings(exposure_s=2.0, roi=Roi(440, 280, 400, 400))
QUICK = {"frames": SMALL, "stars": 6}
PHD2 = GuiderSettings(ra_law=Hysteresis(), dec_law=ResistSwitch())


def turned(degrees):
    def turn(response: MountResponse) -> MountResponse:
        ra, dec = (
            dataclasses.replace(axis, angle_deg=axis.angle_deg + degrees) for axis in (response.ra, response.dec)
        )
        return dataclasses.replace(response, ra=ra, dec=dec)

    return turn


def as_it_is(response: MountResponse) -> MountResponse:
    return response


def against(axis: MountAxis) -> MountAxis:
    return dataclasses.replace(axis, angle_deg=axis.angle_deg + 180)


def truth(step: Step) -> tuple[float, float]:
    return step.truth.ra_arcsec, step.truth.dec_arcsec


def steps_after(run: Night, t_s: float) -> list[Step]:
    return [step for step in run.of(Step) if step.t_s > t_s]


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [20.0, -20.0])
@pytest.mark.parametrize("seed", range(20, 25))
def test_a_turned_camera_is_noticed_and_guiding_stays_stable(degrees, seed):
    run = Night()
    run.react = lambda event: run.guider.stop("heard") if isinstance(event, Alarm) else None
    virtual_time.run(run.run(600.0, known=turned(degrees), url=f"sim://?seed={seed}", **QUICK))
    (alarm,) = run.of(Alarm)
    assert alarm.kind is AlarmKind.CALIBRATION_ANGLE
    assert "turned by" in alarm.text
    assert "calibrate again (starlatch calibrate)" in alarm.text
    assert run.statistics.true_rms_arcsec.total < 1.0
    suspicion = run.of(Notice)[0]
    assert "RA wobbles by" in suspicion.text
    before = [step for step in run.of(Step) if step.t_s < suspicion.t_s][20:]
    assert max(math.hypot(step.dx, step.dy) for step in before) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_an_hour_with_the_right_angle_raises_no_alarm(seed):
    assert not night(3600.0, known=as_it_is, url=f"sim://?seed={seed}", **QUICK).of(Alarm)


@pytest.mark.parametrize("settings", [GuiderSettings(), PHD2], ids=["ours", "phd2's"])
@pytest.mark.parametrize("axis", ["ra", "dec"])
def test_an_axis_that_runs_the_wrong_way_is_stopped(axis, settings):
    def wrong(response: MountResponse) -> MountResponse:
        return dataclasses.replace(response, **{axis: against(getattr(response, axis))})

    run = night(100.0, settings, known=wrong, **QUICK)
    alarm = run.of(Alarm)[0]
    assert alarm.kind is AlarmKind.RUNAWAY
    assert alarm.text.startswith("RA:" if axis == "ra" else "Dec:")
    assert "the axis is stopped; " in alarm.text
    assert {getattr(step, axis).direction for step in steps_after(run, alarm.t_s)} == {None}
    other = "dec" if axis == "ra" else "ra"
    assert any(getattr(step, other).direction for step in steps_after(run, alarm.t_s))
    assert max(abs(getattr(step, axis).displacement_px) for step in run.of(Step) if step.t_s <= alarm.t_s) < 25


def test_pulses_one_way_add_up_to_no_more_than_allowed():
    run = night(60.0, GuiderSettings(ra_limits=AxisLimits(max_net_pulse_s=0.5)), known=as_it_is, **QUICK)
    (alarm,) = run.of(Alarm)
    assert alarm.kind is AlarmKind.EXCURSION
    assert "s are allowed: no more" in alarm.text
    net_s = [s if direction is Direction.WEST else -s for _, direction, s in run.pulses if direction.name in "EASTWEST"]
    assert max(abs(sum(net_s[: i + 1])) for i in range(len(net_s))) <= 0.5


def test_pulses_that_are_all_cut_are_told():
    short = GuiderSettings(ra_limits=AxisLimits(max_pulse_s=0.01))
    run = night(60.0, short, known=as_it_is, url="sim://?seed=5", **QUICK)
    assert [alarm.kind for alarm in run.of(Alarm)] == [AlarmKind.PULSES_TOO_SHORT]


def test_a_cable_that_comes_loose_is_told_and_guiding_goes_on_when_it_is_back(tmp_path):
    scenario = tmp_path / "loose.toml"
    scenario.write_text('[[faults]]\nkind = "loose-cable"\nat_s = 60.0\nduration_s = 240.0\n')
    run = night(420.0, url=f"sim://?scenario={scenario}", known=as_it_is, **QUICK)
    deaf = [alarm for alarm in run.of(Alarm) if alarm.kind is AlarmKind.DEAF]
    assert [alarm.text.split(":")[0] for alarm in deaf] in (["RA"], ["RA", "Dec"], ["Dec", "RA"])
    assert "look at the guide cable" in deaf[0].text
    assert any("RA: pulses move the star again" in notice.text for notice in run.of(Notice))
    assert max(max(map(abs, truth(step))) for step in steps_after(run, 320)) < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_forty_seconds_without_a_star_cost_less_than_three_arcsec(seed):
    """Once a turn of the worm is known; before, nobody knows where it goes."""
    run = night(640.0, steps=[CloudFrom(260, 279)], known=as_it_is, url=f"sim://?seed={seed}", **QUICK)
    dropped = run.of(Dropped)
    assert dropped[-1].t_s - dropped[0].t_s > 38
    steady = [step for step in run.of(Step) if step.frame > 20]
    middle = [statistics.median(values) for values in zip(*map(truth, steady), strict=True)]
    after = steps_after(run, dropped[0].t_s)
    assert max(math.dist(truth(step), middle) for step in after) < 3.0


def test_a_star_lost_for_a_moment_is_followed_by_prediction_and_that_is_said():
    run = night(70.0, steps=[CloudFrom(20, 22)], known=as_it_is, **QUICK)
    (lost,) = [event for event in run.of(StateChanged) if event.state is State.LOST_LOCK]
    assert lost.reason == "brightest star has SNR 1.2, need 5; guided by prediction"
    assert run.of(StateChanged)[-2].state is State.GUIDING


def test_where_nothing_can_be_predicted_nothing_is_sent_and_the_users_limit_ends_it():
    run = night(
        None, dataclasses.replace(PHD2, lost_limit_s=60.0), steps=[CloudFrom(20, 10**6)], known=as_it_is, **QUICK
    )  # fmt: skip
    (lost,) = [event for event in run.of(StateChanged) if event.state is State.LOST_LOCK]
    assert lost.reason.endswith("; no corrections until a star is back")
    (ended,) = run.of(GuidingEnded)
    assert ended.reason.startswith("no star for 6")
    assert "60 s are allowed: brightest star has SNR 1.2" in ended.reason
    assert not [pulse for pulse in run.pulses if pulse[0] >= run.of(Dropped)[0].t_s]


def test_dithers_recentre_settle_and_return_to_the_usual_exposure():
    rule = DitherRule(every_s=24.0, amount_px=3.0, pattern="spiral")
    settle = SettleRule(exposure_s=0.5)
    run = night(98.0, GuiderSettings(dither=rule, settle=settle), known=as_it_is, **QUICK)
    dithers = run.of(DitherBegan)
    assert [(round(event.ra_px), round(event.dec_px)) for event in dithers] == [(3, 0), (0, 3), (-3, 0)]
    done = [event for event in run.of(Settling) if event.done]
    assert len(done) == 3
    assert {step.exposure_s for step in run.of(Step) if step.settling} == {0.5}
    assert {step.exposure_s for step in run.of(Step) if not step.settling} == {2.0}
    limit = 2 * settle.pixels
    assert max(math.hypot(step.dx, step.dy) for step in steps_after(run, dithers[0].t_s)) < limit
    took_s = [end.t_s - begin.t_s for begin, end in zip(dithers, done, strict=False)]
    assert max(took_s) < 9.5, "6 s in range, a frame before and after, pulses, and no more"


def test_dec_that_may_go_one_way_only_goes_both_while_settling_and_is_left_alone_where_it_is_off():
    dither = DitherRule(every_s=15.0, amount_px=4.0)
    run = night(60.0, GuiderSettings(dec_limits=AxisLimits(mode="north"), dither=dither), known=as_it_is, **QUICK)
    dithered = {event.t_s for event in run.of(DitherBegan)}
    south = [event for event in run.of(Step) if event.dec.direction is Direction.SOUTH]
    beside = [step for step in south if not step.settling and not any(0 < t_s - step.t_s < 3 for t_s in dithered)]
    assert south
    assert not beside
    off = night(40.0, GuiderSettings(dec_limits=AxisLimits(mode="off"), dither=dither), known=as_it_is, **QUICK)
    assert {event.dec_px for event in off.of(DitherBegan)} == {0.0}
    assert not {direction for _, direction, _ in off.pulses} & {Direction.NORTH, Direction.SOUTH}


def test_after_a_meridian_flip_no_pulse_goes_the_wrong_way():
    """The mount is sent to the other side of the pier; the same calibration serves there."""

    class Flips(Wrapped):
        task: asyncio.Task[None] | None = None

    run = Night()
    mounts: list[Flips] = []

    def wrap(mount):
        mounts.append(Flips(mount))
        return mounts[0]

    def react(event):
        if isinstance(event, Step) and event.frame == 20 and mounts[0].task is None:
            ra_deg = math.degrees(math.radians(run.world.mechanics.said_deg(run.world.now_s())[0]))
            hour_angle = run.world.hour_angle_deg(run.world.now_s(), ra_deg)
            there = ra_deg + hour_angle + (10 if hour_angle > 0 else -10)
            mounts[0].task = asyncio.ensure_future(mounts[0].inner.slew(there % 360, 30.0))

    run.react = react
    virtual_time.run(run.run(200.0, mount=wrap, known=as_it_is, **QUICK))
    began, again = run.of(GuidingBegan)
    assert began.response.pier_side != again.response.pier_side
    after = steps_after(run, again.t_s)
    assert len(after) > 30
    assert max(math.hypot(step.dx, step.dy) for step in after) < 2 * SettleRule().pixels
    assert not run.of(Alarm)


def test_a_pause_leaves_no_swing_behind():
    run = Night()

    def react(event):
        if isinstance(event, Step) and event.frame == 20:
            run.guider.pause()
            asyncio.get_running_loop().call_later(120.0, run.guider.resume)

    run.react = react
    virtual_time.run(run.run(200.0, known=as_it_is, **QUICK))
    paused = [event.t_s for event in run.of(StateChanged) if event.state is State.PAUSED]
    resumed = [event.t_s for event in run.of(StateChanged) if event.state is State.GUIDING][-1]
    assert resumed - paused[0] > 110
    after = steps_after(run, resumed + 1.0)
    assert max(math.hypot(step.dx, step.dy) for step in after) < 2 * SettleRule().pixels


# ---- calibrations that cannot succeed: each ends in time, says why, and leaves no pulse running

LIMIT_S = 300.0
ONCE = GuiderSettings(calibration_attempts=1, calibration=CalibrationRule(time_limit_s=LIMIT_S))


class NoStars(ImageProcessor):
    def __init__(self, first: int) -> None:
        super().__init__()
        self.n, self.first = 0, first

    async def __call__(self, image: Image) -> Image:
        self.n += 1
        if self.n >= self.first:
            raise StarLost("star lost: of 6 guide stars, 6 not found")
        return image


class Stuck(Wrapped):
    async def pulse_guide(self, direction, duration_s):
        await asyncio.sleep(duration_s)


class Contrary(Wrapped):
    async def pulse_guide(self, direction, duration_s):
        await self.inner.pulse_guide(Direction.WEST if direction is Direction.EAST else direction, duration_s)


class StopsTracking(Wrapped):
    n = 0

    async def pulse_guide(self, direction, duration_s):
        self.n += 1
        if self.n == 3:
            await self.inner.set_tracking(False)
        await self.inner.pulse_guide(direction, duration_s)


class Stalls(Wrapped):
    """No frame after the fifth; a driver with a deadline, or one without."""

    def __init__(self, inner, deadline: bool) -> None:
        super().__init__(inner)
        self.n, self.deadline = 0, deadline

    async def expose(self):
        self.n += 1
        if self.n > 5:
            await asyncio.sleep(7.0 if self.deadline else 1e9)
            raise DeviceTimeout("no frame 5 s after the exposure")
        return await self.inner.expose()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"steps": [NoStars(5)]}, "no position in 10 frames running during calibration: star lost: of 6 guide stars"),
        ({"mount": Stuck}, "the mount does not move: RA: the stars moved .* px in a West pulse"),
        ({"mount": Contrary}, "RA moves the wrong way: East and West pulses move the stars the same way"),
        ({"mount": StopsTracking}, "the stars move by themselves: by .* px from frame to frame"),
        ({"camera": lambda c: Stalls(c, True)}, "no position .*: the camera gives no frames: no frame 5 s after"),
        ({"camera": lambda c: Stalls(c, False)}, "was not done after 300 s .5 moves made; waiting for a frame"),
    ],
    ids=["stars", "stuck", "contrary", "untracked", "stalls", "hangs"],
)
def test_a_calibration_that_cannot_succeed_ends_in_time_and_says_why(trouble, message):
    run = Night()
    with pytest.raises(CalibrationFailed, match=message):
        virtual_time.run(run.run(60.0, ONCE, **QUICK, **trouble))
    began, ended = (event.t_s for event in run.of(StateChanged) if event.state in (State.CALIBRATING, State.STOPPED))
    assert ended - began <= LIMIT_S + 1
    assert re.search(message, run.of(StateChanged)[-1].reason)
    assert not run.world.mechanics.pulsing
