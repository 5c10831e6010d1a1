import numpy as np
import pytest
from astropy.io import fits
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image, ImageProcessor, TangentWcs
from acquisition.images.processors.annotation import Circle, Crosshair, Text

WCS = TangentWcs(150.0, 20.0, 30.0, 12.0, (-1e-4, 0.0, 0.0, 1e-4))


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


def middle(image: Image) -> tuple[float, float]:
    """(column, row) of what is not 0."""
    rows, columns = np.nonzero(image.data if image.data.ndim == 2 else image.data.sum(axis=0))
    return columns.mean(), rows.mean()


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i4", "f4", ">f8", "i8"])
def test_a_filled_circle_on_pixels_of_any_type(dtype: str) -> None:
    image = Image(np.zeros((40, 50), dtype))
    out = run(Circle(30, 12, 5, fill=100, outline=50, width=2), image).data
    assert out.dtype == np.dtype(dtype)
    assert (out[12, 30], out[12, 35], out[12, 36]) == (100, 50, 0)
    assert middle(Image(out)) == (30, 12)
    assert not image.data.any()


def test_without_colour_the_line_is_as_bright_as_can_be() -> None:
    assert run(Circle(5, 5, 3), Image(np.zeros((11, 11), np.uint16))).data.max() == 65535
    assert run(Crosshair(5, 5, 3), Image(np.arange(121.0).reshape(11, 11))).data[5, 5] == 120
    assert run(Crosshair(5, 5, 3), Image(np.full((11, 11), 7.0))).data[5, 5] == 8
    with_nan = np.full((11, 11), np.nan)
    with_nan[0, 0] = 3.0
    assert run(Crosshair(5, 5, 3), Image(with_nan)).data[5, 5] == 4


def test_colours_on_colour_and_mono_images() -> None:
    colour = Image(np.zeros((3, 40, 50), np.uint16))
    out = run(Circle(30, 12, 5, fill=[1000, 200, 0]), colour).data
    assert out[:, 12, 30].tolist() == [1000, 200, 0]
    assert run(Circle(30, 12, 5, fill=300), colour).data[:, 12, 30].tolist() == [300] * 3
    mono = Image(np.zeros((40, 50), np.float32))
    assert run(Circle(30, 12, 5, fill=(100, 100, 100)), mono).data[12, 30] == pytest.approx(100)
    assert run(Circle(30, 12, 5, fill=1e9), Image(np.zeros((40, 50), np.uint8))).data[12, 30] == 255


def test_keywords_are_1_based_and_numbers_0_based() -> None:
    """CRPIX of the first pixel is 1: pyobs draws one pixel off, with keywords as with `wcs`."""
    image = Image.from_camera(np.zeros((40, 50), np.uint8), FrameFacts(wcs=WCS))
    assert (image.header["CRPIX1"], image.header["CRPIX2"]) == (31, 13)
    for circle in (
        Circle(30, 12, 4, fill=1),
        Circle("CRPIX1", "CRPIX2", 4, fill=1),
        Circle(150.0, 20.0, 4, fill=1, wcs=True),
        Circle("CRVAL1", "CRVAL2", 4, fill=1, wcs=True),
        Circle("10:00:00", "+20:00:00", 4, fill=1, wcs=True),
    ):
        assert middle(run(circle, image)) == (30, 12)


def test_the_radius_may_be_a_keyword() -> None:
    image = Image(np.zeros((40, 50), np.uint8), fits.Header({"DISKRAD": 6.0}))
    assert np.ptp(np.nonzero(run(Circle(20, 20, "DISKRAD", fill=1), image).data)[0]) == 12
    with pytest.raises(ImageError, match="RADIUS"):
        run(Circle(20, 20, "RADIUS"), image)


def test_a_crosshair_of_any_size_has_lines() -> None:
    """pyobs' lines are int(radius / 10) wide: below 10 px there is no circle."""
    out = run(Crosshair(20, 15, 8, 9), Image(np.zeros((31, 41), np.uint8))).data
    assert out[15, 12:29].all()
    assert out[7:24, 20].all()
    off_axes = out.copy()
    off_axes[15, :] = off_axes[:, 20] = 0
    rows, columns = np.nonzero(off_axes)
    assert rows.size > 20
    np.testing.assert_allclose(np.hypot(rows - 15, columns - 20), 8, atol=1)
    wide = run(Crosshair(50, 50, 40, 9), Image(np.zeros((101, 101), np.uint8))).data
    assert (wide[20, 40:61] > 0).sum() == pytest.approx(4, abs=1)


def test_text_is_filled_from_the_header() -> None:
    image = Image(np.zeros((30, 200), np.float32), fits.Header({"OBJECT": "M1", "EXPTIME": 2.0}))
    filled = run(Text(3, 3, "{OBJECT} {EXPTIME:.1f} s"), image).data
    np.testing.assert_array_equal(filled, run(Text(3, 3, "M1 2.0 s"), image).data)
    for text in ("{OBJECT} {FILTER}", "{OBJECT:.1f}", "{EXPTIME.real}", "{0.__class__}"):
        written = run(Text(3, 3, text), image).data
        assert written.any()
        assert (written != filled).any()


def test_text_for_viewers_with_row_0_at_the_bottom() -> None:
    image = Image(np.zeros((40, 60), np.uint8))
    top = run(Text(10, 30, "L", font_size=20, anchor="mm"), image).data
    bottom = run(Text(10, 9, "L", font_size=20, anchor="mm", bottom_up=True), image).data
    np.testing.assert_array_equal(bottom, top[::-1])
    assert middle(run(Text(30, 20, "O", font_size=30, anchor="mm"), image)) == pytest.approx((30, 20), abs=1.5)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Circle, {"x": 1, "y": 1, "radius": -1}),
        (Circle, {"x": 1, "y": 1, "radius": 1, "width": 0}),
        (Circle, {"x": 1, "y": 1, "radius": 1, "fill": "red"}),
        (Circle, {"x": 1, "y": 1, "radius": 1, "fill": [1, 2]}),
        (Crosshair, {"x": 1, "y": 1, "radius": float("nan")}),
        (Text, {"x": 1, "y": 1, "text": "a", "align": "top"}),
        (Text, {"x": 1, "y": 1, "text": "a", "anchor": "xx"}),
        (Text, {"x": 1, "y": 1, "text": "a", "font_size": 0}),
    ],
)
def test_parameters_are_checked(kind: type[ImageProcessor], arguments: dict) -> None:
    with pytest.raises(ValueError, match="allowed"):
        kind(**arguments)


def test_places_that_are_none() -> None:
    image = Image(np.zeros((9, 9), np.uint8))
    with pytest.raises(ImageError, match="WCS"):
        run(Circle(10.0, 20.0, 1, wcs=True), image)
    with pytest.raises(ImageError, match="far"):
        run(Circle(1e9, 0, 1), image)
    solved = Image.from_camera(np.zeros((9, 9), np.uint8), FrameFacts(wcs=WCS))
    with pytest.raises(ImageError, match="angle"):
        run(Circle("NOWHERE", 20.0, 1, wcs=True), solved)
    with pytest.raises(ImageError, match="projection"):
        run(Circle(330.0, -20.0, 1, wcs=True), solved)
    np.testing.assert_array_equal(run(Circle(500, 500, 3), image).data, image.data)


PROCESSORS = [
    Circle("CRPIX1", "DISKRAD", "EXPTIME", fill=3),
    Circle("CRPIX1", 3, 1e5, outline=(1, 2, 3), wcs=True),
    Crosshair(3, 3, 20),
    Text(1, 1, "{EXPTIME:d} {INSTRUME}\n{IMAGETYP}"),
]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
