"""Ten hours of the simulated sky, with faults at random: the exposure daemon with everything real but the time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import deque
from pathlib import Path

import pytest

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.exposure.report import FrameReport
from acquisition.exposure.service import ExposureService, Wishes
from acquisition.exposure.table import ExposureTable

HOURS = 10
AMOUNTS = {"cloud": (1, 8), "late": (1, 4), "gust": (2, 10)}
RIG = """
camera_preset = "asi120mm-mini"
telescope_preset = "guide-scope-60"
ra_deg = 186 # up all night
dec_deg = 55
[sky]
real = true
"""
KINDS = (*AMOUNTS, "drop", "duplicate", "hang", "unplug")


def random_night(seed: int) -> str:
    """A scenario with a fault every few minutes."""
    chance = random.Random(seed)
    text, at_s = [RIG], 300.0
    while at_s < HOURS * 3600:
        kind = chance.choice(KINDS)
        fault = f'[[faults]]\nkind = "{kind}"\nat_s = {at_s:.0f}\nduration_s = {chance.uniform(10, 240):.0f}'
        text.append(fault + (f"\namount = {chance.uniform(*AMOUNTS[kind]):.1f}" if kind in AMOUNTS else ""))
        at_s += chance.expovariate(1 / 240)
    return "\n".join(text)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_night_of_random_faults_on_the_simulated_sky(tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text(random_night(8))
    table = ExposureTable(law="star", max_s=30.0, metrics=tmp_path / "m.prom", socket=tmp_path / "s")
    settings = CameraSettings(exposure_s=5.0, roi=Roi(480, 360, 320, 240))
    wishes = Wishes("sim://", settings, table)
    memory: list[int] = []

    async def night() -> ExposureService:
        reports: deque[FrameReport] = deque(maxlen=10)
        async with open_camera("sim://", DeviceContext(seed=8, scenario=str(tmp_path / "night.toml"))) as camera:
            service = ExposureService(camera, wishes, lambda: wishes, reports.append)
            running = asyncio.create_task(service.run())
            for _ in range(HOURS):
                await asyncio.sleep(3600)
                assert not running.done()
                memory.append(resident_bytes())
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return service

    status = virtual_time.run(night()).status
    print(
        f"{status.frames} frames, {status.on_target} on target, {status.failures} failures, {status.reopened} reopened"
    )
    print("resident memory after each hour, MB:", [round(one / 1e6, 1) for one in memory])
    assert status.frames > 500
    assert status.on_target > 0.5 * status.frames, "clouds and seeing have the rest"
    assert min(status.failures, status.reopened) > 10
    assert memory[-1] - memory[1] < 20e6
