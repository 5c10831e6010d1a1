"""The one place that turns an image's parts into FITS bytes and back.

In: `FitsParts`, or a file of any program. Out: a file that standard readers open, or `FitsParts`.

What is where: science pixels in the primary HDU; then, where present, the tables CAT and FRAMES and the images MASK,
UNCERT and RAW. What FITS cannot say itself:

- bool pixels are written as 0 and 1, with a card BOOLPIX in their header;
- a mask is uint8, unless that would lose something (other integers, fractions, NaN): then it keeps its type;
- where RAW is the very array of the science pixels, its HDU is empty, with their CRC-32 in a card RAWCRC32; raw is
  restored as long as the pixels still have it, as both data and raw, read-only;
- catalogs: see `catalog`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import math
import os
import re
import secrets
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .header import exact_card, mend_long_texts

if TYPE_CHECKING:
    from astropy.table import Table

BLOCK = 2880
"""Bytes; headers and data are padded to multiples of it (FITS standard 4.0, section 3.1)."""

_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|BOOLPIX"
)
"""Keywords that describe how the pixels are stored; written anew for what is written."""

_COMPRESSION = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}

_HANDLED = (
    "Card is too long, comment will be truncated",  # the value is whole
    "It is strongly recommended that column names",  # they are the catalog's own
    "The following header keyword is invalid",  # another program's card, kept as it is
    ".* did not parse as fits unit",  # a unit of another program's catalog, kept as text
    "File may have been truncated",  # _check_complete knows better: only padding is missing
    "Error validating header for HDU",  # the same: bytes after the last HDU
)


@dataclass(slots=True)
class FitsParts:
    """What FITS holds of an image."""

    data: NDArray[Any] | None
    header: fits.Header
    mask: NDArray[Any] | None = None
    uncertainty: NDArray[Any] | None = None
    catalog: Table | None = None
    raw: NDArray[Any] | None = None
    frames: Table | None = None


# --- reading ------------------------------------------------------------------------------------------------------


def read_file(filename: str | os.PathLike[str]) -> FitsParts:
    """Read a FITS file, which may be compressed (gzip, bzip2, xz).

    Raises
    ------
    FileNotFoundError
    OSError
        If it is not FITS, or damaged or incomplete.
    ValueError
        If no HDU is the science image: the first of a primary HDU with pixels, an image named SCI, and any compressed
        image (not MASK, UNCERT, RAW); failing that, the first image without a name.
    """
    with open(os.path.expanduser(filename), "rb") as file:
        data = file.read()
    return _read(data, os.fspath(filename))


def read_bytes(data: bytes) -> FitsParts:
    """Read FITS from memory; otherwise like `read_file`."""
    return _read(bytes(data), "FITS data")


def _read(data: bytes, name: str) -> FitsParts:
    try:
        for magic, decompress in _COMPRESSION.items():
            if data.startswith(magic):
                data = decompress(data)
        if not data.startswith(b"SIMPLE  ="):
            raise OSError("empty" if not data else f"not a FITS file, it starts with {data[:9]!r}")
        with _quiet():
            _check_complete(data)
            with fits.open(io.BytesIO(data), memmap=False, lazy_load_hdus=False) as hdus:
                parts = _parts(hdus)
    except Exception as error:  # a damaged file can make astropy raise anything
        raise OSError(f"{name}: {error or type(error).__name__}") from error
    if parts is None:
        raise ValueError(f"{name}: no HDU is a science image")
    return parts


def _check_complete(data: bytes) -> None:
    """Raise OSError where the file ends within a header or its data; missing padding and trailing junk are fine."""
    position, index = 0, 0
    stream = io.BytesIO(data)
    while index == 0 or data.startswith(b"XTENSION", position):
        stream.seek(position)
        header = fits.Header.fromfile(stream, padding=False)
        start = -(-stream.tell() // BLOCK) * BLOCK
        size = _data_bytes(header)
        if start + size > len(data) and size:
            raise OSError(f"HDU {index} is cut off: {max(len(data) - start, 0)} of {size} bytes of its data are there")
        if size < 0:
            raise OSError(f"HDU {index} claims {size} bytes of data")
        position, index = start + -(-size // BLOCK) * BLOCK, index + 1


def _data_bytes(header: fits.Header) -> int:
    """Bytes of an HDU's data without padding (FITS standard 4.0, equations 1, 2 and 4)."""
    axes = [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]
    if not axes:
        return 0
    if header.get("GROUPS", False) is True and axes[0] == 0:
        axes = axes[1:]
    elements = int(header.get("GCOUNT", 1)) * (int(header.get("PCOUNT", 0)) + math.prod(axes))
    return abs(int(header["BITPIX"])) // 8 * elements


def _parts(hdus: fits.HDUList) -> FitsParts | None:
    science = _science(hdus)
    if science is None:
        return None
    for hdu in hdus:
        mend_long_texts(hdu.header)
    others = [hdu for hdu in reversed(hdus) if hdu is not science]  # of two with one name, the first counts
    images = {hdu.name: hdu for hdu in others if isinstance(hdu, fits.ImageHDU | fits.CompImageHDU)}
    tables = {hdu.name: hdu for hdu in others if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)}
    parts = FitsParts(_pixels(science), science.header)
    if "MASK" in images:
        parts.mask = _pixels(images["MASK"])
    if "UNCERT" in images:
        parts.uncertainty = _pixels(images["UNCERT"])
    if "RAW" in images:
        parts.raw = _pixels(images["RAW"])
        crc = images["RAW"].header.get("RAWCRC32")
        if crc is not None and parts.data is not None and crc == _crc32(parts.data):
            parts.data.flags.writeable = False
            parts.raw = parts.data
    if "CAT" in tables or "FRAMES" in tables:
        from .catalog import table_from_hdu

        parts.catalog = table_from_hdu(tables["CAT"]) if "CAT" in tables else None
        parts.frames = table_from_hdu(tables["FRAMES"]) if "FRAMES" in tables else None
    return parts


def _science(hdus: fits.HDUList) -> Any:
    for hdu in hdus:
        if isinstance(hdu, fits.GroupsHDU):
            continue
        if isinstance(hdu, fits.CompImageHDU):
            if hdu.name not in ("MASK", "UNCERT", "RAW"):
                return hdu
        elif hdu.is_image and hdu.size > 0 and (isinstance(hdu, fits.PrimaryHDU) or hdu.name == "SCI"):
            return hdu
    return next((hdu for hdu in hdus if isinstance(hdu, fits.ImageHDU) and not hdu.name and hdu.size > 0), None)


def _pixels(hdu: Any) -> NDArray[Any] | None:
    data: NDArray[Any] | None = hdu.data  # before the header, which changes with it
    was_bool = hdu.header.pop("BOOLPIX", False) is True
    if was_bool and data is not None and data.dtype == np.uint8 and data.max(initial=0) <= 1:
        return data.astype(bool)
    return data


# --- writing ------------------------------------------------------------------------------------------------------


def write(
    parts: FitsParts, f: Any, output_verify: str = "exception", overwrite: bool = False, checksum: bool = False
) -> None:
    """Write parts as FITS; the arguments after `f` are those of `astropy.io.fits.HDUList.writeto`.

    A file appears under its name only when it is complete and on the disk.

    Raises
    ------
    OSError
        If the file exists and `overwrite` is not set, or cannot be written.
    ValueError
        If FITS cannot hold a part.
    """
    assert parts.data is not None
    with _quiet():
        hdus = fits.HDUList([_image_hdu(parts.data, fits.PrimaryHDU, _science_header(parts.header))])
        if parts.catalog is not None or parts.frames is not None:
            from .catalog import table_to_hdu

            for name, table in (("CAT", parts.catalog), ("FRAMES", parts.frames)):
                if table is not None:
                    hdus.append(table_to_hdu(table, name))
        if parts.mask is not None:
            hdus.append(_image_hdu(_narrow_mask(parts.mask), fits.ImageHDU, name="MASK"))
        if parts.uncertainty is not None:
            hdus.append(_image_hdu(parts.uncertainty, fits.ImageHDU, name="UNCERT"))
        if parts.raw is parts.data:
            stub = fits.ImageHDU(name="RAW")
            stub.header["RAWCRC32"] = (_crc32(parts.data), "raw is the primary data if they have this CRC")
            hdus.append(stub)
        elif parts.raw is not None:
            hdus.append(_image_hdu(parts.raw, fits.ImageHDU, name="RAW"))
        _save(hdus, f, output_verify, overwrite, checksum)


def write_catalog(
    catalog: Table, f: Any, output_verify: str = "exception", overwrite: bool = False, checksum: bool = False
) -> None:
    """Write a catalog alone, as the table CAT; otherwise like `write`."""
    from .catalog import table_to_hdu

    with _quiet():
        _save(fits.HDUList([fits.PrimaryHDU(), table_to_hdu(catalog, "CAT")]), f, output_verify, overwrite, checksum)


def _image_hdu(data: NDArray[Any], kind: Any, header: fits.Header | None = None, name: str | None = None) -> Any:
    if data.size == 0 or data.ndim == 0 or data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        raise ValueError(f"FITS cannot hold pixels of type {data.dtype} and shape {data.shape}")
    is_bool = data.dtype.kind == "b"
    if is_bool:
        data = data.astype(np.uint8)
    elif data.dtype.itemsize == 2 and data.dtype.kind == "f":
        data = data.astype(np.float32)
    hdu = kind(data, header=header)
    if name is not None:
        hdu.name = name
    if is_bool:
        hdu.header["BOOLPIX"] = (True, "pixels are truth values")
    return hdu


def _science_header(header: fits.Header) -> fits.Header:
    """The cards that say something about the frame and not about how it is stored."""
    return fits.Header([_exact(card) for card in header.cards if not _STRUCTURE.fullmatch(card.keyword)])


def _exact(card: fits.Card) -> fits.Card:
    """The card, or one like it where astropy would not write it exactly."""
    try:
        value = card.value
    except fits.VerifyError:  # another program's, kept as it is
        return card
    if isinstance(value, float) and len(repr(value)) > 20 and fits.Card.fromstring(card.image).value != value:
        return exact_card(card.keyword, float(value), card.comment)
    if isinstance(value, str) and len(card.image) > 80:
        return exact_card(card.keyword, value, card.comment)
    return card


def _narrow_mask(mask: NDArray[Any]) -> NDArray[Any]:
    """The mask as uint8 if that loses nothing, else as it is."""
    with np.errstate(invalid="ignore"):  # NaN
        narrow = mask.astype(np.uint8)
    return narrow if np.array_equal(narrow, mask) else mask


def _crc32(data: NDArray[Any]) -> int:
    """Of the pixels as FITS orders them, whatever the byte order in memory."""
    return zlib.crc32(np.ascontiguousarray(data, data.dtype.newbyteorder(">")).data)


def _save(hdus: fits.HDUList, f: Any, output_verify: str, overwrite: bool, checksum: bool) -> None:
    if not isinstance(f, str | os.PathLike):
        hdus.writeto(f, output_verify=output_verify, overwrite=overwrite, checksum=checksum)
        return
    path = os.path.realpath(os.path.expanduser(f))
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists already; overwrite=True replaces it")
    if os.path.exists(path) and not os.path.isfile(path):  # such as /dev/null, which must not be replaced
        with open(path, "wb") as device:
            hdus.writeto(device, output_verify=output_verify, checksum=checksum)
        return
    # the ending stays, by which astropy knows whether to compress; the dot hides it from globs
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}{os.path.splitext(path)[1]}")
    try:
        hdus.writeto(temporary, output_verify=output_verify, checksum=checksum)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without astropy's warnings of what is handled here; others come through.

    Python's warning filters are shared by all threads. Where two are in here at once, the worst that can happen is that
    these warnings stay silenced.
    """
    with warnings.catch_warnings():
        for message in _HANDLED:
            warnings.filterwarnings("ignore", message)
        yield
