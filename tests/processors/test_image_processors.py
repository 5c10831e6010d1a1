import io

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.processors.image import (
    AddFitsHeaders,
    Debayer,
    Flip,
    Grayscale,
    Keyword,
    Normalize,
    Save,
    SaveImage,
    Smooth,
    SoftBin,
)


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


def sky_image(height: int = 31, width: int = 22, **cards: float | str) -> Image:
    header = fits.Header()
    header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 40.0, "CRPIX1": 7.5,
                   "CRPIX2": 12.0, **cards})  # fmt: skip
    data = np.arange(height * width, dtype=np.float32).reshape(height, width)
    return Image(data, header)


CD = {"CD1_1": -2e-4, "CD1_2": 5e-5, "CD2_1": 6e-5, "CD2_2": 2.1e-4}
PC = {"CDELT1": -2e-4, "CDELT2": 2e-4, "PC1_1": 0.9, "PC1_2": -0.2, "PC2_1": 0.3}
CROTA = {"CDELT1": -2e-4, "CDELT2": 2e-4, "CROTA2": 0.0}
SIP = {**CD, "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4,
       "A_1_1": 2e-4, "B_0_2": 3e-4, "B_1_1": -1e-4, "B_2_0": 5e-5}  # fmt: skip


def sky(image: Image, x: float, y: float) -> np.ndarray:
    return np.array(WCS(image.header).pixel_to_world_values(x, y))


# --- Flip ---------------------------------------------------------------------------------------------------------


def test_flip_x_reverses_rows_and_flip_y_columns_as_in_pyobs() -> None:
    image = sky_image()
    np.testing.assert_array_equal(run(Flip(flip_x=True), image).data, image.data[::-1])
    np.testing.assert_array_equal(run(Flip(flip_y=True), image).data, image.data[:, ::-1])
    colour = Image(np.arange(60.0).reshape(3, 4, 5))
    np.testing.assert_array_equal(run(Flip(flip_x=True), colour).data, colour.data[:, ::-1])


def test_mask_uncertainty_raw_and_catalog_flip_along() -> None:
    image = sky_image()
    marked = np.zeros(image.data.shape, bool)
    marked[2, 5] = True
    catalog = Table({"x": [6.0], "y": [3.0], "theta": [20.0]})
    image = image.derive(mask=marked, uncertainty=marked * 1.0, raw=marked * 7, catalog=catalog)
    flipped = run(Flip(True, True), image)
    x, y = int(flipped.catalog["x"][0]) - 1, int(flipped.catalog["y"][0]) - 1
    assert (y, x) == (31 - 1 - 2, 22 - 1 - 5)
    assert flipped.mask[y, x]
    assert flipped.uncertainty[y, x] == 1
    assert flipped.raw[y, x] == 7
    assert flipped.catalog["theta"][0] == 20.0
    rolling = Image.from_camera(np.zeros((4, 6)), FrameFacts(line_time_s=2e-5))
    assert run(Flip(flip_x=True), rolling).facts.line_time_s == -2e-5
    assert run(Flip(flip_y=True), rolling).facts.line_time_s == 2e-5
    assert run(Flip(True, False), image).catalog["theta"][0] == -20.0
    assert catalog["x"][0] == 6.0


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
@pytest.mark.parametrize("cards", [CD, PC, CROTA, SIP], ids=["CD", "PC", "CROTA2", "SIP"])
@pytest.mark.parametrize("how", [(True, False), (False, True), (True, True)])
def test_flipped_pixels_are_where_they_were_on_the_sky(cards: dict[str, float], how: tuple[bool, bool]) -> None:
    image = sky_image(**cards)
    flipped = run(Flip(*how), image)
    x, y = (21 - 3 if how[1] else 3), (30 - 20 if how[0] else 20)
    assert flipped.data[y, x] == image.data[20, 3]
    np.testing.assert_allclose(sky(flipped, x, y), sky(image, 3, 20), atol=1e-10)


@settings(max_examples=25)
@given(st.booleans(), st.booleans(), st.integers(3, 9), st.integers(3, 9))
def test_flip_twice_is_the_identity(rows: bool, columns: bool, height: int, width: int) -> None:
    image = sky_image(height, width, BAYERPAT="GRBG", ROWORDER="TOP-DOWN", TRIMSEC="[1:2,2:3]", **CD)
    twice = run(Flip(rows, columns), run(Flip(rows, columns), image))
    np.testing.assert_array_equal(twice.data, image.data)
    assert twice.facts == image.facts
    assert twice.header["TRIMSEC"] == "[1:2,2:3]"


@pytest.mark.parametrize("shape", [(6, 8), (7, 8), (7, 9)])
def test_colours_stay_with_their_pixels(shape: tuple[int, int]) -> None:
    image = Image(np.zeros(shape, np.uint16), fits.Header({"BAYERPAT": "RGGB", "XBAYROFF": 0, "YBAYROFF": 0}))
    letters = np.array(list("RGGB")).reshape(2, 2)
    colours = np.tile(letters, (8, 8))[: shape[0], : shape[1]]
    flipped = run(Flip(True, True), image)
    np.testing.assert_array_equal(
        np.array(list(flipped.facts.bayer_pattern)).reshape(2, 2), colours[::-1, ::-1][:2, :2]
    )


# --- SoftBin ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
@pytest.mark.parametrize("cards", [CD, PC, CROTA, SIP], ids=["CD", "PC", "CROTA2", "SIP"])
@pytest.mark.parametrize("b", [2, 3])
def test_binned_pixels_are_where_they_were_on_the_sky(cards: dict[str, float], b: int) -> None:
    image = sky_image(**cards)
    binned = run(SoftBin(b), image)
    middle = (b - 1) / 2  # of the first block
    np.testing.assert_allclose(sky(binned, 0, 0), sky(image, middle, middle), atol=1e-10)
    np.testing.assert_allclose(sky(binned, 4, 3), sky(image, 4 * b + middle, 3 * b + middle), atol=1e-10)
    assert binned.header["CRPIX1"] == pytest.approx((7.5 - 0.5) / b + 0.5)


def test_bins_are_means_and_the_header_follows() -> None:
    cards = {"XBINNING": 1, "YBINNING": 2, "DET-BIN1": 1, "DET-BIN2": 2, "CDELT1": 0.1, "XPIXSZ": 3.76, "EGAIN": 0.5,
             "DET-RON": 4.0, "LINETIME": 2e-5}  # fmt: skip
    image = sky_image(5, 6, **cards)
    binned = run(SoftBin(), image)
    np.testing.assert_allclose(binned.data, image.data[:4].reshape(2, 2, 3, 2).mean((1, 3)))
    header = binned.header
    assert [header[k] for k in ("NAXIS1", "NAXIS2", "XBINNING", "YBINNING", "DET-BIN1", "DET-BIN2")] == [
        3,
        2,
        2,
        4,
        2,
        4,
    ]
    assert header["CDELT1"] == pytest.approx(0.2)
    assert header["XPIXSZ"] == pytest.approx(7.52)
    assert header["EGAIN"] == 2.0
    assert (binned.facts.read_noise_e, binned.facts.line_time_s) == (8.0, 4e-5)  # pyobs' word for the noise
    assert image.header["NAXIS1"] == 6
    assert image.header["EGAIN"] == 0.5


def test_masked_pixels_do_not_count_in_bins() -> None:
    data = np.array([[1, 1, 5, 5], [1, 60000, 5, 5], [0, 0, 7, 7], [0, 0, 7, 7]], np.uint16)
    mask = np.zeros((4, 4), bool)
    mask[1, 1] = True
    mask[2:, :2] = True
    binned = run(SoftBin(), Image(data, mask=mask, uncertainty=np.full((4, 4), 2.0)))
    np.testing.assert_array_equal(binned.mask, [[False, False], [True, False]])
    np.testing.assert_array_equal(binned.data, [[1, 5], [np.nan, 7]])
    np.testing.assert_allclose(binned.uncertainty[0], [2 / np.sqrt(3), 1])


def test_16_bit_sums_do_not_overflow() -> None:
    binned = run(SoftBin(3), Image(np.full((9, 9), 65535, ">u2")))
    np.testing.assert_array_equal(binned.data, 65535)


# --- Smooth, Normalize, Grayscale ----------------------------------------------------------------------------------


def test_smoothing_conserves_flux_and_spreads_by_sigma() -> None:
    data = np.zeros((61, 61), np.uint16)
    data[30, 30] = 10000
    smooth = run(Smooth(2.0), Image(data)).data
    assert smooth.sum() == pytest.approx(10000, rel=1e-5)
    x = np.arange(61) - 30
    assert np.sqrt((smooth.sum(0) * x**2).sum() / smooth.sum()) == pytest.approx(2.0, rel=0.01)


def test_smoothing_keeps_colours_apart_and_fills_bad_pixels() -> None:
    data = np.zeros((3, 20, 20), np.float32)
    data[1] = 100.0
    data[1, 4, 4] = np.nan
    mask = np.zeros((20, 20), bool)
    mask[10, 10] = True
    data[1, 10, 10] = 1e6
    smooth = run(Smooth(1.5), Image(data, mask=mask)).data
    np.testing.assert_allclose(smooth[0], 0)
    np.testing.assert_allclose(smooth[1], 100, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments", [(-1.0,), (float("nan"),), (1.0, -1), (1.0, 0, "backwards"), (1.0, 0, "wrap", 0, 0)]
)
def test_smooth_names_a_wrong_parameter(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Smooth(*arguments)


def test_normalize_spans_minimum_to_maximum_and_clips_at_given_limits() -> None:
    data = np.array([[0.0, 50.0, 100.0, np.nan]])
    np.testing.assert_array_equal(run(Normalize(), Image(data)).data, [[0, 127, 255, 0]])
    clipped = run(Normalize(vmin=20, vmax=60), Image(data)).data
    assert clipped.dtype == np.uint8
    np.testing.assert_array_equal(clipped, [[0, 191, 255, 0]])
    np.testing.assert_array_equal(run(Normalize(), Image(np.full((2, 2), 7))).data, 0)


def test_grayscale_weighs_colours_and_merges_masks() -> None:
    data = np.full((3, 2, 2), 60000, np.uint16)
    mask = np.zeros((3, 2, 2), bool)
    mask[2, 0, 1] = True
    gray = run(Grayscale(), Image(data, mask=mask, uncertainty=np.ones((3, 2, 2))))
    np.testing.assert_allclose(gray.data, 60000, rtol=1e-6)
    np.testing.assert_array_equal(gray.mask, [[False, True], [False, False]])
    np.testing.assert_allclose(gray.uncertainty, np.sqrt(0.2126**2 + 0.7152**2 + 0.0722**2))
    assert "NAXIS3" not in gray.header
    np.testing.assert_array_equal(run(Grayscale(1, 0, 0), Image(data)).data, 60000)


# --- Debayer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4"])
def test_flat_colours_are_found_exactly(pattern: str, dtype: str) -> None:
    level = {"R": 200, "G": 100, "B": 30}
    cell = np.array([level[letter] for letter in pattern]).reshape(2, 2)
    raw = np.tile(cell, (5, 6))[:9, :11].astype(dtype)
    colour = run(Debayer(), Image(raw, fits.Header({"BAYERPAT": pattern})))
    assert colour.data.shape == (3, 9, 11)
    for plane, letter in zip(colour.data, "RGB", strict=True):
        np.testing.assert_array_equal(plane, level[letter])
    assert colour.facts.bayer_pattern is None
    assert colour.is_color
    assert colour.header["NAXIS3"] == 3


def test_offsets_move_the_pattern_and_bad_pixels_are_filled() -> None:
    raw = np.tile(np.array([[100, 200], [30, 100]], np.uint16), (5, 5))  # RGGB seen from its second column
    mask = np.zeros(raw.shape, bool)
    mask[4, 5] = True
    raw[4, 5] = 65535
    header = fits.Header({"BAYERPAT": "RGGB", "XBAYROFF": 1, "YBAYROFF": 0})
    colour = run(Debayer(), Image(raw, header, mask=mask)).data
    np.testing.assert_array_equal(colour[1], 100)
    np.testing.assert_array_equal(colour[2], 30)
    assert np.delete(colour[0].ravel(), 4 * 10 + 5).max() == 200


def test_mono_passes_and_a_wrong_pattern_is_named() -> None:
    image = sky_image()
    assert run(Debayer(), image) is image
    with pytest.raises(ValueError, match="RGGB"):
        Debayer("RGBG")


# --- AddFitsHeaders -----------------------------------------------------------------------------------------------


def test_values_are_written_as_they_are_and_never_evaluated() -> None:
    text = "{image.header['EXPTIME']} __import__('os')"
    image = run(AddFitsHeaders({"OBSERVER": text, "NUMBER": 3, "FLAG": True, "NAME": "α Cen"}), Image(np.zeros((2, 2))))
    again = Image.from_bytes(image.to_bytes())
    assert again.header["OBSERVER"] == text
    assert again.header["NUMBER"] == 3
    assert again.header["FLAG"] is True
    assert again.header["NAME"] == "\\u03b1 Cen"


def test_cards_that_are_there_are_replaced_only_if_that_was_asked() -> None:
    image = Image(np.zeros((2, 2)), fits.Header({"FILTER": "V", "OBJECT": "M1"}))
    entries = [
        {"key": "FILTER", "value": "R", "overwrite": False},
        {"key": "OBJECT", "value": "M2", "comment": "where"},
        Keyword("NEW", 1),
    ]
    header = run(AddFitsHeaders(entries), image).header
    assert (header["FILTER"], header["OBJECT"], header["NEW"]) == ("V", "M2", 1)
    assert header.comments["OBJECT"] == "where"
    assert run(AddFitsHeaders({"FILTER": "R"}, overwrite=False), image).header["FILTER"] == "V"
    assert run(AddFitsHeaders([Keyword("FILTER", "R")], overwrite=False), image).header["FILTER"] == "V"  # as pyobs
    assert image.header["FILTER"] == "V"
    assert "NEW" not in image.header


@pytest.mark.parametrize(
    "headers", [[{"key": "A"}], [{"key": "A", "value": 1, "note": 2}], {"A\n": 1}, {"A": object()}]
)
def test_a_card_that_cannot_be_written_is_named(headers: object) -> None:
    with pytest.raises(ValueError, match="A"):
        AddFitsHeaders(headers)  # type: ignore[arg-type]  # on purpose


# --- Save, SaveImage ----------------------------------------------------------------------------------------------


def test_save_names_files_by_the_header_and_replaces(tmp_path) -> None:
    image = Image(np.arange(6.0).reshape(2, 3), fits.Header({"OBJECT": "M1"}))
    for _ in range(2):
        saved = run(Save(str(tmp_path / "night" / "{OBJECT|lower}.fits"), broadcast=True), image)
    again = Image.from_file(tmp_path / "night" / "m1.fits")
    np.testing.assert_array_equal(again.data, image.data)
    assert saved.header["FNAME"].endswith("m1.fits")
    assert "FNAME" not in image.header


def test_a_name_that_cannot_be_made_is_an_image_error(tmp_path) -> None:
    for processor in (Save(str(tmp_path / "{OBJECT}.fits")), SaveImage(str(tmp_path / "{OBJECT}.png"))):
        with pytest.raises(ImageError, match="OBJECT"):
            run(processor, Image(np.zeros((2, 2))))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff"])
def test_pictures_have_row_0_at_the_top(tmp_path, shape: tuple[int, ...], name: str) -> None:
    data = np.zeros(shape, np.uint8)
    data[..., :10, :] = 200
    run(SaveImage(str(tmp_path / name)), Image(data))
    with PIL.Image.open(tmp_path / name) as picture:
        pixels = np.asarray(picture).astype(int)
    assert abs(pixels[0, 0] - 200).max() < 4
    assert pixels[-1, -1].max() < 4


def test_png_keeps_16_bits_and_floats_are_scaled() -> None:
    data = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    with PIL.Image.open(io.BytesIO(SaveImage.encode_image(Image(data), "a.png"))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), data)
    with PIL.Image.open(io.BytesIO(SaveImage.encode_image(Image(data.astype("f8")), "x", "png"))) as picture:
        pixels = np.asarray(picture)
    assert pixels.dtype == np.uint8
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match="XYZ"):
        SaveImage("a.xyz")


# --- bad input ----------------------------------------------------------------------------------------------------

PROCESSORS = [
    AddFitsHeaders({"A": 1}),
    Debayer(),
    Debayer("RGGB"),
    Flip(True, True),
    Grayscale(),
    Normalize(),
    Normalize(vmin=3),
    Smooth(1.0),
    Smooth(1.0, order=1),
    SoftBin(2),
    SoftBin(3),
]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)


@settings(max_examples=12)
@given(image=bad_images())
def test_bad_input_to_files(tmp_path_factory, image: Image) -> None:
    folder = tmp_path_factory.mktemp("bad")
    for processor in (Save(str(folder / "a.fits")), SaveImage(str(folder / "a.png")), SaveImage(str(folder / "a.jpg"))):
        check_bad_image(processor, image)
