"""Coordinates as these mounts write them, and back. Pure text, no input or output.

In: degrees. Out: ``HH:MM:SS``, ``sDD*MM:SS`` and their older, shorter forms; and back.
"""

from __future__ import annotations

import re

_RA = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?)|\.(\d))")
_DEC = re.compile(r"([+-]?)(\d{1,2})[*:\xdf°](\d{1,2})(?:[':](\d{1,2}(?:\.\d+)?))?")


def ra_text(ra_deg: float) -> str:
    """``HH:MM:SS``."""
    seconds = round(ra_deg % 360 / 15 * 3600) % 86400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def dec_text(dec_deg: float) -> str:
    """``sDD*MM:SS``."""
    seconds = round(abs(dec_deg) * 3600)
    sign = "-" if dec_deg < 0 and seconds else "+"
    return f"{sign}{seconds // 3600:02d}*{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def parse_ra(text: str) -> float:
    """Degrees from ``HH:MM:SS``, ``HH:MM:SS.s`` or ``HH:MM.m``.

    Raises
    ------
    ValueError
        If it is none of them, or not within a day.
    """
    match = _RA.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"right ascension is {text!r}; expected HH:MM:SS")
    hours, minutes = int(match[1]), int(match[2])
    seconds = float(match[3]) if match[3] is not None else 6.0 * int(match[4])
    if hours > 23 or minutes > 59 or seconds >= 60:
        raise ValueError(f"right ascension is {text!r}; expected less than 24 hours")
    return 15 * (hours + minutes / 60 + seconds / 3600)


def parse_dec(text: str) -> float:
    """Degrees from ``sDD*MM:SS``, ``sDD*MM'SS`` or ``sDD*MM``; the degree sign may be that of several mounts.

    Raises
    ------
    ValueError
        If it is none of them, or beyond a pole.
    """
    match = _DEC.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"declination is {text!r}; expected sDD*MM:SS")
    degrees = int(match[2]) + int(match[3]) / 60 + float(match[4] or 0) / 3600
    if degrees > 90 or int(match[3]) > 59 or float(match[4] or 0) >= 60:
        raise ValueError(f"declination is {text!r}; expected -90 to 90 degrees")
    return -degrees if match[1] == "-" else degrees
