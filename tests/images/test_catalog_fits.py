import io
import logging
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.images import Image


def again(table: Table) -> Table:
    return Image.from_bytes(stored(table)).catalog


def stored(table: Table) -> bytes:
    return Image(np.zeros((2, 2)), catalog=table).to_bytes()


def assert_equal(back: Table, table: Table) -> None:
    assert back.colnames == table.colnames
    assert back.meta == table.meta
    for name in table.colnames:
        column, original = back[name], table[name]
        assert type(column) is type(original)
        assert column.dtype.newbyteorder("=") == original.dtype.newbyteorder("=")
        assert column.unit == original.unit
        assert column.description == original.description
        assert column.format == original.format
        assert column.meta == original.meta
        np.testing.assert_array_equal(np.ma.getmaskarray(column), np.ma.getmaskarray(original))
        np.testing.assert_array_equal(np.ma.compressed(column), np.ma.compressed(original))


TYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16", "U5", "S4"]
UNITS = [None, "pix", "adu", "erg / (s cm2)", "mag(AB)", "3.2 m", "ct / s", "electron", "furlong", "arcsec / pix"]
texts = st.text(max_size=30)


@st.composite
def columns(draw: st.DrawFn, n_rows: int) -> Column:
    shape = (n_rows, *draw(st.sampled_from([(), (), (), (2,), (2, 3)])))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    values = draw(hnp.arrays(dtype, shape))
    unit = draw(st.sampled_from(UNITS)) if dtype.kind in "iufc" else None
    about: dict[str, Any] = {
        "unit": None if unit is None else u.Unit(unit, parse_strict="silent"),
        "description": draw(st.none() | texts.filter(bool)),
        "meta": draw(st.dictionaries(texts, texts | st.integers() | st.lists(texts, max_size=2), max_size=2)),
        "format": draw(st.none() | st.just("%r")),
    }
    if draw(st.booleans()) and dtype != np.float16:  # astropy cannot mask those
        return MaskedColumn(values, mask=draw(hnp.arrays(bool, shape)), **about)
    return Column(values, **about)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n_rows = draw(st.integers(0, 4))
    names = st.one_of(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True), texts.filter(bool))
    found = draw(st.dictionaries(names, columns(n_rows), max_size=4))
    return Table(
        found, meta=draw(st.dictionaries(texts, texts | st.integers() | st.floats(allow_nan=False), max_size=3))
    )


@given(tables())
@settings(max_examples=40)
def test_any_catalog_comes_back(table: Table) -> None:
    back = again(table)
    assert_equal(back, table)
    assert_equal(again(back), table)


def example() -> Table:
    table = Table(meta={"detector": "SEP", "größe": [1, {"a": 2.5}], "limit": 3 * u.adu})
    table["x"] = Column([1.5, np.nan, 3.0], unit="pix", description="column, first is 1")
    table["flux"] = MaskedColumn([1e5, 2e4, 9e9], mask=[False, False, True], unit="adu")
    table["n"] = MaskedColumn([999999, 2, 3], mask=[False, True, False])
    table["name"] = ["α Cen", "", "plain "]
    table["good"] = [True, False, True]
    return table


def test_units_descriptions_masks_and_text() -> None:
    assert_equal(again(example()), example())


def test_arrays_can_be_written_to() -> None:
    back = again(example())
    back["x"][0] = 7
    assert back["x"][0] == 7


def test_standard_readers_see_it_too() -> None:
    with fits.open(io.BytesIO(stored(example()))) as file:
        file.verify("exception")
        columns = file["CAT"].columns
        assert columns["x"].unit == "pix"
        np.testing.assert_array_equal(file["CAT"].data["x"], [1.5, np.nan, 3.0])
        assert list(file["CAT"].data["name"]) == [r"\u03b1 Cen", "", r"plain\x20"]
    table = Table.read(io.BytesIO(stored(example())), hdu="CAT")
    np.testing.assert_array_equal(table["flux"].mask, [False, False, True])
    np.testing.assert_array_equal(table["n"].mask, [False, True, False])
    assert table["x"].description == "column, first is 1"


def test_empty_catalogs() -> None:
    assert len(again(Table()).colnames) == 0
    nothing = Table({"x": np.zeros(0), "name": np.zeros(0, "U5")})
    assert_equal(again(nothing), nothing)


def test_coordinates_times_and_quantities() -> None:
    table = QTable(
        {
            "sky": SkyCoord([1, 2] * u.deg, [3, 4] * u.deg),
            "when": Time(["2026-03-01T20:00:00.123", "2026-03-02"]),
            "width": [1, 2] * u.arcsec,
        }
    )
    table["sky"].info.description = "größe"
    back = again(table)
    assert back.colnames == table.colnames
    np.testing.assert_allclose(back["sky"].ra.deg, [1, 2])
    assert abs((back["when"] - table["when"]).sec).max() < 1e-9
    assert back["width"].unit == u.arcsec
    assert back["sky"].info.description == "größe"


def test_what_fits_cannot_hold_is_named() -> None:
    with pytest.raises(ValueError, match="'things' is of type object"):
        stored(Table({"things": np.array([{}, {}], dtype=object)}))


def test_meta_that_cannot_be_written_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        back = again(Table({"x": [1]}, meta={"good": 1, "bad": object()}))
    assert back.meta == {"good": 1}
    assert "bad" in caplog.text


def test_the_catalog_given_is_not_changed() -> None:
    table = example()
    stored(table)
    assert_equal(table, example())
    assert table["flux"].info.serialize_method["fits"] != "data_mask"


def test_a_catalog_of_another_program() -> None:
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("x", "D", unit="pixel", array=np.array([1.0, np.nan])),
            fits.Column("n", "J", null=-1, array=np.array([5, -1])),
            fits.Column("odd", "E", unit="ADU/sec!", array=np.array([1.0, 2.0])),
            fits.Column("name", "5A", array=np.array(["", "abc"])),
        ],
        name="CAT",
    )
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2))), hdu]).writeto(stream)
    image = Image.from_bytes(stream.getvalue())
    catalog = image.catalog
    np.testing.assert_array_equal(catalog["x"], [1.0, np.nan])
    assert list(catalog["name"]) == ["", "abc"]
    assert not np.ma.is_masked(catalog["x"])
    np.testing.assert_array_equal(catalog["n"].mask, [False, True])
    assert "EXTNAME" not in catalog.meta
    assert_equal(Image.from_bytes(image.to_bytes()).catalog, catalog)


def test_a_damaged_description_costs_no_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with fits.open(io.BytesIO(stored(example())), memmap=False) as file:
        file["CAT"].header["TABLEINF"] = "{"
        stream = io.BytesIO()
        file.writeto(stream)
    np.testing.assert_array_equal(Image.from_bytes(stream.getvalue()).catalog["x"], example()["x"])
    assert "TABLEINF" in caplog.text


def test_columns_that_another_program_removed_or_added() -> None:
    with fits.open(io.BytesIO(stored(example())), memmap=False) as file:
        file["CAT"].columns.del_col("x")
        file["CAT"].columns.add_col(fits.Column("new", "J", array=np.arange(3)))
        stream = io.BytesIO()
        file.writeto(stream)
    back = Image.from_bytes(stream.getvalue()).catalog
    assert "x" not in back.colnames
    np.testing.assert_array_equal(back["new"], [0, 1, 2])
    assert list(back["name"]) == ["α Cen", "", "plain "]
