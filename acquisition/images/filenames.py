"""Filenames from headers.

In: a format such as ``{TELESCOP|lower}-{DAY-OBS|date:}-{FRAMENUM|string:04d}{FILTER|filter}.fits`` and a header. Out: a
filename.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from astropy.io.fits.card import Undefined

from .cardvalues import parse_utc
from .text import from_ascii

_PLACEHOLDER = re.compile(r"\{([\w-]+)(?:\|([\w-]+)((?::[^{}:|]*)*))?\}")


class FilenameFormatter:
    """Makes filenames from headers.

    Parameters
    ----------
    fmt : str, list of str or None
        A format, or several, of which the first is used that has no missing key; None makes empty names. A placeholder
        is ``{KEY}``, ``{KEY|function}`` or ``{KEY|function:parameter}``:

        ``lower``
            in lower case
        ``date``, ``time``
            of a time, as 2026-03-01 and 20-15-00; the parameter replaces the hyphen
        ``filter``
            the value after a hyphen if IMAGETYP is light, object, flat or skyflat, else nothing
        ``string``
            formatted as printf does: ``{FRAMENUM|string:04d}``
        ``type``
            b, d, f, e for bias, dark, skyflat and everything else
        ``exptime``
            seconds, without ``.0``; ``unknown`` if there is no such key
    keys : dict, optional
        Values that go before those of the header.
    """

    def __init__(self, fmt: str | Sequence[str] | None, keys: Mapping[str, Any] | None = None) -> None:
        self.formats: Sequence[str] | None = [fmt] if isinstance(fmt, str) else fmt
        self.keys: Mapping[str, Any] = {} if keys is None else keys

    def __call__(self, header: Mapping[str, Any]) -> str:
        """Make a filename.

        Raises
        ------
        KeyError
            If every format has a key that is missing or a function that does not exist.
        ValueError
            If a value is not what a function needs.
        """
        if self.formats is None:
            return ""
        problems = []
        for fmt in self.formats:
            try:
                return _PLACEHOLDER.sub(lambda match: self._fill(match, header), fmt)
            except KeyError as error:
                problems.append(f"{fmt!r}: {error.args[0]}")
        raise KeyError(f"no filename: {'; '.join(problems)}")

    def _fill(self, match: re.Match[str], header: Mapping[str, Any]) -> str:
        key, function, parameters = match.groups()

        def value(key: str) -> Any:
            found = self.keys[key] if key in self.keys else header.get(key)
            if found is None or isinstance(found, Undefined):
                raise KeyError(f"no key {key}")
            return from_ascii(found) if isinstance(found, str) else found

        if function is None:
            return str(value(key))
        if function not in _FUNCTIONS:
            raise KeyError(f"no function {function}")
        try:
            return _FUNCTIONS[function](value, key, *parameters.split(":")[1:])
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot fill {match[0]}: {error}") from error


def format_filename(
    header: Mapping[str, Any], fmt: str | Sequence[str] | None, keys: Mapping[str, Any] | None = None
) -> str:
    """Make one filename; see `FilenameFormatter`."""
    return FilenameFormatter(fmt, keys)(header)


Lookup = Callable[[str], Any]


def _time(value: Lookup, key: str, separator: str = "-") -> str:
    return f"{_datetime(value, key):%H{separator}%M{separator}%S}"


def _date(value: Lookup, key: str, separator: str = "-") -> str:
    return f"{_datetime(value, key):%Y{separator}%m{separator}%d}"


def _datetime(value: Lookup, key: str) -> datetime:
    text = str(value(key))
    time = parse_utc(text)
    if time is None:
        raise ValueError(f"{text!r} is not a time such as 2026-03-01T20:15:00")
    return time


def _filter(value: Lookup, key: str, image_type: str = "IMAGETYP", prefix: str = "-") -> str:
    is_light = str(value(image_type)).lower() in ("light", "object", "flat", "skyflat")
    return f"{prefix}{value(key)}" if is_light else ""


def _type(value: Lookup, key: str) -> str:
    return {"bias": "b", "dark": "d", "skyflat": "f"}.get(str(value(key)), "e")


def _exptime(value: Lookup, key: str) -> str:
    try:
        seconds = float(value(key))
    except KeyError:
        return "unknown"
    return str(int(seconds)) if seconds.is_integer() else str(seconds)


_FUNCTIONS: dict[str, Callable[..., str]] = {
    "lower": lambda value, key: str(value(key)).lower(),
    "time": _time,
    "date": _date,
    "filter": _filter,
    "string": lambda value, key, printf: f"%{printf}" % value(key),
    "type": _type,
    "exptime": _exptime,
}
