"""Images cut to the part that shows the sky.

In: an `Image` with TRIMSEC. Out: a smaller one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from .cardvalues import parse_section

if TYPE_CHECKING:
    from .image import Image

AnImage = TypeVar("AnImage", bound="Image")


def trimmed(image: AnImage) -> AnImage:
    """A copy that is cropped to TRIMSEC; see `Image.trim`."""
    if image.safe_catalog is not None:
        raise ValueError("cannot trim an image with a catalog; detect sources after trimming")
    new = image.copy()
    if "TRIMSEC" not in new.header:
        return new
    rows, columns = parse_section(new.header["TRIMSEC"])

    def crop(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else array[..., rows, columns]

    new = new.derive(data=crop(new.safe_data), mask=crop(new.safe_mask), uncertainty=crop(new.safe_uncertainty))
    for keyword, origin in (("CRPIX1", columns.start), ("CRPIX2", rows.start)):
        if keyword in new.header:
            new.header[keyword] -= origin
    for keyword in ("TRIMSEC", "DATASEC", "BIASSEC"):
        new.header.remove(keyword, ignore_missing=True)
    return new
