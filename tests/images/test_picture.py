import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from astropy.visualization import ZScaleInterval
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.images import Image
from acquisition.images.levels import to_8_bit
from acquisition.kernels.levels import order_statistics

GRADIENT = np.tile(np.linspace(0, 1000, 64).astype(np.float32)[:, None], (1, 48))


def decode(jpeg: bytes) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture)


def test_row_0_is_at_the_bottom() -> None:
    picture = decode(Image(GRADIENT).to_jpeg())
    assert picture.shape == (64, 48)
    assert picture[0].mean() > 250
    assert picture[-1].mean() < 5


def test_default_limits_are_order_statistics() -> None:
    data = np.arange(1000.0).reshape(20, 50)
    np.testing.assert_array_equal(to_8_bit(data), to_8_bit(data, 50, 950))


def test_scale_is_linear_and_clipped() -> None:
    scaled = to_8_bit(np.array([[0, 10, 15, 20, 30]]), 10, 20)
    np.testing.assert_array_equal(scaled, [[0, 0, 127, 255, 255]])


def test_one_limit_alone_is_respected() -> None:
    data = np.arange(1000.0).reshape(20, 50)
    np.testing.assert_array_equal(to_8_bit(data, vmin=500), to_8_bit(data, 500, 950))
    np.testing.assert_array_equal(to_8_bit(data, vmax=500), to_8_bit(data, 50, 500))


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", ">i2", "i4", "u8", "f2", "f4", ">f8"])
def test_limits_beyond_the_range_of_the_type(dtype: str) -> None:
    data = np.array([[0, 1], [1, 0]], dtype)
    np.testing.assert_array_equal(to_8_bit(data, -1e6, 1e6), 127)
    np.testing.assert_array_equal(to_8_bit(data, 0, 1), [[0, 255], [255, 0]])


def test_constant_pixels_are_black() -> None:
    assert decode(Image(np.full((8, 8), 7)).to_jpeg()).max() == 0
    assert to_8_bit(np.full((2, 2), np.nan)).max() == 0


def test_nan_is_ignored_and_black() -> None:
    data = GRADIENT.copy()
    data[10, :] = np.nan
    data[11, :] = np.inf
    scaled = to_8_bit(data)
    assert scaled[10].max() == 0
    assert scaled[11].min() == 255
    assert scaled[32].mean() == pytest.approx(129, abs=2)


def test_colour() -> None:
    data = np.zeros((3, 16, 16), np.uint16)
    data[0] = 1000
    picture = decode(Image(data).to_jpeg(0, 1000))
    assert picture.shape == (16, 16, 3)
    assert picture[8, 8, 0] > 250
    assert picture[8, 8, 1] < 5


def test_the_image_is_not_changed() -> None:
    data = GRADIENT.copy()
    Image(data).to_jpeg(100, 200)
    np.testing.assert_array_equal(data, GRADIENT)


@pytest.mark.parametrize(
    "image",
    [
        Image(),
        Image(np.zeros(5)),
        Image(np.zeros((2, 5, 5))),
        Image(np.zeros((3, 5, 5)), fits.Header({"CTYPE3": "FRAME"})),
        Image(np.zeros((0, 5))),
        Image(np.zeros((2, 2), complex)),
    ],
)
def test_what_cannot_be_shown(image: Image) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the cases have little in common
        image.to_jpeg()


@given(
    hnp.arrays(
        st.one_of(hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes()),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    )
)
def test_any_pixels_can_be_shown(data: np.ndarray[Any, Any]) -> None:
    assert decode(Image(data).to_jpeg()).shape == data.shape


# --- many pixels, where short cuts are taken ----------------------------------------------------------------------


def sky(dtype: str, side: int = 600) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(1000, 20, (side, side)) + 5e3 * (rng.random((side, side)) > 0.999)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u2", "i2", ">u2", ">i2", "i4", "f4", ">f4", "f8"])
def test_limits_of_large_frames_are_exact(dtype: str) -> None:
    data = sky(dtype) - (0 if "u" in dtype else 1000)
    ordered = np.sort(data, axis=None)
    low, high = (float(ordered[int(fraction * data.size)]) for fraction in (0.05, 0.95))
    np.testing.assert_array_equal(to_8_bit(data), to_8_bit(data, low, high))
    small = data[:40]  # too few pixels for a short cut
    np.testing.assert_array_equal(to_8_bit(small, low, high), to_8_bit(data, low, high)[:40])


@pytest.mark.parametrize(
    "values",
    [
        np.arange(300_000.0),
        np.arange(300_000.0)[::-1].copy(),
        np.zeros(300_000),
        np.tile([0.0, 0.0, 0.0, 9.0], 75_000),  # a sample of every fourth sees but one of them
        np.where(np.arange(300_000) < 20_000, -1e30, np.inf),
    ],
)
def test_order_statistics_of_what_misleads_a_sample(values: np.ndarray) -> None:
    ranks = (0, 15_000, 150_000, 299_999)
    assert order_statistics(values, ranks) == [np.sort(values)[rank] for rank in ranks]


# --- stretches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_asinh_shows_faint_and_bright_stars(dtype: str) -> None:
    data = np.random.default_rng(1).normal(1000, 10, (600, 600))
    data[100:103, 100:103] += 50  # 5 sigma
    data[200:203, 200:203] += 10_000
    data[300:330, 300:330] += 40_000
    shown = to_8_bit(data.astype(dtype), stretch="asinh").astype(int)
    level = np.median(shown)
    assert 15 < level < 70  # a dark sky, but not black
    assert shown[101, 101] > level + 20
    assert shown[201, 201] + 20 < shown[310, 310] >= 250
    assert to_8_bit(data.astype(dtype), stretch="asinh", vmin=2000.0)[0, 0] == 0


def test_asinh_of_what_has_no_noise() -> None:
    data = np.zeros((40, 40))
    assert to_8_bit(data, stretch="asinh").max() == 0
    data[10:20, 10:20] = 7
    assert to_8_bit(data, stretch="asinh").max() == 255


def test_zscale_has_the_limits_of_astropy() -> None:
    data = sky("u2")
    low, high = ZScaleInterval().get_limits(data)
    np.testing.assert_array_equal(to_8_bit(data, stretch="zscale"), to_8_bit(data, low, high))
    np.testing.assert_array_equal(to_8_bit(data.astype(float), stretch="zscale", vmax=2e4), to_8_bit(data, low, 2e4))


def test_an_unknown_stretch() -> None:
    with pytest.raises(ValueError, match="allowed: linear, asinh, zscale"):
        Image(GRADIENT).to_jpeg(stretch="log")  # type: ignore[arg-type]  # that is the point


def test_png_is_lossless() -> None:
    with PIL.Image.open(io.BytesIO(Image(GRADIENT).to_png())) as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture)[::-1], to_8_bit(GRADIENT))
    colour = np.stack([GRADIENT, GRADIENT * 0, GRADIENT + 1000])
    with PIL.Image.open(io.BytesIO(Image(colour).to_png(vmax=1000))) as picture:
        np.testing.assert_array_equal(np.moveaxis(np.asarray(picture), -1, 0)[:, ::-1], to_8_bit(colour, None, 1000))


def test_too_wide_for_a_jpeg() -> None:
    with pytest.raises(ValueError, match="70000x1 px"):
        Image(np.zeros((1, 70_000), np.uint8)).to_jpeg()
