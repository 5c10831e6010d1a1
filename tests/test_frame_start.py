"""When frames of a video began, by what the clock said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.frame_start import LONGEST_DELAY_S, FrameStart, Look, VideoClock
from acquisition.images import FrameFacts

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def seen(clock: VideoClock, asked_s: float, loop_s: float, exposure_s: float) -> FrameStart:
    look = Look(asked_s, loop_s, T0 + timedelta(seconds=loop_s), FrameFacts())
    clock.looked(look)
    return clock.began(look, exposure_s)


def test_the_first_frame_tells_how_long_frames_are_on_their_way():
    clock = VideoClock(10.0)
    first = seen(clock, 10.0, 11.3, 1.0)
    assert (first.loop_s, first.uncertainty_s) == (10.0, pytest.approx(0.3))
    assert first.utc == T0 + timedelta(seconds=10)
    waited_for = seen(clock, 11.9, 12.3, 1.0)
    assert (waited_for.loop_s, waited_for.uncertainty_s) == (pytest.approx(11.0), pytest.approx(0.3))


def test_a_frame_that_waited_for_us_began_after_the_one_before_had_ended():
    clock = VideoClock(0.0)
    seen(clock, 0.0, 1.1, 1.0)
    late = seen(clock, 5.0, 5.0001, 1.0)  # nobody asked for four seconds
    assert late.loop_s == pytest.approx(1.0)
    assert late.loop_s + late.uncertainty_s == pytest.approx(4.0, abs=1e-3)


@given(
    st.floats(0.01, 5),
    st.floats(0, 2),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 0.1)), min_size=1, max_size=20),
)
def test_starts_ascend_and_contain_the_latest_possible(exposure_s, delay_s, looks):
    clock = VideoClock(0.0)
    now_s, before_s = exposure_s + delay_s, -1.0
    for pause_s, waited_s in looks:
        start = seen(clock, now_s, now_s + waited_s, exposure_s)
        assert start.loop_s >= before_s
        assert start.uncertainty_s >= 0
        assert start.loop_s + start.uncertainty_s >= now_s + waited_s - exposure_s - 1e-9
        before_s, now_s = start.loop_s, now_s + waited_s + pause_s
    assert clock._delay_s is not None
    assert clock._delay_s <= LONGEST_DELAY_S
