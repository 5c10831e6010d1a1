import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, Pipeline
from acquisition.images.processors.detection import SimpleDisk
from acquisition.images.processors.wcs import SolarHelioprojective
from acquisition.images.processors.wcs.solarhelioprojective import sun_radius_deg


def test_the_suns_size_over_the_year() -> None:
    """Astronomical Almanac: semidiameter 16'16" in January, 15'44" in July; distance as by astropy."""
    from astropy.coordinates import get_sun
    from astropy.time import Time

    for month, day, semidiameter_arcsec in ((1, 3, 975.9), (7, 4, 943.9), (4, 3, 960.0)):
        utc = datetime(2026, month, day, 12, tzinfo=UTC)
        angle_deg, distance_m = sun_radius_deg(utc)
        assert angle_deg * 3600 == pytest.approx(semidiameter_arcsec, abs=0.6)
        assert distance_m == pytest.approx(get_sun(Time(utc.replace(tzinfo=None))).distance.m, rel=1e-6)


def test_the_limb_is_at_the_suns_radius() -> None:
    """From the disk's detection to degrees, though the header has another WCS: pyobs keeps its CD matrix."""
    y, x = np.mgrid[:200, :240]
    header = fits.Header({"DATE-OBS": "2026-01-03T12:00:00", "EXPTIME": 0.1, "CD1_1": 1.0, "CD2_2": 1.0,
                          "CTYPE1": "RA---TAN", "CROTA2": 3.0, "LONPOLE": 7.0, "A_ORDER": 2,
                          "A_2_0": 1e-3})  # fmt: skip
    image = Image((np.hypot(x - 130, y - 90) < 80).astype(np.float32) * 100, header)
    result = virtual_time.run(Pipeline([SimpleDisk(), SolarHelioprojective()])(image))
    assert not {"CD1_1", "CROTA2", "LONPOLE", "A_ORDER", "A_2_0", "RADESYS"} & set(result.header)
    assert result.header["DATE-OBS"] == header["DATE-OBS"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy, about dates
        wcs = WCS(result.header, naxis=2)
    angle_deg, _ = sun_radius_deg(datetime(2026, 1, 3, 12, tzinfo=UTC))
    assert wcs.all_pix2world(130, 90, 0) == pytest.approx((0, 0), abs=1e-9)
    west, _ = wcs.all_pix2world(130 + 80, 90, 0)
    _, north = wcs.all_pix2world(130, 90 + 80, 0)
    assert (west, north) == pytest.approx((angle_deg, angle_deg), rel=0.01)
    assert header["CTYPE1"] == image.header["CTYPE1"] == "RA---TAN"


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"DISKPOS1": 3.0, "DISKPOS2": 3.0, "DATE-OBS": "2026-01-03T12:00:00"}, "DISKRAD"),
        ({"DISKPOS1": 3.0, "DISKPOS2": 3.0, "DISKRAD": 0, "DATE-OBS": "2026-01-03T12:00:00"}, "radius above 0"),
        ({"DISKPOS1": 3.0, "DISKPOS2": 3.0, "DISKRAD": 3.0, "DATE-OBS": "yesterday"}, "no time"),
    ],
)
def test_what_is_missing_is_named(cards: dict, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        virtual_time.run(SolarHelioprojective()(Image(np.zeros((9, 9)), fits.Header(cards))))


@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(image: Image) -> None:
    check_bad_image(SolarHelioprojective("CRPIX1", "CRPIX2"), image)
