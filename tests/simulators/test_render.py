"""Starlight and noise: statistics of what comes out against what went in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, poisson

from simulators.path import pieces
from simulators.render import NO_MAP, Electronics, Ground, digitise, even_ground, ground_table
from simulators.starlight import add_stars
from simulators.streams import NORMALS

ONE_PIECE = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])


def star(x, y, flux_e=1e5, sigma_px=1.0, path=ONE_PIECE, shape=(48, 64), x0=0, y0=0, halo_share=0.0):
    frame = np.zeros(shape, np.float32)
    parts = np.array([[1 - halo_share, 1.0, 0.0, 0.0], [halo_share, 2.5**2, 0.0, 0.0]])
    add_stars(frame, x0, y0, np.array([x]), np.array([y]), np.array([flux_e]), path, sigma_px, parts)
    return frame


def moments(frame):
    """Total, mean x, mean y, variance along x, variance along y."""
    frame = frame.astype(float)
    rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
    total = frame.sum()
    x, y = (frame * columns).sum() / total, (frame * rows).sum() / total
    return total, x, y, (frame * (columns - x) ** 2).sum() / total, (frame * (rows - y) ** 2).sum() / total


@given(x=st.floats(20, 40), y=st.floats(20, 28), sigma_px=st.floats(0.5, 2.0), halo_share=st.sampled_from([0.0, 0.1]))
def test_a_star_is_where_it_was_put_with_all_its_light(x, y, sigma_px, halo_share):
    total, mean_x, mean_y, _, _ = moments(star(x, y, 1e5, sigma_px, halo_share=halo_share))
    sampling = math.exp(-2 * (math.pi * sigma_px) ** 2) / math.pi  # what square pixels do to a narrow star's mean
    assert max(abs(mean_x - x), abs(mean_y - y)) < 0.001 + sampling
    assert total == pytest.approx(1e5, rel=0.001)


def test_a_faint_star_is_not_displaced_by_where_its_drawing_ends():
    offsets = [moments(star(30 + dx, 22 + dy, 50.0))[1:3] for dx in (0.0, 0.2, 0.5, 0.8) for dy in (0.1, 0.6)]
    truth = [(30 + dx, 22 + dy) for dx in (0.0, 0.2, 0.5, 0.8) for dy in (0.1, 0.6)]
    assert np.abs(np.array(offsets) - truth).max() < 0.02


@given(
    length_x=st.floats(-12, 12),
    length_y=st.floats(-6, 6),
    sway=st.floats(0, 1.5),
    sigma_px=st.floats(0.7, 1.5),
)
@settings(max_examples=30)
def test_motion_blurs_a_star_by_the_moments_of_its_path(length_x, length_y, sway, sigma_px):
    time = (np.arange(200) + 0.5) / 200
    dx = length_x * (time - 0.5) + sway * np.sin(31 * time)
    dy = length_y * (time - 0.5) + sway * np.cos(47 * time)
    path = pieces(dx, dy, sigma_px)
    assert path[:, 2].sum() == pytest.approx(1)
    _, x, y, var_x, var_y = moments(star(32.3, 24.6, 1e6, sigma_px, path))
    assert math.hypot(x - 32.3 - dx.mean(), y - 24.6 - dy.mean()) < 0.01
    pixel = 1 / 12
    assert var_x == pytest.approx(sigma_px**2 + pixel + dx.var(), rel=0.02)
    assert var_y == pytest.approx(sigma_px**2 + pixel + dy.var(), rel=0.02)


def test_part_of_a_frame_is_that_part_of_the_whole():
    whole = star(31.7, 20.2)
    part = star(31.7, 20.2, shape=(30, 20), x0=15, y0=12)
    assert np.array_equal(whole[12:42, 15:35], part)


def test_stars_outside_add_nothing_but_their_wings():
    assert star(-30.0, 500.0).sum() == 0
    assert 0 < star(-2.0, 20.0, 1e6).sum() < 1e5


def digitised(light, base_e, *, read_noise_e=4.7, full_well_e=13000.0, e_per_adc=1.8, bias_adc=64.0, key=7, x0=0, y0=0):
    shape = y0 + light.shape[0], 1000
    ground = Ground(base_e, NO_MAP, 0.0, NO_MAP, 0.0)
    electronics = Electronics(
        read_noise_e,
        full_well_e,
        0.0,
        e_per_adc,
        bias_adc,
        0.0,
        0.0,
        np.zeros(shape[1], np.float32),
        4095,
        0,
        True,
        NORMALS,
    )
    counts = np.empty(light.shape, np.uint16)
    table = ground_table(base_e, read_noise_e, full_well_e, e_per_adc, bias_adc, 4095)
    even_ground(x0, y0, shape[1], np.uint64(key), *table, 0, counts)
    everywhere = np.array([[0, light.shape[1] - 1, 0, light.shape[0] - 1]])
    digitise(light, everywhere, ground, electronics, x0, y0, np.uint64(key), counts)
    return counts


@pytest.mark.parametrize("base_e", [0.0, 0.3, 9.4, 60.0, 199.0, 201.0, 5000.0])
def test_the_background_has_the_mean_and_variance_of_photons_and_electronics(base_e):
    counts = digitised(np.zeros((400, 500), np.float32), base_e).astype(float)
    sigma = math.sqrt((base_e + 4.7**2) / 1.8**2 + 1 / 12)
    n = counts.size
    assert counts.mean() == pytest.approx(base_e / 1.8 + 64 - 0.5, abs=5 * sigma / math.sqrt(n))
    assert counts.std() == pytest.approx(sigma, rel=5 / math.sqrt(2 * n))


def test_the_background_has_the_exact_distribution():
    """Against photons and read noise drawn by numpy's own generators: Kolmogorov and Smirnov's distance."""
    random = np.random.default_rng(1)
    drawn = random.poisson(3.0, 10**6) + random.normal(0, 2.0, 10**6)
    expected = np.sort(np.floor(drawn / 1.8 + 64))
    counts = np.sort(digitised(np.zeros((1000, 1000), np.float32), 3.0, read_noise_e=2.0).ravel())
    values = np.arange(50, 90)
    ours = np.searchsorted(counts, values, side="right") / counts.size
    theirs = np.searchsorted(expected, values, side="right") / expected.size
    assert np.abs(ours - theirs).max() < 1.63 * math.sqrt(2 / 10**6)  # 1 % level


@pytest.mark.parametrize("light_e", [0.2, 3.0, 7.9, 8.1, 40.0, 3000.0])
def test_starlight_is_poissonian(light_e):
    light = np.full((300, 400), light_e, np.float32)
    electrons = digitised(light, 0.0, read_noise_e=0.0, e_per_adc=1.0, bias_adc=0.0)
    n = electrons.size
    assert electrons.mean() == pytest.approx(light_e, abs=5 * math.sqrt(light_e / n))
    assert electrons.var() == pytest.approx(light_e, rel=0.03)
    if light_e < 60:
        k = np.arange(0, 120)
        ours = np.searchsorted(np.sort(electrons.ravel()), k, side="right") / n
        assert np.abs(ours - poisson.cdf(k, light_e)).max() < 0.006


def test_read_noise_has_normal_tails():
    light = np.full((1000, 1000), 1e-9, np.float32)  # so that it is not taken from the background's table
    counts = digitised(light, 0.0, read_noise_e=20.0, e_per_adc=1.0, bias_adc=500.0).astype(float)
    deviates = (counts + 0.5 - 500) / 20
    for limit in (1, 2, 3, 4):
        expected = 2 * norm.sf(limit) * counts.size
        assert np.sum(np.abs(deviates) > limit) == pytest.approx(
            expected, abs=5 * math.sqrt(expected) + 0.02 * expected
        )


def test_clipping_by_full_well_and_converter():
    light = np.full((50, 50), 20000.0, np.float32)
    by_well = digitised(light, 10.0, read_noise_e=0.0, full_well_e=5000.0, e_per_adc=2.0)
    assert np.unique(by_well).tolist() == [2500 + 64]
    assert np.unique(digitised(light, 10.0, full_well_e=1e9)).tolist() == [4095]
    assert np.unique(digitised(np.zeros((9, 9), np.float32), 1e6, full_well_e=1e9)).tolist() == [4095]
    assert digitised(np.zeros((50, 50), np.float32), 1.0, bias_adc=0.0).min() == 0


def test_noise_depends_on_the_key_and_the_pixel_alone():
    light = star(30.2, 20.7, 5000.0)
    counts = digitised(light, 9.0)
    assert np.array_equal(counts, digitised(light, 9.0))
    part = digitised(light[10:40, 8:50], 9.0, x0=8, y0=10)
    assert np.array_equal(counts[10:40, 8:50], part)
    assert not np.array_equal(counts, digitised(light, 9.0, key=8))


def test_noise_of_neighbours_and_of_frames_is_independent():
    dark = np.zeros((500, 500), np.float32)
    one, other = (digitised(dark, 9.0, key=key).astype(float) - 68.5 for key in (1, 2))
    pairs = {"frames": (one, other), "columns": (one[:, 1:], one[:, :-1]), "rows": (one[1:], one[:-1])}
    for name, (a, b) in pairs.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / math.sqrt(a.size), name
