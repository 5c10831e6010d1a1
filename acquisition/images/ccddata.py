"""Images as astropy's CCDData and back, without losing unit, type or the kind of uncertainty.

In: a CCDData, or an `Image`. Out: the parts of an image, or a CCDData.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io.fits import Header
from astropy.nddata import CCDData, StdDevUncertainty, UnknownUncertainty
from astropy.units import Unit, UnrecognizedUnit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .image import Image


def parts_of_ccddata(ccd: CCDData) -> dict[str, Any]:
    """What `Image` is made of: floats (float32 if that holds the integers), BUNIT, standard deviations."""
    uncertainty = ccd.uncertainty
    if uncertainty is not None and not isinstance(uncertainty, UnknownUncertainty):
        uncertainty = uncertainty.represent_as(StdDevUncertainty)
    header = Header(ccd.header, copy=True)
    if ccd.unit is not None:
        header["BUNIT"] = ccd.unit.to_string()
    return {
        "data": _as_float(ccd.data),
        "header": header,
        "mask": ccd.mask,
        "uncertainty": None if uncertainty is None else _as_float(uncertainty.array),
    }


def ccddata_of(image: Image) -> CCDData:
    """Pixels (shared), header, mask and uncertainty, in the unit of BUNIT or in adu."""
    header = image.derive().header  # a copy of its own
    text = str(header.get("BUNIT", "adu"))
    unit = Unit(text, parse_strict="silent")
    if isinstance(unit, UnrecognizedUnit):  # such as ADU
        unit = Unit(text.lower(), parse_strict="silent")
    uncertainty = image.safe_uncertainty
    return CCDData(
        data=image.safe_data,
        meta=header,
        mask=image.safe_mask,
        uncertainty=None if uncertainty is None else StdDevUncertainty(uncertainty),
        unit=unit,
    )


def _as_float(array: Any) -> NDArray[Any]:
    floats: NDArray[Any] = np.asarray(array).astype(np.result_type(array.dtype, np.float32))
    return floats
