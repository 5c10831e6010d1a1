import copy
import dataclasses
import math
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.images import FrameFacts, TangentWcs
from acquisition.images.cardvalues import parse_section, parse_utc
from acquisition.images.header import HeaderFacts, facts_from_header, facts_to_header

NO_KEYWORD = {"start_loop_s"}
START = datetime(2026, 3, 1, 20, 15, 0, 123456, tzinfo=UTC)

finite = st.floats(allow_nan=False, allow_infinity=False)
some = {
    "datetime": st.datetimes(datetime(1, 1, 2), datetime(9990, 1, 1), timezones=st.just(UTC)),
    "float": finite,
    "int": st.integers(-(2**62), 2**62),
    "str": st.text(min_size=1, max_size=100).filter(lambda text: text.strip() != "" or not text.isascii()),
    "TangentWcs": st.builds(
        TangentWcs,
        finite,
        finite,
        st.integers(-(10**6), 10**6).map(lambda n: n / 64),
        st.integers(-(10**6), 10**6).map(lambda n: n / 64),
        st.tuples(finite, finite, finite, finite).filter(
            lambda m: m[0] * m[3] != m[1] * m[2] and math.isfinite(m[0] * m[3]) and math.isfinite(m[1] * m[2])
        ),
    ),
}


def all_facts() -> st.SearchStrategy[FrameFacts]:
    kinds = {field.name: some[str(field.type).split(" ")[0]] for field in dataclasses.fields(FrameFacts)}
    kinds["exposure_s"] = st.floats(0, 1e6)
    known = st.fixed_dictionaries({}, optional={name: kinds[name] for name in kinds if name not in NO_KEYWORD})
    return known.map(lambda facts: FrameFacts(**facts))


@given(all_facts())
def test_every_fact_comes_back_from_the_header(facts: FrameFacts) -> None:
    header = facts_to_header(facts, (10, 20))
    assert facts_from_header(header) == facts
    assert facts_from_header(fits.Header.fromstring(header.tostring())) == facts


@given(all_facts())
@settings(max_examples=30)
def test_facts_read_one_by_one_are_those_read_at_once(facts: FrameFacts) -> None:
    header = fits.Header.fromstring(facts_to_header(facts, (10, 20)).tostring())

    def lazy() -> FrameFacts:
        return HeaderFacts.of(header)

    assert lazy() == facts
    assert facts == lazy()
    assert hash(lazy()) == hash(facts)
    assert lazy() not in (replace(facts, start_loop_s=1.0), replace(lazy(), start_loop_s=1.0), 2.0)
    assert [replace(lazy()), copy.deepcopy(lazy()), pickle.loads(pickle.dumps(lazy()))] == [facts] * 3
    assert dataclasses.asdict(lazy()) == dataclasses.asdict(facts)
    assert (lazy().saturation_adu, lazy().mid_utc) == (facts.saturation_adu, facts.mid_utc)


def test_facts_read_one_by_one_are_frozen_and_have_no_other_names() -> None:
    facts = HeaderFacts.of(fits.Header({"EXPTIME": 2.0}))
    with pytest.raises(AttributeError, match="exposure"):
        facts.exposure  # type: ignore[attr-defined]  # noqa: B018 - that is the point
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.exposure_s = 3.0  # type: ignore[misc]  # that is the point


def test_what_is_not_known_is_left_out() -> None:
    assert len(facts_to_header(FrameFacts())) == 0
    nowhere = FrameFacts(exposure_s=math.nan, object_name="", read_noise_e=math.inf)
    assert len(facts_to_header(nowhere)) == 0
    assert list(facts_to_header(FrameFacts(ra_deg=math.nan, dec_deg=1.0))) == ["DEC"]
    assert list(facts_to_header(FrameFacts(ra_deg=1.0, dec_deg=1e303))) == ["RA", "DEC"]  # no declination


def test_times_of_a_frame() -> None:
    header = facts_to_header(FrameFacts(start_utc=START, exposure_s=3.0, start_uncertainty_s=0.01))
    assert header["DATE-OBS"] == header["DATE-BEG"] == "2026-03-01T20:15:00.123456"
    assert header["DATE-AVG"] == "2026-03-01T20:15:01.623456"
    assert header["DATE-END"] == "2026-03-01T20:15:03.123456"
    assert header["TIMESYS"] == "UTC"
    assert header["EXPTIME"] == header["EXPOSURE"] == header["XPOSURE"] == 3.0
    assert header["TIMSYER"] == 0.01
    assert header["MJD-OBS"] == pytest.approx(Time(header["DATE-OBS"], scale="utc").mjd, abs=1e-10)
    assert header["MJD-AVG"] == pytest.approx(Time(header["DATE-AVG"], scale="utc").mjd, abs=1e-10)


def test_a_start_in_another_time_zone_is_written_as_utc() -> None:
    start = datetime(2026, 3, 1, 22, 15, tzinfo=timezone(timedelta(hours=2)))
    assert facts_to_header(FrameFacts(start_utc=start))["DATE-OBS"] == "2026-03-01T20:15:00.000000"


def test_a_start_without_time_zone_is_rejected() -> None:
    with pytest.raises(ValueError, match="time zone"):
        facts_to_header(FrameFacts(start_utc=datetime(2026, 3, 1)))


def test_pyobs_words_for_a_camera() -> None:
    facts = FrameFacts(
        x_binning=2, y_binning=2, x_pixel_size_um=7.5, egain_e_per_adu=0.5, ccd_temp_c=-10.0, full_well_e=9e3
    )
    header = facts_to_header(facts, (100, 201))
    assert (header["DET-BIN1"], header["DET-BIN2"]) == (2, 2)
    assert header["DET-PIXL"] == pytest.approx(0.00375)
    assert (header["DET-GAIN"], header["DET-TEMP"], header["DET-SATU"]) == (0.5, -10.0, 9e3)
    assert (header["DET-CPX1"], header["DET-CPX2"]) == (101.0, 50.5)


@pytest.mark.parametrize(
    ("ra", "dec", "hms", "dms"),
    [
        (0.0, 0.0, "00 00 00.000", "+00 00 00.00"),
        (359.9999999999, -0.0000001, "00 00 00.000", "-00 00 00.00"),
        (15.0, -30.5, "01 00 00.000", "-30 30 00.00"),
        (-15.0, 89.99999999, "23 00 00.000", "+90 00 00.00"),
    ],
)
def test_sexagesimal_coordinates_never_show_60_seconds(ra: float, dec: float, hms: str, dms: str) -> None:
    header = facts_to_header(FrameFacts(ra_deg=ra, dec_deg=dec))
    assert header["OBJCTRA"] == hms
    assert header["OBJCTDEC"] == dms


def test_every_number_says_its_unit() -> None:
    numbers = {f.name: 2.0 for f in dataclasses.fields(FrameFacts) if str(f.type).startswith("float")}
    header = facts_to_header(FrameFacts(start_utc=START, wcs=TangentWcs(1, 2, 3, 4, (1, 0, 0, 1)), **numbers))
    silent = [c.keyword for c in header.cards if isinstance(c.value, float) and not c.comment.startswith("[")]
    assert silent == ["GAIN", "OFFSET", "USBLIMIT", "AIRMASS"]  # camera units, or none
    assert all(card.comment for card in header.cards)


def test_the_wcs_means_the_same_to_astropy() -> None:
    wcs = TangentWcs(83.6, 22.0, 99.0, 49.0, (-2e-4, 1e-5, 1e-5, 2e-4))
    header = facts_to_header(FrameFacts(wcs=wcs), (100, 200))
    sky = WCS(header).pixel_to_world(99.0, 49.0)  # 0-based
    assert (sky.ra.deg, sky.dec.deg) == pytest.approx((83.6, 22.0))
    assert sky.name == "icrs"
    np.testing.assert_allclose(WCS(header).pixel_scale_matrix.ravel(), wcs.cd)
    assert facts_from_header(header).wcs == wcs
    for keyword, value in (("CTYPE1", "RA---TAN-SIP"), ("PV2_1", 0.1), ("A_ORDER", 2)):
        distorted = header.copy()
        distorted[keyword] = value
        assert facts_from_header(distorted).wcs == replace(wcs, is_distorted=True)


# --- headers of other programs ------------------------------------------------------------------------------------


def read(**cards: Any) -> FrameFacts:
    header = fits.Header()
    for keyword, value in cards.items():
        header[keyword if keyword.startswith(("CD", "PC")) else keyword.replace("_", "-")] = value
    return facts_from_header(header)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T20:15:00", datetime(2026, 3, 1, 20, 15, tzinfo=UTC)),
        ("2026-03-01T20:15:00Z", datetime(2026, 3, 1, 20, 15, tzinfo=UTC)),
        ("2026-03-01T20:15:00.5", datetime(2026, 3, 1, 20, 15, 0, 500000, tzinfo=UTC)),
        ("2026-03-01T20:15:00.123456789", datetime(2026, 3, 1, 20, 15, 0, 123456, tzinfo=UTC)),
        ("2017-12-19T18:33:43.317-0700", datetime(2017, 12, 20, 1, 33, 43, 317000, tzinfo=UTC)),
        ("2026-03-01 20:15:00", datetime(2026, 3, 1, 20, 15, tzinfo=UTC)),
        ("2026-03-01", None),  # a day is no start of an exposure
        ("yesterday", None),
        ("", None),
        (20260301, None),
        ("2026-13-01T20:15:00", None),
    ],
)
def test_dates_of_other_programs(text: Any, expected: datetime | None) -> None:
    assert read(DATE_OBS=text).start_utc == expected


def test_day_and_time_in_two_cards() -> None:
    assert read(DATE_OBS="26/10/92", UT="15:04:07.968").start_utc == datetime(
        1992, 10, 26, 15, 4, 7, 968000, tzinfo=UTC
    )
    assert read(DATE_OBS="2013-07-13", TIME_OBS="00:57:33").start_utc == datetime(2013, 7, 13, 0, 57, 33, tzinfo=UTC)


def test_mjd_when_there_is_no_date() -> None:
    assert read(MJD_OBS=51544.5).start_utc == datetime(2000, 1, 1, 12, tzinfo=UTC)
    assert read(MJD_OBS=1e300).start_utc is None


def test_a_time_scale_other_than_utc_is_not_understood() -> None:
    assert read(DATE_OBS="2026-03-01T20:15:00", TIMESYS="TT").start_utc is None


def test_the_first_card_that_can_be_read_counts() -> None:
    assert read(EXPOSURE=2.0).exposure_s == 2.0
    assert read(EXPTIME="unknown", EXPOSURE=2.0).exposure_s == 2.0
    assert read(EXPTIME=1, EXPOSURE=2.0).exposure_s == 1.0
    assert read(EXPTIME=" 1.5 ").exposure_s == 1.5
    assert read(EXPTIME=True).exposure_s is None
    assert read(EXPTIME="").exposure_s is None
    assert read(XBINNING="2").x_binning == 2
    assert read(XBINNING=2.0).x_binning == 2
    assert read(XBINNING=2.5).x_binning is None
    assert read(OBJECT=31).object_name == "31"
    assert read(OBJECT="   ").object_name is None
    assert read(FILTER=None).filter_name is None


def test_angles_of_other_programs() -> None:
    assert read(RA=" 22:04:08", DEC="-00:55:31").ra_deg == pytest.approx(331.0333333)
    assert read(DEC="-00:55:31").dec_deg == pytest.approx(-0.9252778)
    assert read(RA="331.5").ra_deg == 331.5
    assert read(OBJCTRA="22 04 08", OBJCTDEC="+41 16 09.5").ra_deg == pytest.approx(331.0333333)
    assert read(SITELAT="+51 28 38").site_lat_deg == pytest.approx(51.477222)
    assert read(SITELAT="51d28m38s").site_lat_deg == pytest.approx(51.477222)
    assert read(RA="somewhere").ra_deg is None


def test_pixel_size_from_pyobs_card() -> None:
    facts = read(DET_PIXL=0.015, XBINNING=2, YBINNING=3)
    assert (facts.x_pixel_size_um, facts.y_pixel_size_um) == (30.0, 45.0)
    assert read(DET_PIXL=0.015).x_pixel_size_um is None


def test_saturation_is_not_taken_from_statistics() -> None:
    assert read(DATAMAX=65535.0).data_max_adu == 65535.0
    assert read(DATAMAX=812.0, DATAMIN=17.0).data_max_adu is None
    assert read(DATAMAX=812.0, DATAMIN=17.0, SATURATE=60000).data_max_adu == 60000


TAN = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 5.0, "CRPIX2": 6.0}


@pytest.mark.parametrize(
    "cards",
    [
        {"CD1_1": -2e-4, "CD1_2": 1e-5, "CD2_1": 2e-5, "CD2_2": 2e-4},
        {"CD1_2": 1e-4, "CD2_1": 1e-4},
        {"CDELT1": -2e-4, "CDELT2": 2e-4},
        {"CDELT1": -2e-4, "CDELT2": 3e-4, "CROTA2": 30.0},
        {"CDELT1": -2e-4, "CDELT2": 3e-4, "PC1_1": 0.6, "PC1_2": -0.8, "PC2_1": 0.8, "PC2_2": 0.6},
        {"CDELT1": -2e-4, "CDELT2": 3e-4, "PC1_2": 0.1},
        {"CD1_1": -2e-4, "CD2_2": 2e-4, "RADESYS": "FK5", "EQUINOX": 2000.0},
    ],
)
def test_every_way_to_write_a_linear_wcs(cards: dict[str, Any]) -> None:
    found = read(**TAN, **cards).wcs
    assert found is not None
    assert (found.ra_deg, found.dec_deg, found.x, found.y) == (10.0, 20.0, 4.0, 5.0)
    expected = WCS(fits.Header({"NAXIS": 2, **TAN, **cards})).pixel_scale_matrix
    np.testing.assert_allclose(found.cd, expected.ravel(), atol=1e-18)


@pytest.mark.parametrize(
    "cards",
    [
        {"CD1_1": 1e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-4},  # singular
        {"CD1_1": "x", "CD2_2": 1e-4},
        {"CDELT1": 1e-4},
        {},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "CTYPE1": "GLON-TAN"},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "RADESYS": "FK4"},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "EQUINOX": 1950.0},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "CUNIT1": "arcsec"},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "LONPOLE": 90.0},
        {"CD1_1": 1e-4, "CD2_2": 1e-4, "CRVAL1": ""},
    ],
)
def test_a_wcs_that_is_not_understood_is_none(cards: dict[str, Any]) -> None:
    assert read(**(TAN | cards)).wcs is None


KEYWORDS = [card.keyword for card in facts_to_header(
    FrameFacts(start_utc=START, exposure_s=1.0, object_name="x", ra_deg=1.0, dec_deg=1.0, x_binning=1, site_lat_deg=1.0,
               data_max_adu=1.0, wcs=TangentWcs(1, 2, 3, 4, (1, 0, 0, 1))), (2, 2)).cards]  # fmt: skip
printable = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=70)


@given(st.dictionaries(st.sampled_from(KEYWORDS), printable, max_size=20))
@settings(max_examples=200)
def test_no_header_whatever_is_in_it_raises(cards: dict[str, str]) -> None:
    header = fits.Header([fits.Card.fromstring(f"{keyword:<8}= {text}"[:80]) for keyword, text in cards.items()])
    facts_from_header(header)


@given(st.dictionaries(st.sampled_from(KEYWORDS), printable | finite | st.integers() | st.booleans() | st.none()))
def test_no_values_of_the_wrong_type_raise(cards: dict[str, Any]) -> None:
    facts_from_header(fits.Header(list(cards.items())))


def test_parse_utc_reads_days_too() -> None:
    assert parse_utc("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    assert parse_utc("31/12/99") == datetime(1999, 12, 31, tzinfo=UTC)


def test_sections() -> None:
    assert parse_section("[3:10,5:6]") == (slice(4, 6), slice(2, 10))
    for wrong in ("", "[3:10]", "[0:10,1:5]", "[10:3,1:5]", 5):
        with pytest.raises(ValueError, match="section"):
            parse_section(wrong)


# --- facts --------------------------------------------------------------------------------------------------------


def test_the_middle_of_the_exposure() -> None:
    assert FrameFacts(start_utc=START, exposure_s=3.0).mid_utc == START + timedelta(seconds=1.5)
    assert FrameFacts(start_utc=START).mid_utc is None


def test_saturation_is_the_lower_of_the_two_limits() -> None:
    assert FrameFacts(data_max_adu=4095.0).saturation_adu == 4095.0
    assert FrameFacts(data_max_adu=4095.0, full_well_e=2000.0, egain_e_per_adu=1.0).saturation_adu == 2000.0
    assert FrameFacts(full_well_e=2000.0).saturation_adu is None
    assert FrameFacts().saturation_adu is None
