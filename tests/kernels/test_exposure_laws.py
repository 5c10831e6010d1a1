"""Exposure laws as pure functions: what they ask for, what they keep to, and when they hold."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.kernels.exposure import (
    LAWS,
    BackgroundLaw,
    Bound,
    Decision,
    GainRule,
    GuidingLaw,
    Hold,
    Limits,
    Measurement,
    PercentileLaw,
    StarLaw,
    StarLight,
)
from acquisition.kernels.exposure.guiding import motion_of

FULL = 60000.0
FREE = Limits(1e-4, 1000.0, math.inf)


def starry(exposure_s: float, rate: float, start_s: float = 0.0, **more: Any) -> Measurement:
    """A frame whose star collects `rate` ADU a second."""
    peak = rate * exposure_s
    star = StarLight(min(peak, FULL), 50.0, 0.05) if peak < FULL else StarLight(peak, clipped=True)
    return Measurement(start_s, exposure_s, FULL, level_adu=100.0, noise_adu=10.0, stars=(star,), **more)


def dark(exposure_s: float, start_s: float = 0.0) -> Measurement:
    return Measurement(start_s, exposure_s, FULL, level_adu=100.0, noise_adu=10.0, stars=())


def sky(exposure_s: float, level: float, start_s: float = 0.0, **more: Any) -> Measurement:
    return Measurement(start_s, exposure_s, FULL, level_adu=min(level, FULL), percentile_adu=min(level, FULL), **more)


def after(law: Any, *frames: Measurement) -> Decision:
    """What a law says after the last of some frames."""
    state = law.start()
    for frame in frames:
        state, decision = law.step(state, frame)
    return decision


@given(st.floats(-2, 2), st.floats(-1, 2))
@settings(deadline=None, max_examples=60)
def test_one_frame_is_enough_where_nothing_is_clipped(factor, magnitude):
    right_s = 10**magnitude
    exposure_s = right_s * min(10**factor, 1.5)  # 1.6 clips
    decision = after(StarLaw(full_well=0.6, limits=FREE), starry(exposure_s, 0.6 * FULL / right_s))
    assert decision.exposure_s == pytest.approx(right_s, rel=0.06)  # the dead band
    assert decision.level == pytest.approx(exposure_s / right_s)


def test_a_clipped_star_shortens_at_once_and_is_cut_more_the_less_is_known():
    law = StarLaw(full_well=0.6, limits=replace(FREE, max_step=2.0))
    a_little, a_lot = after(law, starry(2.0, FULL * 0.6)), after(law, starry(100.0, FULL * 0.6))
    assert a_little.exposure_s == pytest.approx(1.0, rel=0.01)  # exact, and beyond neither limit nor band
    assert a_lot.clipped
    assert 0.1 < a_lot.exposure_s < 0.9  # rather too short


def test_what_is_cut_too_deep_goes_half_way_back():
    decision = after(StarLaw(limits=FREE), starry(100.0, FULL), dark(0.01, 101.0))
    assert decision.exposure_s == pytest.approx(1.0)


def test_twinkling_is_averaged():
    """10 %: nearly all within ±25 %, hardly any change."""
    random = np.random.default_rng(1)
    law = StarLaw(full_well=0.6, limits=FREE)
    state, exposure_s, start_s, levels, changes = law.start(), 1.0, 0.0, [], 0
    for _ in range(600):
        light = 0.6 * FULL * math.exp(0.1 * random.standard_normal() - 0.005)
        state, decision = law.step(state, starry(exposure_s, light, start_s))
        levels.append(light * exposure_s / (0.6 * FULL))
        changes += decision.exposure_s != exposure_s
        start_s += exposure_s + 0.1
        exposure_s = decision.exposure_s
    assert np.mean(np.abs(np.array(levels) - 1) <= 0.25) >= 0.95
    assert changes < 0.1 * len(levels)


def test_a_sudden_change_is_followed_at_once():
    law = StarLaw(full_well=0.6, limits=FREE)
    steady = [starry(1.0, 0.6 * FULL, t) for t in range(30)]
    assert after(law, *steady, starry(1.0, 0.3 * FULL, 30.0)).exposure_s == pytest.approx(2.0, rel=0.05)


def test_without_a_star_it_holds_then_probes_and_never_runs_away():
    law = StarLaw(full_well=0.6, limits=replace(FREE, max_s=50.0))
    state, asked, probes = law.start(), [1.0], []
    for n in range(40):
        frame = starry(1.0, 0.6 * FULL, n) if n < 10 else dark(asked[-1], 10.0 * n)
        state, decision = law.step(state, frame)
        asked.append(decision.exposure_s)
        probes.append(decision.probing)
        assert n < 10 or decision.hold is Hold.NO_STARS
    assert set(asked[11:]) == {1.0, 3.0}
    assert [n for n, probing in enumerate(probes) if probing] == [12, 18, 24, 30, 36]
    back = law.step(state, starry(1.0, 0.3 * FULL, 500.0))
    assert back[1].exposure_s == 1.0  # light that comes back comes back fast
    assert back[1].bound is Bound.RETURN
    assert law.step(back[0], starry(1.0, 0.6 * FULL, 502.0))[1].exposure_s == 1.0


def test_before_the_first_star_exposures_grow():
    law = StarLaw(limits=replace(FREE, max_s=20.0))
    state, asked = law.start(), [0.1]
    for _ in range(4):
        state, decision = law.step(state, dark(asked[-1]))
        asked.append(decision.exposure_s)
    assert asked == pytest.approx([0.1, 0.8, 6.4, 20.0, 20.0])


def test_the_goal_that_asks_for_less_light_binds():
    frame = replace(starry(1.0, 6000.0), error_px=0.1, read_noise_adu=0.0)
    assert after(StarLaw(full_well=0.6, limits=FREE), frame).exposure_s == pytest.approx(6.0)
    # SNR 50 in 1 s, photons': SNR goes as the root
    assert after(StarLaw(full_well=0.6, snr=100.0, limits=FREE), frame).exposure_s == pytest.approx(4.0)
    assert after(StarLaw(full_well=0.6, error_px=0.05, limits=FREE), frame).exposure_s == pytest.approx(4.0)
    assert after(StarLaw(full_well=0.6, snr=1000.0, limits=FREE), frame).exposure_s == pytest.approx(6.0)
    # all read noise: SNR goes as the exposure
    reading = replace(frame, read_noise_adu=10.0)
    assert after(StarLaw(full_well=0.6, snr=100.0, limits=FREE), reading).exposure_s == pytest.approx(2.0)


def test_a_brighter_star_may_be_clipped_by_rank():
    stars = StarLight(9e5, clipped=True), StarLight(0.3 * FULL, 40.0, 0.1)
    frame = replace(starry(1.0, 1.0), stars=stars)
    assert after(StarLaw(full_well=0.6, rank=2, limits=FREE), frame).exposure_s == pytest.approx(2.0)
    assert after(StarLaw(full_well=0.6, rank=9, limits=FREE), frame).exposure_s == pytest.approx(2.0)


@pytest.mark.parametrize("folding_s", [300.0, -300.0])
@pytest.mark.parametrize("pause_s", [0.1, 15.0])
def test_twilight_is_foretold_for_the_middle_of_the_next_exposure(folding_s, pause_s):
    law = BackgroundLaw(target=0.4, limits=Limits(0.01, 60.0, math.inf))
    rate = 0.4 * FULL / (0.5 if folding_s > 0 else 30.0)
    state, exposure_s, start_s, levels = law.start(), 0.5 if folding_s > 0 else 30.0, 0.0, []
    while start_s < 1200:
        edges = start_s, start_s + exposure_s
        light = rate * -folding_s * (math.exp(-edges[1] / folding_s) - math.exp(-edges[0] / folding_s))
        levels.append(light / (0.4 * FULL))
        state, decision = law.step(state, sky(exposure_s, light, start_s))
        start_s, exposure_s = start_s + exposure_s + pause_s, decision.exposure_s
    assert np.mean(np.abs(np.array(levels) - 1) <= 0.1) >= 0.95


@pytest.mark.parametrize("factor", [3.0, 100.0, 3000.0])
@pytest.mark.parametrize("law", [BackgroundLaw(0.4, FREE), PercentileLaw(99.0, 0.4, FREE)])
def test_a_wholly_clipped_frame_is_cut_until_it_is_not(factor, law):
    state, exposure_s = law.start(), factor / 100
    for frame in range(1, 7):
        level = 0.4 * FULL * exposure_s * 100
        if abs(level / (0.4 * FULL) - 1) <= 0.15:
            break
        state, decision = law.step(state, sky(exposure_s, level, float(frame)))
        exposure_s = decision.exposure_s
    assert frame <= 6


def test_limits_and_steps():
    law = StarLaw(full_well=0.6, limits=Limits(0.5, 8.0, 2.0))
    assert (after(law, starry(1.0, 100.0)).exposure_s, after(law, starry(1.0, 100.0)).bound) == (2.0, Bound.STEP)
    assert after(law, starry(7.0, 100.0)).exposure_s == 8.0
    assert after(law, starry(7.0, 100.0)).bound is Bound.LONGEST
    assert after(law, starry(0.6, 90000.0)).exposure_s == 0.5
    assert after(law, starry(0.6, 90000.0)).bound is Bound.SHORTEST


def test_only_exposures_with_dark_frames():
    law = StarLaw(full_well=0.6, limits=replace(FREE, darks_s=(1.0, 2.0, 5.0, 10.0)))
    for wanted, got in ((0.2, 1.0), (1.9, 1.0), (2.1, 2.0), (4.9, 2.0), (7.0, 5.0), (500.0, 10.0)):
        assert after(law, starry(0.5, 0.6 * FULL / wanted)).exposure_s == got
    # within the dead band of one that has none: it goes to one that has
    assert after(law, starry(2.03, 0.6 * FULL / 2.03)).exposure_s == 2.0


def test_gain_helps_where_the_exposure_cannot_and_does_not_hunt():
    rule = GainRule(0.0, 300.0, step=60.0, return_share=0.5)
    law = BackgroundLaw(target=0.4, limits=Limits(0.01, 10.0, math.inf, gain=rule))
    state, exposure_s, gain, start_s, seen = law.start(), 1.0, 0.0, 0.0, []
    for n in range(60):
        # the sky brightens slowly, about the light at which a step of gain is due
        rate = 0.4 * FULL / 15.0 * 10 ** (gain / 200) * (1 + 0.1 * math.sin(n))
        frame = sky(exposure_s, rate * exposure_s, start_s, gain=gain, egain_e_per_adu=10 ** (-gain / 200))
        state, decision = law.step(state, frame)
        start_s += exposure_s + 1
        exposure_s, gain = decision.exposure_s, gain if decision.gain is None else decision.gain
        seen.append((exposure_s, gain))
    assert seen[0] == (pytest.approx(15 / 10**0.3, rel=0.02), 60.0)
    assert {gain for _, gain in seen} == {60.0}  # 15 s at gain 0 would be above the limit, 7.5 s is not below half
    bright = sky(1.0, 0.4 * FULL * 50, start_s, gain=60.0, egain_e_per_adu=10**-0.3)
    assert law.step(state, replace(bright, level_adu=0.9 * FULL))[1].gain == 0.0


def test_a_gain_that_amplifies_otherwise_than_said_is_learned_from_the_frames():
    rule = GainRule(0.0, 300.0, step=100.0)
    law = BackgroundLaw(target=0.4, limits=Limits(0.01, 12.0, math.inf, gain=rule))
    state, decision = law.step(law.start(), sky(10.0, 0.2 * FULL, 0.0, gain=0.0, egain_e_per_adu=1.0))
    assert decision.gain == 100.0  # thought to be 3.16 times
    frame = sky(decision.exposure_s, 0.02 * FULL * 2 * decision.exposure_s, 11.0, gain=100.0, egain_e_per_adu=0.5)
    _, decision = law.step(state, frame)
    assert decision.exposure_s == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize("law", [LAWS[name]() for name in LAWS])
def test_nonsense_is_answered_with_hold_and_a_reason(law):
    good = replace(starry(1.0, 1000.0), percentile_adu=2000.0)
    state, _ = law.step(law.start(), good)
    bad = [
        replace(good, exposure_s=math.nan), replace(good, exposure_s=0.0), replace(good, start_s=math.inf),
        replace(good, saturation_adu=math.nan), replace(good, saturation_adu=-5.0),
    ]  # fmt: skip
    if law.name in ("star", "guiding"):
        bad += [replace(good, stars=stars) for stars in (None, (), (StarLight(math.nan),), (StarLight(-1.0),))]
    else:
        bad += [replace(good, level_adu=v, percentile_adu=v) for v in (math.nan, 0.0, -3.0)]
    for frame in bad:
        _, decision = law.step(state, frame)
        assert isinstance(decision.hold, Hold), frame
        assert decision.exposure_s == frame.exposure_s or math.isnan(frame.exposure_s)


anything = st.floats(allow_nan=True, allow_infinity=True)
measurements = st.builds(
    Measurement, anything, anything, anything, st.none() | st.floats(0, 300), anything, anything, anything, anything,
    anything, anything,
    st.none() | st.lists(st.builds(StarLight, anything, anything, anything, st.booleans()), max_size=3).map(tuple),
    anything, st.none() | st.tuples(anything, anything),
)  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
@given(st.lists(measurements, min_size=1, max_size=4), st.booleans())
@settings(deadline=None, max_examples=80)
def test_whatever_is_measured_a_law_answers_within_its_limits(name, frames, with_gain):
    limits = Limits(0.01, 30.0, 4.0, gain=GainRule(0.0, 300.0) if with_gain else None)
    law: Any = LAWS[name](limits=limits)
    state = law.start()
    for frame in frames:
        state, decision = law.step(state, frame)
        if decision.hold is None:
            assert 0.01 <= decision.exposure_s <= 30.0 or decision.exposure_s == frame.exposure_s
        if decision.gain is not None:
            assert 0.0 <= decision.gain <= 300.0


def test_parameters_out_of_range_are_named():
    for make in (
        lambda: StarLaw(full_well=1.5), lambda: StarLaw(snr=math.nan), lambda: StarLaw(rank=0),
        lambda: BackgroundLaw(target=0.0), lambda: PercentileLaw(percentile=101), lambda: Limits(5.0, 1.0),
        lambda: Limits(max_step=1.0), lambda: Limits(darks_s=(90.0,)), lambda: Limits(darks_s=(math.nan,)),
        lambda: GainRule(100.0, 0.0), lambda: GuidingLaw(look_every=3),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"is .*; allowed"):
            make()


def open_loop(frames: int, exposure_s: float, seeing: float, drift: float, walk: float, seed: int = 0) -> list[Any]:
    random = np.random.default_rng(seed)
    place, out = np.zeros(2), []
    for n in range(frames):
        place = place + walk * math.sqrt(exposure_s + 0.5) * random.standard_normal(2) + drift * (exposure_s + 0.5)
        blur = seeing * exposure_s**-0.25 * random.standard_normal(2)
        out.append((n * (exposure_s + 0.5), exposure_s, *(place + blur), 1e-4))
    return out


def test_seeing_walk_and_drift_are_told_apart():
    motion = motion_of(tuple(open_loop(180, 2.0, seeing=0.3, drift=0.0, walk=0.05)))
    assert motion.seeing_px2 == pytest.approx(2 * 0.09, rel=0.3)
    assert motion.walk_px2_per_s == pytest.approx(2 * 0.0025, rel=0.6)
    drifting = motion_of(tuple(open_loop(180, 2.0, seeing=0.1, drift=0.2, walk=0.0)))
    assert math.sqrt(drifting.drift_px2_per_s2) == pytest.approx(math.sqrt(2) * 0.2, rel=0.1)


@pytest.mark.parametrize(("seeing", "drift", "longer"), [(0.6, 0.0, True), (0.02, 0.2, False)])
def test_the_guiding_law_goes_where_the_error_is_least(seeing, drift, longer):
    law = GuidingLaw(limits=Limits(0.5, 8.0, 1.5))
    state, exposure_s, start_s, holds = law.start(), 2.0, 0.0, []
    frames = open_loop(180, 2.0, seeing, drift, 0.002)
    for n in range(170):
        moved = (frames[n][2], frames[n][3])
        frame = replace(starry(exposure_s, 4000.0, start_s), error_px=0.01, moved_px=moved)
        state, decision = law.step(state, replace(frame, start_s=frames[n][0], exposure_s=2.0))
        holds.append(decision.hold)
        if decision.exposure_s != 2.0:
            break
    assert holds[0] is Hold.LEARNING
    assert decision.exposure_s == pytest.approx(3.0 if longer else 2.0 / 1.5)
    assert decision.level > 1


def test_the_guiding_law_obeys_full_well():
    assert after(GuidingLaw(), starry(2.0, FULL)).exposure_s < 2.0
