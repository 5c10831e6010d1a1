import numpy as np
import pytest
from astropy.io import fits
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings
from star_scene import Scene

from acquisition import virtual_time
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.detection import DaophotSourceDetection, SimpleDisk


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


SCENE = Scene(
    120, 130, np.array([30.3, 80.7, 100.2]), np.array([40.4, 60.1, 20.9]), np.array([5e4, 3e4, 2e4]), fwhm=3.0
)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", ">f4", "f8"])
def test_stars_are_found_1_based(dtype: str) -> None:
    image = Image(SCENE.frame(np.random.default_rng(1)).astype(dtype))
    catalog = run(DaophotSourceDetection(threshold=8.0), image).catalog
    assert catalog.colnames == ["x", "y", "flux", "peak"]
    order = np.argsort(-catalog["flux"])[:3]
    np.testing.assert_allclose(catalog["x"][order], SCENE.x + 1, atol=0.15)
    np.testing.assert_allclose(catalog["y"][order], SCENE.y + 1, atol=0.15)
    assert image.safe_catalog is None


def test_masked_and_nan_pixels_are_not_detected() -> None:
    data = SCENE.frame(np.random.default_rng(1)).astype(np.float32)
    mask = np.zeros(data.shape, bool)
    mask[30:50, 20:40] = True
    data[50:70, 70:90] = np.nan
    catalog = run(DaophotSourceDetection(threshold=8.0), Image(data, mask=mask)).catalog
    assert len(catalog) == 1
    assert catalog["x"][0] == pytest.approx(101.2, abs=0.15)


@pytest.mark.parametrize("data", [np.zeros((60, 60)), np.random.default_rng(3).normal(100, 3, (60, 60))])
def test_no_star_gives_an_empty_catalog(data: np.ndarray) -> None:
    catalog = run(DaophotSourceDetection(threshold=12.0), Image(data)).catalog
    assert len(catalog) == 0
    assert catalog.colnames == ["x", "y", "flux", "peak"]


def test_parameters_are_checked() -> None:
    for arguments in ({"fwhm": 0}, {"threshold": float("nan")}, {"bkg_sigma": 0}, {"bkg_filter_size": (2, 2)}):
        with pytest.raises(ValueError, match="allowed"):
            DaophotSourceDetection(**arguments)


def disk(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.where(np.hypot(columns - x, rows - y) <= radius, 200.0, 5.0)


def test_a_disk_with_spots_beside_a_smaller_one() -> None:
    data = disk((100, 140), 60, 45, 30)
    data[40:44, 50:60] = 0.0
    data[80:84, 110:130] = 200.0
    header = run(SimpleDisk(), Image(data, fits.Header({"OBJECT": "Sun"}))).header
    assert header["OBJECT"] == "Sun"
    assert header["DISKPOS1"] == pytest.approx(61, abs=1)
    assert header["DISKPOS2"] == pytest.approx(46, abs=1)
    assert header["DISKRAD"] == pytest.approx(30, abs=1.5)


def test_colour_takes_the_first_and_nothing_bright_passes() -> None:
    data = np.stack([disk((50, 50), 25, 20, 12), np.zeros((50, 50)), np.zeros((50, 50))])
    header = run(SimpleDisk(keyword_x="A", keyword_y="B", keyword_radius="C"), Image(data)).header
    assert (header["A"], header["B"]) == (26, 21)
    for image in (Image(), Image(np.zeros((5, 5))), Image(np.full((5, 5), 99.0), mask=np.ones((5, 5)))):
        assert run(SimpleDisk(), image) is image


@pytest.mark.parametrize("processor", [DaophotSourceDetection(), SimpleDisk()], ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
