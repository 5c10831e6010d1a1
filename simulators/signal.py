"""Waits on the event loop that something may end before their time.

In: a duration. Out: whether it was cut short. (Beside `asyncio.timeout` around an event, this cancels no task: a wait
costs half as much, and a simulated frame has a dozen.)
"""

from __future__ import annotations

import asyncio
import math


class Signal:
    """Wakes all who wait for it now; it is not remembered."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[bool]] = set()

    def give(self) -> None:
        """Wake them."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(True)

    async def wait(self, duration_s: float) -> bool:
        """Wait so long (it may be infinity, or over already), or until the signal; True when that came first."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        timer = None if math.isinf(duration_s) else loop.call_later(max(duration_s, 0.0), _over, waiting)
        self._waiting.add(waiting)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)
            if timer is not None:
                timer.cancel()


def _over(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(False)
