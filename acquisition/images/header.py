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

import numpy as np
from astropy.io.fits import Card, Header
from astropy.io.fits.verify import VerifyError

from .facts import FrameFacts, TangentWcs
from .text import from_ascii, to_ascii

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)

_DISTORTION = re.compile(r"PV\d+_\d+|[AB]_ORDER|(CPDIS|CQDIS|DP|DQ)\d.*|D2IM.*")

_CD = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")


class _Field(NamedTuple):
    """A fact and its cards."""

    name: str  # in FrameFacts
    keywords: tuple[str, ...]  # all are written; the first one understood is read
    comment: str
    read: Callable[[Any], Any]  # a card's value -> the fact, or None if not understood
    others: tuple[str, ...] = ()  # other programs' keywords: read, if none of ours is there


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
    cards = []
    for keyword, value, comment in _statements(facts, shape):
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str):
            value = to_ascii(value)
            comment = comment[: max(0, 63 - len(value) - value.count("'"))]  # what fits the card
        if value is not None and value != "" and not (isinstance(value, float) and not math.isfinite(value)):
            cards.append(exact_card(keyword, value, comment))
    return Header(cards)


def facts_from_header(header: Header) -> FrameFacts:
    """What a header says of its frame, whoever wrote it; never raises.

    A card that is missing, blank or of the wrong type is as good as none. Angles may be sexagesimal (right ascensions
    then in hours), times may carry a UTC offset, and the WCS may be written with CD, PC or CDELT and CROTA2; of a
    projection with SIP distortion the linear part is taken.
    """
    cards: Cards = {}
    for card in header.cards:
        cards.setdefault(card.keyword, card)
    facts = {field.name: _first(cards, (*field.keywords, *field.others), field.read) for field in _FIELDS}
    if facts["x_pixel_size_um"] is None and facts["y_pixel_size_um"] is None:  # pyobs states unbinned mm
        pixel_mm = _first(cards, ("DET-PIXL",), _number)
        for axis in "xy":
            if pixel_mm is not None and facts[f"{axis}_binning"] is not None:
                facts[f"{axis}_pixel_size_um"] = pixel_mm * 1000 * facts[f"{axis}_binning"]
    return FrameFacts(start_utc=_start(cards), data_max_adu=_data_max(cards), wcs=_wcs(cards), **facts)


def set_naxis(header: Header, shape: tuple[int, ...]) -> None:
    """Make the NAXIS cards state a shape of two or more axes; otherwise leave the header alone."""
    n_axes = len(shape)
    if n_axes < 2:
        return
    if "NAXIS" in header:
        header["NAXIS"] = n_axes
    for axis in range(1, n_axes + 1):
        header[f"NAXIS{axis}"] = shape[-axis]
    surplus = n_axes + 1
    while f"NAXIS{surplus}" in header:
        del header[f"NAXIS{surplus}"]
        surplus += 1


def exact_card(keyword: str, value: str | float | bool, comment: str) -> Card:
    """A card that states a number to the last bit and a text to the last character.

    Astropy cuts numbers after 20 characters, and breaks a long text within the two quotes that stand for one.
    """
    if isinstance(value, float) and len(repr(value)) > 20:
        name = f"{keyword:<8}" if len(keyword) <= 8 else f"HIERARCH {keyword} "
        statement = f"{name}= {repr(value).replace('e', 'E')}"
        if len(statement) <= 80:
            return Card.fromstring(f"{statement} / {comment}"[:80])
    if isinstance(value, str) and len(value) + value.count("'") > 68 and len(keyword) <= 8:
        pieces = [""]
        for character in value:
            quoted = "''" if character == "'" else character
            if len(pieces[-1]) + len(quoted) > 67:
                pieces.append("")
            pieces[-1] += quoted
        starts = [f"{keyword:<8}= ", *["CONTINUE  "] * (len(pieces) - 1)]
        ends = [*["&'"] * (len(pieces) - 1), f"' / {comment}"]
        lines = [f"{start}'{piece}{end}" for start, piece, end in zip(starts, pieces, ends, strict=True)]
        return Card.fromstring("".join(line[:80].ljust(80) for line in lines))
    return Card(keyword, value, comment)


def mend_long_texts(header: Header) -> None:
    """Read texts that are continued over several cards once more, since astropy misreads ``'/`` and ``&`` in them."""
    for index, card in enumerate(header.cards):
        image = card.image
        if len(image) <= 80 or "CONTINUE" not in image:
            continue
        lines = [image[start : start + 80] for start in range(0, len(image), 80)]
        lines[0] = lines[0].partition("=")[2]
        pieces = [match[1].replace("''", "'") for line in lines if (match := re.search(r"'((?:[^']|'')*)'", line))]
        if len(pieces) == len(lines):
            text = "".join(piece.removesuffix("&") for piece in pieces[:-1]) + pieces[-1].rstrip()
            if text != card.value:
                header[index] = text


def parse_utc(text: str) -> datetime | None:
    """A time in ISO 8601, or a day as FITS wrote it until 1998 (DD/MM/YY); UTC unless it states an offset.

    None if it is neither.
    """
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
        raise ValueError(f"section is {value}; it should count from 1 and upwards")
    return slice(y1 - 1, y2), slice(x1 - 1, x2)


# --- facts -> cards -----------------------------------------------------------------------------------------------

Statement = tuple[str, Any, str]
"""Keyword, value (None: not known) and comment."""


def _statements(facts: FrameFacts, shape: tuple[int, ...]) -> Iterator[Statement]:
    if len(shape) >= 2:
        for axis, length in enumerate(reversed(shape), start=1):
            yield f"NAXIS{axis}", length, "[px]"
    if facts.start_utc is not None:
        yield from _time(facts.start_utc, facts.exposure_s)
    for field in _FIELDS:
        for keyword in field.keywords:
            yield keyword, getattr(facts, field.name), field.comment
    yield "DATAMAX", facts.data_max_adu, "[ADU] pixels are clipped here"
    if facts.x_binning is not None:  # pyobs' words for a camera; the centre is where it wants its targets
        if facts.x_pixel_size_um is not None and facts.x_binning > 0:
            yield "DET-PIXL", facts.x_pixel_size_um / facts.x_binning / 1000, "[mm] size of an unbinned pixel"
        if len(shape) >= 2:
            yield "DET-CPX1", (shape[-1] + 1) / 2, "[px] centre of this frame, first column is 1"
            yield "DET-CPX2", (shape[-2] + 1) / 2, "[px] centre of this frame, first row is 1"
    if facts.ra_deg is not None and facts.dec_deg is not None:
        yield "OBJCTRA", _hms(facts.ra_deg), "[h m s] right ascension of the field, ICRS"
        yield "OBJCTDEC", _dms(facts.dec_deg), "[d m s] declination of the field, ICRS"
    if facts.wcs is not None:
        yield from _projection(facts.wcs)


def _time(start_utc: datetime, exposure_s: float | None) -> Iterator[Statement]:
    if start_utc.tzinfo is None:
        raise ValueError(f"start_utc is {start_utc}, without a time zone; it should be UTC")
    start = start_utc.astimezone(UTC)
    yield "TIMESYS", "UTC", "time scale of the times below"
    yield "DATE-OBS", _iso(start), "start of exposure"
    yield "DATE-BEG", _iso(start), "start of exposure"
    yield "MJD-OBS", _mjd(start), "[d] start of exposure"
    if exposure_s is not None and math.isfinite(exposure_s):
        middle, end = start + timedelta(seconds=exposure_s / 2), start + timedelta(seconds=exposure_s)
        yield "DATE-AVG", _iso(middle), "middle of exposure"
        yield "MJD-AVG", _mjd(middle), "[d] middle of exposure"
        yield "DATE-END", _iso(end), "end of exposure"


def _projection(wcs: TangentWcs) -> Iterator[Statement]:
    yield "RADESYS", "ICRS", "frame of the coordinates"
    yield "CTYPE1", "RA---TAN", "gnomonic projection"
    yield "CTYPE2", "DEC--TAN", "gnomonic projection"
    yield "CUNIT1", "deg", "unit of CRVAL1, CD1_1 and CD1_2"
    yield "CUNIT2", "deg", "unit of CRVAL2, CD2_1 and CD2_2"
    yield "CRVAL1", wcs.ra_deg, "[deg] right ascension at the reference pixel"
    yield "CRVAL2", wcs.dec_deg, "[deg] declination at the reference pixel"
    yield "CRPIX1", wcs.x + 1, "[px] reference column, first is 1"
    yield "CRPIX2", wcs.y + 1, "[px] reference row, first is 1"
    for keyword, value in zip(_CD, wcs.cd, strict=True):
        yield keyword, value, "[deg/px] from pixels to the tangent plane"


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")


def _mjd(time: datetime) -> float:
    return (time - _MJD_EPOCH) / timedelta(days=1)


def _hms(ra_deg: float) -> str:
    milliseconds = round(ra_deg % 360 / 15 * 3_600_000) % 86_400_000
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d} {minutes % 60:02d} {milliseconds / 1000:06.3f}"


def _dms(dec_deg: float) -> str:
    arcminutes, hundredths = divmod(round(abs(dec_deg) * 360_000), 6_000)
    return f"{'-' if dec_deg < 0 else '+'}{arcminutes // 60:02d} {arcminutes % 60:02d} {hundredths / 100:05.2f}"


# --- cards -> facts -----------------------------------------------------------------------------------------------

Cards = dict[str, Card]


def _first(cards: Cards, keywords: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    """What the first card says that is there and can be read, else None."""
    for keyword in keywords:
        if keyword in cards:
            try:
                fact = read(cards[keyword].value)
            except VerifyError:  # not FITS at all
                continue
            if fact is not None:
                return fact
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return from_ascii(value) if value.strip() else None
    return None if _number(value) is None else str(value)


def _sexagesimal(value: Any) -> float | None:
    """A text of two or three numbers, such as ``-00:55:31``, in the unit of the first; None if it is not one."""
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"\s*([+-]?)(\d+)[:\shd°]\s*(\d+)(?:[:\sm'′]\s*(\d+\.?\d*)?)?[s\"″]?\s*", value)
    if match is None:
        return None
    magnitude = int(match[2]) + int(match[3]) / 60 + float(match[4] or 0) / 3600
    return -magnitude if match[1] == "-" else magnitude


def _degrees(value: Any) -> float | None:
    number = _sexagesimal(value)
    return _number(value) if number is None else number


def _right_ascension(value: Any) -> float | None:
    hours = _sexagesimal(value)
    return _number(value) if hours is None else hours * 15


def _start(cards: Cards) -> datetime | None:
    scale = _first(cards, ("TIMESYS",), _text)
    if scale is not None and scale.strip().upper() not in ("UTC", "UT", "GMT"):
        return None
    for keyword in ("DATE-OBS", "DATE-BEG"):
        text = _first(cards, (keyword,), _text)
        if text is None:
            continue
        if ":" not in text:  # a day; its time may be in another card
            clock, day = _first(cards, ("TIME-OBS", "TIME-BEG", "UTC-OBS", "UTSTART", "UT"), _clock), parse_utc(text)
            if clock is None or day is None:
                continue
            text = f"{day:%Y-%m-%d}T{clock}"
        start = parse_utc(text)
        if start is not None:
            return start
    mjd = _first(cards, ("MJD-OBS", "MJD-BEG"), _number)
    try:
        return None if mjd is None else _MJD_EPOCH + timedelta(days=mjd)
    except OverflowError:
        return None


def _clock(value: Any) -> str | None:
    match = re.fullmatch(r"\s*(\d\d:\d\d:\d\d(\.\d+)?)\.?\s*", value) if isinstance(value, str) else None
    return None if match is None else match[1]


def _data_max(cards: Cards) -> float | None:
    """Where pixels are clipped. A DATAMAX beside a DATAMIN is the range of that picture, not of the camera."""
    keywords = ("SATURATE", "SATLEVEL") if "DATAMIN" in cards else ("SATURATE", "SATLEVEL", "DATAMAX")
    number: float | None = _first(cards, keywords, _number)
    return number


def _wcs(cards: Cards) -> TangentWcs | None:
    def text(keyword: str, default: str) -> str:
        found: str = _first(cards, (keyword,), _text) or default
        return found.strip()

    def number(keyword: str, default: float = math.nan) -> float:
        if keyword not in cards:
            return default
        found: float | None = _first(cards, (keyword,), _number)
        return math.nan if found is None else found

    if (text("CTYPE1", "")[:8], text("CTYPE2", "")[:8]) != ("RA---TAN", "DEC--TAN"):
        return None
    frame, equinox = text("RADESYS", text("RADECSYS", "")), number("EQUINOX", number("EPOCH", 2000.0))
    if frame != "ICRS" and not (frame in ("FK5", "") and equinox == 2000.0):  # FK5 is ICRS within 0.03 arcsec
        return None
    if text("CUNIT1", "deg") != "deg" or text("CUNIT2", "deg") != "deg" or number("LONPOLE", 180.0) != 180.0:
        return None
    ra, dec, x, y = (number(keyword) for keyword in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"))
    cd = _cd_matrix(cards, number)
    if not all(math.isfinite(value) for value in (ra, dec, x, y, *cd)) or cd[0] * cd[3] == cd[1] * cd[2]:
        return None
    is_distorted = len(text("CTYPE1", "")) > 8 or any(_DISTORTION.fullmatch(keyword) for keyword in cards)
    return TangentWcs(ra, dec, x - 1, y - 1, cd, is_distorted)


def _cd_matrix(cards: Cards, number: Callable[..., float]) -> tuple[float, float, float, float]:
    """The CD matrix, whichever way it is written (Calabretta & Greisen 2002, A&A 395, 1077, sections 2 and 6)."""
    if any(keyword in cards for keyword in _CD):
        return number("CD1_1", 0.0), number("CD1_2", 0.0), number("CD2_1", 0.0), number("CD2_2", 0.0)
    x, y = number("CDELT1"), number("CDELT2")
    if any(keyword in cards for keyword in ("PC1_1", "PC1_2", "PC2_1", "PC2_2")):
        return x * number("PC1_1", 1.0), x * number("PC1_2", 0.0), y * number("PC2_1", 0.0), y * number("PC2_2", 1.0)
    rotation = math.radians(number("CROTA2", 0.0))
    return x * math.cos(rotation), -y * math.sin(rotation), x * math.sin(rotation), y * math.cos(rotation)


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
    _Field("read_noise_e", ("RDNOISE",), "[e-] read noise", _number, ("READNOIS", "DET-RON")),
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
    _Field("line_time_s", ("LINETIME",), "[s] rolling shutter: from row to row", _number),
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
    _Field("ra_deg", ("RA",), "[deg] right ascension of the field, ICRS", _right_ascension, ("OBJCTRA",)),
    _Field("dec_deg", ("DEC",), "[deg] declination of the field, ICRS", _degrees, ("OBJCTDEC",)),
    _Field("tel_ra_deg", ("TEL-RA",), "[deg] right ascension says the telescope", _right_ascension),
    _Field("tel_dec_deg", ("TEL-DEC",), "[deg] declination says the telescope", _degrees),
    _Field("airmass", ("AIRMASS",), "airmass", _number),
)
