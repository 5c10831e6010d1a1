"""Native speed for numeric kernels: numba, without the GIL, cached on disk so that only the very first run compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function on first use, once for ever, so that it also runs beside other threads."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def vectorised(function: F) -> F:
    """Like `compiled`, for long plain loops: sums may be reordered to use SIMD (NaN keep their meaning)."""
    reorder = {"reassoc", "contract", "nsz"}
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=reorder)(function))
