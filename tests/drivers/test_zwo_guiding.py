"""What the guider sees of an emulated ZWO camera that fails: a reason for each frame lost, and frames again."""

from __future__ import annotations

from dataclasses import replace

from asi import needs_compiler
from zwo_rig import SHORT, Rig, with_zwo

from acquisition.camera import CameraSettings
from acquisition.guiding.measure import FrameSource, Measurement
from acquisition.images import Pipeline
from acquisition.images.processors.offsets import GuideStarOffsets
from simulators.asi_sdk import Fault

URL = "zwo://ASI120MM%20Mini?emulate=1"
SETTINGS = CameraSettings(exposure_s=0.2, gain=50.0)


@needs_compiler
def test_guiding_goes_on_after_everything_that_can_be_recovered() -> None:
    async def body(rig: Rig) -> None:
        notices: list[str] = []
        source = FrameSource(rig.camera, Pipeline(steps=[GuideStarOffsets(max_stars=12)]), notices.append)
        first = await source.measure()
        assert isinstance(first, Measurement)
        assert first.stars
        assert first.truth is not None

        for fault in (Fault.FAIL, Fault.DUPLICATE, Fault.TORN, Fault.SHORT, Fault.GOES_IDLE, Fault.EARLY):
            rig.fake.inject(fault)
            assert isinstance(await source.measure(), Measurement)  # repeated, unnoticed
        assert notices == []

        rig.fake.inject(Fault.FAIL, 5)
        assert "the exposure failed" in str(await source.measure())
        assert isinstance(await source.measure(), Measurement)
        assert len(notices) == 2  # gone, and back

        rig.fake.plug(0, False)
        assert "removed" in str(await source.measure())
        rig.fake.plug(0, True)
        back = await source.measure()
        while not isinstance(back, Measurement):
            back = await source.measure()
        assert rig.camera.settings.gain == rig.fake.value(0) == 50
        assert abs(back.dx) < 5  # the same stars
        assert back.image.facts.gain == 50

        rig.fake.hang("ASIGetExpStatus")
        assert "has not returned" in str(await source.measure())
        rig.fake.release()
        back = await source.measure()
        while not isinstance(back, Measurement):
            back = await source.measure()

    with_zwo(body, URL, settings=SETTINGS, deadlines=replace(SHORT, call_s=1.0, read_s=5.0))
