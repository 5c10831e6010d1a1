"""Calibration frames of a camera that is known exactly: what is built, found, and taken out again."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ConfigError, ImageError
from acquisition.images import FrameFacts, Image, Pipeline
from acquisition.images.processors.calibration import (
    Calibration,
    CalibrationLibrary,
    build_masters,
    write_bad_pixel_maps,
)
from acquisition.images.processors.calibration.build import grouped
from acquisition.images.processors.misc import AddMask

SHAPE = (48, 64)
EGAIN, READ_NOISE_E, BIAS_ADU = 2.0, 4.0, 300.0
START = datetime(2026, 3, 1, 20, tzinfo=UTC)
CAMERA = FrameFacts(instrument="Cam 1", x_binning=1, y_binning=1, egain_e_per_adu=EGAIN, read_noise_e=READ_NOISE_E,
                    gain=100.0, offset=10.0, ccd_temp_c=-10.0, start_utc=START, data_max_adu=60000.0)  # fmt: skip
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]
BIAS = BIAS_ADU + 5 * np.sin(COLUMNS / 7)
DARK_E_PER_S = 2.0 + ROWS / 24
FLAT = 1.0 - 0.2 * np.hypot((COLUMNS - 32) / 32, (ROWS - 24) / 24) ** 2 / 2
HOT, DEAD = (10, 20), (30, 40)


def frame(rng: np.random.Generator, kind: str, exposure_s: float = 0.0, sky_e: float = 0.0, **facts: object) -> Image:
    electrons = DARK_E_PER_S * exposure_s
    electrons[HOT] += 400.0 * exposure_s
    light = sky_e * FLAT
    light[DEAD] *= 0.1
    stored = BIAS + (rng.poisson(electrons + light) + rng.normal(0, READ_NOISE_E, SHAPE)) / EGAIN
    known = dataclasses.replace(CAMERA, image_type=kind, exposure_s=exposure_s, **facts)  # type: ignore[arg-type]
    return Image.from_camera(np.clip(np.rint(stored), 0, 65535).astype(np.uint16), known)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("night"), np.random.default_rng(3)
    shots = [("bias", 0.0, 0.0, {})] * 9 + [("dark", 10.0, 0.0, {})] * 7 + [("Dark Frame", 60.0, 0.0, {})] * 7
    shots += [("dark", 10.0, 0.0, {"ccd_temp_c": 5.0})] * 3
    shots += [("skyflat", 1.0 + i / 9, 20000.0 - 500 * i, {"filter_name": "V"}) for i in range(9)]
    shots += [("dark", 30.0, 0.0, {})] * 2 + [("object", 10.0, 100.0, {})]
    for number, (kind, exposure_s, sky_e, facts) in enumerate(shots):
        image = frame(rng, kind, exposure_s, sky_e, **facts)
        if number == 2:
            image.data = image.data.copy()
            image.data[5, 5] = 60000  # a cosmic ray
        image.writeto(folder / f"{number:03d}.fits")
    (folder / "notes.txt").write_text("cloudy")
    (folder / "broken.fits").write_bytes(b"SIMPLE")
    return folder


@pytest.fixture(scope="module")
def masters(night: Path) -> Path:
    folder = night / "masters"
    groups, others = grouped(sorted(night.glob("*.fits")))
    assert [path.name for path in others] == ["037.fits", "broken.fits"]
    built = list(build_masters(groups, folder))
    assert [(b.what, b.problem) for b in built] == [
        ("bias Cam 1 1x1 -10 °C", ""),
        ("dark 10 s Cam 1 1x1 -10 °C", ""),
        ("dark 10 s Cam 1 1x1 5 °C", ""),
        ("dark 30 s Cam 1 1x1 -10 °C", "2 frames; need 3"),
        ("dark 60 s Cam 1 1x1 -10 °C", ""),
        ("flat V Cam 1 1x1 -10 °C", ""),
    ]
    assert sorted(path.name for path in folder.iterdir()) == [
        "bias_Cam-1_1x1_g100_-10C.fits", "dark_Cam-1_1x1_10s_g100_-10C.fits", "dark_Cam-1_1x1_10s_g100_5C.fits",
        "dark_Cam-1_1x1_60s_g100_-10C.fits", "flat_Cam-1_1x1_V.fits",
    ]  # fmt: skip
    assert [b.bad_pixels for b in built] == [0, 1, 1, 0, 1, 1]
    again = list(build_masters(groups[:1], folder))
    assert "exists" in again[0].problem
    return folder


def run(processor: Calibration | Pipeline, image: Image) -> Image:
    return virtual_time.run(processor(image))


def test_masters_are_right_within_their_uncertainty(masters: Path) -> None:
    bias = Image.from_file(masters / "bias_Cam-1_1x1_g100_-10C.fits")
    assert bias.header["NCOMBINE"] == 9
    deviation = (bias.data - BIAS) / bias.uncertainty
    assert np.abs(deviation).max() < 12  # few frames make t's tails; the cosmic ray is out
    assert np.median(np.abs(deviation)) < 1.2
    flat = Image.from_file(masters / "flat_Cam-1_1x1_V.fits")
    good = flat.mask == 0
    good[HOT] = False  # flats as short as these lose the bias only
    np.testing.assert_allclose(flat.data[good] / np.median(flat.data), (FLAT / np.median(FLAT))[good], rtol=0.03)
    assert flat.mask[DEAD] == 1


@pytest.mark.parametrize("sky_e", [200.0, 5000.0])
def test_frames_are_calibrated_with_honest_errors(masters: Path, sky_e: float) -> None:
    """Pixels are right, and their scatter is what the uncertainty says.

    pyobs takes the bias for light: it says 29 e- instead of 16 at a sky of 200 e-.
    """
    rng = np.random.default_rng(9)
    raw = frame(rng, "object", 10.0, sky_e, filter_name="V")
    out = run(Calibration(masters), raw)
    good = out.mask == 0
    pull = (out.data - sky_e * np.median(FLAT)) / out.uncertainty
    assert np.median(pull[good]) == pytest.approx(0, abs=0.15)
    assert pull[good].std() == pytest.approx(1, abs=0.1)
    assert [tuple(place) for place in np.argwhere(out.mask)] == [HOT, DEAD]
    assert out.raw is raw.data
    assert out.data.dtype == np.float32
    assert raw.safe_mask is None
    expected = {"BUNIT": "electron", "RLEVEL": 1, "L1BIAS": "bias_Cam-1_1x1_g100_-10C",
                "L1DARK": "dark_Cam-1_1x1_10s_g100_-10C", "L1FLAT": "flat_Cam-1_1x1_V", "EGAIN": 1.0}  # fmt: skip
    assert {keyword: out.header[keyword] for keyword in expected} == expected
    assert out.facts.saturation_adu == pytest.approx((60000 - 300 - 12) * EGAIN, rel=1e-3)
    assert out.unit == "electron"
    raw.header.update({"SATURATE": 60000, "DATAMIN": 0.0})  # other programs' words for it
    assert run(Calibration(masters), raw).facts.saturation_adu == out.facts.saturation_adu
    with pytest.raises(ImageError, match="already"):
        run(Calibration(masters), out)


def test_without_a_gain_the_unit_is_adu_and_the_uncertainty_the_images_own(masters: Path) -> None:
    raw = frame(np.random.default_rng(9), "object", 10.0, 5000.0, filter_name="V", egain_e_per_adu=None)
    out = run(Calibration(masters), raw)
    assert out.unit == "adu"
    assert out.safe_uncertainty is None
    assert np.median(out.data) == pytest.approx(2500 * np.median(FLAT), rel=0.01)
    raw.uncertainty = np.full(SHAPE, 30.0)
    assert np.median(run(Calibration(masters), raw).uncertainty) == pytest.approx(30 / np.median(FLAT), rel=0.1)
    in_adu = run(Calibration(masters, electrons=False), frame(np.random.default_rng(9), "object", 10.0, 5000.0,
                                                             filter_name="V"))  # fmt: skip
    assert in_adu.header["EGAIN"] == EGAIN
    assert np.median(in_adu.uncertainty) == pytest.approx(math.sqrt(5000) / EGAIN, rel=0.1)


@pytest.mark.parametrize(
    ("exposure_s", "options", "dark"),
    [
        (10.05, {}, "dark_Cam-1_1x1_10s_g100_-10C"),  # within 1 %
        (2.0, {}, None),  # short: bias only
        (20.0, {}, "dark_Cam-1_1x1_60s_g100_-10C"),  # scaled down
        (90.0, {"allow_unmatched_dark_scale": True}, "dark_Cam-1_1x1_60s_g100_-10C"),
        (10.0, {"require_bias": False}, "dark_Cam-1_1x1_10s_g100_-10C"),  # holds the bias
    ],
)
def test_the_dark_by_exposure_time(masters: Path, exposure_s: float, options: dict, dark: str | None) -> None:
    raw = frame(np.random.default_rng(4), "object", exposure_s, 1000.0)
    out = run(Calibration(masters, require_flat=False, **options), raw)
    assert out.header.get("L1DARK") == dark
    true = 1000 * FLAT + (DARK_E_PER_S * exposure_s if dark is None else 0)
    assert np.median((out.data - true)[out.mask == 0]) == pytest.approx(0, abs=4)


@pytest.mark.parametrize(
    ("exposure_s", "facts", "options"),
    [
        (90.0, {}, {}),  # no dark, none to scale down
        (20.0, {}, {"dark_scale_exptime": None}),
        (20.0, {}, {"require_bias": False}),  # to scale takes the bias
        (10.0, {"instrument": "Cam 2"}, {}),
        (10.0, {"gain": 200.0}, {}),
        (10.0, {"x_binning": 2, "y_binning": 2}, {}),
        (10.0, {"ccd_temp_c": -20.0}, {}),
        (10.0, {"start_utc": START + timedelta(days=40)}, {"max_days_dark": 30}),
        (10.0, {"filter_name": "R"}, {"require_flat": True}),
    ],
)
def test_what_does_not_suit_is_not_used(masters: Path, exposure_s: float, facts: dict, options: dict, caplog) -> None:
    raw = frame(np.random.default_rng(4), "object", exposure_s, 1000.0, **facts)
    assert run(Calibration(masters, **{"require_flat": False, **options}), raw).data is raw.data
    assert "not calibrated: no " in caplog.text


def test_the_nearest_temperature_is_taken(masters: Path) -> None:
    raw = frame(np.random.default_rng(4), "object", 10.0, 1000.0, ccd_temp_c=3.5)
    out = run(Calibration(masters, require_flat=False, max_temp_diff_c=20.0), raw)
    assert out.header["L1DARK"] == "dark_Cam-1_1x1_10s_g100_5C"


def test_a_roi_gets_its_part_of_the_masters(masters: Path) -> None:
    whole = frame(np.random.default_rng(4), "object", 10.0, 1000.0, filter_name="V")
    facts = dataclasses.replace(whole.facts, x_origin_px=12, y_origin_px=6)
    part = Image.from_camera(whole.data[6:26, 12:52].copy(), facts)
    out, of_whole = run(Calibration(masters), part), run(Calibration(masters), whole)
    np.testing.assert_array_equal(out.data, of_whole.data[6:26, 12:52])
    outside = Image.from_camera(whole.data[6:26, 12:52].copy(), dataclasses.replace(facts, x_origin_px=40))
    assert run(Calibration(masters), outside).data is outside.data


def test_masters_that_pyobs_made_have_no_bias_in_their_darks(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for kind, value in (("bias", BIAS), ("dark", DARK_E_PER_S * 60 / EGAIN), ("flat", 7 * FLAT)):
        image = frame(rng, kind, 60.0)
        image.data = value.astype(np.float32)
        image.header["NCOMBINE"] = 5
        image.header.update({"DET-RON": 4.0, "FILTER": "V"})
        image.writeto(tmp_path / f"{kind}.fits")
    out = run(Calibration(tmp_path), frame(rng, "object", 60.0, 1000.0, filter_name="V"))
    assert np.median(out.data) == pytest.approx(1000 * np.median(FLAT), abs=4)


def test_maps_of_bad_pixels_are_for_add_mask(masters: Path, tmp_path: Path) -> None:
    for name in ("dark_Cam-1_1x1_60s_g100_-10C.fits", "flat_Cam-1_1x1_V.fits"):
        (tmp_path / name).write_bytes((masters / name).read_bytes())
    for _ in range(2):
        ((path, count),) = write_bad_pixel_maps(tmp_path)
    assert (path.name, count) == ("badpixels_Cam-1_1x1_64x48.fits", 2)
    masked = virtual_time.run(AddMask({"Cam 1": {"1x1": str(path)}})(Image.from_camera(np.zeros(SHAPE), CAMERA)))
    assert [tuple(place) for place in np.argwhere(masked.mask)] == [HOT, DEAD]
    assert len(CalibrationLibrary(tmp_path).masters) == 2


def test_the_exposure_times_of_a_library(masters: Path) -> None:
    library, camera = CalibrationLibrary(masters), FrameFacts(instrument="Cam 1")
    assert library.dark_exposures_s(camera) == (10.0, 60.0)
    assert library.dark_exposures_s(dataclasses.replace(camera, ccd_temp_c=5.0)) == (10.0,)
    assert library.dark_exposures_s(dataclasses.replace(camera, ccd_temp_c=-9.0)) == (10.0, 60.0)
    for other in ({"x_binning": 2}, {"gain": 3.0}, {"instrument": "Cam 2"}):
        assert library.dark_exposures_s(dataclasses.replace(camera, **other)) == ()
    with pytest.raises(ConfigError, match="no folder"):
        CalibrationLibrary(masters / "none")


def test_a_library_is_looked_at_again_after_a_reset(masters: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    processor = Calibration(tmp_path / "lib", require_flat=False, require_bias=False, max_cache_size=1)
    raw = frame(np.random.default_rng(4), "object", 10.0, 1000.0)
    assert run(processor, raw).data is raw.data
    name = "dark_Cam-1_1x1_10s_g100_-10C.fits"
    (tmp_path / "lib" / name).write_bytes((masters / name).read_bytes())
    virtual_time.run(processor.reset())
    assert run(processor, raw).data is not raw.data
    (tmp_path / "lib" / name).write_bytes(b"SIMPLE")
    virtual_time.run(processor.reset())
    assert run(processor, raw).data is raw.data


def test_a_frame_of_the_wrong_kind_is_refused(masters: Path) -> None:
    calibration = Calibration(masters)
    with pytest.raises(ImageError, match="INSTRUME"):
        run(calibration, Image(np.zeros(SHAPE)))
    with pytest.raises(ImageError, match="colour"):
        run(calibration, Image.from_camera(np.zeros((3, *SHAPE)), CAMERA))
    with pytest.raises(ImageError, match="exposure time"):
        run(calibration, Image.from_camera(np.zeros(SHAPE), CAMERA))
    for arguments in ({"max_cache_size": 0}, {"dark_exptime_tolerance": 2.0}, {"max_temp_diff_c": -1.0}):
        with pytest.raises(ValueError, match="allowed"):
            Calibration(masters, **arguments)
    with pytest.raises(ValueError, match="archive"):
        Calibration({"class": "pyobs.robotic.Archive"})  # type: ignore[arg-type]  # on purpose


def test_bad_input(masters: Path) -> None:
    processor = Calibration(masters)

    @settings(max_examples=20)
    @given(image=bad_images())
    def check(image: Image) -> None:
        check_bad_image(processor, image)
        if image.safe_data is not None and image.data.ndim == 2:
            image.header.update({"INSTRUME": "Cam 1", "EXPTIME": 10.0, "XORGSUBF": 0, "YORGSUBF": 0, "FILTER": "V",
                                 "EGAIN": 2.0, "XBINNING": 1, "YBINNING": 1})  # fmt: skip
            check_bad_image(processor, image)

    check()
