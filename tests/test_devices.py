"""From URLs to devices: parsing, registered drivers, shared handles."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.devices import (
    CAMERAS,
    MOUNTS,
    DeviceContext,
    DeviceUrl,
    Driver,
    drivers,
    load_driver,
    open_camera,
    open_mount,
)
from acquisition.errors import ConfigError, DeviceNotFound, LibraryNotFound


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], EntryPoint]:
    """Register an object as the driver of a scheme."""
    points: list[EntryPoint] = []
    module = ModuleType("drivers_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(
        "acquisition.devices.entry_points", lambda group: [point for point in points if point.group == group]
    )

    def add(scheme: str, driver: Any, group: str = CAMERAS) -> EntryPoint:
        setattr(module, scheme, driver)
        points.append(EntryPoint(scheme, f"{module.__name__}:{scheme}", group))
        return points[-1]

    return add


def driver(open_: Callable[[DeviceUrl, DeviceContext], Any] = lambda url, context: object()) -> Driver[Any]:
    return Driver("a test's device", "test://", open_, list)


@pytest.mark.parametrize(
    ("text", "scheme", "name", "path", "query"),
    [
        ("sim://", "sim", "", "", {}),
        (
            "zwo://ASI120MM%20Mini?serial=0a1b&emulate=1",
            "zwo",
            "ASI120MM Mini",
            "",
            {"serial": "0a1b", "emulate": "1"},
        ),
        ("replay:///nights/2026%20march/[ab]*.fits", "replay", "", "/nights/2026 march/[ab]*.fits", {}),
        ("replay://here/#1.fits?loop=1", "replay", "here", "/#1.fits", {"loop": "1"}),
        ("lx200:///dev/serial/by-id/usb-1?baud=9600", "lx200", "", "/dev/serial/by-id/usb-1", {"baud": "9600"}),
        ("SIM://x?flag", "sim", "x", "", {"flag": ""}),
    ],
)
def test_url_is_taken_apart(text: str, scheme: str, name: str, path: str, query: dict[str, str]) -> None:
    url = DeviceUrl.parse(text)
    assert (url.scheme, url.name, url.path, dict(url.query)) == (scheme, name, path, query)
    assert url.text == text


@pytest.mark.parametrize("text", ["", "sim", "sim:", "/dev/ttyUSB0", "://x", "http//x", "sim://[", "sim://?a=1&a=2"])
def test_bad_url_is_a_config_error_that_quotes_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DeviceUrl.parse(text)
    assert repr(text) in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_a_url_or_a_config_error(text: str) -> None:
    for candidate in (text, f"sim://{text}"):
        with contextlib.suppress(ConfigError):
            assert DeviceUrl.parse(candidate).scheme


def test_options_are_checked() -> None:
    url = DeviceUrl.parse("sim://?seed=7&speed=fast&rate=-1&none=nan")
    url.check_options("seed", "speed", "rate", "none")
    with pytest.raises(ConfigError, match=r"unknown option 'seed'.*allowed: none, rate, speed"):
        url.check_options("speed", "rate", "none")
    assert url.number("seed", 1, 0, 10) == 7
    assert url.number("other", 1.5, 0, 10) == 1.5
    for key in ("speed", "rate", "none"):
        with pytest.raises(ConfigError, match=f"{key} is .*allowed: 0 to 10"):
            url.number(key, 1, 0, 10)


def test_ours_are_registered() -> None:
    assert {"sim", "replay"} <= set(drivers(CAMERAS))
    assert "sim" in drivers(MOUNTS)
    for group in (CAMERAS, MOUNTS):
        for scheme, point in drivers(group).items():
            loaded = load_driver(point)
            assert loaded.example.startswith(f"{scheme}://")
            assert "\n" not in loaded.summary
            with contextlib.suppress(LibraryNotFound):  # a vendor's library need not run here
                found = loaded.discover()
                assert found is None or all(listing.url.startswith(f"{scheme}://") for listing in found)


def test_unknown_scheme_names_the_known_ones_and_what_to_do(register) -> None:
    register("one", driver())
    register("two", driver())
    register("three", driver(), MOUNTS)
    with pytest.raises(DeviceNotFound, match=r"camera scheme 'three' in 'three://x'; known: one, two;.*pip install"):
        open_camera("three://x", DeviceContext())
    with pytest.raises(DeviceNotFound, match=r"mount scheme 'one' in 'one://x'; known: three;"):
        open_mount("one://x", DeviceContext())


def test_one_url_is_one_device_in_a_context(register) -> None:
    register("one", driver())
    register("one", driver(), MOUNTS)
    context = DeviceContext()
    camera = open_camera("one://a", context)
    assert open_camera("one://a", context) is camera
    assert open_camera("one://b", context) is not camera
    assert open_mount("one://a", context) is not camera
    assert open_camera("one://a", DeviceContext()) is not camera


def test_devices_of_one_loop_share_a_context(register) -> None:
    register("one", driver(lambda url, context: context))

    async def main() -> tuple[Any, Any]:
        return open_camera("one://a"), open_camera("one://b")

    first, second = asyncio.run(main())
    assert first is second
    assert asyncio.run(main())[0] is not first
    with pytest.raises(RuntimeError, match="inside a coroutine"):
        open_camera("one://a")


def test_driver_is_told_url_and_context(register) -> None:
    register("one", driver(lambda url, context: (url, context)))
    context = DeviceContext(seed=5)
    assert open_camera("one://x?y=1", context) == (DeviceUrl.parse("one://x?y=1"), context)


def test_missing_library_names_the_remedy() -> None:
    point = EntryPoint("zwo", "a_library_that_nobody_has.camera:DRIVER", CAMERAS)
    with pytest.raises(LibraryNotFound, match=r"zwo:// needs .* a_library_that_nobody_has, .*: pip install a_library"):
        load_driver(point)


def test_what_is_not_a_driver_is_refused(register) -> None:
    with pytest.raises(ConfigError, match="one names 42, which is not a Driver"):
        load_driver(register("one", 42))
