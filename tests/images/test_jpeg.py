import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.images import Image
from acquisition.images.jpeg import to_8_bit

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
