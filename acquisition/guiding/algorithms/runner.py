"""Runs a law: keeps its state, and its long work off the loop's path.

In: inputs, in order. Out: corrections.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

from acquisition.guiding.algorithms.law import Input, Law, Lost, Measured, Work, Worked


class LawRunner:
    """A law and its state.

    Work that the state asks for (`Work`) is computed by the executor, and its result given to the law with the first
    frame at or after its time that finds it ready. Without an executor it is computed when its time has come, and with
    `waits` it is waited for then, so that the same inputs give the same corrections to the bit: for virtual time,
    filters and benchmarks.

    Parameters
    ----------
    law : Law
    executor : Executor or None
        Of threads; closed by the caller.
    state : optional
        To go on from; `law.start()` if not given.
    waits : bool
        Rather than go on without a result that is due.
    """

    def __init__(self, law: Law[Any], executor: Executor | None = None, state: Any = None, waits: bool = False) -> None:
        self._waits = waits
        self.law = law
        self.state = law.start() if state is None else state
        self._executor = executor
        self._work: Work | None = None
        self._running: Future[Any] | None = None

    def restart(self) -> None:
        """Forget everything."""
        self.state = self.law.start()

    def step(self, given: Input) -> float:
        """The correction."""
        if isinstance(given, Measured | Lost):
            self._finish(given.t_s)
        self.state, correction = self.law.step(self.state, given)
        self._begin()
        return correction

    def _finish(self, t_s: float) -> None:
        work: Work | None = getattr(self.state, "work", None)
        if work is None or t_s < work.due_s:
            return
        if self._executor is None:
            result = work.compute()
        elif self._running is not None and self._work is work and (self._waits or self._running.done()):
            result = self._running.result()
            self._running = None
        else:
            return
        self.state, _ = self.law.step(self.state, Worked(result))

    def _begin(self) -> None:
        work: Work | None = getattr(self.state, "work", None)
        if self._executor is not None and work is not None and work is not self._work:
            self._work, self._running = work, self._executor.submit(work.compute)
