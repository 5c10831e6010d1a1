"""The laws against PHD2's own C++.

`phd2_laws.csv` holds one input series and what PHD2's code answered, law by law (measured by running PHD2's guide
algorithms at commit 27ca7e21). The column `resistswitch_nofast` was made with aggression 0.8; the columns of the
predictive PEC with the rows' times as its clock and a guide rate of 1 px/s. All others have the parameters that their
names say, and PHD2's defaults.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.guiding.algorithms import (
    LAWS,
    Dithered,
    Hysteresis,
    Identity,
    Input,
    Law,
    Lost,
    Lowpass,
    Lowpass2,
    Measured,
    PredictivePec,
    ResistSwitch,
    Resumed,
    Settled,
    ZFilter,
)

GOLDEN = list(csv.DictReader((Path(__file__).parent / "phd2_laws.csv").read_text().splitlines()))


def parse(text: str) -> Input:
    words = text.split()
    match words[0]:
        case "lost":
            return Lost(float(words[1]))
        case "dither":
            return Dithered(float(words[1]))
        case "settled":
            return Settled()
        case _:
            t_s, displacement, snr, exposure_s = map(float, words)
            return Measured(t_s, displacement, None, snr, exposure_s)


@pytest.mark.parametrize(
    ("law", "column"),
    [
        (Hysteresis(), "hysteresis"),
        (Hysteresis(min_move=0.1, hysteresis=0.3, aggression=1.2), "hysteresis_a1.2_h0.3"),
        (ResistSwitch(), "resistswitch"),
        (ResistSwitch(aggression=0.8, fast_switch=False), "resistswitch_nofast"),
        (Lowpass(), "lowpass"),
        (Lowpass2(), "lowpass2"),
        (ZFilter(), "zfilter"),
        (PredictivePec(), "ppec"),
        (PredictivePec(period_length=300, auto_adjust_period=False), "ppec_fixed300"),
    ],
)
def test_answers_as_phd2_does(law, column):
    """Required: 1e-6 relative, 1 % for the Gaussian process; the columns are printed to nine digits."""
    state = law.start()
    for row in GOLDEN:
        state, correction = law.step(state, parse(row["input"]))
        expected = 0.0 if row[column] == "ok" else float(row[column])
        assert correction == pytest.approx(expected, rel=1e-6, abs=1e-9), row["input"]


def test_identity_corrects_what_it_sees():
    law = Identity()
    assert law.step(law.start(), Measured(1.0, -0.3)) == (None, -0.3)


REACTIVE = [law() for law in LAWS.values() if law.unit == "px" and law is not PredictivePec]
"""PHD2's laws that only know the last few displacements."""


@pytest.mark.parametrize("law", [law for law in REACTIVE if not isinstance(law, ZFilter)])
@given(series=st.lists(st.floats(-50, 50), max_size=40))
def test_a_correction_has_the_displacements_sign_or_is_nothing_after_a_start(law: Law, series):
    """With an aggression of at most one, no law moves the star further than it was."""
    state = law.start()
    for i, displacement in enumerate(series):
        state, correction = law.step(state, Measured(2.0 * i, displacement))
        assert abs(correction) <= max(abs(d) for d in series)


@pytest.mark.parametrize("law", REACTIVE)
def test_a_lost_frame_moves_nothing_and_a_step_is_pure(law: Law):
    state = law.start()
    for i in range(5):
        state, _ = law.step(state, Measured(i, 1.0))
    again, correction = law.step(state, Lost(6.0))
    assert correction == 0
    assert law.step(state, Measured(7.0, 1.0)) == law.step(again, Measured(7.0, 1.0))


@pytest.mark.parametrize("law", [law for law in REACTIVE if not isinstance(law, Identity)])
@pytest.mark.parametrize("given", [Resumed(), Dithered(2.0)])
def test_reactive_laws_begin_anew_after_a_pause_and_after_a_dither(law: Law, given):
    state = law.start()
    for i in range(5):
        state, _ = law.step(state, Measured(i, 1.0))
    assert law.step(state, given) == (law.start(), 0.0)


def test_predictive_pec_learns_the_period_and_leaves_old_states_alone():
    law = PredictivePec(period_length=150, min_move=0.0)
    state = law.start()
    moved = 0.0
    for t in np.arange(0, 900, 3.0):
        before = state
        points = before.points.copy()
        state, correction = law.step(state, Measured(t, 4 * np.sin(2 * np.pi * t / 180) - moved, None, 30.0, 2.0))
        moved += correction
        np.testing.assert_array_equal(before.points, points)
    assert abs(state.period_s - 180) < 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hysteresis(hysteresis=1.0), r"hysteresis is 1.0; allowed: 0 to 0.99"),
        (lambda: Hysteresis(aggression=float("nan")), r"aggression is nan; allowed: 0 to 2"),
        (lambda: ResistSwitch(min_move=-1), r"min_move is -1; allowed: 0 to 20"),
        (lambda: Lowpass(slope_weight=-1), r"lowpass: slope_weight is -1; allowed: 0 to 20"),
        (lambda: Lowpass2(aggressiveness=101), r"lowpass2: aggressiveness is 101; allowed: 0 to 100"),
        (lambda: ZFilter(exp_factor=0.5), r"z-filter: exp_factor is 0.5; allowed: 1 to 20"),
        (lambda: PredictivePec(period_length=1), r"predictive-pec: period_length is 1; allowed: 10 to 2000"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
