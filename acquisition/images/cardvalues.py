"""What the value of a header card means, whichever program wrote it.

In: a card's value. Out: a number, text, angle or time; None where it is not that.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from .text import from_ascii


def parse_utc(text: str) -> datetime | None:
    """A time in ISO 8601, or a day as FITS wrote it until 1998 (DD/MM/YY); UTC unless it states an offset.

    None if it is neither.
    """
    text = text.strip()
    old = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", text)
    if old:
        text = f"19{old[3]}-{old[2]}-{old[1]}"
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_section(value: Any) -> tuple[slice, slice]:
    """The (rows, columns) of a section such as ``[x1:x2,y1:y2]``, which is 1-based and includes both ends.

    Raises
    ------
    ValueError
        If it is no such text, or empty.
    """
    match = re.fullmatch(r"\s*\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]\s*", str(value))
    if match is None:
        raise ValueError(f"section is {value!r}; it should look like [1:100,1:50]")
    x1, x2, y1, y2 = (int(number) for number in match.groups())
    if not (1 <= x1 <= x2 and 1 <= y1 <= y2):
        raise ValueError(f"section is {value}; it should count from 1 and upwards")
    return slice(y1 - 1, y2), slice(x1 - 1, x2)


def is_number(value: object) -> bool:
    """Whether it is a number, and no text that looks like one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_number(value: Any) -> float | None:
    """A finite number, which may be written as a text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_integer(value: Any) -> int | None:
    """A whole number, whichever way it is written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() else None


def as_text(value: Any) -> str | None:
    """A text that is not blank; a number counts as what it looks like."""
    if isinstance(value, str):
        return from_ascii(value) if value.strip() else None
    return None if as_number(value) is None else str(value)


def as_sexagesimal(value: Any) -> float | None:
    """A text of two or three numbers, such as ``-00:55:31``, in the unit of the first; None if it is not one."""
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"\s*([+-]?)(\d+)[:\shd°]\s*(\d+)(?:[:\sm'′]\s*(\d+\.?\d*)?)?[s\"″]?\s*", value)
    if match is None:
        return None
    magnitude = int(match[2]) + int(match[3]) / 60 + float(match[4] or 0) / 3600
    return -magnitude if match[1] == "-" else magnitude


def as_degrees(value: Any) -> float | None:
    """An angle in degrees, decimal or sexagesimal."""
    number = as_sexagesimal(value)
    return as_number(value) if number is None else number


def as_right_ascension(value: Any) -> float | None:
    """An angle in degrees from decimal degrees or sexagesimal hours."""
    hours = as_sexagesimal(value)
    return as_number(value) if hours is None else hours * 15


def as_clock(value: Any) -> str | None:
    """A time of the day, hh:mm:ss."""
    match = re.fullmatch(r"\s*(\d\d:\d\d:\d\d(\.\d+)?)\.?\s*", value) if isinstance(value, str) else None
    return None if match is None else match[1]
