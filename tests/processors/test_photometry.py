import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.photometry import AperturePhotometry, PhotUtilsPhotometry, SepPhotometry

PLACES = [(60.3, 50.6), (120.0, 150.5), (30.0, 30.0)]
FLUX = 20000.0
SCALE_ARCSEC = 0.4
BOTH = pytest.mark.parametrize("processor", [SepPhotometry(), PhotUtilsPhotometry()], ids=lambda p: type(p).__name__)


def scene(factor: float = 1.0, sigma_px: float = 2.0) -> np.ndarray:
    y, x = np.mgrid[:200, :200]
    data = np.random.default_rng(1).normal(500, 5, (200, 200))
    for cx, cy in PLACES:
        data += FLUX / (2 * np.pi * sigma_px**2) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma_px**2))
    return data * factor


def catalog(extra: list[tuple[float, float]] | None = None) -> Table:
    places = [*PLACES, *(extra or [])]
    return Table({"x": [x + 1 for x, _ in places], "y": [y + 1 for _, y in places]})


def image(data: np.ndarray, sources: Table | None = None, **parts: object) -> Image:
    header = fits.Header({"CDELT1": -SCALE_ARCSEC / 3600, "EGAIN": 2.0})
    return Image(data, header, catalog=catalog() if sources is None else sources, **parts)


def measured(processor: ImageProcessor, frame: Image) -> Table:
    return virtual_time.run(processor(frame)).catalog


@BOTH
def test_fluxes_in_all_apertures(processor: AperturePhotometry) -> None:
    """pyobs' SEP apertures are a pixel off (2815 instead of 3549 ADU in the smallest), its PhotUtils sky holds the
    star's own light (2538)."""
    found = measured(processor, image(scene()))
    for diameter in processor.APERTURE_DIAMETERS_ARCSEC:
        radius = diameter / 2 / SCALE_ARCSEC
        true = FLUX * (1 - np.exp(-(radius**2) / (2 * 2.0**2)))
        errors = np.asarray(found[f"fluxerr{diameter}"])
        np.testing.assert_array_less(np.abs(found[f"fluxaper{diameter}"] - true), 4 * errors + 0.01 * true)
    assert np.asarray(found["fluxerr8"]) == pytest.approx(np.sqrt(FLUX / 2 + 25 * np.pi * 10**2), rel=0.05)


@BOTH
def test_each_image_is_measured_by_itself(processor: AperturePhotometry) -> None:
    """pyobs' SepPhotometry measures the first image for ever."""
    once, thrice = measured(processor, image(scene())), measured(processor, image(scene(3.0)))
    np.testing.assert_allclose(thrice["fluxaper8"], 3 * np.asarray(once["fluxaper8"]), rtol=1e-3)


@BOTH
def test_masked_and_nan_pixels_do_not_count(processor: AperturePhotometry) -> None:
    data, mask = scene(), np.zeros((200, 200), bool)
    data[:, 80:84] = 60000
    mask[:, 80:84] = True
    data[53, 63] = np.nan
    data[0:20, 190:] = np.inf
    found = measured(processor, image(data, mask=mask))
    np.testing.assert_allclose(found["fluxaper8"], FLUX, rtol=0.06)


@BOTH
def test_sources_that_cannot_be_measured_are_nan(processor: AperturePhotometry) -> None:
    """pyobs' PhotUtilsPhotometry raises TypeError for a source outside the image."""
    found = measured(processor, image(scene(), catalog([(np.nan, 5.0), (500.0, 5.0), (5.0, -9.0)])))
    assert np.isfinite(found["fluxaper5"][:3]).all()
    assert np.isnan(found["fluxaper5"][3:]).all()
    all_bad = measured(processor, image(scene(), mask=np.ones((200, 200))))
    assert np.isnan(all_bad["fluxaper5"]).all()


@BOTH
def test_an_empty_catalog_gets_its_columns(processor: AperturePhotometry) -> None:
    """pyobs' PhotUtilsPhotometry raises ValueError."""
    found = measured(processor, image(scene(), Table({"x": [], "y": []})))
    assert len(found) == 0
    assert {"fluxaper1", "fluxerr8"} <= set(found.colnames)


@BOTH
def test_errors_follow_the_uncertainty(processor: AperturePhotometry) -> None:
    found = measured(processor, image(scene(), uncertainty=np.full((200, 200), 7.0)))
    np.testing.assert_allclose(found["fluxerr8"], 7 * np.sqrt(np.pi) * 10, rtol=0.02)
    with pytest.raises(ImageError, match="uncertainty"):
        measured(processor, image(scene(), uncertainty=np.ones((3, 3))))


@BOTH
@pytest.mark.parametrize("dtype", [">u2", "f4", "i4"])
def test_types_and_colour(processor: AperturePhotometry, dtype: str) -> None:
    np.testing.assert_allclose(measured(processor, image(scene().astype(dtype)))["fluxaper8"], FLUX, rtol=0.03)
    colour = measured(processor, image(np.stack([scene().astype(dtype)] * 3)))
    np.testing.assert_allclose(colour["fluxaper8"], FLUX, rtol=0.03)


@BOTH
def test_what_passes_unchanged(processor: AperturePhotometry) -> None:
    no_scale = Image(scene(), catalog=catalog())
    for frame in (Image(), Image(scene()), no_scale):
        assert virtual_time.run(processor(frame)) is frame
    with pytest.raises(ImageError, match="scale"):
        virtual_time.run(processor(Image(scene(), fits.Header({"CDELT1": 0.0}), catalog=catalog())))


def test_the_sky_is_stated_for_each_source() -> None:
    assert measured(SepPhotometry(), image(scene()))["background"] == pytest.approx(500, abs=2)
    found = measured(PhotUtilsPhotometry(), image(scene()))
    assert found["bkgaper8"] == pytest.approx(500, abs=2)
    assert np.isnan(measured(PhotUtilsPhotometry(), image(scene()))["fluxaper1"]).sum() == 0


@BOTH
@settings(max_examples=25)
@given(frame=bad_images())
def test_bad_input(processor: ImageProcessor, frame: Image) -> None:
    check_bad_image(processor, frame)
