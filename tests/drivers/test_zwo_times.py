"""When a ZWO camera's frames began, by their headers, against what the frames themselves say."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest
from asi import needs_compiler
from zwo_rig import SETTINGS, Rig, with_zwo

from acquisition.images import Image
from simulators.asi_sdk import read_stamp


@needs_compiler
def test_snap_starts_are_stamped_within_5_ms() -> None:
    async def body(rig: Rig) -> None:
        late = []
        for _ in range(10):
            image = await rig.camera.expose()
            late.append(_error_s(image))
        assert np.median(np.abs(late)) < 0.005  # this machine may be busy for a moment

    with_zwo(body)


@needs_compiler
@pytest.mark.parametrize("exposure_s", [0.02, 0.15])
def test_video_starts_are_stamped_within_10_ms(exposure_s: float) -> None:
    async def body(rig: Rig) -> None:
        late = []
        for stream in range(1, 4):  # the first frame's delay is taken for that of its whole stream
            async with aclosing(rig.camera.stream()) as frames:
                async for image in frames:
                    late.append(_error_s(image))
                    if len(late) == 5 * stream:
                        break
        assert np.median(np.abs(late)) < 0.010

    with_zwo(body, settings=replace(SETTINGS, exposure_s=exposure_s))


def _error_s(image: Image) -> float:
    """DATE-OBS against what the frame itself says."""
    stamp = read_stamp(image.data)
    assert stamp is not None
    truth = stamp.start_utc_ns / 1e9
    assert image.facts.start_utc is not None
    return float(image.facts.start_utc.timestamp() - truth)
