"""Observing code tested in virtual time: hours cost seconds, and every run is the same."""

import asyncio
from pathlib import Path

import pytest
from observatory import drift_px, recentre, take_series

from acquisition.errors import DeviceGone

PULLED_PLUG = Path(__file__).with_name("pulled_plug.toml")


async def test_a_series_has_its_frames(starlatch_camera):
    frames = await take_series(starlatch_camera, 3, exposure_s=10.0)
    assert [frame.facts.exposure_s for frame in frames] == [10.0] * 3


@pytest.mark.starlatch(mount="encoder", camera="asi290mm-mini")
async def test_an_encoder_mount_hardly_drifts(starlatch_camera, starlatch_world):
    assert starlatch_camera.info.name == "ZWO ASI290MM Mini"
    frames = await take_series(starlatch_camera, 5, exposure_s=2.0)
    assert await drift_px(frames) < 0.5


@pytest.mark.starlatch(mount="strain-wave", seed=4)
async def test_a_strain_wave_mount_does(starlatch_camera):
    frames = []
    for _ in range(3):
        frames += await take_series(starlatch_camera, 1, exposure_s=2.0)
        await asyncio.sleep(30)
    assert await drift_px(frames) > 1.0


async def test_the_telescope_goes_where_it_is_sent(starlatch_camera, starlatch_mount):
    frame = await recentre(starlatch_camera, starlatch_mount, 150.0, 20.0)
    assert frame.facts.ra_deg == pytest.approx(150.0, abs=0.05)
    assert frame.facts.dec_deg == pytest.approx(20.0, abs=0.05)


@pytest.mark.starlatch(scenario=PULLED_PLUG)
async def test_a_pulled_plug_does_not_end_the_night(starlatch_camera):
    frames = await take_series(starlatch_camera, 8, exposure_s=5.0)
    assert len(frames) == 8
    assert asyncio.get_running_loop().time() > 60  # the plug was out for half a minute


@pytest.mark.starlatch(scenario=PULLED_PLUG)
async def test_patience_ends(starlatch_camera):
    with pytest.raises(DeviceGone):
        await take_series(starlatch_camera, 8, exposure_s=5.0, attempts=1)
