"""Native speed for numeric kernels: numba, without the GIL, cached on disk so that only the very first run compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

_ALWAYS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_NO_COUNTING: dict[str, Any] = {"_nrt": False}
_REORDER: Any = {"reassoc", "contract", "nsz"}


def compiled(function: F) -> F:
    """Compile a function on first use, once for ever, so that it also runs beside other threads."""
    return cast(F, numba.njit(**_ALWAYS)(function))


def in_place(function: F) -> F:
    """Like `compiled`, for functions that create no array: they count no references, which costs more than they do."""
    return cast(F, numba.njit(**_ALWAYS, **_NO_COUNTING)(function))


def vectorised(function: F) -> F:
    """Like `in_place`, for long plain loops: sums may be reordered to use SIMD (NaN keep their meaning)."""
    return cast(F, numba.njit(**_ALWAYS, **_NO_COUNTING, fastmath=_REORDER)(function))
