"""What a run's figures say, on series whose figures are known."""

from datetime import UTC, datetime

import numpy as np
import pytest

from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.events import AxisStep, DitherBegan, GuidingBegan, Step
from acquisition.guiding.report import report
from acquisition.guiding.run_summary import summary_lines
from acquisition.guiding.statistics import GuidingStatistics
from acquisition.images.meta import GuideStar
from acquisition.mount import Direction

UTC0 = datetime(2026, 3, 1, tzinfo=UTC)
RESPONSE = MountResponse(MountAxis(0.0, 2.0), MountAxis(-90.0, 2.0), 0.0, "West", 1)
CADENCE_S = 2.0


def star(number, used, reason=None):
    return GuideStar(number, 1.0, 2.0, 10.0 * number, 20.0, 0.1, 0.1, 1e4, 900.0, 50.0, 2.5, used, reason)


def axis(px, pulse_s, positive):
    direction = None if pulse_s == 0 else positive if pulse_s > 0 else positive.opposite
    return AxisStep(px, pulse_s * 2.0, direction, abs(pulse_s), False)


def run(ra, dec, ra_s=0.0, dec_s=0.0, *, settling=(), dithers=None, scale=2.0):
    """Statistics of displacements px and pulses s, a frame every 2 s; `dithers`: steps of the lock before rows."""
    statistics = GuidingStatistics()
    statistics.listen(GuidingBegan(0.0, UTC0, 5.0, 5.0, 2.5, RESPONSE, scale))
    ra_s, dec_s = np.broadcast_to(ra_s, len(ra)), np.broadcast_to(dec_s, len(ra))
    for i in range(len(ra)):
        t = CADENCE_S * i
        if dithers and i in dithers:
            statistics.listen(DitherBegan(t, dithers[i], 0.0, 5.0, 5.0))
        stars = (star(1, True), star(2, i % 2 == 0, None if i % 2 == 0 else "outlier"))
        one, two = axis(float(ra[i]), ra_s[i], Direction.WEST), axis(float(dec[i]), dec_s[i], Direction.SOUTH)
        statistics.listen(
            Step(t, UTC0, i, 2.0, 0.0, 0.0, 0.05, 0.05, one, two, stars, i in settling, scale)
        )  # fmt: skip
    return statistics


def noise(sigma=0.2, n=600, seed=1):
    return np.random.default_rng(seed).normal(0, sigma, n)


def test_what_seeing_and_noise_make_of_the_rms():
    """RA wanders slowly beside its noise; Dec has nothing but noise."""
    slow = 0.4 * np.sin(np.arange(600) / 40)
    values = report(run(noise() + slow, noise(seed=2)), RESPONSE)
    assert values["ra"]["unguidable_share"] == pytest.approx(0.04 / (0.04 + 0.08), abs=0.08)
    assert values["dec"]["unguidable_share"] > 0.85
    assert values["seeing"]["motion_arcsec"] == pytest.approx(2 * np.hypot(0.2, 0), rel=0.12)
    assert values["seeing"]["centroid_noise_px"] == pytest.approx(0.05)


def test_drift_and_polar_axis_come_from_the_pulses_that_held_the_star():
    """50 ms South at 2 px/s and 2"/px every 2 s are 6"/min."""
    values = report(run(noise(), noise(seed=2), dec_s=0.05), RESPONSE)
    assert values["dec"]["drift_arcsec_per_min"] == pytest.approx(6.0, rel=0.02)
    assert values["ra"]["drift_arcsec_per_min"] == pytest.approx(0.0, abs=0.1)
    assert values["polar_error_arcmin_at_least"] == pytest.approx(6.0 / 0.2625, rel=0.02)
    assert any("polar axis off by 23' or more" in line for line in summary_lines(run(noise(), noise(), dec_s=0.05)))


def test_a_dither_is_neither_drift_nor_jitter():
    """The lock moves by 5 px in the middle, and a pulse of 2.5 s brings the star after it."""
    ra, pulses = noise(), np.zeros(600)
    ra[300] -= 5.0
    pulses[300] = -2.5
    values = report(run(ra, noise(seed=2), pulses, settling=range(300, 303), dithers={300: 5.0}), RESPONSE)
    assert values["ra"]["drift_px_per_min"] == pytest.approx(0.0, abs=0.02)
    assert values["ra"]["peak_px"] < 1.0
    assert values["ra"]["unguidable_share"] > 0.85


def test_oscillation_is_the_share_of_pulses_that_turn():
    values = report(run(noise(), noise(seed=2), np.tile([0.1, -0.1], 300), 0.1), RESPONSE)
    assert (values["ra"]["oscillation"], values["dec"]["oscillation"]) == (1.0, 0.0)


def test_recent_figures_forget():
    bad_then_good = np.concatenate([noise(1.0, 300), noise(0.1, 300)])
    statistics = run(bad_then_good, noise())
    assert statistics.recent_rms_px.ra == pytest.approx(0.1, rel=0.15)
    assert statistics.rms_px.ra == pytest.approx(np.hypot(1, 0.1) / np.sqrt(2), rel=0.1)
    assert any(line.startswith("last 5 min") for line in summary_lines(statistics))


def test_every_guide_star_has_its_line():
    first, second = report(run(noise(), noise()), RESPONSE)["guide_stars"]
    assert (first["number"], first["used"], first["snr"], first["reason"]) == (1, 600, 50.0, None)
    assert (second["x"], second["used"], second["frames"], second["reason"]) == (20.0, 300, 600, "outlier")


def test_without_a_scale_lengths_are_px():
    values = report(run(noise(), noise(), scale=None), RESPONSE)
    assert values["ra"]["peak_arcsec"] is None
    assert values["ra"]["peak_px"] > 0
    assert values["polar_error_arcmin_at_least"] is None


def test_before_the_first_frame_there_are_no_figures():
    values = report(GuidingStatistics(), None)
    assert values["ra"] is None
    assert values["guide_stars"] == []
    assert summary_lines(GuidingStatistics()) == ["frames 0, lost 0, pulses 0"]
