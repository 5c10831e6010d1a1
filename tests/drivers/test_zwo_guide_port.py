"""A ZWO camera's guide port as a mount: its pins rest after every pulse, and its pulses move the sky."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from asi import needs_compiler
from zwo_rig import SHORT, Rig, until, with_zwo

from acquisition.camera import CameraSettings
from acquisition.devices import open_mount
from acquisition.errors import DeviceNotFound, Unsupported
from acquisition.mount import Direction


@needs_compiler
def test_guide_port_rests_after_everything() -> None:
    async def body(rig: Rig) -> None:
        def closed() -> list[int]:
            return [pin for pin in range(4) if rig.fake.guide_port_is_on(pin)]

        async with open_mount("st4://camera", rig.context) as mount:
            for direction, pin in zip(
                (Direction.NORTH, Direction.SOUTH, Direction.EAST, Direction.WEST), range(4), strict=True
            ):
                pulse = asyncio.ensure_future(mount.pulse_guide(direction, 0.1))
                await until(lambda: closed() != [])
                assert closed() == [pin]
                await pulse
                assert closed() == []
            pulse = asyncio.ensure_future(mount.pulse_guide(Direction.EAST, 5.0))
            await until(lambda: closed() != [])
            pulse.cancel()
            await asyncio.wait([pulse])
            assert closed() == []
            rig.fake.refuse("ASIPulseGuideOff", 16, 2)  # and it is tried again
            await mount.pulse_guide(Direction.WEST, 0.05)
            assert closed() == []
            with pytest.raises(Unsupported, match="cannot slew"):
                await mount.slew(1.0, 1.0)
            pulse = asyncio.ensure_future(mount.pulse_guide(Direction.EAST, 5.0))
            await until(lambda: closed() != [])
        assert closed() == []
        await asyncio.wait([pulse])

    with_zwo(body)


@needs_compiler
def test_no_guide_port_is_said() -> None:
    async def body(rig: Rig) -> None:
        with pytest.raises(DeviceNotFound, match="no camera with a guide port"):
            await open_mount("st4://camera", rig.context).connect()

    with_zwo(body, "zwo://ASI1600MM%20Pro?emulate=1")


@needs_compiler
def test_the_guide_port_of_an_emulated_camera_moves_its_sky() -> None:
    async def body(rig: Rig) -> None:
        async with open_mount("st4://camera", rig.context) as mount:
            before = rig.camera.truth(await rig.camera.expose())
            await mount.pulse_guide(Direction.WEST, 1.0)
            after = rig.camera.truth(await rig.camera.expose())
            assert before is not None
            assert after is not None
            assert after.ra_arcsec - before.ra_arcsec == pytest.approx(-7.5, abs=2.5)

    with_zwo(
        body, "zwo://ASI120MM%20Mini?emulate=1", settings=CameraSettings(0.05), deadlines=replace(SHORT, read_s=5.0)
    )
