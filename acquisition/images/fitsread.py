"""FITS of any program as the parts of an image.

In: a file or bytes, plain or compressed. Out: `FitsParts`, whose arrays belong to nobody else.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .cards import mend_long_texts
from .fits import BLOCK, CHUNK, FitsParts, crc32, quiet

_DECOMPRESS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""What BITPIX says."""

OURS = ("MASK", "UNCERT", "RAW")
"""Names of images beside the science image."""


@dataclass(frozen=True, slots=True)
class _Hdu:
    index: int
    header: fits.Header
    position: int  # of its header, bytes from the beginning of the file
    start: int  # of its data
    size: int  # of its data without padding, bytes

    @property
    def name(self) -> str:
        return str(self.header.get("EXTNAME", "")).strip().upper()

    @property
    def is_tile_compressed(self) -> bool:
        return self._kind in ("BINTABLE", "A3DTABLE") and self.header.get("ZIMAGE", False) is True

    @property
    def is_table(self) -> bool:
        return self._kind in ("BINTABLE", "A3DTABLE", "TABLE") and not self.is_tile_compressed

    @property
    def is_image(self) -> bool:
        """With pixels that are not compressed."""
        return self._kind in ("", "IMAGE", "IUEIMAGE") and self.size > 0

    @property
    def _kind(self) -> str:
        """The type of extension; of a primary HDU an empty text, or GROUPS."""
        if self.index > 0:
            return str(self.header.get("XTENSION", "?")).strip().upper()
        return "" if self.header.get("SIMPLE") is True and self.header.get("GROUPS", False) is not True else "GROUPS"


def read_file(filename: str | os.PathLike[str]) -> FitsParts:
    """Read a FITS file, which may be compressed (gzip, bzip2, xz).

    Raises
    ------
    FileNotFoundError
    OSError
        If it is not FITS, or damaged or incomplete.
    ValueError
        If no HDU is the science image: the first of a primary HDU with pixels, an image named SCI, and any
        tile-compressed image (not MASK, UNCERT, RAW); failing that, the first image without a name.
    """
    with open(os.path.expanduser(filename), "rb") as file:
        data = file.read()
    return _read(data, os.fspath(filename))


def read_bytes(data: bytes) -> FitsParts:
    """Read FITS from memory; otherwise like `read_file`."""
    return _read(bytes(data), "FITS data")


def _read(data: bytes, name: str) -> FitsParts:
    try:
        for magic, decompress in _DECOMPRESS.items():
            if data.startswith(magic):
                data = decompress(data)
        if not data.startswith(b"SIMPLE  ="):
            raise OSError("empty" if not data else f"not a FITS file, it starts with {data[:9]!r}")
        with quiet():
            hdus = list(_hdus(data))
            parts = _parts(hdus, data)
            if parts is None and len(data) % BLOCK:
                raise OSError(f"cut off after {len(data)} bytes, before any science image")
    except Exception as error:  # a damaged file can make astropy raise anything
        raise OSError(f"{name}: {error or type(error).__name__}") from error
    if parts is None:
        there = ", ".join(hdu.name or ("PRIMARY" if hdu.index == 0 else "unnamed") for hdu in hdus)
        raise ValueError(f"{name}: no HDU is a science image; there are {there}")
    return parts


def _hdus(data: bytes) -> Iterator[_Hdu]:
    """The HDUs; missing padding after the last one, and junk, are fine.

    Raises
    ------
    OSError
        If the file ends within a header or its data.
    """
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
        yield _Hdu(index, header, position, start, size)
        position, index = start + -(-size // BLOCK) * BLOCK, index + 1


def _data_bytes(header: fits.Header) -> int:
    """Bytes of an HDU's data without padding (FITS standard 4.0, equations 1, 2 and 4)."""
    axes = _axes(header)
    if not axes:
        return 0
    if header.get("GROUPS", False) is True and axes[0] == 0:
        axes = axes[1:]
    elements = int(header.get("GCOUNT", 1)) * (int(header.get("PCOUNT", 0)) + math.prod(axes))
    return abs(int(header["BITPIX"])) // 8 * elements


def _axes(header: fits.Header) -> list[int]:
    return [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]


def _parts(hdus: list[_Hdu], data: bytes) -> FitsParts | None:
    science = _science(hdus)
    if science is None:
        return None

    @functools.cache
    def by_astropy() -> Any:
        return fits.open(io.BytesIO(data), memmap=False, lazy_load_hdus=False)

    others = [hdu for hdu in reversed(hdus) if hdu is not science]  # of two with one name, the first counts
    images = {hdu.name: hdu for hdu in others if hdu.is_image or hdu.is_tile_compressed}
    empty = {hdu.name: hdu for hdu in others if hdu.size == 0}
    tables = {hdu.name: hdu for hdu in others if hdu.is_table}
    header, pixels = _image(science, data, by_astropy)
    parts = FitsParts(pixels, header)
    if "MASK" in images:
        parts.mask = _image(images["MASK"], data, by_astropy)[1]
    if "UNCERT" in images:
        parts.uncertainty = _image(images["UNCERT"], data, by_astropy)[1]
    if "RAW" in images:
        parts.raw = _image(images["RAW"], data, by_astropy)[1]
    elif "RAW" in empty and empty["RAW"].header.get("RAWCRC32") == crc32(pixels):
        pixels.flags.writeable = False
        parts.raw = pixels
    if "CAT" in tables or "FRAMES" in tables:
        from .catalog import table_from_hdu

        def table(name: str) -> Any:
            if name not in tables:
                return None
            hdu = by_astropy()[tables[name].index]
            mend_long_texts(hdu.header)
            return table_from_hdu(hdu)

        parts.catalog, parts.frames = table("CAT"), table("FRAMES")
    return parts


def _science(hdus: list[_Hdu]) -> _Hdu | None:
    for hdu in hdus:
        if hdu.is_tile_compressed and hdu.name not in OURS:
            return hdu
        if hdu.is_image and (hdu.index == 0 or hdu.name == "SCI"):
            return hdu
    return next((hdu for hdu in hdus if hdu.is_image and not hdu.name), None)


def _image(hdu: _Hdu, data: bytes, by_astropy: Callable[[], Any]) -> tuple[fits.Header, NDArray[Any]]:
    """Header and pixels."""
    header: fits.Header = hdu.header
    pixels = None if hdu.is_tile_compressed else _plain_pixels(hdu, data)
    if pixels is None:
        opened = by_astropy()[hdu.index]
        pixels = opened.data  # before the header, which changes with it
        header = opened.header
    if data.find(b"CONTINUE", hdu.position, hdu.start) >= 0:
        mend_long_texts(header)
    was_bool = header.pop("BOOLPIX", False) is True
    if was_bool and pixels.dtype == np.uint8 and pixels.max(initial=0) <= 1:
        pixels = pixels.astype(bool)
    return header, pixels


def _plain_pixels(hdu: _Hdu, data: bytes) -> NDArray[Any] | None:
    """Pixels as they are stored, or unsigned integers; None if they need more than that."""
    header = hdu.header
    stored = np.dtype(_TYPES[int(header["BITPIX"])])
    zero = header.get("BZERO", 0)
    is_unsigned = stored.kind == "i" and zero == 2 ** (8 * stored.itemsize - 1)
    if header.get("BSCALE", 1) != 1 or not (zero == 0 or is_unsigned) or "BLANK" in header:
        return None
    shape = _axes(header)[::-1]
    pixels = np.frombuffer(data, stored, hdu.size // stored.itemsize, hdu.start).reshape(shape)
    if not is_unsigned:
        return pixels.copy()
    unsigned = np.empty(shape, f"u{stored.itemsize}")
    source, target = pixels.reshape(-1), unsigned.reshape(-1)
    for first in range(0, source.size, CHUNK):
        chunk = target[first : first + CHUNK]
        chunk[:] = source[first : first + CHUNK].view(f">u{stored.itemsize}")
        chunk ^= target.dtype.type(zero)  # the highest bit, that of the sign
    return unsigned
