"""The laws against PHD2's own C++.

`phd2_laws.csv` holds one input series and what PHD2's code answered, law by law (measured by running PHD2's guide
algorithms at commit 27ca7e21). The column `resistswitch_nofast` was made with aggression 0.8.
"""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.guiding.algorithms import LAWS, Dithered, Hysteresis, Input, Law, Lost, Measured, ResistSwitch, Settled

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
    ],
)
def test_answers_as_phd2_does(law, column):
    state = law.start()
    for row in GOLDEN:
        state, correction = law.step(state, parse(row["input"]))
        expected = 0.0 if row[column] == "ok" else float(row[column])
        assert correction == pytest.approx(expected, rel=1e-6, abs=1e-9), row["input"]


@pytest.mark.parametrize("law", [law() for law in LAWS.values()])
@given(series=st.lists(st.floats(-50, 50), max_size=40))
def test_a_correction_has_the_displacements_sign_or_is_nothing_after_a_start(law: Law, series):
    """With an aggression of at most one, no law moves the star further than it was."""
    state = law.start()
    for i, displacement in enumerate(series):
        state, correction = law.step(state, Measured(2.0 * i, displacement))
        assert abs(correction) <= max(abs(d) for d in series)


@pytest.mark.parametrize("law", [law() for law in LAWS.values()])
def test_a_lost_frame_moves_nothing_and_a_step_is_pure(law: Law):
    state = law.start()
    for i in range(5):
        state, _ = law.step(state, Measured(i, 1.0))
    again, correction = law.step(state, Lost(6.0))
    assert correction == 0
    assert law.step(state, Measured(7.0, 1.0)) == law.step(again, Measured(7.0, 1.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hysteresis(hysteresis=1.0), r"hysteresis is 1.0; allowed: 0 to 0.99"),
        (lambda: Hysteresis(aggression=float("nan")), r"aggression is nan; allowed: 0 to 2"),
        (lambda: ResistSwitch(min_move=-1), r"min_move is -1; allowed: 0 to 20"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
