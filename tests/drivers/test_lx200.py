"""Serial mounts: coordinates as text, dialects, the line after noise and silence, and pulses that end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import epoch
from acquisition.devices import DeviceContext, open_mount
from acquisition.errors import (
    ConfigError,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermissionDenied,
    DeviceTimeout,
)
from acquisition.mount import Direction, Mount
from drivers.lx200 import line
from drivers.lx200.dialects import DIALECTS, Answer
from drivers.lx200.text import dec_text, parse_dec, parse_ra, ra_text
from simulators.lx200_serial import SerialMount
from simulators.world import World

PLACE = "simulators.lx200_serial::{}"
Body = Callable[[Mount, SerialMount], Awaitable[None]]


def with_mount(body: Body, dialect: str = "onstep", options: str = "") -> None:
    async def main() -> None:
        context = DeviceContext(seed=1)
        mount = open_mount(f"lx200://?emulate=1&dialect={dialect}{options}", context)
        async with mount:
            await body(mount, context.shared[PLACE.format(dialect)])

    asyncio.run(main())


@given(st.floats(0, 359.999))
def test_right_ascension_round_trips(ra_deg: float) -> None:
    assert abs((parse_ra(ra_text(ra_deg)) - ra_deg + 180) % 360 - 180) <= 7.5 / 3600 + 1e-9


@given(st.floats(-90, 90))
def test_declination_round_trips(dec_deg: float) -> None:
    assert abs(parse_dec(dec_text(dec_deg)) - dec_deg) <= 0.5 / 3600 + 1e-9


@pytest.mark.parametrize(
    ("text", "degrees"),
    [("06:30:00", 97.5), ("06:30.5", 97.625), ("23:59:59.5", 359.997916666), ("6:0:0", 90.0)],
)
def test_old_and_precise_right_ascensions(text: str, degrees: float) -> None:
    assert parse_ra(text) == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [("+30*15", 30.25), ("-00*30:00", -0.5), ("+30\xdf15:36", 30.26), ("-45*30'36", -45.51), ("+90*00:00", 90.0)],
)
def test_old_and_precise_declinations(text: str, degrees: float) -> None:
    assert parse_dec(text) == pytest.approx(degrees)


@given(st.text(max_size=20))
def test_nonsense_is_a_value_error_or_on_the_sky(text: str) -> None:
    for parse, low, high in ((parse_ra, 0, 360), (parse_dec, -90, 90)):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert low <= value <= high


@given(st.floats(0, 359.9), st.floats(-89.9, 89.9), st.integers(-5000, 20000))
def test_coordinates_of_date_round_trip(ra_deg: float, dec_deg: float, days: int) -> None:
    utc = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days)
    back_ra, back_dec = epoch.icrs(*epoch.of_date(ra_deg, dec_deg, utc), utc)
    assert back_dec == pytest.approx(dec_deg, abs=1e-9)
    assert abs((back_ra - ra_deg + 180) % 360 - 180) < 1e-6


def test_precession_is_that_of_the_almanac() -> None:
    """Meeus, Astronomical Algorithms, example 21.b: θ Persei (at 2028.87, proper motion applied)."""
    ra_deg, dec_deg = epoch.of_date(41.054063, 49.227750, datetime(2028, 11, 13, 4, 33, tzinfo=UTC))
    assert ra_deg == pytest.approx(41.547214, abs=2e-4)
    assert dec_deg == pytest.approx(49.348483, abs=2e-4)


class Talk:
    """Answers commands from a table and remembers them."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.said: list[str] = []

    def __call__(self, command: str, answer: Answer = Answer.TEXT, check: Callable[[str], object] = str) -> str:
        self.said.append(command)
        text = self.answers.get(command.strip(":#"), "1")
        if answer is not Answer.NONE:
            check(text)
        return text


@pytest.mark.parametrize(
    ("dialect", "west", "north"),
    [
        ("gps", ":Mgw0350#", ":Mgn0350#"),
        ("onstep", ":Mgw0350#", ":Mgn0350#"),
        ("am5", ":Mgw0350#", ":Mgn0350#"),
        ("pulsar2", "#:Mgw0350#", "#:Mgn0350#"),
        ("astrophysics", ":Mw350#", ":Mn350#"),
        ("ioptron", ":ZQ00350#", ":ZE00350#"),
        ("classic", None, None),
    ],
)
def test_pulse_commands(dialect: str, west: str | None, north: str | None) -> None:
    assert DIALECTS[dialect].pulse(Direction.WEST, 350) == west
    assert DIALECTS[dialect].pulse(Direction.NORTH, 350) == north


def test_ioptron_speaks_digits() -> None:
    talk = Talk(GEP="+1260000000360000002" + "", GLS="+00000000000000000020511", AG="5050")
    talk.answers["GEP"] = "+12600000" + "036000000" + "11"
    talk.answers["GLS"] = "+04176000" + "49680000" + "2" + "6" + "0511"[:4]
    mount = DIALECTS["ioptron"]
    assert mount.position(talk) == (pytest.approx(100.0), pytest.approx(35.0))
    status = mount.status(talk)
    assert (status.parked, status.slewing) == (True, False)
    assert mount.guide_rates(talk) == (0.5, 0.5)
    mount.slew(talk, 100.0, -35.5)
    assert talk.said[-3:] == [":SRA036000000#", ":Sd-12780000#", ":MS1#"]


def test_a_refused_slew_says_so() -> None:
    with pytest.raises(DeviceError, match="refuses to slew there"):
        DIALECTS["gps"].slew(Talk(MS="1"), 10.0, 10.0)


def test_guide_pulses_move_the_sky_and_are_split_where_the_mount_wants_it() -> None:
    async def body(mount: Mount, serial: SerialMount) -> None:
        await mount.pulse_guide(Direction.EAST, 1.2)
        assert [c for c in serial.heard if c.startswith(":Me")] == [":Me999#", ":Me201#"]

    with_mount(body, "astrophysics")


def test_a_mount_without_pulses_is_moved_for_a_time() -> None:
    async def body(mount: Mount, serial: SerialMount) -> None:
        began_s = time.monotonic()
        await mount.pulse_guide(Direction.NORTH, 0.3)
        assert time.monotonic() - began_s >= 0.3
        await mount.state()  # by now it has heard everything
        assert [c for c in serial.heard if c[1] in "RMQ"] == [":RG#", ":Mn#", ":Qn#"]

    with_mount(body, "classic")


def test_a_cancelled_pulse_is_halted() -> None:
    async def body(mount: Mount, serial: SerialMount) -> None:
        pulse = asyncio.ensure_future(mount.pulse_guide(Direction.WEST, 5.0))
        await asyncio.sleep(0.1)
        pulse.cancel()
        await asyncio.wait([pulse])
        await mount.state()
        assert ":Qw#" in serial.heard

    with_mount(body)


def test_noise_and_silence_are_survived() -> None:
    async def body(mount: Mount, serial: SerialMount) -> None:
        serial.noise = b"\x00\xff garbage#:"
        before = await mount.state()
        serial.deaf = 1
        after = await mount.state()
        assert after.ra_deg == pytest.approx(before.ra_deg, abs=0.01)
        assert serial.heard.count(":GR#") > 2

    with_mount(body)


def test_a_mount_that_says_nothing_more_is_a_timeout_then_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "ANSWER_S", 0.1)

    async def body(mount: Mount, serial: SerialMount) -> None:
        serial.deaf = line.ATTEMPTS
        with pytest.raises(DeviceTimeout, match=":GR# was not answered"):
            await mount.state()
        assert (await mount.state()).ra_deg is not None

    with_mount(body)


def test_a_line_that_is_lost_is_gone() -> None:
    async def body(mount: Mount, serial: SerialMount) -> None:
        serial.close()
        with pytest.raises(DeviceGone, match="is lost"):
            await mount.state()
        with pytest.raises(DeviceGone):
            await mount.pulse_guide(Direction.EAST, 0.1)

    with_mount(body)


def test_a_port_has_one_user() -> None:
    async def main() -> None:
        serial = SerialMount(_world(), "onstep")
        first = open_mount(f"lx200://{serial.tty}?dialect=onstep", DeviceContext())
        async with first:
            with pytest.raises(DeviceBusy, match="in use by another program"):
                await open_mount(f"lx200://{serial.tty}?dialect=onstep", DeviceContext()).connect()
            assert first.info.name == f"On-Step at {serial.tty}"
        serial.close()

    asyncio.run(main())


def _world() -> World:
    from acquisition.devices import DeviceUrl
    from simulators.shared_world import shared_world

    return shared_world(DeviceUrl.parse("sim://"), DeviceContext(seed=1))


def test_ports_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    async def attempt(path: Path) -> None:
        await open_mount(f"lx200://{path}?dialect=onstep", DeviceContext()).connect()

    with pytest.raises(DeviceNotFound, match="there is no such port"):
        asyncio.run(attempt(tmp_path / "ttyUSB0"))
    if os.geteuid() == 0:
        return  # root may open everything
    locked = tmp_path / "ttyS0"
    locked.touch(mode=0)
    with pytest.raises(DevicePermissionDenied, match="dialout"):
        asyncio.run(attempt(locked))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("lx200:///dev/ttyUSB0", r"dialect is ''.*allowed: classic, gps, onstep"),
        ("lx200:///dev/ttyUSB0?dialect=nexstar", "allowed: classic"),
        ("lx200://?dialect=onstep", "names no port"),
        ("lx200://ttyUSB0?dialect=onstep", "names no port"),
        ("lx200:///dev/ttyUSB0?dialect=gps&epoch=1950", "allowed: date, j2000"),
        ("lx200:///dev/ttyUSB0?dialect=gps&baud=fast", "baud is 'fast'"),
        ("lx200:///dev/ttyUSB0?dialect=gps&speed=1", "unknown option 'speed'"),
    ],
)
def test_wrong_urls_are_explained(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_mount(url, DeviceContext())


def test_the_simulated_mount_serves_other_programs() -> None:
    command = [sys.executable, "-m", "acquisition.cli", "simulate", "lx200", "--dialect", "onstep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            tty = program.stdout.readline().strip()

            async def main() -> None:
                async with open_mount(f"lx200://{tty}?dialect=onstep", DeviceContext()) as mount:
                    assert (await mount.state()).tracking
                    await mount.pulse_guide(Direction.EAST, 0.1)

            asyncio.run(main())
        finally:
            program.send_signal(signal.SIGINT)
            assert program.wait(20) == 0


def test_a_socket_is_a_line_too() -> None:
    """A mount behind a serial-to-network adapter."""

    async def main() -> None:
        serial = SerialMount(_world(), "onstep")
        descriptor = os.open(serial.tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            loop.add_reader(descriptor, lambda: writer.write(os.read(descriptor, 4096)))
            while data := await reader.read(4096):
                os.write(descriptor, data)
            loop.remove_reader(descriptor)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with open_mount(f"lx200://127.0.0.1:{port}?dialect=onstep", DeviceContext()) as mount:
            assert (await mount.state()).tracking
            await mount.pulse_guide(Direction.NORTH, 0.1)
            assert ":Mgn0100#" in serial.heard
        server.close()
        await server.wait_closed()
        os.close(descriptor)
        serial.close()

    asyncio.run(main())
