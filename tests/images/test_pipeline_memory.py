"""A pipeline over many frames needs no more memory than over a few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
[[pipeline]]
class = "SoftBin"
[[pipeline]]
class = "SepSourceDetection"
[[pipeline]]
class = "ImageSourceFilter"
min_dist_to_border = 5
num_stars = 20
min_pixels = 3
[[pipeline]]
class = "BrightestStarGuiding"
[[pipeline]]
class = "StarExpTimeEstimator"
"""

# peak resident memory, MiB, of the whole process, after the n-th frame
PROGRAM = """
import asyncio, resource, sys
from datetime import UTC, datetime
import numpy as np
from acquisition.images import FrameFacts, Image
from acquisition.images.pipeline_file import load_pipeline

path, side, few, many = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(1)
facts = FrameFacts(start_utc=datetime(2026, 3, 1, 20, tzinfo=UTC), exposure_s=2.0, x_binning=1, y_binning=1)
profile = 3000 * np.exp(-(np.hypot(*np.mgrid[-8:9, -8:9]) ** 2) / 6)
sky = rng.normal(1000, 20, (side, side))
for x, y in rng.integers(20, side - 20, (8, 2)):
    sky[y - 8 : y + 9, x - 8 : x + 9] += profile
sky = sky.astype(np.uint16)

async def run():
    pipeline = load_pipeline(path)
    for k in range(many):
        stored = Image.from_camera(sky + np.uint16(k % 7), facts).to_bytes()
        image = await pipeline(Image.from_bytes(stored))
        image.to_bytes()
        image.to_jpeg()
        if k + 1 in (few, many):
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

asyncio.run(run())
"""


def grown(tmp_path: Path, side: int, few: int, many: int) -> float:
    """Peak memory after many frames over that after a few."""
    config = tmp_path / "pipeline.toml"
    config.write_text(PIPELINE)
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(config), str(side), str(few), str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after_few, after_many = map(float, done.stdout.split())
    return after_many / after_few


def test_memory_stays_flat(tmp_path: Path) -> None:
    # frames that were kept would be 0.7 MB each, with their float copies: 6 % of all memory
    assert grown(tmp_path, 256, 3, 23) < 1.03


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_stays_flat_over_a_thousand_frames(tmp_path: Path) -> None:
    ratio = grown(tmp_path, 1024, 10, 1000)
    print(f"peak memory after 1000 frames / after 10: {ratio:.3f}")
    assert ratio < 1.5
