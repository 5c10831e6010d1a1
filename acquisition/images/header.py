"""The one place that knows FITS keywords: what is known of a frame as header cards, and back.

In: `FrameFacts`, or the header of any program's file. Out: a header, or facts that are None where nothing was
understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from astropy.io.fits import Card, Header
from astropy.io.fits.verify import VerifyError

from .cards import exact_card
from .cardvalues import as_clock, as_degrees, as_integer, as_number, as_right_ascension, as_text, parse_utc
from .facts import FrameFacts, TangentWcs
from .text import to_ascii

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)

_DISTORTION = re.compile(r"PV\d+_\d+|[AB]_ORDER|(CPDIS|CQDIS|DP|DQ)\d.*|D2IM.*")

_CD = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")

Cards = dict[str, Card]
"""The first card of each keyword."""


class _Field(NamedTuple):
    """A fact and its cards."""

    name: str  # in FrameFacts
    keywords: tuple[str, ...]  # all are written; the first one understood is read
    comment: str
    understand: Callable[[Any], Any]  # a card's value -> the fact, or None
    others: tuple[str, ...] = ()  # other programs' keywords: read, if none of ours is there

    def read(self, cards: Cards) -> Any:
        """The fact, or None."""
        return _first(cards, (*self.keywords, *self.others), self.understand)


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
    """What a header says of its frame now, whoever wrote it; never raises.

    A card that is missing, blank or of the wrong type is as good as none. Angles may be sexagesimal (right ascensions
    then in hours), times may carry a UTC offset, and the WCS may be written with CD, PC or CDELT and CROTA2; of a
    projection with SIP distortion the linear part is taken.
    """
    return FrameFacts(*_all(HeaderFacts.of(header)))


class HeaderFacts(FrameFacts):
    """What a header says that nobody will change: each fact is read when it is first asked for, then kept.

    Astropy takes 20 µs and more to understand one card; a frame from a file has a hundred, and a processor asks for a
    few. Otherwise the same as, and equal to, the `facts_from_header`.
    """

    __slots__ = ("_cards",)

    _cards: Cards

    @classmethod
    def of(cls, header: Header) -> FrameFacts:
        cards: Cards = {card.keyword: card for card in reversed(list(header.cards))}
        facts = cls.__new__(cls)  # with every slot still empty
        object.__setattr__(facts, "_cards", cards)
        return facts

    def __getattr__(self, name: str) -> Any:
        """What Python calls for a slot that is empty."""
        if name not in _READERS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        fact = _READERS[name](self._cards)
        object.__setattr__(self, name, fact)
        return fact

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameFacts) and _all(self) == _all(other)

    __hash__ = FrameFacts.__hash__


def _all(facts: FrameFacts) -> tuple[Any, ...]:
    """Every fact, in the order of `FrameFacts`."""
    return tuple(getattr(facts, field.name) for field in fields(FrameFacts))


def state_data_max(header: Header, value: float) -> None:
    """Say where pixels are clipped, in the unit of the pixels, in place of whatever the header says of it."""
    for keyword in ("SATURATE", "SATLEVEL", "DATAMIN"):
        header.remove(keyword, ignore_missing=True, remove_all=True)
    header["DATAMAX"] = (value, "pixels are clipped here")


def card_value(header: Header, keyword: str) -> Any:
    """What a card says; None if there is none, or it is no FITS."""
    try:
        return header.get(keyword)
    except VerifyError:
        return None


def pixel_scale_arcsec(header: Header) -> float | None:
    """Arcseconds per pixel along rows, from the CD matrix, the PC matrix or CDELT1; None if the header has none."""
    cd1, cd2 = (as_number(card_value(header, keyword)) for keyword in ("CD1_1", "CD2_1"))
    if cd1 is not None or cd2 is not None:
        return math.hypot(cd1 or 0.0, cd2 or 0.0) * 3600.0
    x, y, pc1, pc2 = (as_number(card_value(header, keyword)) for keyword in ("CDELT1", "CDELT2", "PC1_1", "PC2_1"))
    if x is None:
        return None
    return math.hypot(x * (1.0 if pc1 is None else pc1), (x if y is None else y) * (pc2 or 0.0)) * 3600.0


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
    ra, dec = facts.ra_deg, facts.dec_deg
    if ra is not None and dec is not None and math.isfinite(ra) and abs(dec) <= 90:
        yield "OBJCTRA", _hms(ra), "[h m s] right ascension of the field, ICRS"
        yield "OBJCTDEC", _dms(dec), "[d m s] declination of the field, ICRS"
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


def _first(cards: Cards, keywords: tuple[str, ...], understand: Callable[[Any], Any]) -> Any:
    """What the first card says that is there and can be understood, else None."""
    for keyword in keywords:
        if keyword in cards:
            try:
                fact = understand(cards[keyword].value)
            except VerifyError:  # not FITS at all
                continue
            if fact is not None:
                return fact
    return None


def _start(cards: Cards) -> datetime | None:
    scale = _first(cards, ("TIMESYS",), as_text)
    if scale is not None and scale.strip().upper() not in ("UTC", "UT", "GMT"):
        return None
    for keyword in ("DATE-OBS", "DATE-BEG"):
        text = _first(cards, (keyword,), as_text)
        if text is None:
            continue
        if ":" not in text:  # a day; its time may be in another card
            clock, day = _first(cards, ("TIME-OBS", "TIME-BEG", "UTC-OBS", "UTSTART", "UT"), as_clock), parse_utc(text)
            if clock is None or day is None:
                continue
            text = f"{day:%Y-%m-%d}T{clock}"
        start = parse_utc(text)
        if start is not None:
            return start
    mjd = _first(cards, ("MJD-OBS", "MJD-BEG"), as_number)
    try:
        return None if mjd is None else _MJD_EPOCH + timedelta(days=mjd)
    except OverflowError:
        return None


def _data_max(cards: Cards) -> float | None:
    """Where pixels are clipped. A DATAMAX beside a DATAMIN is the range of that picture, not of the camera."""
    keywords = ("SATURATE", "SATLEVEL") if "DATAMIN" in cards else ("SATURATE", "SATLEVEL", "DATAMAX")
    number: float | None = _first(cards, keywords, as_number)
    return number


def _pixel_size_um(axis: str, cards: Cards) -> float | None:
    """Of a binned pixel; pyobs states that of an unbinned one, in mm."""
    sizes: dict[str, float | None] = {along: _BY_NAME[f"{along}_pixel_size_um"].read(cards) for along in "xy"}
    if any(size is not None for size in sizes.values()):
        return sizes[axis]
    pixel_mm, binning = _first(cards, ("DET-PIXL",), as_number), _BY_NAME[f"{axis}_binning"].read(cards)
    return None if pixel_mm is None or binning is None else float(pixel_mm * 1000 * binning)


def _wcs(cards: Cards) -> TangentWcs | None:
    def text(keyword: str, default: str) -> str:
        found: str = _first(cards, (keyword,), as_text) or default
        return found.strip()

    def number(keyword: str, default: float = math.nan) -> float:
        if keyword not in cards:
            return default
        found: float | None = _first(cards, (keyword,), as_number)
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
    _Field("exposure_s", ("EXPTIME", "EXPOSURE", "XPOSURE"), "[s] exposure time", as_number),
    _Field("start_uncertainty_s", ("TIMSYER",), "[s] uncertainty of the start", as_number),
    # camera
    _Field("instrument", ("INSTRUME",), "camera", as_text),
    _Field("camera_id", ("CAMERAID",), "which of its kind", as_text),
    _Field("detector", ("DETECTOR",), "detector", as_text),
    _Field("x_binning", ("XBINNING", "DET-BIN1"), "binning of columns", as_integer),
    _Field("y_binning", ("YBINNING", "DET-BIN2"), "binning of rows", as_integer),
    _Field("x_pixel_size_um", ("XPIXSZ",), "[um] pixel width, binned", as_number, ("PIXSIZE1",)),
    _Field("y_pixel_size_um", ("YPIXSZ",), "[um] pixel height, binned", as_number, ("PIXSIZE2",)),
    _Field("x_origin_px", ("XORGSUBF",), "[px] first column read, binned, 0 is the edge", as_integer),
    _Field("y_origin_px", ("YORGSUBF",), "[px] first row read, binned, 0 is the edge", as_integer),
    _Field("gain", ("GAIN",), "gain, camera units", as_number),
    _Field("offset", ("OFFSET",), "offset, camera units", as_number),
    _Field("egain_e_per_adu", ("EGAIN", "DET-GAIN"), "[e-/ADU] of the stored values", as_number),
    _Field("read_noise_e", ("RDNOISE",), "[e-] read noise", as_number, ("READNOIS", "DET-RON")),
    _Field("full_well_e", ("DET-SATU",), "[e-] full well", as_number),
    _Field("bit_depth", ("BITDEPTH",), "bits of the ADC", as_integer),
    _Field("ccd_temp_c", ("CCD-TEMP", "DET-TEMP"), "[degC] detector temperature", as_number),
    _Field("set_temp_c", ("SET-TEMP",), "[degC] temperature asked for", as_number),
    _Field("cooler_power_percent", ("COOLPWR",), "[%] cooler power", as_number),
    _Field("bayer_pattern", ("BAYERPAT",), "colours of the first 2x2 pixels", as_text),
    _Field("x_bayer_offset", ("XBAYROFF",), "[px] of the Bayer pattern", as_integer),
    _Field("y_bayer_offset", ("YBAYROFF",), "[px] of the Bayer pattern", as_integer),
    _Field("row_order", ("ROWORDER",), "first row is at the top or at the bottom", as_text),
    _Field("readout_mode", ("READOUTM",), "readout mode", as_text),
    _Field("line_time_s", ("LINETIME",), "[s] rolling shutter: from row to row", as_number),
    _Field("usb_limit", ("USBLIMIT",), "USB bandwidth, camera units", as_number),
    _Field("frame_seq", ("FRAMESEQ",), "number of this frame", as_integer),
    _Field("n_dropped", ("NDROPPED",), "frames lost so far", as_integer),
    # what it is
    _Field("image_type", ("IMAGETYP",), "type of image", as_text),
    _Field("object_name", ("OBJECT",), "target", as_text),
    _Field("filter_name", ("FILTER",), "filter", as_text),
    _Field("observer", ("OBSERVER",), "observer", as_text),
    _Field("telescope", ("TELESCOP",), "telescope", as_text),
    _Field("focal_length_mm", ("FOCALLEN",), "[mm] focal length", as_number, ("TEL-FOCL",)),
    _Field("aperture_mm", ("APTDIA",), "[mm] aperture", as_number),
    _Field("rotator_deg", ("ROTATANG",), "[deg] angle of the rotator", as_number, ("ROTATOR",)),
    _Field("site_lat_deg", ("SITELAT", "LATITUDE"), "[deg] geodetic, north positive", as_degrees, ("LAT-OBS",)),
    _Field("site_lon_deg", ("SITELONG", "LONGITUD"), "[deg] longitude, east positive", as_degrees, ("LONG-OBS",)),
    _Field("site_elev_m", ("SITEELEV", "HEIGHT"), "[m] above sea level", as_number, ("ALT-OBS",)),
    _Field("software", ("SWCREATE",), "program that made the frame", as_text, ("CREATOR", "PROGRAM")),
    # where it points
    _Field("ra_deg", ("RA",), "[deg] right ascension of the field, ICRS", as_right_ascension, ("OBJCTRA",)),
    _Field("dec_deg", ("DEC",), "[deg] declination of the field, ICRS", as_degrees, ("OBJCTDEC",)),
    _Field("tel_ra_deg", ("TEL-RA",), "[deg] right ascension says the telescope", as_right_ascension),
    _Field("tel_dec_deg", ("TEL-DEC",), "[deg] declination says the telescope", as_degrees),
    _Field("airmass", ("AIRMASS",), "airmass", as_number),
)

_BY_NAME = {field.name: field for field in _FIELDS}

_READERS: dict[str, Callable[[Cards], Any]] = {
    "start_loop_s": lambda cards: None,
    **{field.name: field.read for field in _FIELDS},
    "start_utc": _start,
    "x_pixel_size_um": partial(_pixel_size_um, "x"),
    "y_pixel_size_um": partial(_pixel_size_um, "y"),
    "data_max_adu": _data_max,
    "wcs": _wcs,
}
"""By the fact's name."""
