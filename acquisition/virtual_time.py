"""An event loop that jumps over waits, so that a night of guiding takes a minute and is the same every time.

In: a coroutine. Out: its result, at once; `loop.time()` has moved on as if every wait had been real.

The clock moves only when nothing is left to do: no callback ready, no file descriptor readable, no work in an
executor. It does not jump while an executor computes, so deadlines measure the simulated world, never this machine.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

_ASK_EVERY, _FAR_S = 64, 10.0  # rounds of the loop, and before longer jumps

EPOCH = datetime(2026, 3, 1, 20, 0, 0, tzinfo=UTC)
"""UTC at virtual time zero, unless told otherwise: an evening in spring."""


class Deadlock(RuntimeError):
    """Every task waits for something that nothing will ever do."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that advances a virtual clock instead of sleeping.

    While nothing but a signal can come (only the loop's own pipe is watched) it asks the kernel only now and then, and
    before it jumps far: asking costs more than the rest of a jump.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.in_executor = 0
        self._unasked = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        computing = self.in_executor > 0 and timeout != 0
        self._unasked += 1
        connected = len(self.get_map()) > 1
        if connected or computing or timeout is None or timeout > _FAR_S or self._unasked >= _ASK_EVERY:
            self._unasked = 0
            ready = super().select(None if computing else 0)  # the loop is woken when the work is done
            if ready or computing:
                return ready
            if timeout is None:
                raise Deadlock("virtual time: all tasks wait, and nothing is scheduled to wake them")
        self.now_s += timeout or 0.0
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop under virtual time, from 0 s; `utc_now` follows it from `epoch`."""

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.epoch = epoch

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override]  # typeshed spells the parameter types with TypeVarTuple
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._jumping.in_executor += 1
        future.add_done_callback(self._left_executor)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self._jumping.in_executor += 1  # asyncio waits for a thread that joins the executor's
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._jumping.in_executor -= 1

    def _left_executor(self, _: asyncio.Future[Any]) -> None:
        self._jumping.in_executor -= 1


def run(main: Coroutine[Any, Any, T], *, epoch: datetime = EPOCH) -> T:
    """`asyncio.run` under virtual time.

    Parameters
    ----------
    main : coroutine
    epoch : datetime
        UTC at virtual time zero.

    Raises
    ------
    Deadlock
        If every task waits for something that nothing will ever do.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(epoch)) as runner:
        return runner.run(main)


def utc_now() -> datetime:
    """UTC as the running event loop has it: virtual under virtual time, the machine's clock otherwise."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return datetime.now(UTC)
    if isinstance(loop, VirtualTimeLoop):
        return loop.epoch + timedelta(seconds=loop.time())
    return datetime.now(UTC)
