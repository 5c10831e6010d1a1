"""Processors that set `ExpTime` by the exposure laws."""

import asyncio
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.meta import ExpTime
from acquisition.images.processors.exptime import (
    BackgroundExpTimeEstimator,
    PercentileExpTimeEstimator,
    StarExpTimeEstimator,
)


def next_s(processor: ImageProcessor, *images: Image) -> float:
    for image in images:
        done = asyncio.run(processor(image))
    assert image.get_meta_safe(ExpTime) is None  # the input stays as it was
    return done.get_meta(ExpTime).exptime


def flat(level: float, exposure_s: float = 1.0, start_s: float = 0.0, **facts: Any) -> Image:
    data = np.random.default_rng(1).normal(level, 5, (64, 80)).clip(0, 65535)
    facts = {"data_max_adu": 60000.0, "start_loop_s": start_s, **facts}
    return Image.from_camera(data.astype(np.uint16), FrameFacts(exposure_s=exposure_s, **facts))


def test_background():
    assert next_s(BackgroundExpTimeEstimator(), flat(12000)) == pytest.approx(2.0, rel=0.01)
    assert next_s(BackgroundExpTimeEstimator(bias=1000), flat(11000)) == pytest.approx(0.4 * 59000 / 10000, rel=0.01)
    assert next_s(BackgroundExpTimeEstimator(), flat(60000)) == pytest.approx(0.1)
    assert next_s(BackgroundExpTimeEstimator(max_exp_time=1.5), flat(12000)) == 1.5
    assert next_s(BackgroundExpTimeEstimator(bias=500), flat(300)) == 1.0  # nothing to go by


def test_background_foretells_until_reset():
    processor = BackgroundExpTimeEstimator()
    # half a per cent darker a second; half a minute between frames
    images = [flat(24000 * 0.995 ** (30 * n), 1.0, 30.0 * n) for n in range(6)]
    assert next_s(processor, *images) == pytest.approx(0.995**-180, rel=0.05)
    asyncio.run(processor.reset())
    assert next_s(processor, images[-1]) == pytest.approx(0.995**-150, rel=0.02)


def test_percentile():
    data = np.full((64, 80), 1000, np.uint16)
    data[:10, :40] = 21000
    image = Image.from_camera(data, FrameFacts(exposure_s=1.0, data_max_adu=60000.0))
    assert next_s(PercentileExpTimeEstimator(percentile=95), image) == pytest.approx(2.0, rel=0.01)
    assert next_s(PercentileExpTimeEstimator(percentile=50), image) == pytest.approx(42.0, rel=0.02)


@pytest.mark.parametrize("kind", [BackgroundExpTimeEstimator, PercentileExpTimeEstimator, StarExpTimeEstimator])
def test_an_image_must_say_how_long_it_was_exposed(kind):
    with pytest.raises(ImageError, match="how long"):
        next_s(kind(), Image(np.zeros((64, 80), np.uint16)))
    with pytest.raises(ValueError, match="allowed"):
        kind(min_exp_time=5.0, max_exp_time=1.0)


def test_how_much_a_clipped_star_is_over_exposed_is_read_off_its_wings():
    y, x = np.mgrid[:100, :100]
    light = 10 * 60000 * np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / 2 / 2.0**2)
    data = np.minimum(light + 100, 60000).astype(np.uint16)
    image = Image.from_camera(data, FrameFacts(exposure_s=1.0, data_max_adu=60000.0))
    image.catalog = Table({"x": [51.0], "y": [51.0], "peak": [59900.0]})
    assert 0.002 < next_s(StarExpTimeEstimator(), image) < 0.09  # 0.07 would be right; too short is mended
