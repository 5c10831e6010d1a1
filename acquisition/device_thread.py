"""One thread for one physical device: blocking calls go in, awaitable answers with a deadline come out.

A call that misses its deadline cannot be killed, only given up: the device is then gone, every later call says so at
once, and neither the event loop nor the end of the process waits for the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, TypeVarTuple

from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, Unsupported
from acquisition.virtual_time import VirtualTimeLoop

log = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

MAX_WAITING = 16


class DeviceThread:
    """The thread that makes all calls to a device, one at a time and in order.

    It starts with the first call and ends when this object is collected. Everything that is one piece of hardware
    (a camera and its guide port) shares one `DeviceThread`.

    Parameters
    ----------
    name : str
        Of the device; begins every error message.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # of what follows: the thread and the loop both write it
        self._hung: _Call[Any] | None = None
        self._gone: str | None = None

    @property
    def wedged(self) -> bool:
        """Whether a call that missed its deadline has still not returned."""
        return self._hung is not None

    @property
    def gone(self) -> bool:
        """Whether the device must be opened anew: a call missed its deadline or raised `DeviceGone`."""
        return self._gone is not None

    async def call(self, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float) -> T:
        """Run a blocking function in the thread and wait for what it returns.

        When the caller is cancelled, a call that has not begun is withdrawn; one that runs goes on, is still watched,
        and what it returns is dropped.

        Parameters
        ----------
        function : callable
            Blocking; its name appears in error messages.
        deadline_s : float
            Counts from now, waiting for earlier calls included.

        Raises
        ------
        DeviceTimeout
            If the deadline passes. If the function was running then, the device is gone until it is opened anew.
        DeviceGone
            At once, if the device is gone.
        DeviceBusy
            If too many calls are waiting.
        DeviceError
            If the function raises anything but a `DeviceError`, which comes through as it is.
        """
        if self._gone is not None:
            raise DeviceGone(f"{self.name}: {self._gone}; it must be opened anew")
        return await self._submit(function, args, deadline_s)

    async def open(self, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float) -> T:
        """The `call` that opens the device: it is let through when the device is gone, and brings it back.

        Raises
        ------
        DeviceGone
            At once, if a call that hangs has not returned: nothing can be opened before.
        """
        result = await self.close(function, *args, deadline_s=deadline_s)
        if self._gone is not None:
            self._gone = None
            log.warning("%s: is back", self.name)
        return result

    async def close(self, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float) -> T:
        """The `call` that lets the device go: let through, like `open`, when the device is gone."""
        if self._hung is not None:
            raise DeviceGone(f"{self.name}: {self._gone}; nothing can be done before that call has returned")
        return await self._submit(function, args, deadline_s)

    async def _submit(self, function: Callable[[*Ts], T], args: tuple[*Ts], deadline_s: float) -> T:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            raise Unsupported(f"{self.name}: a device with a thread of its own lives in real time, not in virtual time")
        if self._waiting.qsize() >= MAX_WAITING:
            raise DeviceBusy(f"{self.name}: {MAX_WAITING} calls are waiting already")
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._waiting,), name=self.name, daemon=True)
            self._thread.start()
            weakref.finalize(self, self._waiting.put, None)
        answer: asyncio.Future[T] = loop.create_future()
        call = _Call(self, function, args, answer)
        deadline = loop.call_later(deadline_s, self._miss, call, deadline_s)
        answer.add_done_callback(lambda _: deadline.cancel())
        self._waiting.put(call)
        try:
            await asyncio.wait((answer,))  # which leaves the answer alone when the caller is cancelled
        except asyncio.CancelledError:
            if call.withdraw():
                answer.cancel()
            raise
        try:
            return answer.result()
        finally:
            del answer, call  # as in `_Call.run`: an error's traceback holds this frame

    def _miss(self, call: _Call[Any], deadline_s: float) -> None:
        """On the loop, at a call's deadline."""
        if call.withdraw():
            call.deliver(None, DeviceTimeout(f"{self.name}: {call.name} waited {deadline_s:g} s behind other calls"))
            return
        with self._lock:
            if call.ended:
                return  # the answer is on its way to the loop
            self._hung = call
            self._gone = f"{call.name} has not returned within {deadline_s:g} s"
        log.error("%s: %s; giving the device up", self.name, self._gone)
        call.deliver(None, DeviceTimeout(f"{self.name}: {self._gone}"))
        self._withdraw_all()

    def _withdraw_all(self) -> None:
        while True:
            try:
                call = self._waiting.get_nowait()
            except Empty:
                return
            if call is not None and call.withdraw():
                call.deliver(None, DeviceGone(f"{self.name}: {self._gone}; it must be opened anew"))

    def end(self, call: _Call[Any], error: BaseException | None) -> None:
        """In the thread, after each call: note what it means for the device."""
        with self._lock:
            call.ended = True
            if self._hung is call:
                self._hung = None
                log.warning("%s: %s has returned after %.1f s; it can be opened anew", self.name, call.name, call.age_s)
            elif isinstance(error, DeviceGone) and self._gone is None:
                self._gone = str(error).removeprefix(f"{self.name}: ")
                log.error("%s: is gone: %s", self.name, self._gone)


class _Call(Generic[T]):
    """One call on its way through the thread, and its answer on the loop."""

    def __init__(
        self, thread: DeviceThread, function: Callable[..., T], args: tuple[Any, ...], answer: asyncio.Future[T]
    ) -> None:
        self.name: str = getattr(function, "__name__", repr(function)).strip("_")
        self.answer = answer
        self.ended = False
        self._thread = thread
        self._function = function
        self._args = args
        self._taken = threading.Lock()  # by the thread to run it, or by the loop to withdraw it; for ever
        self._submitted_s = time.monotonic()
        answer.add_done_callback(_look_at)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._submitted_s

    def withdraw(self) -> bool:
        """Keep the thread from running the call; False when it has begun."""
        return self._taken.acquire(blocking=False)

    def run(self) -> None:
        """In the thread: make the call and send what comes of it to the loop."""
        if not self._taken.acquire(blocking=False):
            return
        result: T | None = None
        error: DeviceError | None = None
        try:
            result = self._function(*self._args)
        except DeviceError as raised:
            error = raised
        except BaseException as raised:  # a driver's library may even call exit()
            error = DeviceError(f"{self._thread.name}: {self.name}: {type(raised).__name__}: {raised}")
            error.__cause__ = raised
        self._thread.end(self, error)
        # When the loop is closed, nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self.answer.get_loop().call_soon_threadsafe(self.deliver, result, error)
        # An error's traceback holds this frame: in a circle, the arguments (a frame's buffer) would live on until the
        # collector finds them.
        error = None
        del self

    def deliver(self, result: T | None, error: DeviceError | None) -> None:
        """On the loop: end the wait, unless it has ended."""
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)  # type: ignore[arg-type]  # None only where T is


def _look_at(answer: asyncio.Future[Any]) -> None:
    """Mark an exception as seen: the caller may have left, and asyncio would complain."""
    if not answer.cancelled():
        answer.exception()


def _work(waiting: SimpleQueue[_Call[Any] | None]) -> None:
    """The thread: it knows only the queue, so that the `DeviceThread` can be collected and end it."""
    while (call := waiting.get()) is not None:
        call.run()
        del call  # an idle thread holds no frame
