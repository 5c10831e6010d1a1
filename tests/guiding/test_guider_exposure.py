"""The guider's exposure times by the daemon's laws."""

import math
from dataclasses import replace

import pytest
from guided_night import SETTINGS, CloudFrom, night

from acquisition.config import parse_config
from acquisition.exposure.laws import exposure_rule
from acquisition.guiding.events import Dropped, Notice, Step
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.settle import SettleRule
from acquisition.kernels.exposure import GuidingLaw, Limits


def by_law(law: str = "star", **parameters: float) -> GuiderSettings:
    limits = Limits(0.2, 10.0, 4.0)
    return GuiderSettings(exposure=exposure_rule(law, parameters, limits, bias_adu=1024))


def same(response: object) -> object:
    return response


@pytest.mark.parametrize("first_s", [0.3, 8.0])
def test_the_stars_reach_their_level_and_stay_there(first_s):
    guided = night(60.0, by_law(full_well=0.4), known=same, frames=replace(SETTINGS, exposure_s=first_s))
    steps = guided.of(Step)
    levels = [
        (max(star.peak for star in step.stars if star.used) - 1024) / (0.4 * (65520 - 1024)) for step in steps[4:]
    ]
    assert all(0.6 < level < 1.5 for level in levels)
    assert sum(abs(level - 1) < 0.25 for level in levels) > 0.8 * len(levels)
    assert guided.of(Dropped) == []


def test_without_stars_it_holds_and_says_so_once():
    guided = night(150.0, by_law(full_well=0.4), known=same, steps=[CloudFrom(8, 14)])
    before = [step.exposure_s for step in guided.of(Step) if 2 < step.frame < 7]
    assert len(guided.of(Dropped)) == 7
    # the chain had no offset, yet the stars were there to be seen: nothing to hold for
    assert not [notice for notice in guided.of(Notice) if "exposure law" in notice.text]
    assert all(step.exposure_s < 1.5 * max(before) for step in guided.of(Step))


def test_settling_may_shorten_it():
    rule = SettleRule(pixels=1.5, time_s=3.0, timeout_s=20.0, exposure_s=0.25)
    settings = replace(by_law(full_well=0.4), settle=rule)
    settings = replace(settings, dither=replace(settings.dither, every_s=25.0, amount_px=2.0))
    steps = night(60.0, settings, known=same).of(Step)
    assert {step.exposure_s for step in steps if step.settling} == {0.25}
    assert min(step.exposure_s for step in steps if not step.settling and step.frame > 4) > 0.25


def test_the_guiding_law_sees_the_motion_without_corrections(monkeypatch):
    """With the pulses added, the mount's drift shows; without, guiding would hide it."""
    seen = []
    step = GuidingLaw.step
    monkeypatch.setattr(GuidingLaw, "step", lambda law, state, m: (seen.append(m), step(law, state, m))[1])
    guided = night(200.0, by_law("guiding"), known=same)
    moved = [m.moved_px for m in seen if m.moved_px is not None]
    measured = [math.hypot(step.dx, step.dy) for step in guided.of(Step)]
    assert math.dist(moved[-1], moved[2]) > 3 * max(measured[5:])


def test_the_config_switches_it_on():
    table = {"auto": True, "law": "star", "parameters": {"full_well": 0.5}, "max_s": 6.0}
    rule = parse_config({"exposure": table}).guider_settings().exposure
    assert rule is not None
    assert (rule.law.name, rule.law.limits.max_s) == ("star", 6.0)
    assert parse_config({"exposure": {**table, "auto": False}}).guider_settings().exposure is None
