"""Waits that a signal ends before their time."""

import asyncio
import math

import pytest

from acquisition import virtual_time
from simulators.signal import Signal


def test_a_wait_lasts_its_time_or_until_the_signal():
    async def main() -> list[tuple[bool, float]]:
        signal, now = Signal(), asyncio.get_running_loop().time

        async def wait(duration_s: float) -> tuple[bool, float]:
            return await signal.wait(duration_s), now()

        waits = [asyncio.create_task(wait(duration_s)) for duration_s in (-1.0, 2.0, 5.0, math.inf)]
        await asyncio.sleep(3.0)
        signal.give()
        ended = await asyncio.gather(*waits)
        return [*ended, await wait(1.0)]  # the signal is not remembered

    assert virtual_time.run(main()) == [(False, 0.0), (False, 2.0), (True, 3.0), (True, 3.0), (False, 4.0)]


def test_a_wait_can_be_cancelled():
    async def main() -> None:
        signal = Signal()
        task = asyncio.create_task(signal.wait(5.0))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        signal.give()

    virtual_time.run(main())
