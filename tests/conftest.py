"""Options and fixtures of the whole suite."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Machines here are shared and noisy: no example fails because it was slow, and every run tries the same ones.
hypothesis.settings.register_profile("starlatch", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("starlatch")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real frames and guide logs, which is not part of the repository."""
    places = [os.environ.get("STARLATCH_REALDATA"), Path(__file__).parents[2] / "shared" / "realdata"]
    for place in places:
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("real frames and guide logs are not here: set STARLATCH_REALDATA to their folder")


@pytest.fixture
def on_camera() -> Iterator[Any]:
    """Runs a test's body with a connected camera over a fake sensor; releases what hangs."""
    from fake_sensor import EXPOSURE_S, SHORT, FakeSensor

    from acquisition.camera import CameraSettings
    from acquisition.threaded_camera import Deadlines, ThreadedCamera

    releases: list[threading.Event] = []

    def run(
        body: Callable[[ThreadedCamera, FakeSensor], Awaitable[None]],
        *,
        deadlines: Deadlines = SHORT,
        n_buffers: int | None = None,
        **sensor_options: Any,
    ) -> None:
        sensor = FakeSensor(**sensor_options)
        hang = sensor.hang

        def remembered(call: str) -> threading.Event:
            releases.append(hang(call))
            return releases[-1]

        sensor.hang = remembered  # type: ignore[method-assign]

        async def main() -> None:
            camera = ThreadedCamera(sensor, "Fake camera", deadlines=deadlines, n_buffers=n_buffers)
            async with camera:
                await camera.configure(CameraSettings(exposure_s=EXPOSURE_S))
                await body(camera, sensor)

        asyncio.run(main())

    yield run
    for release in releases:
        release.set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")
    parser.addoption(
        "--hardware",
        action="append",
        default=[],
        metavar="URL",
        help="run the contract tests on this attached camera or mount, too; may be given several times",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "slow" not in item.keywords:
            continue
        if not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="minutes long; run with --slow"))
        elif item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))
