"""Libraries that only some processors need, and that are installed only if somebody wants those.

In: a library's name. Out: nothing if it is there, else an error that says how to get it.
"""

from __future__ import annotations

from importlib.util import find_spec

from acquisition.errors import ConfigError


def need(library: str, extra: str, what: str) -> None:
    """Make sure that a library can be imported, without importing it.

    Raises
    ------
    ConfigError
        If it is not installed; names the extra of this distribution that brings it.
    """
    if find_spec(library) is None:
        raise ConfigError(f"{what} needs {library}, which is not installed: pip install 'starlatch[{extra}]'")
