"""The parts of an image as FITS.

In: `FitsParts`. Out: bytes, or a file that appears under its name only when it is whole and on the disk.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .cards import exact_card
from .fits import BLOCK, CHUNK, FitsParts, crc32, quiet

if TYPE_CHECKING:
    from astropy.table import Table

Pieces = list[bytes | NDArray[Any]]
"""Of a file, in their order; pixels as they are in memory."""

_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|BOOLPIX"
)
"""Keywords that describe how the pixels are stored; written anew for what is written."""

_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def to_bytes(parts: FitsParts, checksum: bool = False, compress: bool = False) -> bytes:
    """FITS in memory; otherwise like `write`. Pixels are turned into FITS on their way into the bytes, in one pass."""
    pieces = _pieces(parts, "exception", checksum, compress)
    with io.BytesIO() as stream:
        stream.seek(sum(_length(piece) for piece in pieces) - 1)
        stream.write(b"\0")
        with stream.getbuffer() as buffer:
            start = 0
            for piece in pieces:
                if isinstance(piece, bytes):
                    buffer[start : start + len(piece)] = piece
                else:
                    _store(piece, np.frombuffer(buffer, f"u{piece.itemsize}", piece.size, start))
                start += _length(piece)
        return stream.getvalue()


def _length(piece: bytes | NDArray[Any]) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.nbytes


def write(
    parts: FitsParts,
    f: Any,
    output_verify: str = "exception",
    overwrite: bool = False,
    checksum: bool = False,
    compress: bool | None = None,
) -> None:
    """Write parts as FITS.

    Parameters
    ----------
    parts : FitsParts
    f : str, path or file object
        A name that ends in .gz, .bz2 or .xz is compressed as a whole.
    output_verify, overwrite, checksum
        As of `astropy.io.fits.HDUList.writeto`; `overwrite` has no meaning for a file object.
    compress : bool, optional
        Tile-compress images, without loss: RICE_1 for integers, GZIP_2 for others. By default if the name ends in .fz.

    Raises
    ------
    OSError
        If the file exists and `overwrite` is not set, or cannot be written.
    ValueError
        If FITS cannot hold a part.
    """
    if compress is None:
        compress = isinstance(f, str | os.PathLike) and os.fspath(f).endswith(".fz")
    _save(_pieces(parts, output_verify, checksum, compress), f, overwrite)


def write_catalog(
    catalog: Table, f: Any, output_verify: str = "exception", overwrite: bool = False, checksum: bool = False
) -> None:
    """Write a catalog alone, as the table CAT; otherwise like `write`."""
    from .catalog import table_to_hdu

    with quiet():
        hdus = fits.HDUList([fits.PrimaryHDU(), table_to_hdu(catalog, "CAT")])
        pieces = _of_hdus(hdus, output_verify, checksum)
    _save(pieces, f, overwrite)


def _pieces(parts: FitsParts, output_verify: str, checksum: bool, compress: bool) -> Pieces:
    assert parts.data is not None
    with quiet():
        header = _science_header(parts.header)
        if compress:
            hdus = fits.HDUList([fits.PrimaryHDU(), _image_hdu(parts.data, None, header, compress=True)])
        else:
            hdus = fits.HDUList([_image_hdu(parts.data, None, header)])
        if parts.catalog is not None or parts.frames is not None:
            from .catalog import table_to_hdu

            for name, table in (("CAT", parts.catalog), ("FRAMES", parts.frames)):
                if table is not None:
                    hdus.append(table_to_hdu(table, name))
        if parts.mask is not None:
            hdus.append(_image_hdu(_narrow_mask(parts.mask), "MASK", compress=compress))
        if parts.uncertainty is not None:
            hdus.append(_image_hdu(parts.uncertainty, "UNCERT", compress=compress))
        if parts.raw is parts.data:
            stub = fits.ImageHDU(name="RAW")
            stub.header["RAWCRC32"] = (crc32(parts.data), "raw is the science data if they have this CRC")
            hdus.append(stub)
        elif parts.raw is not None:
            hdus.append(_image_hdu(parts.raw, "RAW", compress=compress))
        return _of_hdus(hdus, output_verify, checksum)


def _image_hdu(
    data: NDArray[Any], name: str | None, header: fits.Header | None = None, *, compress: bool = False
) -> Any:
    """An HDU; without a name the primary one, or a nameless table of compressed tiles."""
    if data.size == 0 or data.ndim == 0 or data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        raise ValueError(f"FITS cannot hold pixels of type {data.dtype} and shape {data.shape}")
    is_bool = data.dtype.kind == "b"
    if is_bool:
        data = data.astype(np.uint8)
    elif data.dtype.itemsize == 2 and data.dtype.kind == "f":
        data = data.astype(np.float32)
    if compress:
        hdu = _tile_compressed(data, name, header)
    elif name is None:
        hdu = fits.PrimaryHDU(data, header)
    else:
        hdu = fits.ImageHDU(data, header, name)
    if is_bool:
        hdu.header["BOOLPIX"] = (True, "pixels are truth values")
    return hdu


def _tile_compressed(data: NDArray[Any], name: str | None, header: fits.Header | None) -> fits.BinTableHDU:
    """A table of compressed tiles, with all cards of the header (astropy would drop repeated and faulty ones)."""
    is_for_rice = data.dtype.kind in "iu" and data.dtype.itemsize <= 4  # it knows no others without loss
    native = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
    hdu = fits.CompImageHDU(
        native, name=name, compression_type="RICE_1" if is_for_rice else "GZIP_2", quantize_level=0.0
    )
    with io.BytesIO() as stream:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
        stream.seek(0)
        with fits.open(stream, memmap=False, lazy_load_hdus=False, disable_image_compression=True) as hdus:
            table: fits.BinTableHDU = hdus[1]
            _ = table.data  # read now, before the stream closes
    if header is not None:
        table.header.extend(header, unique=False, bottom=True)
    return table


def _science_header(header: fits.Header) -> fits.Header:
    """The cards that say something about the frame and not about how it is stored."""
    return fits.Header([_exact(card) for card in header.cards if not _STRUCTURE.fullmatch(card.keyword)])


def _exact(card: fits.Card) -> fits.Card:
    """The card, or one like it where astropy would not write it exactly."""
    try:
        image = card.image
        if len(image) == 80 and image[8:11] in ("=  ", "= '"):
            return card  # a text in one card, or a number that does not fill its 20 columns: astropy cut nothing
        value = card.value
    except fits.VerifyError:  # another program's, kept as it is
        return card
    if isinstance(value, float) and len(repr(value)) > 20 and fits.Card.fromstring(image).value != value:
        return exact_card(card.keyword, float(value), card.comment)
    if isinstance(value, str) and len(image) > 80:
        return exact_card(card.keyword, value, card.comment)
    return card


def _narrow_mask(mask: NDArray[Any]) -> NDArray[Any]:
    """The mask as uint8 if that loses nothing, else as it is."""
    with np.errstate(invalid="ignore"):  # NaN
        narrow = mask.astype(np.uint8)
    return narrow if np.array_equal(narrow, mask) else mask


def _of_hdus(hdus: fits.HDUList, output_verify: str, checksum: bool) -> Pieces:
    hdus.update_extend()
    hdus.verify(output_verify)
    pieces: Pieces = []
    for hdu in hdus:
        if type(hdu) not in (fits.PrimaryHDU, fits.ImageHDU):
            pieces.append(_of_extension(hdu, checksum))
            continue
        if checksum:
            hdu.add_checksum()
        pieces.append(hdu.header.tostring().encode("ascii"))
        if hdu.data is not None:
            pieces += [hdu.data, bytes(-hdu.data.nbytes % BLOCK)]
    return pieces


def _of_extension(hdu: Any, checksum: bool) -> bytes:
    """A table or tile-compressed image, behind the empty HDU with which astropy writes it."""
    with io.BytesIO() as stream:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream, checksum=checksum)
        return stream.getvalue()[BLOCK:]


def _store(data: NDArray[Any], target: NDArray[Any]) -> None:
    """Write pixels into an array of unsigned integers of their size, 1-D, as FITS stores them.

    That is with the highest byte first; integers of the sign that FITS lacks with that bit turned.
    """
    size = data.dtype.itemsize
    is_native_sign = data.dtype.kind == "f" or data.dtype.str[1:] in ("u1", "i2", "i4", "i8")
    sign_bit = np.frombuffer(b"\x80" + bytes(size - 1), f"u{size}")[0]  # of the first byte in memory
    source = np.ascontiguousarray(data).reshape(-1)
    stored = target.view(data.dtype.newbyteorder(">"))
    for first in range(0, source.size, CHUNK):
        stored[first : first + CHUNK] = source[first : first + CHUNK]
        if not is_native_sign:
            target[first : first + CHUNK] ^= sign_bit


def _stored(data: NDArray[Any]) -> memoryview:
    """Pixels as FITS stores them."""
    target = np.empty(data.size, f"u{data.dtype.itemsize}")
    _store(data, target)
    return target.view(np.uint8).data


def _bytes(pieces: Pieces) -> Iterator[bytes | memoryview]:
    """The pieces as they are in a file, one at a time."""
    for piece in pieces:
        yield piece if isinstance(piece, bytes) else _stored(piece)


def _save(pieces: Pieces, f: Any, overwrite: bool) -> None:
    if not isinstance(f, str | os.PathLike):
        for piece in _bytes(pieces):
            f.write(piece)
        return
    path = os.path.realpath(os.path.expanduser(f))
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists already; overwrite=True replaces it")
    opened = _OPEN.get(os.path.splitext(path)[1], open)
    if os.path.exists(path) and not os.path.isfile(path):  # such as /dev/null, which must not be replaced
        with open(path, "wb") as device:
            device.writelines(_bytes(pieces))
        return
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.tmp")  # the dot hides it from globs
    try:
        with opened(temporary, "wb") as file:
            file.writelines(_bytes(pieces))
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
