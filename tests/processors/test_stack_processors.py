import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.stack import CombineStack, MeanStack, MedianStack, SigmaClipStack, SumStack

EVERY = [MeanStack, MedianStack, SumStack, SigmaClipStack]


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


def cube(data: np.ndarray, mask: np.ndarray | None = None, **cards: object) -> Image:
    return Image(data, fits.Header({"CTYPE3": "FRAME", "CRPIX3": 1, **cards}), mask=mask)


def example() -> Image:
    data = np.arange(20, dtype=np.float32).reshape(5, 2, 2)
    data[0, 0, 0] = np.nan
    data[:, 1, 1] = np.nan
    return cube(data, EXPTIME=2.0)


@pytest.mark.parametrize(
    ("stack", "value", "error"),
    [  # as pyobs 2.19.1
        (MeanStack, [[10, 9], [10, np.nan]], [[2.5819888, 2.828427], [2.828427, np.nan]]),
        (MedianStack, [[10, 9], [10, np.nan]], [[3.2360432, 3.5449078], [3.5449078, np.nan]]),
        (SumStack, [[40, 45], [50, np.nan]], [[10.327955, 14.142136], [14.142136, np.nan]]),
        (SigmaClipStack, [[10, 9], [10, np.nan]], [[2.5819888, 2.828427], [2.828427, np.nan]]),
    ],
)
def test_values_and_errors(stack: type[CombineStack], value: list, error: list) -> None:
    image = example()
    found = run(stack(uncertainty=True, mask=True), image)
    assert found.data.dtype == np.float32
    np.testing.assert_allclose(found.data, value)
    np.testing.assert_allclose(found.uncertainty, error, rtol=1e-5)
    np.testing.assert_array_equal(found.mask, [[False, False], [False, True]])
    assert found.header["EXPTIME"] == (10.0 if stack is SumStack else 2.0)
    assert found.header["TEXPTIME"] == 10.0
    assert not {"CTYPE3", "CRPIX3", "NAXIS3"} & set(found.header)
    assert np.isnan(image.data[0, 0, 0])
    assert image.header["CTYPE3"] == "FRAME"
    plain = run(stack(), image)
    assert plain.safe_mask is None
    assert plain.safe_uncertainty is None


def test_exposures_of_the_frames_add_up() -> None:
    image = example()
    image.frames = Table({"EXPTIME": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert run(SumStack(), image).header["EXPTIME"] == 15.0
    image.frames = Table({"EXPTIME": ["a"] * 5})
    with pytest.raises(ImageError, match="EXPTIME"):
        run(SumStack(), image)


@pytest.mark.parametrize("stack", EVERY)
def test_a_star_that_is_not_clipped_in_any_frame_is_not_in_their_sum(stack: type[CombineStack]) -> None:
    image = cube(np.full((4, 3, 3), 50000.0), SATURATE=60000.0, RDNOISE=5.0, **{"DET-SATU": 9e4, "DET-GAIN": 1.5})
    combined = run(stack(), image)
    frames = 4 if stack is SumStack else 1
    assert combined.facts.saturation_adu == frames * 60000.0 > combined.data.max()
    assert combined.facts.full_well_e == frames * 9e4
    assert combined.facts.read_noise_e == frames**0.5 * 5.0


@pytest.mark.parametrize("stack", EVERY)
@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f8"])
def test_the_size_of_blocks_does_not_matter(stack: type[CombineStack], dtype: str) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 200, (7, 11, 5)).astype(dtype)
    mask = rng.random((7, 11, 5)) < 0.3
    whole = run(stack(uncertainty=True), cube(data, mask))
    rows = run(stack(uncertainty=True, chunk_bytes=1), cube(data, mask))
    np.testing.assert_array_equal(whole.data, rows.data)
    np.testing.assert_array_equal(whole.uncertainty, rows.uncertainty)


def test_masked_values_do_not_count() -> None:
    data = np.full((4, 2, 2), 10.0)
    data[2] = 1e6
    mask = np.zeros((4, 2, 2), bool)
    mask[2] = True
    np.testing.assert_allclose(run(MeanStack(), cube(data, mask)).data, 10)
    assert np.isnan(run(MeanStack(), cube(data, np.eye(2, dtype=bool))).data[0, 0])
    with pytest.raises(ImageError, match="agree"):
        run(MeanStack(), cube(data, np.zeros((3, 2), bool)))


def test_a_cosmic_ray_is_clipped() -> None:
    data = np.random.default_rng(2).normal(100, 3, (30, 4, 4))
    data[7, 1, 2] = 5000
    assert run(MeanStack(), cube(data)).data[1, 2] > 200
    assert run(SigmaClipStack(), cube(data)).data[1, 2] == pytest.approx(100, abs=3)


def test_bright_values_keep_their_scatter() -> None:
    data = 60000 + np.random.default_rng(3).normal(0, 2, (50, 8, 8))
    error = run(MeanStack(uncertainty=True), cube(data)).uncertainty
    assert np.median(error) == pytest.approx(2 / np.sqrt(50), rel=0.1)


@pytest.mark.parametrize("stack", EVERY)
def test_single_frames_and_colour_pass(stack: type[CombineStack]) -> None:
    for image in (Image(), Image(np.zeros((2, 2))), Image(np.zeros((3, 2, 2)))):
        assert run(stack(), image) is image


def test_parameters_are_checked() -> None:
    for arguments in ({"sigma": 0}, {"maxiters": 0}, {"chunk_bytes": 0}):
        with pytest.raises(ValueError, match="allowed"):
            SigmaClipStack(**arguments)


@pytest.mark.parametrize("processor", [c(uncertainty=True, mask=True) for c in EVERY], ids=lambda p: type(p).__name__)
@settings(max_examples=12)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
    image.header["CTYPE3"] = "FRAME"
    check_bad_image(processor, image)
