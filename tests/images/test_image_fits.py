"""What of an image FITS brings back: pixels, parts, header, with and without compression."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image

NUMBERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def again(image: Image) -> Image:
    return Image.from_bytes(image.to_bytes())


def hdus(image: Image) -> fits.HDUList:
    return fits.open(io.BytesIO(image.to_bytes()), memmap=False, lazy_load_hdus=False)


def small(**parts: Any) -> Image:
    return Image(np.arange(12, dtype=np.int16).reshape(3, 4), **parts)


# --- pixels -------------------------------------------------------------------------------------------------------

arrays = hnp.arrays(
    st.sampled_from(["?", *NUMBERS, *(f">{dtype}" for dtype in NUMBERS)]).map(np.dtype),
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
)


@given(arrays)
@settings(max_examples=100)
def test_any_pixels_come_back(data: np.ndarray[Any, Any]) -> None:
    first = again(Image(data)).data
    second = again(Image(first)).data
    for back in (first, second):
        np.testing.assert_array_equal(back, data)
        assert back.dtype.newbyteorder("=") == data.dtype.newbyteorder("=")
        assert back.flags.writeable
    assert first.dtype == second.dtype


@given(arrays, st.data())
def test_pixels_of_any_memory_layout(data: np.ndarray[Any, Any], draw: st.DataObject) -> None:
    view = draw.draw(st.sampled_from([data[::-1], data[..., ::-1], data.T, np.asfortranarray(data), data[::2]]))
    view.flags.writeable = False
    np.testing.assert_array_equal(again(Image(view)).data, view)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_extreme_values_and_byte_order(dtype: str) -> None:
    info = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    data = np.array([[info.min, info.max, 0, 1]], dtype)
    back = again(Image(data)).data
    np.testing.assert_array_equal(back, data)
    is_swapped = np.dtype(dtype).kind in "if" and np.dtype(dtype).itemsize > 1
    assert back.dtype == (np.dtype(dtype).newbyteorder(">") if is_swapped else np.dtype(dtype))


def test_nan_and_infinities() -> None:
    data = np.array([[np.nan, np.inf, -np.inf, 0.0]], np.float32)
    np.testing.assert_array_equal(again(Image(data)).data, data)


def test_half_floats_are_written_as_float32() -> None:
    data = np.array([[1.5, np.nan, 65504]], np.float16)
    assert again(Image(data)).data.dtype == np.dtype(">f4")
    np.testing.assert_array_equal(again(Image(data)).data, data)


def test_bool_pixels_are_zeros_and_ones_for_others() -> None:
    data = np.eye(3, dtype=bool)
    with hdus(Image(data)) as file:
        np.testing.assert_array_equal(file[0].data, np.eye(3, dtype=np.uint8))
    back = again(Image(data))
    assert back.data.dtype == bool
    assert "BOOLPIX" not in back.header


def test_an_image_read_as_integers_can_be_written_as_floats() -> None:
    image = again(Image(np.array([[60000, 1]], np.uint16)))
    image.data = image.data / 7
    np.testing.assert_array_equal(again(image).data, image.data)
    stale = Image(np.array([[0.5]]), fits.Header({"BZERO": 32768, "BSCALE": 2.0, "BLANK": 5, "BITPIX": 16}))
    assert again(stale).data[0, 0] == 0.5


@pytest.mark.parametrize(
    "data", [*(np.zeros((2, 2), t) for t in ("c8", "U3", "O", "M8[s]")), np.zeros((0, 3)), np.ones(())]
)
def test_pixels_that_fits_cannot_hold(data: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="FITS cannot hold"):
        Image(data).to_bytes()


def test_an_image_without_data_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        Image().to_bytes()
    with pytest.raises(ImageError):
        Image().writeto(tmp_path / "x.fits")
    assert list(tmp_path.iterdir()) == []


def test_a_big_image() -> None:
    data = np.random.default_rng(1).integers(0, 65536, (3000, 4000), dtype=np.uint16)
    np.testing.assert_array_equal(again(Image(data)).data, data)


# --- the other parts ----------------------------------------------------------------------------------------------


def test_order_of_the_parts_and_only_those_that_are_there() -> None:
    part, table = np.zeros((3, 4), np.float32), Table({"x": [1]})
    image = small(raw=part, mask=part, uncertainty=part, catalog=table, frames=table, meta={"not": "written"})
    with hdus(image) as file:
        assert [hdu.name for hdu in file] == ["PRIMARY", "CAT", "FRAMES", "MASK", "UNCERT", "RAW"]
        file.verify("exception")
    with hdus(small()) as file:
        assert len(file) == 1
    assert again(image).meta == {}
    assert again(image).frames["x"][0] == 1


@given(arrays)
def test_uncertainty_and_raw_keep_their_type(data: np.ndarray[Any, Any]) -> None:
    back = again(small(uncertainty=data, raw=data))
    for part in (back.uncertainty, back.raw):
        np.testing.assert_array_equal(part, data)
        assert part.dtype.newbyteorder("=") == data.dtype.newbyteorder("=")


@given(arrays)
def test_what_is_masked_stays_masked(mask: np.ndarray[Any, Any]) -> None:
    back = again(small(mask=mask)).mask
    np.testing.assert_array_equal(back.astype(bool), mask.astype(bool))
    np.testing.assert_array_equal(back, mask)


def test_types_of_masks() -> None:
    assert again(small(mask=np.eye(3, dtype=bool))).mask.dtype == np.uint8
    assert again(small(mask=np.array([[0, 255]]))).mask.dtype == np.uint8
    for values in ([[0, 256, 512]], [[0, np.nan, 1]], [[0, -1, 2]], [[0, 0.5, 0]]):
        mask = np.array(values)
        np.testing.assert_array_equal(again(small(mask=mask)).mask, mask)


def test_raw_that_is_the_data_is_written_once() -> None:
    data = np.arange(250_000, dtype=np.uint16).reshape(500, 500)
    image = Image.from_camera(data, FrameFacts(instrument="cam"))
    stored = image.to_bytes()
    assert len(stored) < 1.1 * data.nbytes
    back = Image.from_bytes(stored)
    assert back.raw is back.data
    assert not back.data.flags.writeable
    assert again(back).raw.base is None
    assert again(back.copy()).facts.instrument == "cam"
    with fits.open(io.BytesIO(stored)) as file:
        assert file["RAW"].data is None


@pytest.mark.parametrize("dtype", ["u2", ">i4", "f4", "?"])
def test_raw_is_not_claimed_when_another_program_changed_the_pixels(dtype: str) -> None:
    image = Image.from_camera(np.ones((20, 20), dtype), FrameFacts())
    assert again(image).raw is not None
    with fits.open(io.BytesIO(image.to_bytes())) as file:
        file[0].data = file[0].data + 1
        stream = io.BytesIO()
        file.writeto(stream)
    back = Image.from_bytes(stream.getvalue())
    assert back.safe_raw is None
    assert back.data.flags.writeable


def test_raw_equal_to_but_not_the_same_as_data_is_written() -> None:
    back = again(small(raw=small().data))
    assert not np.shares_memory(back.raw, back.data)
    assert back.raw.flags.writeable


# --- the header ---------------------------------------------------------------------------------------------------

keywords = st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).map(lambda word: f"X{word}"[:8])
texts = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=150).map(str.rstrip)
awkward = st.text(alphabet=st.sampled_from("ab '/&"), min_size=60, max_size=400).map(str.rstrip)
values = (
    texts | awkward | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.dictionaries(keywords | keywords.map(lambda word: f"LONG {word} KEY"), st.tuples(values, texts), max_size=12))
@settings(max_examples=80)
def test_any_header_comes_back(cards: dict[str, tuple[Any, str]]) -> None:
    header = fits.Header()
    for keyword, (value, comment) in cards.items():
        if len(keyword) > 8 and isinstance(value, str):  # HIERARCH cards have no continuation
            value = value[:30].replace("'", "").rstrip()
        header[f"HIERARCH {keyword}" if len(keyword) > 8 else keyword] = (value, comment[:30])
    back = again(small(header=header)).header
    assert [card.keyword for card in back.cards if card.keyword in header] == [
        card.keyword for card in header.cards if not card.keyword.startswith("NAXIS")
    ]
    for keyword in header:
        assert back[keyword] == header[keyword]
        assert type(back[keyword]) is type(header[keyword])


def test_values_and_comments_of_cards() -> None:
    header = fits.Header()
    header["QUOTED"] = ("it's 'so'", "a comment")
    header["TINY"] = 1e-300
    header["PRECISE"] = -1.2345678901234567e-100
    header["BIG"] = 2**63 - 1
    header["HIERARCH ESO DET CHIP TEMP"] = (-110.5, "long keyword")
    header["HIERARCH ESO DET CHIP FINE"] = -1.2345678901234567e-100
    header["LONG"] = ("abc " * 40, "continued")
    header["HIERARCH A VERY LONG KEYWORD WITH LITTLE ROOM FOR ITS VALUE IT IS SO LONG"] = 0.1
    header["UNDEF"] = None
    header.add_comment("first")
    header.add_history("one")
    header.add_comment("second")
    header.add_history("two")
    header.add_blank("between")
    header["LAST"] = True
    back = again(small(header=header)).header
    assert back["QUOTED"] == "it's 'so'"
    assert back.comments["QUOTED"] == "a comment"
    assert (back["TINY"], back["PRECISE"]) == (1e-300, -1.2345678901234567e-100)
    assert back["BIG"] == 2**63 - 1
    assert (back["ESO DET CHIP TEMP"], back["ESO DET CHIP FINE"]) == (-110.5, -1.2345678901234567e-100)
    assert back.comments["ESO DET CHIP TEMP"] == "long keyword"
    assert back["LONG"] == ("abc " * 40).rstrip()
    assert back["UNDEF"] is None or isinstance(back["UNDEF"], fits.card.Undefined)  # older astropy
    assert list(back["COMMENT"]) == ["first", "second"]
    assert list(back["HISTORY"]) == ["one", "two"]
    remarks = ("COMMENT", "HISTORY", "", "LAST")
    assert [card.keyword for card in back.cards if card.keyword in remarks] == [
        card.keyword for card in header.cards if card.keyword in remarks
    ]


def test_a_comment_too_long_for_its_card_is_cut_silently() -> None:
    header = fits.Header()
    header["EXPTIME"] = (1.0, "c" * 100)
    back = again(small(header=header)).header
    assert back["EXPTIME"] == 1.0
    assert back.comments["EXPTIME"].startswith("ccccc")


def test_naxis_follow_the_data_wherever_they_are_in_the_header() -> None:
    header = fits.Header([("A", 1), ("NAXIS3", 7), ("NAXIS", 3), ("NAXIS1", 99), ("B", 2), ("SIMPLE", True)])
    image = small()
    image.header = header
    back = again(image)
    assert [back.header[k] for k in ("NAXIS", "NAXIS1", "NAXIS2", "A", "B")] == [2, 4, 3, 1, 2]
    assert "NAXIS3" not in back.header
    assert header["NAXIS1"] == 99
    image.header = None
    assert again(image).data.shape == (3, 4)


def test_stale_checksums_do_not_survive(tmp_path: Path) -> None:
    small().writeto(tmp_path / "a.fits", checksum=True)
    image = Image.from_file(tmp_path / "a.fits")
    assert "CHECKSUM" in image.header
    image.data = image.data + 1
    with hdus(image) as file:
        assert "CHECKSUM" not in file[0].header


def test_facts_come_back(tmp_path: Path) -> None:
    facts = FrameFacts(exposure_s=2.5, observer="Grüße", ra_deg=-0.00012345678901234567, frame_seq=3)
    Image.from_camera(np.zeros((3, 4), np.uint8), facts).writeto(tmp_path / "a.fits")
    assert Image.from_file(tmp_path / "a.fits").facts == facts


# --- tile compression ---------------------------------------------------------------------------------------------


@given(arrays, st.booleans())
@settings(max_examples=10)
def test_compression_loses_nothing(data: np.ndarray[Any, Any], checksum: bool) -> None:
    image = Image(data, mask=data != 0, uncertainty=data, raw=data, catalog=Table({"x": [1.5]}))
    back = Image.from_bytes(image.to_bytes(compress=True, checksum=checksum))
    np.testing.assert_array_equal(back.mask, image.mask)
    for name in ("data", "uncertainty", "raw"):
        np.testing.assert_array_equal(getattr(back, name), getattr(image, name))
        assert getattr(back, name).dtype.newbyteorder("=") == getattr(image, name).dtype.newbyteorder("=")
        assert getattr(back, name).flags.writeable
    assert back.catalog["x"][0] == 1.5


def test_what_is_in_a_compressed_file(tmp_path: Path) -> None:
    sky = np.random.default_rng(2).poisson(1000, (300, 300))
    header = fits.Header({"OBJECT": "M31", "LONG": "it's " * 40})
    header.append(("OBJECT", "again"))  # not allowed, but it happens
    for dtype, algorithm in (("u2", "RICE_1"), ("f4", "GZIP_2"), ("i8", "GZIP_2")):
        image = Image(sky.astype(dtype), header, raw=sky.astype("u2"))
        image.writeto(tmp_path / f"{dtype}.fits.fz", checksum=True)
        plain = image.to_bytes()
        assert (tmp_path / f"{dtype}.fits.fz").stat().st_size < 0.75 * len(plain)
        with fits.open(tmp_path / f"{dtype}.fits.fz", disable_image_compression=True, checksum=True) as file:
            assert file[1].header["ZCMPTYPE"] == algorithm
            assert file[2].header["ZCMPTYPE"] == "RICE_1"
            assert all("CHECKSUM" in hdu.header for hdu in file)
        back = Image.from_file(tmp_path / f"{dtype}.fits.fz")
        np.testing.assert_array_equal(back.data, sky)
        assert back.header["LONG"] == "it's " * 39 + "it's"
        assert [card.value for card in back.header.cards if card.keyword == "OBJECT"] == ["M31", "again"]
        # written again, it is as if it had never been compressed
        assert Image.from_bytes(back.to_bytes()).header == Image.from_bytes(plain).header


def test_checksums_on_demand() -> None:
    image = small(mask=np.eye(3, 4, dtype=bool), raw=np.ones((3, 4), np.uint32), catalog=Table({"x": [1.0]}))
    for compress in (False, True):
        content = image.to_bytes(checksum=True, compress=compress)
        with fits.open(io.BytesIO(content), checksum=True, disable_image_compression=True) as file:
            file.verify("exception")
            assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in file)
        assert "CHECKSUM" not in fits.open(io.BytesIO(image.to_bytes(compress=compress)))[0].header
