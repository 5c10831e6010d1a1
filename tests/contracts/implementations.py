"""The cameras and mounts that the contract tests run on. A new implementation adds one line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asi import needs_compiler
from fake_sensor import FakeSensor

from acquisition import virtual_time
from acquisition.camera import Camera
from acquisition.devices import CAMERAS, MOUNTS, DeviceContext, DeviceUrl, drivers, open_camera, open_mount
from acquisition.images import FrameFacts, Image
from acquisition.mount import Mount
from acquisition.threaded_camera import ThreadedCamera
from simulators.asi_sdk.build import fake_library


@dataclass(frozen=True)
class CameraCase:
    """A camera to be tested.

    `settable` is False for one that plays back what is fixed: it takes every sensible setting, and says that it
    ignores it.
    """

    name: str
    open: Callable[[Path], Camera]  # in the event loop; gets an empty directory
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    exposure_s: float = 0.02
    long_s: float = 20.0
    settable: bool = True
    marks: tuple[pytest.MarkDecorator, ...] = ()


@dataclass(frozen=True)
class MountCase:
    """A mount to be tested."""

    name: str
    open: Callable[[], Mount]
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    marks: tuple[pytest.MarkDecorator, ...] = ()


def cameras(hardware: list[str]) -> list[CameraCase]:
    return [
        CameraCase("sim", lambda _: open_camera("sim://", DeviceContext(seed=1)), virtual_time.run),
        CameraCase("threaded", lambda _: ThreadedCamera(FakeSensor(), "Fake camera"), asyncio.run),
        CameraCase("threaded snaps", lambda _: ThreadedCamera(FakeSensor(video=False), "Fake camera"), asyncio.run),
        CameraCase("replay", _open_replay, virtual_time.run, exposure_s=2.0, settable=False),
        *(
            CameraCase(url, lambda _, url=url: open_camera(url, DeviceContext()), asyncio.run, marks=marks)  # type: ignore[misc]
            for url, marks in (
                ("zwo://ASI120MM%20Mini?emulate=1", (needs_compiler,)),
                ("zwo://ASI224MC?emulate=1", (needs_compiler, pytest.mark.slow)),
                ("zwo://ASI178MM?emulate=1", (needs_compiler, pytest.mark.slow)),
                ("zwo://ASI1600MM%20Pro?emulate=1", (needs_compiler, pytest.mark.slow)),
            )
        ),
        CameraCase(
            "zwo isolated",
            lambda _: open_camera(f"zwo://ASI178MM?isolate=true&sdk_library={fake_library()}"),
            _run_with_a_camera_attached,
            marks=(needs_compiler, pytest.mark.slow),
        ),
        *(
            CameraCase(url, lambda _, url=url: open_camera(url), asyncio.run)  # type: ignore[misc]
            for url in hardware
            if DeviceUrl.parse(url).scheme in drivers(CAMERAS)
        ),
    ]


def _run_with_a_camera_attached(main: Coroutine[Any, Any, Any]) -> Any:
    """For what loads the fake library in a process of its own."""
    os.environ["STARLATCH_FAKE_ASI_CAMERAS"] = "ZWO ASI178MM"
    try:
        return asyncio.run(main)
    finally:
        del os.environ["STARLATCH_FAKE_ASI_CAMERAS"]


def mounts(hardware: list[str]) -> list[MountCase]:
    return [
        MountCase("sim", lambda: open_mount("sim://", DeviceContext(seed=1)), virtual_time.run),
        *(
            MountCase(
                f"lx200 {dialect}",
                lambda dialect=dialect: _open_lx200(dialect),  # type: ignore[misc]
                asyncio.run,
                marks=() if dialect == "onstep" else (pytest.mark.slow,),
            )
            for dialect in ("onstep", "gps", "classic", "am5", "astrophysics", "pulsar2", "ioptron")
        ),
        MountCase("st4", _open_st4, asyncio.run, marks=(needs_compiler,)),
        *(
            MountCase(url, lambda url=url: open_mount(url), asyncio.run)  # type: ignore[misc]
            for url in hardware
            if DeviceUrl.parse(url).scheme in drivers(MOUNTS)
        ),
    ]


def write_series(directory: Path, n_frames: int, exposure_s: float = 2.0) -> None:
    """FITS files as a camera would have saved them."""
    for number in range(n_frames):
        facts = FrameFacts(
            start_utc=datetime(2026, 3, 1, 21, tzinfo=UTC) + timedelta(seconds=(exposure_s + 1) * number),
            exposure_s=exposure_s,
            start_uncertainty_s=0.001,
            instrument="Saved camera",
            camera_id="saved-1",
            x_binning=1,
            y_binning=1,
            x_pixel_size_um=3.75,
            y_pixel_size_um=3.75,
            x_origin_px=0,
            y_origin_px=0,
            gain=10.0,
            offset=5.0,
            egain_e_per_adu=0.1,
            bit_depth=12,
            data_max_adu=65520.0,
            ccd_temp_c=-5.0,
            row_order="TOP-DOWN",
            n_dropped=0,
            software="another program",
        )
        Image.from_camera(np.full((128, 256), number, np.uint16), facts).writeto(directory / f"frame-{number:03d}.fits")


def _open_replay(directory: Path) -> Camera:
    write_series(directory, 8)
    return open_camera(f"replay://{directory}/*.fits", DeviceContext())


def _open_st4() -> Mount:
    context = DeviceContext()
    open_camera("zwo://ASI120MM%20Mini?emulate=1&pattern=1", context)
    return open_mount("st4://camera", context)


def _open_lx200(dialect: str) -> Mount:
    """A mount on a pseudo-terminal whose slews take no time worth waiting for."""
    context = DeviceContext(seed=1)
    scenario = Path(__file__).with_name("fast_mount.toml")
    return open_mount(f"lx200://?emulate=1&dialect={dialect}&scenario={scenario}", context)
