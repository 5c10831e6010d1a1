"""`GuideStarOffsets`: motion measured on fields of known truth."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from star_bounds import field_bound, field_of_snr
from star_scene import Scene, scatter

from acquisition.errors import ImageError, NoStars, StarLost
from acquisition.images import FrameFacts, Image, TangentWcs
from acquisition.images.meta import GuideStars, PixelOffsets, StarShape
from acquisition.images.processors.offsets import GuideStarOffsets


def measure(processor: GuideStarOffsets, frame: np.ndarray, facts: FrameFacts, mask: np.ndarray | None = None) -> Image:
    image = Image.from_camera(frame.copy(), facts)
    if mask is not None:
        image = image.derive(mask=mask)
    before = dict(image.meta)
    result = asyncio.run(processor(image))
    assert image.meta == before  # the input is never changed
    return result


def offset(processor: GuideStarOffsets, frame: np.ndarray, facts: FrameFacts) -> tuple[float, float]:
    offsets = measure(processor, frame, facts).get_meta(PixelOffsets)
    return offsets.dx, offsets.dy


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(256, 256, *scatter(np.random.default_rng(3), 9, 256, (4e3, 3e4)))


def test_first_frame_is_the_reference(scene: Scene) -> None:
    image = measure(GuideStarOffsets(), scene.frame(np.random.default_rng(0)), scene.facts)
    offsets, stars = image.get_meta(PixelOffsets), image.get_meta(GuideStars).stars
    assert (offsets.dx, offsets.dy) == (0, 0)
    assert offsets.dx_err is not None
    assert 0 < offsets.dx_err < 0.02
    assert [star.number for star in stars] == list(range(1, 10))
    assert all(star.used and star.snr > 5 for star in stars)
    assert image.get_meta(StarShape).fwhm == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("motion", [(0.3, -0.2), (2.6, 1.1), (-9.0, 7.5), (60.0, -35.0)])
def test_motion_small_and_large(scene: Scene, motion: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    processor = GuideStarOffsets()
    offset(processor, scene.frame(rng), scene.facts)
    assert offset(processor, scene.frame(rng, *motion), scene.facts) == pytest.approx(motion, abs=0.05)


@pytest.mark.parametrize("turn_deg", [-0.3, 0.9, 2.0])
def test_motion_while_the_field_turns_and_grows(scene: Scene, turn_deg: float) -> None:
    """Little or much, at once: within the search, at its edge, far beyond it."""
    rng = np.random.default_rng(2)
    big = replace(scene, height=512, width=512, **dict(zip("xy", scatter(rng, 20, 512, (1, 2))[:2], strict=True)))
    big = replace(big, flux=np.exp(rng.uniform(*np.log((4e3, 3e4)), 20)))
    processor = GuideStarOffsets()
    offset(processor, big.frame(rng), big.facts)
    pivot = processor.field.pivot if processor.field else 0j
    turn, scale, middle = math.radians(turn_deg), 1.001, 255.5
    got = offset(processor, big.frame(rng, 1.5, -2.0, turn=turn, scale=scale), big.facts)
    # truth: the motion of the place whose way has the pivot as its middle
    p, t = pivot - complex(middle, middle), complex(1.5, -2.0)
    m = scale * complex(math.cos(turn), math.sin(turn)) - 1
    expected = 2 * (t + m * p) / (2 + m)
    assert got == pytest.approx((expected.real, expected.imag), abs=0.06)


def test_a_third_of_the_stars_wrong() -> None:
    rng = np.random.default_rng(4)
    scene = field_of_snr(rng, rng.uniform(30, 80, 20))
    processor = GuideStarOffsets()
    offset(processor, scene.frame(rng), scene.facts)
    wrong = replace(scene, x=scene.x.copy(), y=scene.y.copy())
    wrong.x[::3] += rng.uniform(-4, 4, 7)
    wrong.y[::3] += rng.uniform(-4, 4, 7)
    dx, dy = offset(processor, wrong.frame(rng, 0.7, 0.2), scene.facts)
    good = replace(scene, x=scene.x[1::3], y=scene.y[1::3], flux=scene.flux[1::3])
    assert math.hypot(dx - 0.7, dy - 0.2) < 5 * field_bound(good)[0]


def test_hot_pixels_are_not_stars(scene: Scene) -> None:
    rng = np.random.default_rng(5)
    hot = np.column_stack([rng.integers(0, 256, 80), rng.integers(0, 256, 80), rng.integers(500, 40000, 80)])
    processor = GuideStarOffsets()
    offset(processor, replace(scene, hot=hot).frame(rng), scene.facts)
    assert offset(processor, replace(scene, hot=hot).frame(rng, 3.4, 2.2), scene.facts) == pytest.approx(
        (3.4, 2.2), abs=0.05
    )
    with pytest.raises(NoStars, match="no stars"):
        offset(GuideStarOffsets(), replace(scene, flux=scene.flux * 0, hot=hot).frame(rng), scene.facts)


def test_stars_fade_and_come_back(scene: Scene) -> None:
    rng = np.random.default_rng(6)
    processor = GuideStarOffsets()
    offset(processor, scene.frame(rng), scene.facts)
    with pytest.raises(StarLost, match="9 guide stars"):
        offset(processor, scene.frame(rng, 0.5, 0.5, fade=0.0), scene.facts)
    assert offset(processor, scene.frame(rng, 1.0, -1.0), scene.facts) == pytest.approx((1.0, -1.0), abs=0.05)
    one = replace(scene, flux=np.where(np.arange(9) == 2, scene.flux, 0.0))
    image = measure(processor, one.frame(rng, 1.2, -1.0), scene.facts)
    assert image.get_meta(PixelOffsets).dx == pytest.approx(1.2, abs=0.1)
    stars = image.get_meta(GuideStars)
    assert len(stars.used) == 1
    assert all(star.reason for star in stars.stars if not star.used)
    image = measure(processor, scene.frame(rng, 1.4, -1.0), scene.facts)
    assert len(image.get_meta(GuideStars).used) >= 8


def test_a_lone_star_is_not_exchanged_for_another() -> None:
    rng = np.random.default_rng(7)
    lone = Scene(200, 200, np.array([100.0]), np.array([100.0]), np.array([2e4]))
    processor = GuideStarOffsets()
    offset(processor, lone.frame(rng), lone.facts)
    intruder = replace(lone, x=np.array([160.0]), y=np.array([40.0]), flux=np.array([1500.0]))
    with pytest.raises(StarLost):
        offset(processor, intruder.frame(rng), lone.facts)


def test_reset_begins_anew(scene: Scene) -> None:
    rng = np.random.default_rng(8)
    processor = GuideStarOffsets()
    offset(processor, scene.frame(rng), scene.facts)
    star = measure(processor, scene.frame(rng, 2.0, -1.0), scene.facts).get_meta(GuideStars).stars[0]
    assert (star.x - star.x_ref, star.y - star.y_ref) == pytest.approx((2.0, -1.0), abs=0.1)
    asyncio.run(processor.reset())
    assert offset(processor, scene.frame(rng, 5.0, 5.0), scene.facts) == (0, 0)


def test_drift_over_the_edge_is_followed_with_new_stars() -> None:
    rng = np.random.default_rng(9)
    x, y, flux = scatter(rng, 30, 700, (4e3, 3e4), apart=30.0)
    scene = Scene(220, 220, x - 450, y - 450, flux)
    processor = GuideStarOffsets()
    for k in range(30):
        dx, dy = offset(processor, scene.frame(rng, 12.0 * k, 8.0 * k), scene.facts)
        assert (dx, dy) == pytest.approx((12.0 * k, 8.0 * k), abs=0.3)


@pytest.mark.parametrize("kind", ["uint8", "float32", "big-endian", "masked", "Bayer", "colour", "no facts"])
def test_every_kind_of_frame(scene: Scene, kind: str) -> None:
    rng = np.random.default_rng(10)
    processor = GuideStarOffsets()
    facts = scene.facts
    results = []
    for motion in ((0.0, 0.0), (2.0, -3.0)):
        frame: np.ndarray = scene.frame(rng, *motion)
        mask = None
        if kind == "uint8":
            frame, facts = np.clip(frame // 24, 0, 255).astype(np.uint8), FrameFacts(egain_e_per_adu=24.0)
        elif kind == "float32":
            frame = frame.astype(np.float32) - 250
            frame[10, 20] = np.nan
        elif kind == "big-endian":
            frame = frame.astype(">i4")
        elif kind == "masked":
            mask = np.zeros(frame.shape, bool)
            mask[:, 100:103] = True
            frame[mask] = 65535
        elif kind == "Bayer":
            facts = replace(facts, bayer_pattern="RGGB")
        elif kind == "colour":
            frame = np.stack([frame, frame, frame])
        else:
            facts = FrameFacts()
        results.append(measure(processor, frame, facts, mask).get_meta(PixelOffsets))
    assert (results[1].dx, results[1].dy) == pytest.approx((2.0, -3.0), abs=0.1)


def test_stars_by_place_and_by_coordinates(scene: Scene) -> None:
    frame = scene.frame(np.random.default_rng(11))
    processor = GuideStarOffsets(at_px=[(scene.x[4] + 3, scene.y[4] - 2), (scene.x[1], scene.y[1])])
    stars = measure(processor, frame, scene.facts).get_meta(GuideStars).stars
    assert [(star.x, star.y) for star in stars] == [pytest.approx((scene.x[k], scene.y[k]), abs=0.1) for k in (4, 1)]
    wcs = TangentWcs(30.0, 60.0, 128.0, 128.0, (-1 / 3600, 0.0, 0.0, 1 / 3600))
    dec = 60 + (scene.y[2] - 128) / 3600
    ra = 30 - (scene.x[2] - 128) / 3600 / math.cos(math.radians(dec))
    by_sky = GuideStarOffsets(at_sky_deg=[(ra, dec)])
    (star,) = measure(by_sky, frame, replace(scene.facts, wcs=wcs)).get_meta(GuideStars).stars
    assert (star.x, star.y) == pytest.approx((scene.x[2], scene.y[2]), abs=0.2)
    with pytest.raises(NoStars, match="no star at"):
        measure(GuideStarOffsets(at_px=[(5.0, 5.0)]), frame, scene.facts)
    with pytest.raises(ImageError, match="no WCS"):
        measure(GuideStarOffsets(at_sky_deg=[(1.0, 2.0)]), frame, scene.facts)


@pytest.fixture(scope="module")
def wide() -> list[np.ndarray]:
    """Two frames of a field that moved, wider than what is cut out of them."""
    rng = np.random.default_rng(13)
    scene = Scene(190, 200, *scatter(rng, 6, 190, (5e3, 3e4), margin=45.0))
    return [scene.frame(rng), scene.frame(rng, 0.4, -0.7)]


FACTS = FrameFacts(egain_e_per_adu=1.0, read_noise_e=3.0, data_max_adu=65535.0)


@settings(max_examples=8)
@given(st.integers(-11, 11), st.integers(-11, 11))
def test_shifting_the_frame_by_d_shifts_the_offset_by_d(wide: list[np.ndarray], dx: int, dy: int) -> None:
    first, second = wide
    plain, shifted = GuideStarOffsets(), GuideStarOffsets()
    for processor in (plain, shifted):
        offset(processor, first[12:-12, 12:-12], FACTS)
    x, y = offset(plain, second[12:-12, 12:-12], FACTS)
    cut = second[12 - dy : 178 - dy, 12 - dx : 188 - dx]
    assert offset(shifted, cut, FACTS) == pytest.approx((x + dx, y + dy), abs=2e-3)


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_the_frames_flips_the_offset(wide: list[np.ndarray], axis: int) -> None:
    plain, flipped = GuideStarOffsets(), GuideStarOffsets()
    for frame in wide:
        x, y = offset(plain, frame, FACTS)
        u, v = offset(flipped, np.ascontiguousarray(np.flip(frame, axis)), FACTS)
    assert (u, v) == pytest.approx((x, -y) if axis == 0 else (-x, y), abs=5e-3)


@settings(max_examples=8)
@given(st.integers(0, 150), st.integers(0, 150), st.integers(10, 60))
def test_a_mask_only_removes_stars(wide: list[np.ndarray], left: int, top: int, side: int) -> None:
    mask = np.zeros(wide[0].shape, bool)
    mask[top : top + side, left : left + side] = True
    every = [(s.x, s.y) for s in measure(GuideStarOffsets(), wide[0], FACTS).get_meta(GuideStars).stars]
    for star in measure(GuideStarOffsets(), wide[0], FACTS, mask).get_meta(GuideStars).stars:
        assert min(math.hypot(star.x - x, star.y - y) for x, y in every) < 0.5
        assert not mask[round(star.y), round(star.x)]


def test_threads_agree(wide: list[np.ndarray]) -> None:
    def measured(_: int) -> tuple[float, float]:
        processor = GuideStarOffsets()
        return [offset(processor, frame, FACTS) for frame in wide][-1]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(measured, range(6)))) == 1


def test_another_size_is_refused(scene: Scene) -> None:
    processor = GuideStarOffsets()
    frame = scene.frame(np.random.default_rng(12))
    offset(processor, frame, scene.facts)
    with pytest.raises(ImageError, match="200x256"):
        offset(processor, frame[:, :200], scene.facts)


@pytest.mark.parametrize("blank", [np.zeros((64, 64), np.uint16), np.full((300, 20), np.nan, np.float32)])
def test_frames_without_anything(blank: np.ndarray) -> None:
    with pytest.raises(NoStars):
        offset(GuideStarOffsets(), blank, FrameFacts())


def test_errors_are_honest_and_near_the_bound() -> None:
    """A small version of benchmarks/bench_stars.py: 3 stars, Moffat."""
    pulls, ratios = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = field_of_snr(rng, rng.uniform(15, 80, 3), size=256)
        processor = GuideStarOffsets()
        offset(processor, scene.frame(rng), scene.facts)
        motion = rng.uniform(-2, 2, 2)
        found = measure(processor, scene.frame(rng, *motion), scene.facts).get_meta(PixelOffsets)
        error = np.array([found.dx, found.dy]) - motion
        pulls.append(error / np.array([found.dx_err, found.dy_err]))
        ratios.append(error / np.array(field_bound(scene)) / math.sqrt(2))
    assert 0.75 < np.std(pulls) < 1.3
    assert np.sqrt(np.mean(np.square(ratios))) < 1.4


@pytest.mark.parametrize(
    "wrong", [{"max_stars": 0}, {"min_snr": 0}, {"search_px": 0}, {"at_px": [(math.nan, 1.0)]}], ids=str
)
def test_wrong_parameters(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        GuideStarOffsets(**wrong)  # type: ignore[arg-type]  # the point of the test
