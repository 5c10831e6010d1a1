"""Recorded nights: the simulated mount moves as the file says, and mistakes are told."""

import asyncio
import math

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError
from acquisition.guidelog import GuidingSection, open_loop, read_guide_log
from simulators.recording import read_recording


def table(tmp_path, text="t_s,ra_arcsec,dec_arcsec\n0,0,0\n10,3,-2\n20,3,4\n"):
    path = tmp_path / "night.csv"
    path.write_text(text)
    return path


def test_a_table_moves_the_mount(tmp_path):
    path = table(tmp_path)

    async def main() -> None:
        async with open_camera(f"sim://?disturbance={path}", DeviceContext()) as camera:
            await camera.configure(CameraSettings(exposure_s=0.1, roi=Roi(0, 0, 16, 16)))
            seen = []
            for _ in range(3):
                await asyncio.sleep(5.0)
                truth = camera.truth(await camera.expose())
                assert truth is not None
                seen.append((truth.ra_arcsec, truth.dec_arcsec))
            assert np.array(seen) == pytest.approx(np.array([(1.5, -1), (3, -2), (3, 1)]), abs=0.25)
            assert np.abs(camera.world.field(6.0, 8.0).path[:, :2]).max() < 0.3  # no seeing is added

    virtual_time.run(main())


def test_every_usable_section_of_real_logs_becomes_that_motion(realdata):
    checked = 0
    for path in sorted((realdata / "guidelogs").glob("*.txt")):
        sections = [
            s for s in read_guide_log(path.read_text(errors="replace").splitlines()) if isinstance(s, GuidingSection)
        ]
        for number, section in enumerate(sections[:2], start=1):
            if len(section.rows) < 200:
                continue
            recording = read_recording(str(path), number, 30.0)
            motion = open_loop(section)
            times = motion.t_s[:100] - motion.t_s[0]
            ra, dec = recording.at(times, times)
            cos_dec = math.cos(math.radians(30))
            assert ra * cos_dec == pytest.approx((motion.ra_px[:100] - motion.ra_px[0]) * motion.scale_arcsec, abs=1e-6)
            assert dec == pytest.approx((motion.dec_px[:100] - motion.dec_px[0]) * motion.scale_arcsec, abs=1e-6)
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_s,x\n0,1\n", "columns are t_s, x; allowed: t_s, ra_arcsec, dec_arcsec"),
        ("t_s,ra_arcsec,dec_arcsec\n0,a,1\n", "could not convert"),
        ("t_s,ra_arcsec,dec_arcsec\n0,1,1\n0,1,1\n", "times must ascend"),
        ("t_s,ra_arcsec,dec_arcsec\n0,1,1\n", "two rows or more"),
        ("t_s,ra_arcsec,dec_arcsec\n0,1,1\n1,nan,1\n", "finite numbers"),
        ("hello\n", "not a PHD2 guide log"),
    ],
)
def test_files_that_are_no_nights(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        open_camera(f"sim://?disturbance={table(tmp_path, text)}", DeviceContext())


def test_options_that_do_not_fit(tmp_path):
    path = table(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_camera("sim://?disturbance=/nowhere/at.all", DeviceContext())
    with pytest.raises(ConfigError, match="give both"):
        open_camera("sim://?section=1", DeviceContext())
    with pytest.raises(ConfigError, match="section is 2; allowed: 1"):
        open_camera(f"sim://?disturbance={path}&section=2", DeviceContext())
    context = DeviceContext()
    open_mount("sim://", context)
    with pytest.raises(ConfigError, match="was made of none"):
        open_camera(f"sim://?disturbance={path}", context)
