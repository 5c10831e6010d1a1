"""Tells a user why the very first run takes longer: numba compiles the numeric kernels, once for this machine.

In: nothing; numba says itself when it compiles (never when it finds its result of an earlier run). Out: one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

TEXT = "compiling numeric kernels for this machine: happens once, and takes a minute or two"


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """While this runs, say it the first time that something is compiled."""
    event: Any = import_module("numba.core.event")  # half of it has types

    class Listener(event.Listener):  # type: ignore[misc]  # of Any
        told = False

        def on_start(self, _: Any) -> None:
            if not self.told:
                self.told = True
                say(TEXT)

        def on_end(self, _: Any) -> None:
            pass

    listener = Listener()
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)
