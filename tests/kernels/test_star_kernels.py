"""Kernels of star measurement: accuracy against the bound, symmetries, robustness."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from star_bounds import bound, flux_of_snr
from star_scene import Scene, scatter, stamp

from acquisition.kernels import columns as c
from acquisition.kernels.background import measure_background
from acquisition.kernels.combine import combine
from acquisition.kernels.detect import find_candidates
from acquisition.kernels.fit import fit_stars
from acquisition.kernels.match import match_stars
from acquisition.kernels.patches import all_usable
from acquisition.kernels.pixelprofile import integrate
from acquisition.kernels.psf import PROFILES, Psf
from acquisition.kernels.stars import find_stars

NONE = np.empty((0, 0), np.uint8)


def fit(patch: np.ndarray, x: float, y: float, psf: Psf, free: bool = False, saturation: float = 65535.0) -> np.ndarray:
    out, sky = np.empty((1, c.COLUMNS)), np.array([[300.0, 0.0, 0.0, 14.5]])
    fit_stars(
        patch.astype(np.float32)[None], np.zeros((1, 2), np.int64), np.array([x]), np.array([y]), psf.fwhm_x,
        psf.fwhm_y, psf.weights, psf.scales, np.array([free]), 1.0, saturation, psf.half_window_px, 3.0, sky, out,
    )  # fmt: skip
    return out[0]


@pytest.mark.parametrize(("fwhm", "snr"), [(1.2, 30.0), (1.6, 100.0), (2.5, 10.0), (2.5, 500.0), (6.0, 30.0)])
@pytest.mark.parametrize(("beta", "profile"), [(None, "gaussian"), (2.5, "moffat2.5")])
def test_fits_reach_the_bound_and_say_so(fwhm: float, snr: float, beta: float | None, profile: str) -> None:
    """A small version of benchmarks/bench_stars.py."""
    rng, psf = np.random.default_rng(1), Psf(fwhm, fwhm, profile)
    half = psf.half_window_px + 4
    variance = 209.0 + 1 / 12
    flux = flux_of_snr(snr, variance, fwhm, beta)
    ratios, pulls = [], []
    for _ in range(60):
        x, y = half + rng.uniform(-0.5, 0.5, 2)
        light = flux * stamp(x, y, 2 * half + 1, fwhm, beta)
        patch = np.round(rng.poisson(light + 200) + rng.normal(100, 3, light.shape))
        row = fit(patch, x + rng.normal(0, 0.2), y + rng.normal(0, 0.2), psf)
        errors = bound(flux, variance, fwhm, beta, (x - round(x), y - round(y)))
        ratios += [(row[c.X] - x) / errors[0], (row[c.Y] - y) / errors[1]]
        pulls += [(row[c.X] - x) / math.sqrt(row[c.VAR_X]), (row[c.Y] - y) / math.sqrt(row[c.VAR_Y])]
    assert np.sqrt(np.mean(np.square(ratios))) < 1.25
    assert 0.75 < np.std(pulls) < 1.25


def test_widths_come_out_unbiased_when_undersampled() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for _ in range(60):
        x, y = 12 + rng.uniform(-0.5, 0.5, 2)
        patch = rng.poisson(8000 * stamp(x, y, 25, 1.2, None) + 200) + 100.0
        row = fit(patch, x, y, Psf(1.6, 1.6, "gaussian"), free=True)
        widths.append(row[[c.FWHM_X, c.FWHM_Y]])
    assert np.median(widths) == pytest.approx(1.2, abs=0.03)


def test_clipped_and_defect_pixels_are_left_out() -> None:
    rng = np.random.default_rng(3)
    patch = rng.poisson(2e5 * stamp(15.3, 14.8, 31, 3.0, None) + 200) + 100.0
    clipped = np.minimum(patch, 9000.0)
    psf = Psf(3.0, 3.0, "gaussian")
    out = fit(clipped, 15.0, 15.0, psf, saturation=9000.0)
    assert out[c.CLIPPED] > 3
    assert (out[c.X], out[c.Y]) == pytest.approx((15.3, 14.8), abs=0.03)
    assert out[c.FLUX] == pytest.approx(2e5, rel=0.05)
    hot = patch.copy()
    hot[17, 12] += 20000
    assert fit(hot, 15.0, 15.0, psf)[c.X] == pytest.approx(fit(patch, 15.0, 15.0, psf)[c.X], abs=0.02)
    hot[17, 12] = np.nan
    assert fit(hot, 15.0, 15.0, psf)[c.X] == pytest.approx(fit(patch, 15.0, 15.0, psf)[c.X], abs=0.02)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(300, 260, *scatter(np.random.default_rng(5), 12, 260, (3e3, 3e4)))


def test_stars_are_found_and_defects_are_not(scene: Scene) -> None:
    rng = np.random.default_rng(6)
    frame = scene.frame(rng)
    frame[rng.integers(0, 300, 60), rng.integers(0, 260, 60)] = 60000
    frame[:, 77] += 3000
    stars = find_stars(frame, NONE, adu_per_e=1.0, saturation=65535.0)
    good = stars.table[[reason is None for reason in stars.reasons]]
    distance = np.hypot(good[:, c.X, None] - scene.x, good[:, c.Y, None] - scene.y)
    assert (distance.min(axis=1) < 0.3).all()
    assert (distance.min(axis=0) < 0.3).sum() >= 8  # the bright column spoils some
    assert stars.psf is not None
    assert stars.psf.fwhm == pytest.approx(2.5, rel=0.08)


@settings(max_examples=15)
@given(st.sampled_from(["x", "y", "both"]), st.integers(0, 5))
def test_flipped_frames_give_flipped_stars(axis: str, seed: int) -> None:
    frame = Scene(120, 140, *scatter(np.random.default_rng(seed), 3, 120, (5e3, 3e4))).frame(
        np.random.default_rng(seed)
    )
    flipped = np.ascontiguousarray(frame[:: 1 if axis == "x" else -1, :: 1 if axis == "y" else -1])
    a, b = (find_stars(f, NONE, adu_per_e=1.0, saturation=65535.0).table for f in (frame, flipped))
    x = b[:, c.X] if axis == "y" else 139 - b[:, c.X]
    y = b[:, c.Y] if axis == "x" else 119 - b[:, c.Y]
    for row in a[:3]:
        assert np.hypot(x - row[c.X], y - row[c.Y]).min() < 0.02


def test_a_mask_only_removes(scene: Scene) -> None:
    frame = scene.frame(np.random.default_rng(7))
    bad = np.zeros(frame.shape, np.uint8)
    bad[:, :130] = 1
    found = find_candidates(frame, bad, measure_background(frame, bad))
    everything = find_candidates(frame, NONE, measure_background(frame, NONE), threshold=3.5)
    assert (found[:, 0] > 128).all()
    for x, y, _ in found:
        assert np.hypot(everything[:, 0] - x, everything[:, 1] - y).min() < 1.5


def test_threads_agree(scene: Scene) -> None:
    frame = scene.frame(np.random.default_rng(8))

    def measure(_: int) -> bytes:
        return find_stars(frame, NONE, adu_per_e=1.0, saturation=65535.0).table.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(measure, range(8)))) == 1


def test_background_follows_slopes_and_ignores_stars(scene: Scene) -> None:
    from dataclasses import replace

    frame = replace(scene, slope=(2.0, 1.0)).frame(np.random.default_rng(9))
    background = measure_background(frame, NONE)
    assert background.level_at(130, 150) == pytest.approx(300 + 260 + 150, abs=12)
    assert background.noise_at(130, 150) == pytest.approx(math.sqrt(200 + 410 + 9), rel=0.25)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-0.03, 0.03), st.integers(3, 20), st.integers(0, 1000))
def test_combining_recovers_any_motion(dx: float, dy: float, turn: float, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    place = rng.uniform(-200, 200, (n, 2))
    z = place[:, 0] + 1j * place[:, 1]
    moved = z * (np.exp(1j * turn) - 1) + dx + 1j * dy
    motion = combine(np.column_stack((moved.real, moved.imag)), np.full((n, 2), 1e-4), place, turn_err=1.0)
    assert (motion.dx, motion.dy) == pytest.approx((dx, dy), abs=1e-3)
    assert motion.turn == pytest.approx(math.sin(turn), abs=1e-4)
    assert motion.used.all()


def test_combining_leaves_out_what_disagrees() -> None:
    rng = np.random.default_rng(10)
    displacement = rng.normal((1.0, -2.0), 0.02, (20, 2))
    displacement[:6] += rng.uniform(1, 5, (6, 2))
    motion = combine(displacement, np.full((20, 2), 0.02**2), rng.uniform(-200, 200, (20, 2)), turn_err=1e-4)
    assert not motion.used[:6].any()
    assert motion.used[6:].sum() >= 13
    assert (motion.dx, motion.dy) == pytest.approx((1.0, -2.0), abs=0.025)
    assert math.sqrt(motion.var_dx) == pytest.approx(0.02 / math.sqrt(14), rel=0.3)
    with pytest.raises(ValueError, match="no star"):
        combine(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2)))


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(-0.05, 0.05), st.integers(0, 1000))
@settings(max_examples=25)
def test_matching_finds_the_pattern(dx: float, dy: float, turn: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = np.column_stack((rng.uniform(0, 500, (15, 2)), rng.uniform(1e3, 1e4, 15)))
    z = (reference[:, 0] + 1j * reference[:, 1]) * np.exp(1j * turn) + dx + 1j * dy
    frame = np.column_stack((z.real, z.imag, reference[:, 2]))
    frame[:, :2] += rng.normal(0, 0.3, (15, 2))
    frame = np.vstack((frame[4:], np.column_stack((rng.uniform(0, 500, (20, 2)), rng.uniform(1e3, 1e4, 20)))))
    found = match_stars(reference, frame)
    assert found is not None
    assert found.rotation_rad == pytest.approx(turn, abs=0.02)
    assert (found.partner[4:] == np.arange(11)).sum() >= 9


def test_matching_does_not_guess() -> None:
    rng = np.random.default_rng(11)
    reference, frame = (np.column_stack((rng.uniform(0, 500, (n, 2)), np.full(n, 1e3))) for n in (6, 4))
    assert match_stars(reference, frame) is None
    assert match_stars(reference[:1], frame) is None
    assert match_stars(reference, np.empty((0, 3))) is None


@pytest.mark.parametrize("profile", PROFILES)
def test_pixels_hold_all_light_of_a_profile(profile: str) -> None:
    psf = Psf(3.0, 3.0, profile)
    told = {"moffat2.5": 0.975, "moffat3.5": 0.996, "moffat5": 0.9985}.get(profile, 1.0)  # the rest is taken for sky
    assert psf.weights.sum() == pytest.approx(told, abs=1e-3)
    out = np.empty((len(psf.weights), 3, 201), np.float32)
    integrate(100.2, 3.0, psf.scales, np.empty((3, 209), np.float32), out)
    assert (psf.weights * out[:, 0].sum(axis=1)).sum() == pytest.approx(told, abs=1e-3)
    if profile != "gaussian":
        beta = float(profile.removeprefix("moffat"))
        light = (psf.weights[:, None, None] * out[:, 0, None, 90:111] * out[:, 0, 90:111, None]).sum(axis=0)
        truth = stamp(10.2, 10.2, 21, 3.0, beta)
        assert np.abs(light - truth).max() < 0.012 * truth.max()


@pytest.mark.parametrize("profile", PROFILES[1:])
def test_bright_undersampled_moffats_are_where_they_seem(profile: str) -> None:
    psf, flux = Psf(1.2, 1.2, profile), 4e5
    for dx, dy in ((0.25, 0.25), (-0.25, 0.1), (0.4, -0.3)):
        x, y = 8 + dx, 8 + dy
        light = flux * stamp(x, y, 17, 1.2, float(profile.removeprefix("moffat")))
        row = fit(300.0 + light, x + 0.1, y - 0.1, psf, saturation=1e9)
        assert row[[c.X, c.Y]] == pytest.approx([x, y], abs=2.5e-4)  # its noise would be 1.3e-3
        assert row[c.FLUX] == pytest.approx(flux, rel=0.005)


def test_warming_up_leaves_nothing_to_compile() -> None:
    from acquisition.kernels import warm

    warm.warm_up()
    assert not warm.is_cold()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_must_not_be_used_is_seen_wherever_it_is(bad: float) -> None:
    values = np.ones(61, np.float32)
    assert all_usable(values)
    for k in range(len(values)):
        spoilt = values.copy()
        spoilt[k] = bad
        assert not all_usable(spoilt)
