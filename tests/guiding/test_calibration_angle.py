"""The watch over the calibration's angle, on two axes without images."""

import math

import numpy as np
import pytest

from acquisition.guiding.calibration_angle import AngleWatch, angle_step


def guide(turned_deg, seconds, seed, gain=1.0, noise_px=0.08, wobbling=True):
    """A worm on RA, drift on Dec, proportional laws; 2.2 s a frame. The watch, and when it first alarmed."""
    random = np.random.default_rng(seed)
    sine, cosine = math.sin(math.radians(turned_deg)), math.cos(math.radians(turned_deg))
    true, sent, watch, wobble = np.zeros(2), np.zeros(2), AngleWatch(), 0.0
    t_s, alarmed_s = 0.0, None
    while t_s < seconds:
        t_s += 2.2
        true += (0.04 * math.cos(t_s / 76) * 2.2 + random.normal(0, 0.03), 0.005 * 2.2 + random.normal(0, 0.01))
        seen = np.array([cosine * true[0] - sine * true[1], sine * true[0] + cosine * true[1]])
        seen += random.normal(0, noise_px, 2)
        watch = angle_step(watch, t_s, *map(float, seen), *map(float, sent))
        if watch.alarmed and alarmed_s is None:
            alarmed_s = t_s
        sent = np.array([0.7, 0.5]) * (seen - (wobble, 0.0))
        if wobbling:
            sent[0] += wobble - watch.wobble_px
            wobble = watch.wobble_px
        true -= gain * sent
    return watch, alarmed_s


@pytest.mark.parametrize(("turned_deg", "gain"), [(20.0, 1.0), (-20.0, 1.3), (30.0, 0.6), (-45.0, 1.0)])
def test_a_turned_camera_raises_the_alarm_within_ten_minutes(turned_deg, gain):
    watch, alarmed_s = guide(turned_deg, 600.0, seed=5, gain=gain)
    assert alarmed_s is not None
    assert watch.angle_deg == pytest.approx(turned_deg, abs=12)


@pytest.mark.parametrize("seed", range(2))
def test_the_right_angle_raises_none(seed):
    watch, alarmed_s = guide(1.0, 1800.0, seed)
    assert alarmed_s is None
    assert abs(watch.angle_deg) < 3.5 * watch.angle_err_deg


def test_a_small_error_is_not_worth_an_alarm():
    assert guide(4.0, 900.0, seed=2)[1] is None


def test_a_frame_out_of_order_changes_nothing():
    watch, _ = guide(0.0, 60.0, seed=1)
    assert angle_step(watch, watch.recent[-1][0] - 5.0, 0.0, 0.0, 0.0, 0.0) is watch


def test_a_suspicion_that_stays_wobbles_ever_less_often():
    watch, alarmed_s = guide(6.5, 7200.0, seed=4)
    assert alarmed_s is None
    assert 2 <= watch.wobbles <= 6, "every five minutes would be twenty-four"
