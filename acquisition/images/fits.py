"""The one place that turns an image's parts into FITS bytes and back: what is where in the file.

In: `FitsParts` to `fitswrite`, or a file of any program to `fitsread`. Out: a file that standard readers open, or
`FitsParts`.

Science pixels are in the primary HDU, or, tile-compressed, in a nameless extension behind an empty one; then, where
present, come the tables CAT and FRAMES and the images MASK, UNCERT and RAW. What FITS cannot say itself:

- bool pixels are written as 0 and 1, with a card BOOLPIX in their header;
- a mask is uint8, unless that would lose something (other integers, fractions, NaN): then it keeps its type;
- where RAW is the very array of the science pixels, its HDU is empty, with their CRC-32 in a card RAWCRC32; raw is
  restored as long as the pixels still have it, as both data and raw, read-only;
- catalogs: see `catalog`.
"""

from __future__ import annotations

import contextlib
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.table import Table

BLOCK = 2880
"""Bytes; headers and data are padded to multiples of it (FITS standard 4.0, section 3.1)."""

CHUNK = 1 << 17
"""Pixels whose bytes are turned around at a time, so that they stay in the cache."""

_HANDLED = (
    "Card is too long, comment will be truncated",  # the value is whole
    "It is strongly recommended that column names",  # they are the catalog's own
    "The following header keyword is invalid",  # another program's card, kept as it is
    ".* did not parse as fits unit",  # a unit of another program's catalog, kept as text
    "File may have been truncated",  # fitsread's own check knows better: only padding is missing
    "Error validating header for HDU",  # the same: bytes after the last HDU
)


@dataclass(slots=True)
class FitsParts:
    """What FITS holds of an image."""

    data: NDArray[Any] | None
    header: Header
    mask: NDArray[Any] | None = None
    uncertainty: NDArray[Any] | None = None
    catalog: Table | None = None
    raw: NDArray[Any] | None = None
    frames: Table | None = None


def with_cards_of(meta: Mapping[Any, Any], header: Header) -> Header:
    """The header as it is written: with the cards of meta that have some."""
    cards = {key: card for one in meta.values() for key, card in getattr(one, "cards", {}).items()}
    if cards:
        header = header.copy()
        header.update(cards)
    return header


def crc32(data: NDArray[Any]) -> int:
    """Of the pixels as FITS orders them, whatever the byte order in memory."""
    return zlib.crc32(np.ascontiguousarray(data, data.dtype.newbyteorder(">")).data)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without astropy's warnings of what is handled here; others come through.

    Python's warning filters are shared by all threads. Where two are in here at once, the worst that can happen is that
    these warnings stay silenced.
    """
    with warnings.catch_warnings():
        for message in _HANDLED:
            warnings.filterwarnings("ignore", message)
        yield
