import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ConfigError, ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.extras import need
from acquisition.images.processors.misc import (
    AddMask,
    CatalogCircularMask,
    CircularMask,
    CreateFilename,
    ImageSourceFilter,
    RemoveBackground,
)


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


def test_circle_is_around_column_crpix1_and_row_crpix2() -> None:
    image = Image(np.zeros((20, 30)), fits.Header({"CRPIX1": 21.0, "CRPIX2": 6.0}))
    mask = run(CircularMask(3.0), image).mask
    assert image.safe_mask is None
    rows, columns = np.nonzero(~mask)
    assert (rows.mean(), columns.mean()) == (5, 20)
    assert not mask[5, 23]
    assert mask[5, 24]


def test_circle_joins_the_mask_that_is_there() -> None:
    old = np.zeros((9, 9), np.uint8)
    old[4, 4] = 1
    image = Image(np.zeros((3, 9, 9)), fits.Header({"A": 5, "B": 5}), mask=old)
    mask = run(CircularMask(2.0, center=("A", "B")), image).mask
    assert mask[4, 4]
    assert mask[0, 0]
    assert not mask[4, 5]


def test_sources_inside_or_outside_the_circle() -> None:
    catalog = Table({"x": [10.0, 13.0, 14.0, np.nan], "y": [5.0, 5.0, 5.0, 5.0]})
    image = Image(np.zeros((20, 30)), fits.Header({"CRPIX1": 10.0, "CRPIX2": 5.0}), catalog=catalog)
    for center in (("CRPIX1", "CRPIX2"), (10, 5.0)):
        assert list(run(CatalogCircularMask(3.0, center), image).catalog["x"]) == [10, 13]
        assert list(run(CatalogCircularMask(3.0, center, exclude_circle=True), image).catalog["x"]) == [14]
    assert len(image.catalog) == 4


@pytest.mark.parametrize("center", [("CRPIX1",), (1, "CRPIX2"), (1, 2, 3)])
def test_center_is_two_of_a_kind(center: tuple) -> None:
    with pytest.raises(ValueError, match="allowed"):
        CatalogCircularMask(3.0, center)


def test_mask_by_instrument_and_binning(tmp_path) -> None:
    Image(np.eye(4, dtype=np.uint8)).writeto(tmp_path / "mask.fits")
    masks = AddMask({"cam": {"1x1": np.ones((8, 8)), "2x2": str(tmp_path / "mask.fits")}})
    header = fits.Header({"INSTRUME": "cam", "XBINNING": 2, "YBINNING": 2})
    masked = run(masks, Image(np.zeros((4, 4)), header))
    np.testing.assert_array_equal(masked.mask, np.eye(4))
    masked.mask[:] = 7
    np.testing.assert_array_equal(run(masks, Image(np.zeros((4, 4)), header)).mask, np.eye(4))
    with pytest.raises(ImageError, match="agree"):
        run(masks, Image(np.zeros((5, 4)), header))
    for other in (fits.Header({"INSTRUME": "cam"}), fits.Header()):
        assert run(masks, Image(np.zeros((4, 4)), other)).safe_mask is None
    with pytest.raises(ValueError, match="FITS"):
        AddMask({"cam": {"1x1": 3}})  # type: ignore[dict-item]  # on purpose


def test_filename() -> None:
    image = Image(np.zeros((2, 2)), fits.Header({"OBJECT": "M1"}))
    assert run(CreateFilename("{OBJECT|lower}.fits"), image).header["FNAME"] == "m1.fits"
    assert "FNAME" not in image.header
    with pytest.raises(ImageError, match="FILTER"):
        run(CreateFilename("{FILTER}.fits"), image)


def sources(n: int, **changed: object) -> Table:
    """n good sources, the brightest last; or with columns changed."""
    table = {"x": np.linspace(30, 70, n), "y": np.full(n, 50.0), "flux": np.arange(n) + 1.0, "peak": np.full(n, 900.0),
             "tnpix": np.full(n, 20), "ellipticity": np.full(n, 0.1), "background": np.full(n, 100.0)}  # fmt: skip
    return Table({**table, **changed})


def fluxes(image: Image) -> list[float]:
    return list(image.catalog["flux"])


def test_brightest_sources_come_first() -> None:
    image = Image(np.zeros((100, 100)), catalog=sources(5))
    assert fluxes(run(ImageSourceFilter(5, 0, 3), image)) == [5, 4, 3, 2, 1]
    assert fluxes(run(ImageSourceFilter(5, 2, 3), image)) == [5, 4]
    assert fluxes(image) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "changed",
    [
        {"x": [5.0, 50, 50, 96, 50]},
        {"peak": [50000.0, 900, 900, np.nan, 900]},
        {"tnpix": [2, 20, 20, 300, 20]},
        {"ellipticity": [0.41, 0.1, 0.1, np.nan, 0.1]},
        {"background": [0.0, 100, 100, 360, 100]},
        {"flux": [np.nan, 2, 3, np.inf, 5]},
    ],
)
def test_bad_sources_are_dropped(changed: dict[str, list[float]]) -> None:
    image = Image(np.zeros((100, 100)), catalog=sources(5, **changed))
    assert fluxes(run(ImageSourceFilter(5, 0, 3), image)) == [5, 3, 2]


def test_contrast_needs_no_background_column() -> None:
    catalog = sources(3)
    catalog.remove_column("background")
    assert len(run(ImageSourceFilter(5, 0, 3), Image(np.zeros((100, 100)), catalog=catalog)).catalog) == 3
    catalog.remove_column("tnpix")
    with pytest.raises(ImageError, match="tnpix"):
        run(ImageSourceFilter(5, 0, 3), Image(np.zeros((100, 100)), catalog=catalog))


@pytest.mark.parametrize("dtype", ["u2", ">f4", "f8"])
def test_background_goes_and_stars_stay(dtype: str) -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :200]
    sky = 500 + 0.2 * x + 0.1 * y
    star = 5000 * np.exp(-((x - 90) ** 2 + (y - 110) ** 2) / 8)
    data = rng.normal(sky + star, 5)
    mask = np.zeros(data.shape, bool)
    mask[:50, :50] = True
    data[mask] = 60000
    flat = run(RemoveBackground(box_size=(25, 25)), Image(data.astype(dtype), mask=mask)).data
    sample = flat[55:190:7, 55:190:7]
    assert abs(np.median(sample)) < 3
    assert flat[110, 90] == pytest.approx(5000, abs=60)


def test_a_library_that_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'starlatch\[sky\]'"):
        need("no_such_library", "sky", "Whatever")


@pytest.mark.parametrize(
    "arguments", [{"sigma": 0}, {"box_size": (0, 5)}, {"filter_size": (2, 3)}, {"filter_size": (3, -1)}]
)
def test_background_parameters_are_checked(arguments: dict) -> None:
    with pytest.raises(ValueError, match="allowed"):
        RemoveBackground(**arguments)


PROCESSORS = [
    AddMask({"x": {"1x1": np.zeros((9, 8))}}),
    CatalogCircularMask(3.0),
    CatalogCircularMask(3.0, (1.0, 2.0), True),
    CircularMask(4.0),
    CreateFilename("{EXPTIME}"),
    CreateFilename(),
    ImageSourceFilter(1, 1, 1),
    RemoveBackground(box_size=(5, 5)),
]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
