"""A blocking device on a thread of its own: deadlines, a wedged device, and nothing that hangs with it."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest

from acquisition import virtual_time
from acquisition.device_thread import MAX_WAITING, DeviceThread
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, ExposureFailed, Unsupported

SOON_S = 0.05
LONG_S = 5.0


class Hanging:
    """Calls that hang until released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    def hang(self) -> str:
        self.begun.set()
        assert self.release.wait(30)
        return "late"

    async def until_begun(self) -> None:
        while not self.begun.is_set():  # noqa: ASYNC110  # it is a thread's event
            await asyncio.sleep(0.001)


@pytest.fixture
def hanging():
    hanging = Hanging()
    yield hanging
    hanging.release.set()


async def until_returned(thread: DeviceThread) -> None:
    for _ in range(2000):
        if not thread.wedged:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the hung call has not returned")


def test_calls_run_in_order_on_one_thread_that_is_not_ours() -> None:
    seen: list[tuple[int, int]] = []

    def note(number: int) -> int:
        seen.append((number, threading.get_ident()))
        return number * 2

    async def main() -> list[int]:
        thread = DeviceThread("camera")
        return await asyncio.gather(*(thread.call(note, number, deadline_s=LONG_S) for number in range(10)))

    assert asyncio.run(main()) == [2 * number for number in range(10)]
    assert [number for number, _ in seen] == list(range(10))
    assert len({ident for _, ident in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_device_errors_come_through_and_others_name_the_call() -> None:
    def explode() -> None:
        raise ZeroDivisionError("boom")

    def fail() -> None:
        raise ExposureFailed("no frame")

    def leave() -> None:
        sys.exit(3)

    async def main() -> None:
        thread = DeviceThread("camera")
        with pytest.raises(DeviceError, match="camera: explode: ZeroDivisionError: boom") as caught:
            await thread.call(explode, deadline_s=LONG_S)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(ExposureFailed, match=r"^no frame$"):
            await thread.call(fail, deadline_s=LONG_S)
        with pytest.raises(DeviceError, match="leave: SystemExit: 3"):
            await thread.call(leave, deadline_s=LONG_S)
        assert await thread.call(int, "5", deadline_s=LONG_S) == 5
        assert not thread.gone

    asyncio.run(main())


def test_missed_deadline_wedges_until_the_call_returns(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        thread = DeviceThread("camera")
        with pytest.raises(DeviceTimeout, match=r"camera: hang has not returned within 0\.05 s"):
            await thread.call(hanging.hang, deadline_s=SOON_S)
        assert thread.wedged
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(DeviceGone, match="hang has not returned"):
                await thread.call(int, deadline_s=LONG_S)
            with pytest.raises(DeviceGone, match="before that call has returned"):
                await thread.open(int, deadline_s=LONG_S)
        assert time.monotonic() - began < 2.0
        hanging.release.set()
        await until_returned(thread)
        with pytest.raises(DeviceGone, match="must be opened anew"):
            await thread.call(int, deadline_s=LONG_S)
        assert await thread.open(int, "7", deadline_s=LONG_S) == 7
        assert not thread.gone
        assert await thread.call(int, "8", deadline_s=LONG_S) == 8

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record.message.split(";")[0] for record in caplog.records if "giving" in record.message] == [
        "camera: hang has not returned within 0.05 s"
    ]
    assert sum("is back" in record.message for record in caplog.records) == 1


def test_calls_waiting_behind_a_hung_one_fail_with_it_and_never_run(hanging: Hanging) -> None:
    ran: list[int] = []

    async def main() -> None:
        thread = DeviceThread("camera")
        hung = asyncio.ensure_future(thread.call(hanging.hang, deadline_s=SOON_S))
        await hanging.until_begun()
        waiting = [asyncio.ensure_future(thread.call(ran.append, n, deadline_s=LONG_S)) for n in range(3)]
        results = await asyncio.gather(hung, *waiting, return_exceptions=True)
        assert [type(result) for result in results] == [DeviceTimeout, DeviceGone, DeviceGone, DeviceGone]
        hanging.release.set()
        await until_returned(thread)
        await thread.open(int, deadline_s=LONG_S)

    asyncio.run(main())
    assert ran == []


def test_waiting_too_long_behind_a_slow_call_is_not_the_device_s_fault(hanging: Hanging) -> None:
    ran: list[int] = []

    async def main() -> None:
        thread = DeviceThread("camera")
        slow = asyncio.ensure_future(thread.call(hanging.hang, deadline_s=LONG_S))
        await hanging.until_begun()
        with pytest.raises(DeviceTimeout, match=r"append waited 0\.05 s behind other calls"):
            await thread.call(ran.append, 1, deadline_s=SOON_S)
        assert not thread.gone
        hanging.release.set()
        assert await slow == "late"
        await thread.call(int, deadline_s=LONG_S)

    asyncio.run(main())
    assert ran == []


def test_cancelled_caller_leaves_at_once_and_its_call_stays_watched(hanging: Hanging) -> None:
    ran: list[int] = []

    async def main() -> None:
        thread = DeviceThread("camera")
        running = asyncio.ensure_future(thread.call(hanging.hang, deadline_s=0.5))
        await hanging.until_begun()
        waiting = asyncio.ensure_future(thread.call(ran.append, 1, deadline_s=LONG_S))
        await asyncio.sleep(0)
        for task in (running, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not thread.gone
        await asyncio.sleep(0.6)
        assert thread.wedged
        hanging.release.set()
        await until_returned(thread)

    asyncio.run(main())
    assert ran == []


def test_device_that_says_it_is_gone_must_be_opened_anew(caplog: pytest.LogCaptureFixture) -> None:
    def unplugged() -> None:
        raise DeviceGone("camera: removed")

    async def main() -> None:
        thread = DeviceThread("camera")
        with pytest.raises(DeviceGone, match=r"^camera: removed$"):
            await thread.call(unplugged, deadline_s=LONG_S)
        with pytest.raises(DeviceGone, match=r"^camera: removed; it must be opened anew$"):
            await thread.call(int, deadline_s=LONG_S)
        assert await thread.close(int, deadline_s=LONG_S) == 0
        assert thread.gone
        with pytest.raises(DeviceGone, match="removed"):
            await thread.open(unplugged, deadline_s=LONG_S)
        await thread.open(int, deadline_s=LONG_S)
        assert not thread.gone

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record.message for record in caplog.records] == ["camera: is gone: removed", "camera: is back"]


def test_queue_is_bounded(hanging: Hanging) -> None:
    async def main() -> None:
        thread = DeviceThread("camera")
        running = asyncio.ensure_future(thread.call(hanging.hang, deadline_s=LONG_S))
        await hanging.until_begun()
        waiting = [asyncio.ensure_future(thread.call(int, deadline_s=LONG_S)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(DeviceBusy, match=f"{MAX_WAITING} calls"):
            await thread.call(int, deadline_s=LONG_S)
        hanging.release.set()
        await asyncio.gather(running, *waiting)

    asyncio.run(main())


def test_blocked_loop_does_not_turn_an_answer_into_a_timeout() -> None:
    async def main() -> None:
        thread = DeviceThread("camera")
        answer = asyncio.ensure_future(thread.call(int, "4", deadline_s=SOON_S))
        await asyncio.sleep(0)
        blocker = threading.Event()
        blocker.wait(10 * SOON_S)  # as a numeric kernel on the loop might
        assert await answer == 4
        assert not thread.gone

    asyncio.run(main())


def test_virtual_time_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(Unsupported, match="real time"):
            await DeviceThread("camera").call(int, deadline_s=1.0)

    virtual_time.run(main())


def test_thread_ends_with_its_device_and_holds_nothing() -> None:
    class Frame:
        pass

    async def main() -> tuple[threading.Thread, weakref.ref[Frame]]:
        thread = DeviceThread("a camera to be collected")
        frame = Frame()
        await thread.call(id, frame, deadline_s=LONG_S)
        kept = weakref.ref(frame)
        del frame
        await asyncio.sleep(0.02)
        assert kept() is None, "an idle thread keeps the arguments of its last call"
        return next(t for t in threading.enumerate() if t.name == thread.name), kept

    worker, _ = asyncio.run(main())
    gc.collect()
    worker.join(5)
    assert not worker.is_alive()


def test_hung_call_stops_neither_the_loop_nor_the_process() -> None:
    program = textwrap.dedent(
        """
        import asyncio, time
        from acquisition.device_thread import DeviceThread
        from acquisition.errors import DeviceTimeout

        async def main():
            thread = DeviceThread("camera")
            try:
                await thread.call(time.sleep, 60, deadline_s=0.1)
            except DeviceTimeout as error:
                print(error)
            asyncio.ensure_future(thread.open(int, deadline_s=60))
            other = DeviceThread("other")
            asyncio.ensure_future(other.call(time.sleep, 60, deadline_s=60))
            await asyncio.sleep(0.1)

        asyncio.run(main())
        print("out")
        """
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["camera: sleep has not returned within 0.1 s", "out"]
    assert time.monotonic() - began < 15


def test_answer_after_the_loop_is_closed_is_dropped(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    thread = DeviceThread("camera")

    async def leave() -> None:
        asyncio.ensure_future(thread.call(hanging.hang, deadline_s=LONG_S))  # noqa: RUF006  # left behind on purpose
        await hanging.until_begun()

    asyncio.run(leave())
    hanging.release.set()

    async def again() -> int:
        return await thread.call(int, "3", deadline_s=LONG_S)

    assert asyncio.run(again()) == 3
    assert not caplog.records
