"""The one place that turns an image's parts into FITS bytes and back.

In: `FitsParts`, or a file. Out: a file, or `FitsParts`.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.table import Table


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


def read_file(filename: Any) -> FitsParts:
    with fits.open(filename, memmap=False, lazy_load_hdus=False) as hdus:
        return _parts(hdus)


def read_bytes(data: bytes) -> FitsParts:
    with fits.open(io.BytesIO(data), memmap=False, lazy_load_hdus=False) as hdus:
        return _parts(hdus)


def _parts(hdus: fits.HDUList) -> FitsParts:
    from astropy.table import Table

    for science in hdus:
        if isinstance(science, fits.CompImageHDU) or science.header.get("NAXIS", 0) > 0:
            break
    else:
        raise ValueError("no image in FITS file")
    parts = FitsParts(science.data, science.header)
    if "MASK" in hdus:
        parts.mask = hdus["MASK"].data
    if "UNCERT" in hdus:
        parts.uncertainty = hdus["UNCERT"].data
    if "CAT" in hdus:
        parts.catalog = Table(hdus["CAT"].data)
    if "RAW" in hdus:
        parts.raw = hdus["RAW"].data
    return parts


def write(parts: FitsParts, f: Any, output_verify: str = "exception", overwrite: bool = False, checksum: bool = False) -> None:
    header = parts.header.copy()
    for keyword in [k for k in header if re.fullmatch(r"NAXIS\d*", k)]:
        del header[keyword]
    hdus = fits.HDUList([fits.PrimaryHDU(parts.data, header)])
    if parts.catalog is not None:
        hdus.append(fits.table_to_hdu(parts.catalog, name="CAT"))
    for name, array in (("MASK", parts.mask), ("UNCERT", parts.uncertainty), ("RAW", parts.raw)):
        if array is not None:
            hdus.append(fits.ImageHDU(array.astype(np.uint8) if name == "MASK" else array, name=name))
    if not isinstance(f, str | os.PathLike):
        hdus.writeto(f, output_verify=output_verify, overwrite=overwrite, checksum=checksum)
        return
    path = os.path.realpath(f)
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}{os.path.splitext(path)[1]}")
    try:
        hdus.writeto(temporary, output_verify=output_verify, checksum=checksum)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
