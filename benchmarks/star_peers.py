"""Offsets between two frames by other people's methods, each as its documentation shows it.

In: pairs of frames. Out: for each method that is installed, offsets [n, 2] (NaN where there is none), ms of CPU a pair.

pyobs-core runs in an interpreter of its own: this file is then also the script, which reads frames and writes offsets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

Pairs = list[tuple[np.ndarray, np.ndarray]]
Found = tuple[list[tuple[float, float]], float]
NOTHING = (float("nan"), float("nan"))


def all_of(pairs: Pairs, pyobs: str | None) -> dict[str, Found]:
    """Every method that can be had."""
    from acquisition.errors import ImageError
    from acquisition.images import FrameFacts, Image
    from acquisition.images.meta import PixelOffsets
    from acquisition.images.processors.offsets import GuideStarOffsets

    facts = FrameFacts(egain_e_per_adu=1.0, read_noise_e=3.0, data_max_adu=65535.0, exposure_s=2.0)

    def ours(reference: np.ndarray, frame: np.ndarray) -> tuple[float, float]:
        processor = GuideStarOffsets()
        try:
            asyncio.run(processor(Image.from_camera(reference.copy(), facts)))
            found = asyncio.run(processor(Image.from_camera(frame.copy(), facts))).get_meta(PixelOffsets)
        except ImageError:
            return NOTHING
        return found.dx, found.dy

    result = {"ours": _each(pairs, ours)}
    for name, method in (("sep", _sep), ("donuts", _donuts)):
        try:
            __import__(name)
        except ImportError:
            continue
        result[name] = _each(pairs, method)
    if pyobs is not None:
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "pairs.npy", np.array(pairs))
            done = subprocess.run([pyobs, "-W", "ignore", __file__, folder], capture_output=True, text=True)
            if done.returncode:
                print(f"pyobs-core failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            else:
                found, ms = json.loads(done.stdout.splitlines()[-1])
                result["pyobs"] = [tuple(offset) for offset in found], ms
    return result


def _each(pairs: Pairs, method: Callable[[np.ndarray, np.ndarray], tuple[float, float]]) -> Found:
    """A method on all pairs; ms for a pair: the reference's preparation counts."""
    found, spent = [], []
    for reference, frame in pairs:
        start = time.process_time()
        with warnings.catch_warnings(), contextlib.redirect_stdout(open(os.devnull, "w")):
            warnings.simplefilter("ignore")
            try:
                found.append(method(reference, frame))
            except Exception:  # whatever the peer raises: it found nothing
                found.append(NOTHING)
        spent.append(time.process_time() - start)
    return found, 1e3 * float(np.median(spent))


def _sep(reference: np.ndarray, frame: np.ndarray) -> tuple[float, float]:
    """Extract both frames, windowed centroids, nearest partners within 5 px, median."""
    import sep

    def stars(picture: np.ndarray) -> np.ndarray:
        light = picture.astype(np.float32)
        sky = sep.Background(light)
        found = sep.extract(light - sky, 5.0, err=sky.globalrms)
        x, y, _ = sep.winpos(light - sky, found["x"], found["y"], np.full(len(found), 1.06))
        return np.column_stack((x, y))

    before, after = stars(reference), stars(frame)
    distance = np.hypot(before[:, None, 0] - after[None, :, 0], before[:, None, 1] - after[None, :, 1])
    partner = distance.argmin(axis=1)
    near = distance.min(axis=1) < 5.0
    if not near.any():
        return NOTHING
    dx, dy = np.median(after[partner[near]] - before[near], axis=0)
    return float(dx), float(dy)


def _donuts(reference: np.ndarray, frame: np.ndarray) -> tuple[float, float]:
    from astropy.io import fits
    from donuts import Donuts

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.fits" for name in ("reference", "frame")]
        for path, picture in zip(paths, (reference, frame), strict=True):
            fits.PrimaryHDU(picture, fits.Header({"EXPTIME": 2.0})).writeto(path)
        shift = Donuts(paths[0], border=32, ntiles=16).measure_shift(paths[1])
    return -float(shift.x.value), -float(shift.y.value)


def _pyobs(folder: str) -> None:
    """In pyobs-core's interpreter."""
    from pyobs.images import Image
    from pyobs.images.meta import PixelOffsets
    from pyobs.images.processors.offsets import ProjectedOffsets

    def projected(reference: np.ndarray, frame: np.ndarray) -> tuple[float, float]:
        async def both() -> tuple[float, float]:
            processor = ProjectedOffsets()
            await processor(Image(data=reference.astype(float)))
            image = await processor(Image(data=frame.astype(float)))
            offsets = image.get_meta(PixelOffsets)
            return float(offsets.dx), float(offsets.dy)

        return asyncio.run(both())

    pairs = [(first, second) for first, second in np.load(Path(folder) / "pairs.npy")]
    print(json.dumps(_each(pairs, projected)))


if __name__ == "__main__":
    _pyobs(sys.argv[1])
