"""Who is told of the exposure daemon: the state socket, the metrics file, systemd."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.errors import ConfigError
from acquisition.exposure import metrics, state_socket
from acquisition.exposure.metrics import MetricsFile, metrics_text
from acquisition.exposure.report import FrameReport, Status
from acquisition.exposure.state_socket import MOST_CLIENTS, StateSocket
from acquisition.exposure.systemd import ServiceManager
from acquisition.kernels.exposure import Decision, Hold, Measurement
from acquisition.whole_file import write_whole

NOW = datetime(2026, 3, 1, 20, tzinfo=UTC)
STATUS = Status(NOW, NOW, "exposing", "A camera", "star", frames=7, clipped=1)

# --- the state socket ---


async def lines(path: Path, count: int) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    found = [json.loads(await reader.readline()) for _ in range(count)]
    writer.close()
    return found


def test_a_client_gets_the_latest_state_at_once_and_every_later_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with StateSocket(tmp_path / "new" / "s") as server:
            server.publish({"n": 1})
            server.publish({"n": 2})
            client = asyncio.create_task(lines(tmp_path / "new" / "s", 3))
            await asyncio.sleep(1)
            server.publish({"n": 3})
            server.publish({"n": 4})
            assert await client == [{"n": 2}, {"n": 3}, {"n": 4}]
        assert not (tmp_path / "new" / "s").exists()

    virtual_time.run(main())


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_owner_and_group_may_connect(tmp_path: Path, umask: int) -> None:
    async def main() -> None:
        async with StateSocket(tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660

    before = os.umask(umask)
    try:
        virtual_time.run(main())
    finally:
        os.umask(before)


def test_what_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))

    async def main() -> None:
        async with StateSocket(tmp_path / "s") as server:
            server.publish({})
            assert await lines(tmp_path / "s", 1) == [{}]

    virtual_time.run(main())


def living(path: Path) -> object:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


@pytest.mark.parametrize(
    ("name", "there", "why"),
    [
        ("s", living, "another process listens there"),
        ("s", lambda path: path.write_text("a file"), "there is a file of that name"),
        ("s" * 120, lambda path: None, "allowed: 107 bytes"),
    ],
    ids=["living", "file", "long"],
)
def test_where_it_may_not_listen(tmp_path: Path, name: str, there: Callable[[Path], Any], why: str) -> None:
    kept = there(tmp_path / name)

    async def main() -> None:
        async with StateSocket(tmp_path / name):
            pass

    with pytest.raises(ConfigError, match=why):
        virtual_time.run(main())
    assert (tmp_path / name).exists() == (len(name) == 1), "nobody else's file is touched"
    if isinstance(kept, socket.socket):
        kept.close()


def test_clients_that_do_not_read_and_too_many_clients_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(state_socket, "MOST_UNREAD_BYTES", 1000)

    async def main() -> None:
        async with StateSocket(tmp_path / "s") as server:
            silent = []
            for _ in range(MOST_CLIENTS + 3):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                client.connect(str(tmp_path / "s"))
                silent.append(client)
            await asyncio.sleep(1)
            assert server.turned_away == 3
            for _ in range(500):
                server.publish({"text": "x" * 10_000})
            assert server.let_go == MOST_CLIENTS
            for client in silent:
                client.close()
            await asyncio.sleep(1)
            reading = asyncio.create_task(lines(tmp_path / "s", 2))
            await asyncio.sleep(1)
            server.publish({})
            assert (await reading)[1] == {}, "there is room again"

    virtual_time.run(main())


# --- the metrics file ---

LINE = re.compile(r'starlatch_exposure_\w+\{camera="((?:[^"\\\n]|\\["\\n])*)",law="star"\} (NaN|[+-]Inf|[-+.e\d]+)')


@given(st.text(), st.floats(), st.none() | st.floats())
def test_figures_are_what_prometheus_reads(camera: str, exposure_s: float, gain: float | None) -> None:
    last = FrameReport(
        7, NOW, Measurement(0.0, exposure_s, 4000.0, gain=gain), Decision(exposure_s, hold=Hold.NEGATIVE)
    )
    text = metrics_text(replace(STATUS, camera=camera, last=last))
    assert text.endswith("\n")
    samples = [line for line in text[:-1].split("\n") if not line.startswith("#")]
    for line in samples:
        found = LINE.fullmatch(line)
        assert found is not None
        said = re.sub(r'\\(["\\n])', lambda escape: {"n": "\n"}.get(escape[1], escape[1]), found[1])
        assert said == camera
        float(found[2])
    assert any(line.startswith("starlatch_exposure_frames_total{") and line.endswith(" 7") for line in samples)


def test_the_file_holds_the_latest_figures_and_is_always_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "exposure.prom"

    async def main() -> None:
        async with MetricsFile(path) as file:
            for number in range(1, 100):
                file.publish(replace(STATUS, frames=number))
                await asyncio.sleep(0.05)
                if path.exists():
                    assert path.read_text().count("# TYPE") == 16
        assert 'frames_total{camera="A camera",law="star"} 99\n' in path.read_text()
        assert [entry.name for entry in path.parent.iterdir()] == ["exposure.prom"]

    virtual_time.run(main())


def test_a_disk_that_is_full_costs_figures_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = True

    def write(path: Path, text: str, *, durable: bool) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(path, text, durable=durable)

    monkeypatch.setattr(metrics, "write_whole", write)

    async def main() -> None:
        nonlocal full
        async with MetricsFile(tmp_path / "m.prom") as file:
            for number in range(10):
                full = number < 5
                file.publish(STATUS)
                await asyncio.sleep(2)
            assert file.failures == 5

    virtual_time.run(main())
    assert len(caplog.messages) == 2
    assert "No space left" in caplog.messages[0]
    assert "written again" in caplog.messages[1]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_other(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a", "new \udc80")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a", "old")]


# --- systemd ---


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Somebody who listens as systemd does: the address, and what was said."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@starlatch-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.setblocking(False)

        def said() -> list[str]:
            found = []
            while True:
                try:
                    found.append(listener.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield address, said


def test_what_systemd_is_told(systemd: Any) -> None:
    address, said = systemd
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    manager.ready("well\nexposed")
    manager.reloading()
    manager.stopping()
    ready, reloading, stopping = said()
    assert ready == "READY=1\nSTATUS=well exposed"
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)
    assert stopping == "STOPPING=1"


def test_the_watchdog_is_fed_only_while_the_work_goes_on(systemd: Any) -> None:
    address, said = systemd
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        feeding = asyncio.create_task(ServiceManager(environment).keep_awake(lambda: clock() < 95))
        await asyncio.sleep(200)
        feeding.cancel()

    virtual_time.run(main())
    assert said() == ["WATCHDOG=1"] * 10


@pytest.mark.parametrize("changes", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"NOTIFY_SOCKET": "/nowhere/n"}])
def test_without_systemd_nothing_is_said_and_nothing_fails(changes: dict[str, str]) -> None:
    environment = {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())} | changes
    manager = ServiceManager(environment)
    manager.ready("fine")
    assert (manager.watchdog_s is None) == ("NOTIFY_SOCKET" not in changes)
