"""The one place that knows FITS keywords: what is known of a frame as header cards, and back.

In: `FrameFacts`, or the header of any program's file. Out: a header, or facts that are None where nothing was
understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from astropy.io.fits import Card, Header
from astropy.io.fits.verify import VerifyError

from .facts import FrameFacts, TangentWcs
from .text import from_ascii, to_ascii

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)

Value = str | float | int | bool


class _Field(NamedTuple):
    """A fact and its cards."""

    name: str  # in FrameFacts
    keywords: tuple[str, ...]  # all are written; the first understood is read
    comment: str
    read: Callable[[Any], Any]  # card value -> fact, None if not understood
    others: tuple[str, ...] = ()  # other programs' names, only read


def facts_to_header(facts: FrameFacts, shape: tuple[int, ...] = ()) -> Header:
    """A header that states the facts; what is not known is left out.

    Parameters
    ----------
    facts : FrameFacts
    shape : tuple of int
        Of the pixels, [y, x], for the NAXIS cards; empty when there are none.

    Raises
    ------
    ValueError
        If `start_utc` has no time zone.
    """
    header = Header()
    set_naxis(header, shape)
    header.extend(_cards(facts, shape), end=True)
    return header


def facts_from_header(header: Header) -> FrameFacts:
    """What a header says of its frame, whoever wrote it; never raises.

    A card that is missing, blank or of the wrong type is as good as none. Angles may be sexagesimal (right ascensions
    then in hours), times may carry a UTC offset, and the WCS may be CD, PC or CDELT with CROTA2; of a distorted
    projection (SIP) the linear part is taken.
    """
    facts: dict[str, Any] = {}
    for field in _FIELDS:
        facts[field.name] = _first(header, (*field.keywords, *field.others), field.read)
    return FrameFacts(
        start_utc=_start(header),
        data_max_adu=_data_max(header),
        wcs=_wcs(header),
        **facts,
    )


def set_naxis(header: Header, shape: tuple[int, ...]) -> None:
    """Make the NAXIS cards state a shape of two or more axes; otherwise leave the header alone."""
    n_axes = len(shape)
    if n_axes < 2:
        return
    if "NAXIS" in header:
        header["NAXIS"] = n_axes
    for axis in range(1, n_axes + 1):
        header[f"NAXIS{axis}"] = shape[-axis]
    axis = n_axes + 1
    while f"NAXIS{axis}" in header:
        del header[f"NAXIS{axis}"]
        axis += 1


def exact_card(keyword: str, value: Value, comment: str) -> Card:
    """A card that states a number to the last bit, where astropy would cut it after 20 characters."""
    if isinstance(value, float) and len(repr(value)) > 20:
        name = f"{keyword:<8}" if len(keyword) <= 8 else f"HIERARCH {keyword} "
        number = f"{value!r:>20}".replace("e", "E")
        return Card.fromstring(f"{name}= {number} / {comment}"[:80])
    return Card(keyword, value, comment)


def parse_utc(text: str) -> datetime | None:
    """A time in ISO 8601 or in the form FITS had until 1998 (DD/MM/YY); UTC unless it states an offset."""
    text = text.strip()
    old = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", text)
    if old:
        text = f"19{old[3]}-{old[2]}-{old[1]}"
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_section(value: Any) -> tuple[slice, slice]:
    """The (rows, columns) of a section such as ``[x1:x2,y1:y2]``, which is 1-based and includes both ends.

    Raises
    ------
    ValueError
        If it is no such text, or empty.
    """
    match = re.fullmatch(r"\s*\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]\s*", str(value))
    if match is None:
        raise ValueError(f"section is {value!r}; it should look like [1:100,1:50]")
    x1, x2, y1, y2 = (int(number) for number in match.groups())
    if not (1 <= x1 <= x2 and 1 <= y1 <= y2):
        raise ValueError(f"section {value} is empty; it counts from 1 and upwards")
    return slice(y1 - 1, y2), slice(x1 - 1, x2)


# --- facts -> cards -----------------------------------------------------------------------------------------------


def _cards(facts: FrameFacts, shape: tuple[int, ...]) -> Iterator[Card]:
    def card(keyword: str, value: Value | None, comment: str) -> Iterator[Card]:
        if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
            return
        if isinstance(value, str):
            value = to_ascii(value)
        yield exact_card(keyword, value, comment)

    if facts.start_utc is not None:
        yield from _time_cards(facts.start_utc, facts.exposure_s)
    for field in _FIELDS:
        value = getattr(facts, field.name)
        if isinstance(value, float):
            value = float(value)  # numpy's floats have another repr
        for keyword in field.keywords:
            yield from card(keyword, value, field.comment)
        if field.name == "y_pixel_size_um" and facts.x_pixel_size_um is not None and facts.x_binning:
            yield from card("DET-PIXL", facts.x_pixel_size_um / facts.x_binning / 1000, "[mm] size of an unbinned pixel")
        if field.name == "y_binning" and facts.x_binning is not None and len(shape) >= 2:
            yield from card("DET-CPX1", (shape[-1] + 1) / 2, "[px] centre of this frame, first pixel is 1")
            yield from card("DET-CPX2", (shape[-2] + 1) / 2, "[px] centre of this frame, first pixel is 1")
    yield from card("DATAMAX", facts.data_max_adu, "[ADU] pixels are clipped here")
    if facts.ra_deg is not None and facts.dec_deg is not None:
        yield from card("OBJCTRA", _sexagesimal_text(facts.ra_deg % 360 / 15, 24), "[h m s] right ascension, ICRS")
        yield from card("OBJCTDEC", _sexagesimal_text(facts.dec_deg, None), "[d m s] declination, ICRS")
    if facts.wcs is not None:
        yield from _wcs_cards(facts.wcs)


def _time_cards(start_utc: datetime, exposure_s: float | None) -> Iterator[Card]:
    if start_utc.tzinfo is None:
        raise ValueError(f"start_utc {start_utc} has no time zone; FrameFacts wants UTC")
    start = start_utc.astimezone(UTC)
    yield Card("TIMESYS", "UTC", "time scale of the times below")
    yield Card("DATE-OBS", _iso(start), "start of exposure")
    yield Card("DATE-BEG", _iso(start), "start of exposure")
    yield exact_card("MJD-OBS", _mjd(start), "[d] start of exposure")
    if exposure_s is not None and math.isfinite(exposure_s):
        middle, end = start + timedelta(seconds=exposure_s / 2), start + timedelta(seconds=exposure_s)
        yield Card("DATE-AVG", _iso(middle), "middle of exposure")
        yield Card("DATE-END", _iso(end), "end of exposure")
        yield exact_card("MJD-AVG", _mjd(middle), "[d] middle of exposure")


def _wcs_cards(wcs: TangentWcs) -> Iterator[Card]:
    yield Card("RADESYS", "ICRS", "frame of the coordinates")
    yield Card("CTYPE1", "RA---TAN", "gnomonic projection")
    yield Card("CTYPE2", "DEC--TAN", "gnomonic projection")
    yield Card("CUNIT1", "deg", "unit of CRVAL1 and CD1_*")
    yield Card("CUNIT2", "deg", "unit of CRVAL2 and CD2_*")
    yield exact_card("CRVAL1", float(wcs.ra_deg), "[deg] right ascension at the reference pixel")
    yield exact_card("CRVAL2", float(wcs.dec_deg), "[deg] declination at the reference pixel")
    yield exact_card("CRPIX1", float(wcs.x + 1), "[px] reference pixel, column, first is 1")
    yield exact_card("CRPIX2", float(wcs.y + 1), "[px] reference pixel, row, first is 1")
    for keyword, value in zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), wcs.cd, strict=True):
        yield exact_card(keyword, float(value), "[deg/px] pixels to tangent plane")


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")


def _mjd(time: datetime) -> float:
    return (time - _MJD_EPOCH) / timedelta(days=1)


def _sexagesimal_text(value: float, modulus: int | None) -> str:
    """``HH MM SS.sss`` below a modulus, or ``+DD MM SS.ss``."""
    per_second = 1000 if modulus else 100
    ticks = round(abs(value) * 3600 * per_second)
    if modulus:
        ticks %= modulus * 3600 * per_second
    minutes, seconds = divmod(ticks, 60 * per_second)
    sign = "" if modulus else "-" if value < 0 else "+"
    decimals = 3 if modulus else 2
    return f"{sign}{minutes // 60:02d} {minutes % 60:02d} {seconds / per_second:0{decimals + 3}.{decimals}f}"


# --- cards -> facts -----------------------------------------------------------------------------------------------


def _first(header: Header, keywords: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    """The first card that is there and can be read, else None."""
    for keyword in keywords:
        try:
            value = header.get(keyword)
        except VerifyError:  # a card that is no FITS at all
            continue
        if value is not None:
            fact = read(value)
            if fact is not None:
                return fact
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return from_ascii(value) if value.strip() else None
    number = _number(value)
    return None if number is None else str(value)


def _sexagesimal(value: Any) -> float | None:
    """A text of two or three numbers, such as ``-00:55:31``, in the unit of the first; None if it is not one."""
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"\s*([+-]?)(\d+)[:\sdh°]\s*(\d+)(?:[:\sm'′]\s*(\d+\.?\d*)?)?[s\"″]?\s*", value)
    if match is None:
        return None
    magnitude = int(match[2]) + int(match[3]) / 60 + float(match[4] or 0) / 3600
    return -magnitude if match[1] == "-" else magnitude


def _degrees(value: Any) -> float | None:
    number = _sexagesimal(value)
    return _number(value) if number is None else number


def _hours_to_degrees(value: Any) -> float | None:
    number = _sexagesimal(value)
    return _number(value) if number is None else number * 15


def _start(header: Header) -> datetime | None:
    scale = _first(header, ("TIMESYS",), _text)
    if scale is not None and scale.strip().upper() not in ("UTC", "UT", "GMT"):
        return None
    for keyword in ("DATE-OBS", "DATE-BEG"):
        text = _first(header, (keyword,), _text)
        if text is None:
            continue
        if "T" not in text.upper() and " " not in text.strip():  # the day alone: is the time in another card?
            clock = _first(header, ("TIME-OBS", "TIME-BEG", "UTC-OBS", "UTSTART", "UT"), _clock_text)
            day = parse_utc(text)
            if clock is None or day is None:
                continue
            text = f"{day:%Y-%m-%d}T{clock}"
        time = parse_utc(text)
        if time is not None:
            return time
    mjd = _first(header, ("MJD-OBS", "MJD-BEG"), _number)
    try:
        return None if mjd is None else _MJD_EPOCH + timedelta(days=mjd)
    except OverflowError:
        return None


def _clock_text(value: Any) -> str | None:
    match = re.fullmatch(r"\s*(\d\d:\d\d:\d\d(?:\.\d*)?)\s*", value) if isinstance(value, str) else None
    return None if match is None else match[1].rstrip(".")


def _data_max(header: Header) -> float | None:
    """Where pixels are clipped. A DATAMAX beside a DATAMIN is the range of the picture, not of the camera."""
    keywords = ("SATURATE", "SATLEVEL") if "DATAMIN" in header else ("SATURATE", "SATLEVEL", "DATAMAX")
    return _first(header, keywords, _number)


def _wcs(header: Header) -> TangentWcs | None:
    def number(keyword: str, default: float | None = None) -> float | None:
        return _first(header, (keyword,), _number) if keyword in header else default

    types = tuple((_first(header, (keyword,), _text) or "").strip() for keyword in ("CTYPE1", "CTYPE2"))
    if tuple(name[:8] for name in types) != ("RA---TAN", "DEC--TAN"):
        return None
    frame = (_first(header, ("RADESYS", "RADECSYS"), _text) or "").strip()
    equinox = _first(header, ("EQUINOX", "EPOCH"), _number)
    is_icrs = frame in ("ICRS", "FK5") or (not frame and equinox is None)
    if not is_icrs and (frame or equinox != 2000):
        return None
    if frame == "FK5" and equinox not in (None, 2000):
        return None
    for keyword in ("CUNIT1", "CUNIT2"):
        if (_first(header, (keyword,), _text) or "deg").strip() not in ("deg", "degree", "degrees"):
            return None
    if number("LONPOLE", 180) != 180:
        return None
    place = tuple(number(keyword) for keyword in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"))
    cd = _cd(number)
    if cd is None or None in place:
        return None
    ra, dec, x, y = (value for value in place if value is not None)
    return TangentWcs(ra, dec, x - 1, y - 1, cd)


def _cd(number: Callable[..., float | None]) -> tuple[float, float, float, float] | None:
    """The CD matrix, whichever way it is written (Calabretta & Greisen 2002, A&A 395, 1077, sections 2 and 6)."""
    names = ("1_1", "1_2", "2_1", "2_2")
    matrix: list[float | None] = [number(f"CD{name}") for name in names]
    if any(value is not None for value in matrix):
        matrix = [0.0 if value is None else value for value in matrix]
    else:
        scale = (number("CDELT1"), number("CDELT2"))
        if scale[0] is None or scale[1] is None:
            return None
        matrix = [number(f"PC{name}", default) for name, default in zip(names, (None, None, None, None), strict=True)]
        if any(value is not None for value in matrix):
            identity = (1.0, 0.0, 0.0, 1.0)
            pc = [default if value is None else value for value, default in zip(matrix, identity, strict=True)]
            matrix = [scale[0] * pc[0], scale[0] * pc[1], scale[1] * pc[2], scale[1] * pc[3]]
        else:
            angle = math.radians(number("CROTA2") or 0.0)
            cos, sin = math.cos(angle), math.sin(angle)
            matrix = [scale[0] * cos, -scale[1] * sin, scale[0] * sin, scale[1] * cos]
    a, b, c, d = (value for value in matrix if value is not None)
    return None if a * d == b * c else (a, b, c, d)


_FIELDS = (
    # time
    _Field("exposure_s", ("EXPTIME", "EXPOSURE", "XPOSURE"), "[s] exposure time", _number),
    _Field("start_uncertainty_s", ("TIMSYER",), "[s] uncertainty of the start", _number),
    # camera
    _Field("instrument", ("INSTRUME",), "camera", _text),
    _Field("camera_id", ("CAMERAID",), "which of its kind", _text),
    _Field("detector", ("DETECTOR",), "detector", _text),
    _Field("x_binning", ("XBINNING", "DET-BIN1"), "binning of columns", _integer),
    _Field("y_binning", ("YBINNING", "DET-BIN2"), "binning of rows", _integer),
    _Field("x_pixel_size_um", ("XPIXSZ",), "[um] pixel width, binned", _number, ("PIXSIZE1",)),
    _Field("y_pixel_size_um", ("YPIXSZ",), "[um] pixel height, binned", _number, ("PIXSIZE2",)),
    _Field("x_origin_px", ("XORGSUBF",), "[px] first column read, binned, 0 is the edge", _integer),
    _Field("y_origin_px", ("YORGSUBF",), "[px] first row read, binned, 0 is the edge", _integer),
    _Field("gain", ("GAIN",), "gain, camera units", _number),
    _Field("offset", ("OFFSET",), "offset, camera units", _number),
    _Field("egain_e_per_adu", ("EGAIN", "DET-GAIN"), "[e-/ADU] of the stored values", _number),
    _Field("read_noise_e", ("RDNOISE",), "[e-] read noise", _number, ("READNOIS",)),
    _Field("full_well_e", ("DET-SATU",), "[e-] full well", _number),
    _Field("bit_depth", ("BITDEPTH",), "bits of the ADC", _integer),
    _Field("ccd_temp_c", ("CCD-TEMP", "DET-TEMP"), "[degC] detector temperature", _number),
    _Field("set_temp_c", ("SET-TEMP",), "[degC] temperature asked for", _number),
    _Field("cooler_power_percent", ("COOLPWR",), "[%] cooler power", _number),
    _Field("bayer_pattern", ("BAYERPAT",), "colours of the first 2x2 pixels", _text),
    _Field("x_bayer_offset", ("XBAYROFF",), "[px] of the Bayer pattern", _integer),
    _Field("y_bayer_offset", ("YBAYROFF",), "[px] of the Bayer pattern", _integer),
    _Field("row_order", ("ROWORDER",), "first row is at the top or at the bottom", _text),
    _Field("readout_mode", ("READOUTM",), "readout mode", _text),
    _Field("usb_limit", ("USBLIMIT",), "USB bandwidth, camera units", _number),
    _Field("frame_seq", ("FRAMESEQ",), "number of this frame", _integer),
    _Field("n_dropped", ("NDROPPED",), "frames lost so far", _integer),
    # what it is
    _Field("image_type", ("IMAGETYP",), "type of image", _text),
    _Field("object_name", ("OBJECT",), "target", _text),
    _Field("filter_name", ("FILTER",), "filter", _text),
    _Field("observer", ("OBSERVER",), "observer", _text),
    _Field("telescope", ("TELESCOP",), "telescope", _text),
    _Field("focal_length_mm", ("FOCALLEN",), "[mm] focal length", _number, ("TEL-FOCL",)),
    _Field("aperture_mm", ("APTDIA",), "[mm] aperture", _number),
    _Field("site_lat_deg", ("SITELAT", "LATITUDE"), "[deg] geodetic latitude, north positive", _degrees, ("LAT-OBS",)),
    _Field("site_lon_deg", ("SITELONG", "LONGITUD"), "[deg] longitude, east positive", _degrees, ("LONG-OBS",)),
    _Field("site_elev_m", ("SITEELEV", "HEIGHT"), "[m] above sea level", _number, ("ALT-OBS",)),
    _Field("software", ("SWCREATE",), "program that made the frame", _text, ("CREATOR", "PROGRAM")),
    # where it points
    _Field("ra_deg", ("RA",), "[deg] right ascension of the field, ICRS", _hours_to_degrees, ("OBJCTRA",)),
    _Field("dec_deg", ("DEC",), "[deg] declination of the field, ICRS", _degrees, ("OBJCTDEC",)),
    _Field("tel_ra_deg", ("TEL-RA",), "[deg] right ascension says the telescope", _hours_to_degrees),
    _Field("tel_dec_deg", ("TEL-DEC",), "[deg] declination says the telescope", _degrees),
    _Field("airmass", ("AIRMASS",), "airmass", _number),
)
