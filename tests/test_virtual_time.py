"""Virtual time: waits cost nothing, and nothing else changes."""

import asyncio
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.virtual_time import Deadlock, VirtualTimeLoop, utc_now


def now() -> float:
    return asyncio.get_running_loop().time()


def test_runs_a_coroutine_and_returns_what_it_returns():
    async def main() -> str:
        return "done"

    assert virtual_time.run(main()) == "done"


def test_an_error_comes_out_as_it_is():
    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        virtual_time.run(main())


def test_three_days_of_waiting_cost_nothing():
    async def main() -> float:
        await asyncio.sleep(3 * 86400)
        return now()

    began = time.monotonic()
    assert virtual_time.run(main()) == pytest.approx(3 * 86400, abs=1e-6)
    assert time.monotonic() - began < 5


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20))
def test_waits_end_in_order_and_on_time(delays: list[float]):
    ended: list[tuple[int, float]] = []

    async def wait(number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        ended.append((number, now()))

    async def main() -> None:
        await asyncio.gather(*(wait(number, delay) for number, delay in enumerate(delays)))

    virtual_time.run(main())
    assert [at for _, at in ended] == pytest.approx(sorted(delays), abs=1e-8)
    assert [delays[number] for number, _ in ended] == sorted(delays)


def test_the_clock_waits_for_an_executor():
    """However long this machine computes, no virtual deadline passes meanwhile."""
    go_on = threading.Event()

    async def main() -> tuple[float, float]:
        async def release() -> None:
            for _ in range(100):
                await asyncio.sleep(0)
            go_on.set()

        releasing = asyncio.create_task(release())
        async with asyncio.timeout(1e-6):
            await asyncio.to_thread(go_on.wait, 60)
        after_work = now()
        await releasing
        await asyncio.sleep(5)
        return after_work, now()

    assert virtual_time.run(main()) == (0.0, 5.0)


def test_a_timer_does_not_run_ahead_of_an_executor():
    order: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.001, order.append, "timer")
        await asyncio.to_thread(time.sleep, 0.02)  # real work
        order.append("work")
        await asyncio.sleep(1)

    virtual_time.run(main())
    assert order == ["work", "timer"]


def test_time_goes_on_when_work_in_an_executor_is_given_up():
    release = threading.Event()

    async def main() -> float:
        work = asyncio.create_task(asyncio.to_thread(release.wait, 60))
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.sleep(10)
        release.set()
        return now()

    assert virtual_time.run(main()) == 10.0


def test_waiting_for_nothing_is_an_error():
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="all tasks wait"):
        virtual_time.run(main())


def test_waiting_for_nothing_is_an_error_after_an_executor_was_used():
    async def main() -> None:
        await asyncio.to_thread(int)
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="all tasks wait"):
        virtual_time.run(main())


def test_deadlines_hold():
    async def main() -> tuple[float, float]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        first = now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(12):
                await asyncio.sleep(13)
        return first, now()

    assert virtual_time.run(main()) == (30.0, 42.0)


def test_utc_follows_the_loop_from_its_epoch():
    epoch = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    async def main() -> tuple[datetime, datetime]:
        before = utc_now()
        await asyncio.sleep(86400.25)
        return before, utc_now()

    assert virtual_time.run(main(), epoch=epoch) == (epoch, epoch + timedelta(seconds=86400.25))


def test_utc_is_the_machines_elsewhere():
    async def main() -> datetime:
        return utc_now()

    for told in (utc_now(), asyncio.run(main())):
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=10)


def test_what_arrives_on_a_file_descriptor_comes_before_any_wait_ends():
    async def main() -> tuple[bytes, float]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.send(b"now")
            async with asyncio.timeout(1):
                return await asyncio.get_running_loop().sock_recv(ours, 3), now()

    assert virtual_time.run(main()) == (b"now", 0.0)


def test_a_signal_handler_is_called():
    async def main() -> float:
        signalled = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signalled.set)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await signalled.wait()
        return now()

    assert virtual_time.run(main()) < 60


def test_ctrl_c_cancels_a_night_that_would_never_end():
    cleaned_up = False

    async def main() -> None:
        nonlocal cleaned_up
        try:
            for turn in range(10**9):
                await asyncio.sleep(1)
                if turn == 1000:
                    signal.raise_signal(signal.SIGINT)
        finally:
            cleaned_up = True

    with pytest.raises(KeyboardInterrupt):
        virtual_time.run(main())
    assert cleaned_up


def test_the_same_program_takes_the_same_time():
    async def main() -> list[float]:
        times = []
        for turn in range(200):
            await asyncio.sleep(0.1 * turn)
            await asyncio.to_thread(sum, range(100))
            times.append(now())
        return times

    assert virtual_time.run(main()) == virtual_time.run(main())


def test_the_loop_says_that_it_is_virtual():
    async def main() -> bool:
        return isinstance(asyncio.get_running_loop(), VirtualTimeLoop)

    assert virtual_time.run(main())
