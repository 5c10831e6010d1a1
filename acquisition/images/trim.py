"""Images cut to the part that shows the sky.

In: an `Image` with TRIMSEC. Out: a smaller one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from .cardvalues import is_number, parse_section

if TYPE_CHECKING:
    from .image import Image

AnImage = TypeVar("AnImage", bound="Image")


def trimmed(image: AnImage) -> AnImage:
    """A copy that is cropped to TRIMSEC; see `Image.trim`."""
    if image.safe_catalog is not None:
        raise ValueError("cannot trim an image with a catalog; detect sources after trimming")
    new = image.copy()
    from .header import card_value

    section = image.header_value("TRIMSEC")
    if section is None:
        return new
    rows, columns = parse_section(section)

    def crop(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else array[..., rows, columns]

    new = new.derive(data=crop(new.safe_data), mask=crop(new.safe_mask), uncertainty=crop(new.safe_uncertainty))
    facts, header = new.facts, new.header
    for axis, origin in ((1, columns.start), (2, rows.start)):
        for keyword in (f"CRPIX{axis}", f"DET-CPX{axis}"):
            if is_number(card_value(header, keyword)):
                header[keyword] -= origin
    if facts.bayer_pattern is not None:
        header["XBAYROFF"] = ((facts.x_bayer_offset or 0) + columns.start) % 2
        header["YBAYROFF"] = ((facts.y_bayer_offset or 0) + rows.start) % 2
    for keyword, before, origin in (
        ("XORGSUBF", facts.x_origin_px, columns.start),
        ("YORGSUBF", facts.y_origin_px, rows.start),
    ):
        if before is not None:
            header[keyword] = before + origin
    for keyword in ("TRIMSEC", "DATASEC", "BIASSEC"):
        header.remove(keyword, ignore_missing=True)
    return new
