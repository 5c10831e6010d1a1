"""Guiding without waiting: the camera exposes while pulses run, and RA is corrected between frames."""

from typing import Any

import numpy as np
import pytest
from guided_night import SETTINGS, CloudFrom, night
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.config import Config, parse_config
from acquisition.errors import ConfigError
from acquisition.guiding.algorithms import (
    BacklashAware,
    Between,
    Hysteresis,
    LawRunner,
    Measured,
    Predictive,
    ResistSwitch,
    Sent,
)
from acquisition.guiding.apply import Pulse
from acquisition.guiding.dither import DitherRule
from acquisition.guiding.events import Dropped, Event, Settling, State, Step
from acquisition.guiding.overlap import Ramp, RecentPulses
from acquisition.guiding.settings import GuiderSettings
from acquisition.mount import Direction
from acquisition.session import GuideOptions, guide

OVERLAPPED = GuiderSettings(overlapped=True)
TIMES = st.floats(0, 10)


def overlapped(*args: Any, **kwargs: Any) -> Any:
    return night(*args, **{"settings": OVERLAPPED, "known": lambda response: response, **kwargs})


@given(TIMES, st.floats(0.01, 5), TIMES, st.floats(0, 5))
def test_what_an_exposure_has_not_seen_of_a_pulse(begin_s, lasts_s, start_s, exposure_s):
    ramp = Ramp(begin_s, begin_s + lasts_s, -2.0)
    times = start_s + exposure_s * (np.arange(2000) + 0.5) / 2000
    seen = np.clip((times - begin_s) / lasts_s, 0, 1).mean()
    assert ramp.unseen(start_s, start_s + exposure_s) == pytest.approx(-2.0 * (1 - seen), abs=2e-3)


def test_pulses_that_were_over_before_the_exposure_are_forgotten():
    recent = RecentPulses()
    west, south = Pulse(Direction.WEST, 1.0, 3.0, False), Pulse(Direction.SOUTH, 0.5, 1.0, False)
    recent.ended(10.0, west, south, in_parallel=False)  # West 8.5 to 9.5 s, South 9.5 to 10 s
    assert recent.unseen(8.5, 9.5) == (pytest.approx(1.5), pytest.approx(1.0))
    assert recent.unseen(9.5, 10.0) == (0.0, pytest.approx(0.5))
    recent.ended(12.0, west, south, in_parallel=True)  # both from 11 s on
    assert recent.unseen(10.0, 11.0) == (pytest.approx(3.0), pytest.approx(1.0))
    assert recent.unseen(12.0, 13.0) == (0.0, 0.0)


def test_the_camera_waits_for_no_pulse_and_ra_is_corrected_between_frames():
    run = overlapped(90.0)
    steps = run.of(Step)
    assert np.diff([step.t_s for step in steps]) == pytest.approx(2.05, abs=0.05)  # exposure and readout
    west_east = [t_s for t_s, direction, _ in run.pulses if direction in (Direction.WEST, Direction.EAST)]
    assert len(west_east) > 2 * len(steps)
    assert run.statistics.true_rms_arcsec.total < 0.5
    assert run.statistics.lost_frames == 0
    net_s = sum(
        s if way is Direction.WEST else -s for _, way, s in run.pulses if way in (Direction.WEST, Direction.EAST)
    )
    told_s = sum(
        step.ra.pulse_s * (1 if step.ra.direction is Direction.WEST else -1) for step in steps if step.ra.direction
    )
    assert told_s == pytest.approx(net_s, abs=0.002 * len(steps))


def test_laws_that_do_not_predict_are_asked_once_a_frame():
    run = overlapped(40.0, settings=GuiderSettings(Hysteresis(), ResistSwitch(), overlapped=True))
    steps = run.of(Step)
    assert len(run.pulses) <= 2 * len(steps)
    assert run.statistics.rms_arcsec.total < 1.5


def test_dithers_clouds_and_pauses():
    settings = GuiderSettings(overlapped=True, dither=DitherRule(every_s=30.0, amount_px=2.0))
    run = overlapped(140.0, settings=settings, steps=[CloudFrom(40, 43)])
    assert [event.done for event in run.of(Settling)].count(True) >= 3
    assert not [event for event in run.of(Settling) if event.done is False]
    dropped = run.of(Dropped)
    assert len(dropped) == 4
    assert any(event.ra_pulse_s for event in dropped)  # by prediction
    assert State.LOST_LOCK in run.states


def test_nothing_is_sent_during_a_pause_and_the_exposure_ends_with_the_run():
    pauses: list[float] = []

    async def run() -> tuple[Any, bool]:
        from guided_night import Night

        one = Night()

        def react(event: Event) -> None:
            if isinstance(event, Step) and event.frame == 5:
                one.guider.pause()
                pauses.append(event.t_s)

        one.react = react
        cameras: list[Any] = []
        await one.run(
            40.0, OVERLAPPED, known=lambda response: response, camera=lambda c: cameras.append(c) or c, frames=SETTINGS
        )
        return one, cameras[0]._taken

    one, taken = virtual_time.run(run())
    assert not taken
    later = [t_s for t_s, _, _ in one.pulses if t_s > pauses[0] + 4.0]
    assert later == []
    assert len([step for step in one.of(Step) if step.t_s > pauses[0]]) > 5


def rms_of_dec(law: Any, unseen_told: bool) -> float:
    """Dec with 3" of backlash, 0.1" of noise and a drift that turns; half of every pulse falls into an exposure."""
    rng = np.random.default_rng(3)
    runner = LawRunner(law)
    motor, axis, sent, errors = 0.0, 0.0, 0.0, []
    before = axis
    for n in range(700):
        t_s = 2.0 * n
        sky = 8 * np.sin(2 * np.pi * t_s / 700)
        y = sky - (axis + before) / 2 + 0.1 * rng.normal()  # the exposure saw half of the last motion
        unseen = sent / 2
        sent = runner.step(Measured(t_s, y - unseen, None, 20.0, 2.0, t_s + 1, None, unseen if unseen_told else 0.0))
        before = axis
        motor += sent
        axis = min(max(axis, motor - 3.0), motor)
        errors.append(sky - axis)
    return float(np.sqrt(np.mean(np.square(errors[200:]))))


def test_pulses_in_the_backlash_are_told_apart_even_when_an_exposure_saw_half_of_them():
    assert rms_of_dec(BacklashAware(), unseen_told=True) < 0.35
    assert rms_of_dec(BacklashAware(), unseen_told=True) < 0.95 * rms_of_dec(BacklashAware(), unseen_told=False)


def test_between_frames_the_law_follows_what_it_expects():
    runner = LawRunner(Predictive())
    assert runner.step(Between(0.0, 0.5)) == 0.0
    sent = 0.0
    for n in range(100):
        t_s = 2.0 * n
        sent += runner.step(Measured(t_s, 0.5 * t_s - sent, 0.1, 20.0, 2.0, t_s + 1, t_s + 1.5))
        assert n < 10 or sent == pytest.approx(0.5 * (t_s + 1.25), abs=0.05)
        sent += runner.step(Between(t_s + 1.5, t_s + 2.0))
        assert n < 10 or sent == pytest.approx(0.5 * (t_s + 1.75), abs=0.05)
    assert runner.step(Between(1e4, 1e4 + 0.5)) == 0.0  # nobody knows any more
    runner.step(Sent(0.0))


def test_who_cannot_do_it_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"after_pulse_s is 1, .* nothing waits; allowed: 0"):
        parse_config({"guiding": {"overlapped": True, "after_pulse_s": 1}})
    config = Config.model_validate({"guiding": {"overlapped": True}, "mount": {"guide_by": "offsets"}})
    with pytest.raises(ConfigError, match="must not be moved during an exposure; guide_by = pulses"):
        virtual_time.run(guide(config, GuideOptions(tmp_path, 10.0), lambda event: None))
