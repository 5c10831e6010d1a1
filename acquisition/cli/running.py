"""Run a coroutine for a command: real or virtual time, and signals that end it in order.

In: a coroutine. Out: its result. The first SIGINT, SIGTERM or SIGHUP cancels it, so that every ``finally`` stops pulses
and closes devices; a second one ends the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from acquisition.virtual_time import VirtualTimeLoop

T = TypeVar("T")

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, T], *, virtual_time: bool = False) -> T:
    """Run `main` to its end.

    Raises
    ------
    click.Abort
        If a signal ended it and `main` did not turn that into a result of its own.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop if virtual_time else None) as runner:
        try:
            return runner.run(_until_signalled(main))
        except asyncio.CancelledError:
            raise click.Abort from None


async def _until_signalled(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    signalled = False

    def end() -> None:
        nonlocal signalled
        if signalled:
            os._exit(130)
        signalled = True
        task.cancel()

    loop = asyncio.get_running_loop()
    # under nohup a lost terminal is ignored; otherwise it ends the run in order, too
    numbers = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        return await main
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
