"""Images beside pyobs-core's, in two processes of one tree: milliseconds of CPU of each, and ratios.

    python benchmarks/bench_images.py --pyobs /path/to/venv/bin/python [--side 1024 --side 4096]

The other interpreter (or that of the environment variable STARLATCH_PYOBS) must have pyobs-core; without one only ours
is timed. Each figure is the shortest of several runs, in CPU time of the process, so that other programs disturb it
little; what takes microseconds is measured in several rounds, ours and theirs in turn, because the speed of a machine
that is shared changes. The processors get a catalog, and a header with site, time and WCS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import time
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

warnings.simplefilter("ignore")

KINDS = ("uint16", "float32")
PLAIN = "copy and byte swap"
ROUNDS = 4
HEADER = {
    "EXPTIME": 2.0,
    "DATE-OBS": "2026-03-01T20:15:00.000",
    "LATITUDE": 51.56,
    "LONGITUD": 9.94,
    "HEIGHT": 200.0,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 180.0,
    "CRVAL2": 40.0,
    "CRPIX1": 512.5,
    "CRPIX2": 512.5,
    "CD1_1": -1 / 3600,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 1 / 3600,
    "NAXIS0": 1024,  # which pyobs' estimator asks for, though no FITS file has it
}


def frame(side: int, kind: str) -> Any:
    """A sky with stars."""
    rng = np.random.default_rng(1)
    data = rng.normal(1000.0, 20.0, (side, side)).astype(np.float32)
    profile = np.exp(-(np.hypot(*np.mgrid[-8:9, -8:9]) ** 2) / 6)
    for x, y, peak in zip(*rng.integers(10, side - 10, (2, 100)), rng.uniform(500, 30000, 100), strict=True):
        data[y - 8 : y + 9, x - 8 : x + 9] += peak * profile
    return np.clip(data, 0, 60000).astype(kind)


def fits_header(cards: dict[str, Any]) -> Any:
    """A header as it comes from a file."""
    from astropy.io.fits import Header

    return Header.fromstring(Header(cards).tostring())


def with_catalog(image_class: Any) -> Any:
    """A fresh image of 1024 x 1024 px, as it leaves source detection."""
    from astropy.table import Table

    rng = np.random.default_rng(2)
    flux = rng.uniform(1e3, 1e5, 100)
    catalog = Table({"x": rng.uniform(50, 950, 100), "y": rng.uniform(50, 950, 100), "flux": flux, "peak": flux / 10})
    return image_class(np.zeros((1024, 1024), np.uint16), header=fits_header(HEADER), catalog=catalog)


def camera_frame_with_catalog(image_class: Any) -> Any:
    """The same as a camera of that package delivers it: ours knows the facts, pyobs' has a header."""
    image = with_catalog(image_class)
    if not hasattr(image_class, "from_camera"):
        return image
    frame = image_class.from_camera(image.data, replace(image.facts))  # every fact, read
    frame.catalog = image.catalog
    return frame


def finished(step: Coroutine[Any, Any, Any]) -> Any:
    """What a step that waits for nothing returns; without the cost of an event loop, which is everybody's."""
    try:
        step.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError(f"{step} waits for something")


def best_ms(work: Callable[..., Any], runs: int, prepare: Callable[[], tuple[Any, ...]] = tuple) -> float:
    """The shortest of several runs, each with what is prepared for it; the first counts only if it took seconds."""
    times: list[float] = []
    for _ in range(runs + 1):
        prepared = prepare()
        start = time.process_time()
        work(*prepared)
        times.append(time.process_time() - start)
        if times[-1] > 5:
            return min(times) * 1000
    return min(times[1:]) * 1000


def measure(package: str, sides: list[int]) -> dict[str, float]:
    """Milliseconds by task: with pixels of these sides, and with a catalog."""
    image_class = import_module(package).Image
    found: dict[str, float] = {}
    for side in sides:
        for kind in KINDS:
            data = frame(side, kind)
            image = image_class(data)
            encoded = image.to_bytes()
            detection = import_module(f"{package}.processors.detection").SepSourceDetection()
            tasks: dict[str, Callable[[], Any]] = {
                "to_jpeg": image.to_jpeg,
                "to_bytes": image.to_bytes,
                "from_bytes": lambda encoded=encoded: image_class.from_bytes(encoded),
                PLAIN: lambda data=data: data.byteswap(),
                "SepSourceDetection": lambda d=detection, i=image: asyncio.run(d(i)),
            }
            for name, work in tasks.items():
                found[f"{name} {side}² {kind}"] = best_ms(work, 3 if side > 2000 else 7)
    cards = {f"KEY{k}": k * 1.1 if k % 2 else f"text {k}" for k in range(100)}
    encoded = image_class(frame(512, "uint16"), header=fits_header(cards)).to_bytes()
    found["100 cards: from_bytes 512² uint16"] = best_ms(lambda: image_class.from_bytes(encoded), 20)
    found["100 cards: to_bytes 512² uint16"] = best_ms(
        lambda image: image.to_bytes(), 20, lambda: (image_class.from_bytes(encoded),)
    )
    for module, name in (("exptime", "StarExpTimeEstimator"), ("offsets", "BrightestStarGuiding")):
        processor = getattr(import_module(f"{package}.processors.{module}"), name)()
        finished(processor(with_catalog(image_class)))  # the reference
        for origin, make in (("camera", camera_frame_with_catalog), ("file", with_catalog)):
            found[f"{name}, {origin}'s frame"] = best_ms(
                lambda image, p=processor: finished(p(image)), 60, lambda m=make: (m(image_class),)
            )
    return found


def keep_shorter(times: dict[str, float], more: dict[str, float]) -> None:
    """Add figures of another round."""
    for name, ms in more.items():
        times[name] = min(ms, times.get(name, ms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pyobs", default=os.environ.get("STARLATCH_PYOBS"), help="interpreter of an environment with pyobs-core"
    )
    parser.add_argument("--side", type=int, action="append", help="pixels along a side; default 1024 and 4096")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the other process: package to be measured
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.side or [])))
        return
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    for sides in (options.side or [1024, 4096], *[[]] * (ROUNDS - 1)):
        keep_shorter(ours, measure("acquisition.images", sides))
        if options.pyobs:
            command = [options.pyobs, __file__, "--only", "pyobs.images", *(f"--side={side}" for side in sides)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            keep_shorter(theirs, json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':36}{'ours/ms':>10}{'pyobs/ms':>10}{'ratio':>8}{'/copy+swap':>12}")
    for name, ours_ms in ours.items():
        other = theirs.get(name)
        line = f"{name:36}{ours_ms:10.2f}"
        line += f"{other:10.2f}{other / ours_ms:8.1f}" if other is not None else f"{'-':>10}{'-':>8}"
        if name.startswith(("to_bytes", "from_bytes")):
            line += f"{ours_ms / ours[PLAIN + name[name.index(' ') :]]:12.2f}"
        print(line)


if __name__ == "__main__":
    main()
