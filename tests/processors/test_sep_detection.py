"""`SepSourceDetection`, and the exposure time that follows from its catalog."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings
from star_scene import Scene

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import ExpTime
from acquisition.images.processors.detection import SepSourceDetection
from acquisition.images.processors.exptime import StarExpTimeEstimator

SCENE = Scene(120, 130, np.array([30.3, 80.0, 100.2]), np.array([40.0, 60.7, 90.0]), np.array([3e4, 6e4, 4e4]))
COLUMNS = {
    "x", "y", "peak", "flux", "fwhm", "a", "b", "theta", "ellipticity", "tnpix", "kronrad", "fluxrad25", "fluxrad50",
    "fluxrad75", "xwin", "ywin",
}  # fmt: skip


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


@pytest.mark.parametrize("dtype", ["u2", ">u2", ">f4", "f8", "i4"])
def test_stars_are_found_1_based(dtype: str) -> None:
    image = Image(SCENE.frame(np.random.default_rng(1)).astype(dtype))
    catalog = run(SepSourceDetection(threshold=5.0), image).catalog
    assert set(catalog.colnames) >= COLUMNS
    found = sorted(zip(catalog["xwin"], catalog["ywin"], strict=True))
    expected = sorted(zip(SCENE.x + 1, SCENE.y + 1, strict=True))
    np.testing.assert_allclose(found, expected, atol=0.2)
    assert image.safe_catalog is None


def test_masked_and_nan_pixels_are_not_detected() -> None:
    data = SCENE.frame(np.random.default_rng(1)).astype(np.float32)
    mask = np.zeros(data.shape, bool)
    mask[30:50, 20:40] = True
    data[50:70, 70:90] = np.nan
    catalog = run(SepSourceDetection(threshold=5.0), Image(data, mask=mask)).catalog
    assert len(catalog) == 1
    assert catalog["xwin"][0] == pytest.approx(101.2, abs=0.2)


@pytest.mark.parametrize("data", [np.zeros((60, 60)), np.full((40, 40), np.nan), np.zeros((1, 1))])
def test_no_star_gives_an_empty_catalog(data: np.ndarray) -> None:
    catalog = run(SepSourceDetection(), Image(data)).catalog
    assert len(catalog) == 0
    assert set(catalog.colnames) >= COLUMNS


def test_what_cannot_be_searched() -> None:
    empty = Image()
    assert run(SepSourceDetection(), empty) is empty
    for image in (Image(np.zeros((2, 5, 5))), Image(np.zeros((5, 5)), mask=np.zeros((4, 4)))):
        with pytest.raises(ImageError):
            run(SepSourceDetection(), image)


# --- exposure time ------------------------------------------------------------------------------------------------


def catalog_of(*stars: tuple[float, float, float]) -> Image:
    x, y, peak = np.array(stars, float).reshape(-1, 3).T
    return Image(np.zeros((100, 100)), fits.Header({"EXPTIME": 2.0}), catalog=Table({"x": x, "y": y, "peak": peak}))


def test_exposure_time_from_a_catalog() -> None:
    """pyobs 2.19.1 raises for want of NAXIS0, raises for an empty catalog, and exposes 35 times longer in the third."""

    def next_s(image: Image, **options: float) -> float:
        before = dict(image.meta)
        exposure_s = run(StarExpTimeEstimator(**options), image).get_meta(ExpTime).exptime
        assert image.meta == before
        return exposure_s

    assert next_s(catalog_of((50, 50, 1000), (20, 20, 500))) == pytest.approx(2 * 35_000 / 1000)
    assert next_s(catalog_of()) == 2.0
    assert next_s(catalog_of((50, 50, 60_000), (20, 20, 1000))) < 2.0
    assert next_s(catalog_of((50, 50, np.nan), (20, 20, 500))) == pytest.approx(2 * 35_000 / 500)
    # edge is a fraction of the image
    assert next_s(catalog_of((5, 50, 1000), (50, 50, 500)), edge=0.1) == pytest.approx(2 * 35_000 / 500)


@pytest.mark.parametrize("processor", [SepSourceDetection(), StarExpTimeEstimator()], ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
