"""A header on another pixel grid: mirrored, or in larger pixels.

In: a header, and how the new pixels lie on the old ones. Out: the header changed so that it says the same of the sky.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acquisition.images.cardvalues import is_number, parse_section
from acquisition.images.header import card_value

if TYPE_CHECKING:
    from astropy.io.fits import Header

_SECTIONS = ("TRIMSEC", "DATASEC", "BIASSEC")
_CENTRES = (("CRPIX1", "CRPIX2"), ("DET-CPX1", "DET-CPX2"))


@dataclass(frozen=True, slots=True)
class Axis:
    """Old coordinate = scale · new coordinate + shift, both 1-based (FITS)."""

    scale: float
    shift: float

    @classmethod
    def mirrored(cls, length: int) -> Axis:
        """The axis of that many pixels counted from the other end."""
        return cls(-1.0, length + 1.0)

    @classmethod
    def binned(cls, factor: int) -> Axis:
        """Pixels that are `factor` old ones long; their outer edges coincide."""
        return cls(float(factor), (1.0 - factor) / 2.0)

    def to_new(self, old: float) -> float:
        """A coordinate on the new grid."""
        return (old - self.shift) / self.scale


UNCHANGED = Axis(1.0, 0.0)


def regrid(header: Header, x: Axis, y: Axis) -> None:
    """Change every card that speaks of pixels: CRPIX, CD or PC and CDELT, SIP, DET-CPX, the sections.

    Cards whose value is not a number are left alone. The scales may differ in their sign only.
    """
    for keywords in _CENTRES:
        for keyword, axis in zip(keywords, (x, y), strict=True):
            if is_number(card_value(header, keyword)):
                header[keyword] = axis.to_new(float(header[keyword]))
    has_pc = any(f"PC{i}_{j}" in header for i in (1, 2) for j in (1, 2))
    for j, axis in ((1, x), (2, y)):
        size, sign = abs(axis.scale), math.copysign(1.0, axis.scale)
        for i in (1, 2):
            _multiply(header, f"CD{i}_{j}", axis.scale)
            if has_pc and sign < 0:
                if f"PC{i}_{j}" not in header:
                    header[f"PC{i}_{j}"] = float(i == j)
                _multiply(header, f"PC{i}_{j}", sign)
        _multiply(header, f"CDELT{j}", size if has_pc else axis.scale)
    for card in list(header.cards):
        match = re.fullmatch(r"(A|B|AP|BP)_(\d)_(\d)", card.keyword)
        if match:  # SIP polynomials, in pixels from CRPIX
            own = x if match[1].startswith("A") else y
            _multiply(header, card.keyword, x.scale ** int(match[2]) * y.scale ** int(match[3]) / own.scale)
    for keyword in _SECTIONS:
        if keyword in header:
            _regrid_section(header, keyword, x, y)


def _multiply(header: Header, keyword: str, factor: float) -> None:
    if factor != 1.0 and is_number(card_value(header, keyword)):
        header[keyword] *= factor


def _regrid_section(header: Header, keyword: str, x: Axis, y: Axis) -> None:
    """The pixels that lie in the section as a whole; if there are none, or it is malformed, the card goes."""
    try:
        rows, columns = parse_section(card_value(header, keyword))
    except ValueError:
        del header[keyword]
        return
    ends = []
    for axis, section in ((x, columns), (y, rows)):
        low, high = sorted((axis.to_new(section.start + 0.5), axis.to_new(section.stop + 0.5)))
        ends.append((math.ceil(low + 0.5), math.floor(high - 0.5)))
    if all(first <= last for first, last in ends):
        header[keyword] = "[" + ",".join(f"{first}:{last}" for first, last in ends) + "]"
    else:
        del header[keyword]
