"""Frames that other programs wrote."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from acquisition.images import Image


def frame(realdata: Path, name: str) -> Path:
    path = realdata / name
    if not path.is_file():
        pytest.skip(f"real frame {name} is not in {realdata}")
    return path


NAMES = [
    "frames/astropy_M13_blue_0001.fits",
    "frames/ccdproc_a8280271.fits",
    "frames/nebulosa_STAR_FOCUS_1.fits",
    "frames/nebulosa_STAR_FOCUS_17.fits",
    "frames/phd2_savetest.fit",
    "frames/phd2_simimage.fit",
    "frames/pocs_tiny.fits",
    "frames/pocs_unsolved.fits",
    "frames/sep_image.fits",
    "hatp32/hatp-32171220013343.fits.fz",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:The following header keyword is invalid")  # by astropy's own reader below
def test_pixels_and_cards_survive_reading_and_writing(realdata: Path, name: str, tmp_path: Path) -> None:
    path = frame(realdata, name)
    image = Image.from_file(path)
    with fits.open(path) as file:
        np.testing.assert_array_equal(image.data, file[1 if name.endswith("fz") else 0].data)
    image.writeto(tmp_path / "again.fits")
    back = Image.from_file(tmp_path / "again.fits")
    np.testing.assert_array_equal(back.data, image.data)
    # trailing blank cards are padding
    structure = {
        "",
        "SIMPLE",
        "BITPIX",
        "NAXIS",
        "NAXIS1",
        "NAXIS2",
        "EXTEND",
        "BZERO",
        "BSCALE",
        "CHECKSUM",
        "DATASUM",
    }
    assert [card.image for card in image.header.cards if card.keyword not in structure] == [
        card.image for card in back.header.cards if card.keyword not in structure
    ]
    assert back.facts == image.facts
    assert len(image.to_jpeg()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_half_of_a_frame_is_an_error(realdata: Path, name: str, tmp_path: Path) -> None:
    whole = frame(realdata, name).read_bytes()
    half = tmp_path / "half.fits"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"half\.fits: HDU . is cut off"):
        Image.from_file(half)


def test_every_frame_of_the_hatp32_night_can_be_read(realdata: Path) -> None:
    paths = sorted((realdata / "hatp32").glob("*.fits.fz"))
    if not paths:
        pytest.skip(f"no hatp32 frames in {realdata}")
    starts = []
    for path in paths:
        image = Image.from_file(path)
        assert image.data.shape == (500, 650)
        assert image.facts.exposure_s == 60
        starts.append(image.facts.start_utc)
    assert starts == sorted(starts)


def test_what_the_headers_say(realdata: Path) -> None:
    eso = Image.from_file(frame(realdata, "frames/sep_image.fits")).facts
    assert eso.start_utc == datetime(1992, 10, 26, 15, 4, 7, 968000, tzinfo=UTC)  # DD/MM/YY and a time of day
    assert eso.data_max_adu is None  # its DATAMAX is the brightest pixel
    saao = Image.from_file(frame(realdata, "frames/ccdproc_a8280271.fits")).facts
    assert saao.start_utc == datetime(2013, 7, 13, 0, 57, 33, tzinfo=UTC)
    assert (saao.ra_deg, saao.dec_deg) == pytest.approx((331.033333, -0.925278))  # sexagesimal
    micro = Image.from_file(frame(realdata, "hatp32/hatp-32171220013343.fits.fz")).facts
    assert micro.start_utc == datetime(2017, 12, 20, 1, 33, 43, 317000, tzinfo=UTC)  # written as local time -0700
    maxim = Image.from_file(frame(realdata, "frames/astropy_M13_blue_0001.fits")).facts
    assert (maxim.x_pixel_size_um, maxim.x_binning, maxim.exposure_s) == (6.45, 1, 5.0)
