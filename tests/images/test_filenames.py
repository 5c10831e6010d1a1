from typing import Any

import pytest
from astropy.io import fits

from acquisition.images.filenames import FilenameFormatter, format_filename

HEADER = fits.Header(
    {
        "DAY-OBS": "2024-03-04",
        "DATE-OBS": "2024-03-04T01:02:03.456",
        "OBJECT": "M31",
        "IMAGETYP": "light",
        "FILTER": "V",
        "FRAMENUM": 7,
        "EXPTIME": 600.0,
        "F": 3.14159,
        "BLANK": None,
    }
)


@pytest.mark.parametrize(
    ("fmt", "name"),
    [
        ("plain.fits", "plain.fits"),
        ("{OBJECT}.fits", "M31.fits"),
        ("{OBJECT|lower}-{OBJECT|lower}", "m31-m31"),
        ("{DAY-OBS|date:}", "20240304"),
        ("{DATE-OBS|date}", "2024-03-04"),
        ("{DATE-OBS|time}", "01-02-03"),
        ("{DATE-OBS|time:}", "010203"),
        ("{DATE-OBS|time:_}", "01_02_03"),
        ("x{FILTER|filter}", "x-V"),
        ("x{FILTER|filter:IMAGETYP:_}", "x_V"),
        ("{FRAMENUM|string:04d}", "0007"),
        ("{F|string:4.1f}", " 3.1"),
        ("{IMAGETYP|type}", "e"),
        ("{EXPTIME|exptime}", "600"),
        ("{F|exptime}", "3.14159"),
        ("{NOTHING|exptime}", "unknown"),
        ("{not a key}", "{not a key}"),
    ],
)
def test_formats(fmt: str, name: str) -> None:
    assert format_filename(HEADER, fmt) == name


@pytest.mark.parametrize(
    ("kind", "letter"), [("bias", "b"), ("skyflat", "f"), ("dark", "d"), ("flat", "e"), ("?", "e")]
)
def test_type(kind: str, letter: str) -> None:
    assert format_filename(fits.Header({"IMAGETYP": kind}), "{IMAGETYP|type}") == letter


@pytest.mark.parametrize(
    ("kind", "name"), [("Object", "-V"), ("skyflat", "-V"), ("flat", "-V"), ("bias", ""), ("dark", "")]
)
def test_filter_depends_on_the_type_of_image(kind: str, name: str) -> None:
    assert format_filename(fits.Header({"IMAGETYP": kind, "FILTER": "V"}), "{FILTER|filter}") == name


def test_of_several_formats_the_first_that_can_be_filled() -> None:
    assert FilenameFormatter(["{NOTHING}", "{BLANK}", "{OBJECT|nofunc}", "{OBJECT}", "last"])(HEADER) == "M31"
    with pytest.raises(KeyError, match="NOTHING"):
        FilenameFormatter(["{NOTHING}", "{OBJECT|nofunc}"])(HEADER)
    with pytest.raises(KeyError, match="no function nofunc"):
        FilenameFormatter("{OBJECT|nofunc}")(HEADER)
    with pytest.raises(KeyError):
        format_filename(HEADER, [])


def test_own_keys_go_before_the_header() -> None:
    assert format_filename(HEADER, "{OBJECT}{N|string:02d}", keys={"OBJECT": "M33", "N": 3}) == "M3303"
    assert format_filename(HEADER, "{T|exptime}", keys={"T": 2}) == "2"


def test_no_format_is_no_name() -> None:
    assert FilenameFormatter(None)(HEADER) == ""


def test_values_are_not_formats() -> None:
    assert format_filename(fits.Header({"A": "{B}", "B": "no"}), "{A}") == "{B}"


@pytest.mark.parametrize("fmt", ["{OBJECT|string:04d}", "{OBJECT|date}", "{OBJECT|exptime}", "{OBJECT|lower:1:2}"])
def test_a_value_that_does_not_fit_its_function(fmt: str) -> None:
    with pytest.raises(ValueError, match="OBJECT"):
        format_filename(HEADER, fmt)


def test_works_with_any_mapping() -> None:
    header: dict[str, Any] = {"OBJECT": "M31"}
    assert format_filename(header, "{OBJECT}") == "M31"
