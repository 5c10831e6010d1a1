"""Corrections that make it worse, and those that only look as if they did."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.guiding.runaway import Watch, star_lost, watch_step


def guide(gain, drift_px_per_s=0.0, noise_px=0.2, frames=60, most_px=4.0, seed=1, aggression=0.7):
    """A proportional law with the watch on top, 2 s a frame; the watch, and how far the star was at the end."""
    random = np.random.default_rng(seed)
    watch, position, sent = Watch(), 0.3, 0.0
    for k in range(frames):
        position += drift_px_per_s * 2.0
        seen = position + random.normal(0, noise_px)
        watch = watch_step(watch, 2.0 * k, seen, seen, sent)
        sent = 0.0 if watch.held else float(np.clip(aggression * seen, -most_px, most_px))
        position -= gain * sent
    return watch, position


@pytest.mark.parametrize("gain", [-0.5, -1.0, -1.5])
@pytest.mark.parametrize("drift", [-0.2, 0.0, 0.2])
def test_the_wrong_way_is_found_before_the_star_is_far(gain, drift):
    watch, position = guide(gain, drift)
    assert watch.gain == pytest.approx(gain, abs=0.35)
    assert abs(position) < 30 + 60 * abs(drift) * 2


@pytest.mark.parametrize("drift", [1.0, 3.0, 5.0])
def test_a_mount_that_runs_off_by_itself_is_corrected_on(drift):
    watch, _ = guide(1.0, drift)
    assert watch.gain is None


@given(st.integers(0, 10**6), st.floats(0.3, 1.7), st.floats(-0.5, 0.5), st.floats(0.0, 2.0))
@settings(max_examples=40)
def test_no_axis_that_works_is_stopped(seed, gain, drift, noise):
    assert guide(gain, drift, noise, seed=seed)[0].gain is None


def test_a_lost_star_ends_a_suspicion():
    watch = Watch()
    for k in range(6):
        watch = watch_step(watch, 2.0 * k, 3.0 * k, 3.0 * k, 1.0)
    assert watch.held
    assert not star_lost(watch).held
