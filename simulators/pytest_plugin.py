"""A pytest plugin: simulated devices as fixtures, for the tests of anybody's observing code.

In: the marker ``starlatch``. Out: `starlatch_world`, `starlatch_camera`, `starlatch_mount`, and coroutine tests that
use them run in virtual time.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

# nothing heavy is imported here: pytest loads this file wherever Starlatch is installed
if TYPE_CHECKING:
    from .camera import SimulatedCamera
    from .mount import SimulatedMount
    from .world import World

FIXTURES = ("starlatch_world", "starlatch_camera", "starlatch_mount")
OPTIONS = ("scenario", "seed", "camera", "telescope", "mount", "virtual_time")
MARKER = (
    "starlatch(scenario=None, seed=1, camera=None, telescope=None, mount=None, virtual_time=True): what the fixtures "
    "starlatch_world, starlatch_camera and starlatch_mount are made of (a scenario's name or file; presets' names), "
    "and whether a coroutine test with one of them runs in virtual or in real time"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that has one of our fixtures (or our marker); leave every other test alone."""
    ours = any(name in pyfuncitem.fixturenames for name in FIXTURES) or pyfuncitem.get_closest_marker("starlatch")
    if not ours or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    import asyncio

    from acquisition import virtual_time

    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    run = virtual_time.run if _options(pyfuncitem)["virtual_time"] else asyncio.run
    run(_connected(pyfuncitem.obj(**arguments), [arguments[name] for name in FIXTURES[1:] if name in arguments]))
    return True


@pytest.fixture
def starlatch_world(request: pytest.FixtureRequest) -> World:
    """The simulated sky, telescope and mount that `starlatch_camera` and `starlatch_mount` share."""
    from dataclasses import replace

    from .scenario import DEFAULT, PARTS, load_scenario, preset
    from .world import make_world

    options = _options(request.node)
    scenario = DEFAULT if options["scenario"] is None else load_scenario(str(options["scenario"]))
    parts = {part: preset(kind, options[kind]) for kind, (part, _) in PARTS.items() if options[kind] is not None}
    return make_world(replace(scenario, setup=replace(scenario.setup, **parts)), options["seed"])


@pytest.fixture
def starlatch_camera(starlatch_world: World) -> SimulatedCamera:
    """A simulated camera; connected while a coroutine test runs."""
    from .camera import SimulatedCamera

    return SimulatedCamera(starlatch_world)


@pytest.fixture
def starlatch_mount(starlatch_world: World) -> SimulatedMount:
    """The mount of the same world; connected while a coroutine test runs."""
    from .mount import SimulatedMount

    return SimulatedMount(starlatch_world)


def _options(item: Any) -> dict[str, Any]:
    options = {"scenario": None, "seed": 1, "camera": None, "telescope": None, "mount": None, "virtual_time": True}
    for marker in reversed(list(item.iter_markers("starlatch"))):  # the closest one last: it wins
        unknown = sorted(set(marker.kwargs) - set(OPTIONS))
        if unknown or marker.args:
            what = ", ".join(unknown) or "positional arguments"
            raise pytest.UsageError(f"marker starlatch: unknown {what}; allowed: {', '.join(OPTIONS)}")
        options |= marker.kwargs
    return options


async def _connected(test: Any, devices: list[Any]) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        for device in devices:
            await stack.enter_async_context(device)
        await test
