"""Loads ZWO's library through pyzwoasi's low-level module, which declares its functions and structures.

In: a library's file, or none for the one that pyzwoasi brings. Out: the module, with that library's functions.

pyzwoasi loads its own library, and only that, while it is imported. So we execute its low-level module under a name
of our own, once for each library, and hand it the library that was asked for. The package itself, which imports more
and looks for Windows drivers, is not imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from acquisition.errors import LibraryNotFound

ENVIRONMENT = "STARLATCH_ZWO_LIBRARY"

_loaded: dict[str, ModuleType] = {}
_loading = threading.Lock()


def load(path: str | None = None) -> Any:
    """pyzwoasi's low-level module over a library; its ``lib`` has the functions.

    Parameters
    ----------
    path : str, optional
        Of the library (``libASICamera2.so``). By default what the environment variable STARLATCH_ZWO_LIBRARY names,
        or else the one that pyzwoasi brings.

    Raises
    ------
    LibraryNotFound
        Says what is missing, and what to install or set.
    """
    wanted = path or os.environ.get(ENVIRONMENT) or ""
    with _loading:
        if wanted not in _loaded:
            _loaded[wanted] = _execute(_module_file(), wanted)
        return _loaded[wanted]


def _module_file() -> Path:
    spec = importlib.util.find_spec("pyzwoasi")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise LibraryNotFound(
            "ZWO cameras need the Python package pyzwoasi, which is not installed: pip install pyzwoasi"
        )
    return Path(next(iter(spec.submodule_search_locations)), "pyzwoasi.py")


def _execute(file: Path, library: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"drivers.zwo._pyzwoasi_{len(_loaded)}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    usual = ctypes.cdll.LoadLibrary

    def load_library(name: str) -> ctypes.CDLL:
        return usual(library if library and "ASICamera2" in name else name)

    try:
        ctypes.cdll.LoadLibrary = load_library  # type: ignore[method-assign]  # the only way in; undone below
        spec.loader.exec_module(module)
    except OSError as error:
        raise LibraryNotFound(_advice(error, library)) from error
    except AttributeError as error:
        raise LibraryNotFound(f"{library or 'the library of pyzwoasi'} is not ZWO's, or too old: {error}") from error
    finally:
        del ctypes.cdll.LoadLibrary  # the class' own method shows again
    return module


def _advice(error: OSError, library: str) -> str:
    text = str(error)
    if "libusb" in text:
        return f"ZWO's library needs libusb, which is not installed: apt install libusb-1.0-0 ({text})"
    if library:
        return f"the ZWO library {library!r} cannot be loaded: {text}"
    return (
        f"pyzwoasi brings no ZWO library that runs on this machine ({platform.system()} {platform.machine()}): {text}; "
        f"download the ASI SDK from ZWO and name its libASICamera2.so: zwo://?sdk_library=... or {ENVIRONMENT}=..."
    )
