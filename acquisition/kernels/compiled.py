"""Native speed for numeric kernels: numba, without the GIL, cached on disk so that only the very first run compiles."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

# Inlined: else a kernel called by several exists in the machine code of each, every copy with its own order of sums; a
# process would use the copy that it met first, and a night differ where kernels were compiled or loaded.
_ALWAYS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "forceinline": True}
_NO_COUNTING: dict[str, Any] = {"_nrt": False}
_REORDER: Any = {"reassoc", "contract", "nsz"}


def compiled(function: F) -> F:
    """Compile a function on first use, once for ever, so that it also runs beside other threads."""
    return _compiled(function)


def in_place(function: F) -> F:
    """Like `compiled`, for functions that create no array: they count no references, which costs more than they do."""
    return _compiled(function, **_NO_COUNTING)


def vectorised(function: F) -> F:
    """Like `in_place`, for long plain loops: sums may be reordered to use SIMD.

    NaN keep their meaning, but in a sum of differences v - v, which is reordered to nothing: compare instead.
    """
    return _compiled(function, **_NO_COUNTING, fastmath=_REORDER)


def _compiled(function: F, **how: Any) -> F:
    forget_stale(Path(cast(FunctionType, function).__code__.co_filename).parent)
    return cast(F, numba.njit(**_ALWAYS, **how)(function))


@cache
def forget_stale(folder: Path) -> None:
    """Delete what was compiled in a folder before any kernel changed.

    numba looks at the file of the function that is entered, and not at those of the functions that it calls.
    """
    sources = sorted({*folder.glob("*.py"), *Path(__file__).parent.rglob("*.py")})
    known = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sources]
    stamp, kept = hashlib.sha256(repr(known).encode()).hexdigest(), folder / "__pycache__" / "kernels.stamp"
    try:
        if kept.exists() and kept.read_text() == stamp:
            return
        for old in kept.parent.glob("*.nb?"):
            old.unlink(missing_ok=True)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(stamp)
    except OSError:
        return  # where nothing can be written, nothing was kept
