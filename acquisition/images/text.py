r"""Any text as printable ASCII and back, since FITS holds nothing else.

In: a string. Out: the same string if FITS can hold it as it is, else one with backslash escapes: ``α Cen`` becomes
``\u03b1 Cen``, readable by a human and exactly reversible.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"(?:[ -\[\]-~]|\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_UNPRINTABLE = re.compile(r"\\|[^ -~]| $")


def is_plain(text: str) -> bool:
    """Whether FITS holds the text as it is: printable ASCII without a trailing blank (which FITS would drop)."""
    return text.isascii() and text.isprintable() and not text.endswith(" ")


def to_ascii(text: str) -> str:
    r"""Printable ASCII from which `from_ascii` makes exactly this text.

    Escapes are Python's: ``\\``, ``\xhh``, ``\uhhhh``, ``\Uhhhhhhhh``. A text that needs none is returned as it is, and
    so are backslashes that cannot be mistaken for escapes, such as those of a Windows path.
    """
    return _escape(text) if _needs_escaping(text) else text


def from_ascii(text: str) -> str:
    """The inverse of `to_ascii`; a text that `to_ascii` cannot have escaped is returned as it is."""
    if "\\" not in text or not _ESCAPED.fullmatch(text):
        return text
    decoded = _ESCAPE.sub(_character, text)
    return decoded if _needs_escaping(decoded) and _escape(decoded) == text else text


def _needs_escaping(text: str) -> bool:
    return not is_plain(text) or from_ascii(text) != text


def _escape(text: str) -> str:
    return _UNPRINTABLE.sub(_code, text)


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _character(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    return "\\" if digits is None else chr(int(digits, 16))
