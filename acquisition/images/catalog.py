"""A catalog as a FITS binary table and back, without loss.

In: an astropy `Table`, or a table HDU of any program. Out: a table HDU that standard readers open, or a `Table`.

FITS tables hold numbers and ASCII. What they cannot say is said in two ways: astropy's own (``Table.read`` restores
masks, descriptions and coordinate columns from COMMENT cards), and a card TABLEINF, YAML in ASCII (`text.to_ascii`),
from which this module restores the exact types, units, texts and meta. Text in columns is escaped by `text.to_ascii`.
"""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.io.misc import yaml
from astropy.table import Column, MaskedColumn, Table
from numpy.typing import NDArray

from .cards import exact_card
from .text import from_ascii, is_plain, to_ascii

log = logging.getLogger(__name__)

_INFO = "TABLEINF"
_WIDER = {"int8": "int16", "float16": "float32"}  # FITS has no such columns (astropy would write int8 as bool)


def table_to_hdu(table: Table, name: str) -> fits.BinTableHDU:
    """The table as an HDU of that name.

    Raises
    ------
    ValueError
        If a column is of a type that FITS cannot hold, such as objects; names the column.
    """
    columns = [_column_info(*pair) for pair in zip(table.columns.values(), _stored_names(table), strict=True)]
    info = {"columns": columns, "meta": _storable(table.meta)}
    plain = _plain(table)
    with io.BytesIO() as stream:
        plain.write(stream, format="fits")
        with fits.open(io.BytesIO(stream.getvalue()), memmap=False, lazy_load_hdus=False) as hdus:
            hdu: fits.BinTableHDU = hdus[1]
            _ = hdu.data  # read now, before the file closes
    hdu.name = name
    text = to_ascii(yaml.dump(info, default_flow_style=None, sort_keys=False))
    hdu.header.append(exact_card(_INFO, text, "what FITS cannot say of the table"))
    return hdu


def table_from_hdu(hdu: fits.BinTableHDU | fits.TableHDU) -> Table:
    """The table of an HDU, whoever wrote it."""
    text = hdu.header.pop(_INFO, None)
    how = {"mask_invalid": False, "character_as_bytes": False, "astropy_native": text is not None}
    try:
        table = Table.read(hdu, **how)
    except Exception as error:  # astropy's COMMENT cards name columns that another program has removed, or worse
        log.warning("catalog is read without its comments: %s", error)
        hdu.header.remove("COMMENT", ignore_missing=True, remove_all=True)
        table = Table.read(hdu, **how)
    for keyword in ("EXTNAME", "EXTVER", "EXTLEVEL"):
        table.meta.pop(keyword, None)
    if text is not None:
        try:
            _restore(table, yaml.load(from_ascii(text)))
        except Exception as error:  # damaged; the numbers are good all the same
            log.warning("catalog is read without what %s says: %s", _INFO, error)
    return table


def _plain(table: Table) -> Table:
    """The table in such types and texts as astropy writes to FITS without loss."""
    columns = []
    for column, name in zip(table.columns.values(), _stored_names(table), strict=True):
        if not isinstance(column, Column):  # a coordinate, a time, a quantity: astropy takes it apart
            column = column.copy()
            column.info.name = name
            column.info.description = _plain_or_none(column.info.description)
            column.info.meta = None
            columns.append(column)
            continue
        values = _storable_values(column)
        kind: Any = MaskedColumn if isinstance(column, MaskedColumn) else Column
        plain = kind(values, name=name, unit=_fits_unit(column.unit), description=_plain_or_none(column.description))
        if kind is MaskedColumn:
            plain.mask = column.mask
            plain.info.serialize_method["fits"] = "data_mask"
        columns.append(plain)
    return type(table)(columns, copy=False)


def _stored_names(table: Table) -> list[str]:
    """The columns' names in FITS: their own in ASCII, unless that is too long for a card."""
    names = [to_ascii(name) for name in table.colnames]
    return [f"col{i}" if len(name) + name.count("'") > 60 else name for i, name in enumerate(names, start=1)]


def _storable_values(column: Column) -> NDArray[Any]:
    values = np.asarray(column)
    if values.dtype.kind in "US":
        text = values if values.dtype.kind == "U" else np.char.decode(values, "latin-1")
        return _map_text(to_ascii, text)
    if values.dtype.kind not in "biufc" or values.dtype.itemsize > (16 if values.dtype.kind == "c" else 8):
        raise ValueError(
            f"catalog column {column.name!r} is of type {values.dtype}; FITS holds numbers, bools and text"
        )
    return values.astype(_WIDER.get(values.dtype.name, values.dtype), copy=False)


def _map_text(function: Any, values: NDArray[np.str_]) -> NDArray[np.str_]:
    mapped = [function(str(value)) for value in values.ravel()]
    return np.array(mapped, dtype=str).reshape(values.shape) if mapped else values


def _column_info(column: Any, stored_name: str) -> dict[str, Any]:
    info: dict[str, Any] = {"name": column.info.name}
    if stored_name != column.info.name:
        info["stored"] = stored_name
    if isinstance(column, Column):
        info["dtype"] = column.dtype.newbyteorder("=").str
        if column.ndim > 1:
            info["shape"] = list(column.shape[1:])  # FITS forgets it where there are no rows
        if column.unit is not None:
            info["unit"] = column.unit.to_string()
    for attribute in ("description", "format"):
        value = getattr(column.info, attribute)
        if isinstance(value, str):
            info[attribute] = value
    if column.info.meta:
        info["meta"] = _storable(column.info.meta)
    return info


def _storable(meta: Any) -> dict[Any, Any]:
    """What of a meta dictionary YAML can express; the rest is logged."""
    storable = {}
    for key, value in meta.items():
        try:
            yaml.dump({key: value})
        except Exception as error:  # whatever the object raises when it is taken apart
            log.warning("catalog meta %r is not written to FITS: %s", key, error)
        else:
            storable[key] = value
    return storable


def _restore(table: Table, info: dict[str, Any]) -> None:
    for entry in info["columns"]:
        name = entry["name"]
        stored = entry.get("stored", name)
        if stored not in table.colnames:  # another program removed it
            continue
        if "dtype" in entry:
            table.replace_column(stored, _restored_column(table[stored], entry))
        if stored != name:
            table.rename_column(stored, name)
        table[name].info.description = entry.get("description")
        table[name].info.format = entry.get("format")
        table[name].info.meta = entry.get("meta", {})
    table.meta = info["meta"]


def _restored_column(column: Column, entry: dict[str, Any]) -> Column:
    dtype = np.dtype(entry["dtype"])
    values = np.asarray(column)
    if dtype.kind in "US":
        values = _map_text(from_ascii, values.astype(str))
        if dtype.kind == "S":
            values = np.char.encode(values, "latin-1")
    values = values.astype(dtype, copy=False).reshape(len(column), *entry.get("shape", []))
    unit = units.Unit(entry["unit"], parse_strict="silent") if "unit" in entry else None
    if isinstance(column, MaskedColumn):
        return MaskedColumn(values, mask=np.reshape(column.mask, values.shape), unit=unit)
    return Column(values, unit=unit)


def _fits_unit(unit: Any) -> Any:
    """The unit if FITS can say it, else None."""
    if unit is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return unit if units.Unit(unit.to_string(format="fits"), format="fits") == unit else None
        except (ValueError, TypeError, units.UnitsWarning):
            return None


def _plain_or_none(text: str | None) -> str | None:
    return text if text and is_plain(text) else None
