"""What a frame says of its exposure: levels, stars, and how bright those are that are clipped."""

import math
from typing import Any

import numpy as np
import pytest

from acquisition.exposure.laws import exposure_rule
from acquisition.images import FrameFacts, Image
from acquisition.images.meta import GuideStar, GuideStars
from acquisition.images.processors.exptime.measure import MeasureRule, measure
from acquisition.kernels.exposure import Hold, Limits

FULL, BIAS = 65520.0, 1000.0
Y, X = np.mgrid[:160, :200]


def profile(kind: str, fwhm: float, x: float, y: float) -> Any:
    r2 = (X - x) ** 2 + (Y - y) ** 2
    if kind == "gaussian":
        return np.exp(-r2 / 2 / (fwhm / 2.355) ** 2)
    if kind == "halo":
        s2 = (fwhm / 2.355) ** 2
        return 0.983 * np.exp(-r2 / 2 / s2) + 0.017 * np.exp(-r2 / 2 / s2 / 6.25)
    beta = float(kind.removeprefix("moffat"))
    return (1 + r2 / ((fwhm / 2) ** 2 / (2 ** (1 / beta) - 1))) ** -beta


def frame(light: Any, exposure_s: float = 1.0, seed: int = 0, **facts: Any) -> Image:
    """Light above the sky, ADU, as a camera delivers it; 2 e-/ADU."""
    random = np.random.default_rng(seed)
    counts = random.poisson(np.minimum((light + 50) * 2, 1e9)) / 2 + BIAS + random.normal(0, 15, X.shape)
    known = {"data_max_adu": FULL, "egain_e_per_adu": 2.0, "read_noise_e": 30.0, **facts}
    return Image.from_camera(np.clip(counts, 0, FULL).astype(np.uint16), FrameFacts(exposure_s=exposure_s, **known))


def stars_of(image: Image) -> Any:
    stars = measure(image, MeasureRule(bias_adu=BIAS), 0.0).stars
    assert stars is not None
    return stars


def test_levels_are_above_the_bias():
    seen = measure(frame(np.zeros(X.shape)), MeasureRule(percentile=99.0, bias_adu=BIAS), 7.0)
    assert seen.level_adu == pytest.approx(50, abs=2)
    assert 60 < seen.percentile_adu < 130
    assert (seen.start_s, seen.exposure_s, seen.saturation_adu) == (7.0, 1.0, FULL - BIAS)
    assert seen.noise_adu == pytest.approx(16, rel=0.1)
    assert seen.read_noise_adu == 15.0
    assert (seen.stars, seen.clipped_share) == ((), 0.0)


def test_a_clipped_sky_is_at_the_saturation():
    seen = measure(frame(np.full(X.shape, 1e6)), MeasureRule(percentile=50.0, bias_adu=BIAS), 0.0)
    assert seen.level_adu == seen.percentile_adu == seen.saturation_adu
    assert seen.clipped_share == 1.0


def test_a_star_that_is_not_clipped():
    (star,) = stars_of(frame(30000 * profile("gaussian", 3.0, 100.3, 80.6)))
    assert star.peak_adu == pytest.approx(30000, rel=0.12)  # its brightest pixel
    assert not star.clipped
    assert star.snr > 100
    assert star.error_px < 0.02


@pytest.mark.parametrize("kind", ["gaussian", "halo", "moffat2.5", "moffat3.5"])
@pytest.mark.parametrize("fwhm", [2.2, 4.0])
@pytest.mark.parametrize("over", [2.0, 100.0])
def test_a_star_clipped_by_far_is_in_band_by_the_fourth_frame(kind, fwhm, over):
    rule = exposure_rule("star", {"full_well": 0.6}, Limits(1e-4, 1000, math.inf), bias_adu=BIAS)
    state, exposure_s, used, clipped = rule.start(), over, [], []
    for n in range(4):
        used.append(exposure_s)
        light = 0.6 * (FULL - BIAS) * exposure_s * profile(kind, fwhm, 100.0, 80.0)
        state, seen, decision = rule.decide(state, frame(light, exposure_s, n), float(n))
        clipped.append(bool(seen.stars) and seen.stars[0].clipped)
        exposure_s = decision.exposure_s
    assert used[3] == pytest.approx(1.0, rel=0.15)
    assert sum(clipped[1:]) <= 1


def test_what_is_no_star_does_not_count():
    """A hot cluster, a satellite's trail, a cosmic hit's single pixel."""
    light = 5000 * profile("gaussian", 3.0, 100.0, 80.0)
    hot = np.zeros(X.shape)
    hot[20:22, 30:32] = 1e6
    hot[120, 20:190] = 1e6
    hot[50, 150] = 1e6
    (brightest, *_) = stars_of(frame(light + hot))
    assert not brightest.clipped
    assert brightest.peak_adu == pytest.approx(5000, rel=0.15)


def test_charge_that_spilled_along_a_column_does_not_count():
    light = 20 * FULL * profile("gaussian", 3.0, 100.0, 80.0)
    light[30:130, 100] += 1e6
    (star, *_) = stars_of(frame(light))
    assert star.clipped
    assert 4 * FULL < star.peak_adu < 160 * FULL


def test_a_hot_pixel_beside_a_faint_wide_star_does_not_clip_it():
    light = sum(3000 / n * profile("gaussian", 8.0, 50.0 * n, 80.0) for n in (1, 2, 3))
    light[80, 51] += 1e6
    (star, *_) = stars_of(frame(light))
    assert not star.clipped
    assert star.peak_adu == pytest.approx(3000, rel=0.3)


def test_chosen_guide_stars_are_what_counts():
    """Another star, even a clipped one, is none of the guider's business."""
    light = 9e5 * profile("gaussian", 3.0, 50.0, 50.0) + 20000 * profile("gaussian", 3.0, 140.0, 100.0)
    image = frame(light)
    star = GuideStar(1, 140.0, 100.0, 140.0, 100.0, 0.01, 0.02, 2e5, 21000.0, 150.0, 3.0, True)
    lost = GuideStar(2, math.nan, math.nan, 9.0, 9.0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, False)
    image.set_meta(GuideStars([star, lost]))
    (seen,) = stars_of(image)
    assert (seen.peak_adu, seen.snr, seen.error_px, seen.clipped) == (20000.0, 150.0, 0.02, False)


def test_frames_that_say_little_are_measured_as_far_as_that_goes():
    rule = exposure_rule("star", {}, Limits())
    nothing = Image(np.full((20, 20), np.nan))
    _, seen, decision = rule.decide(rule.start(), nothing, 0.0)
    assert math.isnan(seen.exposure_s)
    assert decision.hold is Hold.NO_EXPOSURE
    assert math.isnan(measure(Image(np.zeros((3, 9))), MeasureRule(), 0.0).level_adu)
    assert measure(Image(np.zeros((20, 20), np.uint8)), MeasureRule(), 0.0).saturation_adu == 255.0
    bayer = frame(30000 * profile("gaussian", 6.0, 100.0, 80.0), bayer_pattern="RGGB")
    assert stars_of(bayer)[0].peak_adu == pytest.approx(30000, rel=0.15)


def test_what_cannot_be_is_refused():
    for wrong in ({"percentile": 0.0}, {"bias_adu": -1.0}, {"bias_adu": 50.0, "saturation_adu": 40.0}):
        with pytest.raises(ValueError, match="allowed"):
            MeasureRule(**wrong)
    with pytest.raises(ValueError, match="allowed: star, background, percentile, guiding"):
        exposure_rule("sun", {}, Limits())
    with pytest.raises(ValueError, match="no parameter 'target'; allowed: full_well"):
        exposure_rule("star", {"target": 0.5}, Limits())
