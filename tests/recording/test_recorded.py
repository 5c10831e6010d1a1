"""Frames saved beside a chain: as they came, with the shape of their stars in the header."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from star_scene import Scene, scatter

from acquisition.errors import NoStars
from acquisition.images import Image
from acquisition.images.meta import StarShape
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.recording.frames import Recorded, RecordFrames


def test_every_frame_is_saved_and_says_how_sharp_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scene = Scene(200, 200, *scatter(rng, 6, 200, (5e3, 3e4)))

    async def night() -> Image:
        async with RecordFrames(tmp_path) as recorder:
            chain = Recorded(GuideStarOffsets(), recorder)
            with pytest.raises(NoStars):
                await chain(Image.from_camera(rng.poisson(200.0, (200, 200)).astype(np.uint16), scene.facts))
            measured = await chain(Image.from_camera(scene.frame(rng), scene.facts))
            await chain.reset()
            return measured

    measured = asyncio.run(night())
    blank, sharp = (fits.getheader(path) for path in sorted(tmp_path.glob("*.fits")))
    assert "HFD" not in blank
    assert sharp["FWHM"] == pytest.approx(2.5, rel=0.1)
    assert sharp["NSTARS"] == measured.get_meta(StarShape).stars == 6
    assert "FWHM" not in measured.header  # only what is saved has the cards
