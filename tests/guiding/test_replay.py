"""A night again with another law."""

import numpy as np
import pytest

from acquisition.guidelog import GuidingSection, open_loop, read_guide_log
from acquisition.guiding.algorithms import Hysteresis
from acquisition.guiding.algorithms.identity import Identity
from acquisition.guiding.replay import replay

NONE = np.empty(0)


def test_a_law_that_corrects_everything_leaves_the_next_step():
    """What is left of a random walk is its newest step."""
    steps = np.random.default_rng(1).normal(0, 1, 500)
    motion = np.cumsum(steps)
    t_s = 2.0 * np.arange(500)
    left = replay(Identity(), t_s, motion, np.full(500, 50.0), NONE, 2.0, 1.0)
    assert left.displacement_px[1:] == pytest.approx(steps[1:])
    assert left.rms_px == pytest.approx(1.0, rel=0.1)


def test_a_lost_frame_is_told_to_the_law_and_costs_what_moved_meanwhile():
    t_s = 2.0 * np.delete(np.arange(100), 50)
    left = replay(Identity(), t_s, 0.5 * t_s, np.full(99, 50.0), np.array([100.0]), 2.0, 1.0)
    assert left.displacement_px[49:52] == pytest.approx([1.0, 2.0, 1.0])


def test_too_few_frames_are_named():
    with pytest.raises(ValueError, match="3 frames have a star; need more than 30"):
        replay(Hysteresis(), np.arange(3.0), np.zeros(3), np.ones(3), NONE, 1.0, 1.0)


def test_replaying_the_law_that_guided_gives_about_what_was_measured(realdata):
    """A night that PHD2 guided by hysteresis-like laws: the replay cannot be far from it."""
    with (realdata / "guidelogs" / "phd2_performance_dataset03.txt").open() as lines:
        section = next(part for part in read_guide_log(lines) if isinstance(part, GuidingSection))
    motion = open_loop(section)
    left = replay(Hysteresis(), motion.t_s, motion.ra_px, motion.snr, motion.lost_s, 3.0, 3.82)
    guided = np.sqrt(np.mean([row.ra_raw**2 for row in section.rows[30:]]))
    assert left.rms_px == pytest.approx(guided, rel=0.25)
