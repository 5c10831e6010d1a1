"""Images beside pyobs-core's, in two processes of one tree: milliseconds of each, and ratios.

    python benchmarks/bench_images.py --pyobs /path/to/venv/bin/python [--side 1024 --side 4096]

The other interpreter must have pyobs-core; without it only ours is timed. Each figure is the best of several runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

warnings.simplefilter("ignore")

KINDS = ("uint16", "float32")


def frame(side: int, kind: str) -> Any:
    """A sky with stars."""
    rng = np.random.default_rng(1)
    data = rng.normal(1000.0, 20.0, (side, side)).astype(np.float32)
    profile = np.exp(-(np.hypot(*np.mgrid[-8:9, -8:9]) ** 2) / 6)
    for x, y, peak in zip(*rng.integers(10, side - 10, (2, 100)), rng.uniform(500, 30000, 100), strict=True):
        data[y - 8 : y + 9, x - 8 : x + 9] += peak * profile
    return np.clip(data, 0, 60000).astype(kind)


def best_ms(work: Callable[[], Any], runs: int) -> float:
    """The shortest of several runs after one that does not count."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def measure(package: str, sides: list[int]) -> dict[str, float]:
    """Milliseconds by task; what the package lacks or cannot do is left out."""
    image_class = import_module(package).Image
    found: dict[str, float] = {}
    for side in sides:
        for kind in KINDS:
            data = frame(side, kind)
            image = image_class(data)
            encoded = image.to_bytes()
            runs = 3 if side > 2000 else 7
            tasks: dict[str, Callable[[], Any]] = {
                "to_jpeg": image.to_jpeg,
                "to_bytes": image.to_bytes,
                "from_bytes": lambda encoded=encoded: image_class.from_bytes(encoded),
                "copy and byte swap": lambda data=data: data.byteswap(),
            }
            try:
                detection = import_module(f"{package}.processors.detection").SepSourceDetection()
                tasks["SepSourceDetection"] = lambda d=detection, i=image: asyncio.run(d(i))
            except ImportError as error:
                print(f"{package}: {error}", file=sys.stderr)
            for name, work in tasks.items():
                found[f"{name} {side}² {kind}"] = best_ms(work, runs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyobs", help="interpreter of an environment with pyobs-core")
    parser.add_argument("--side", type=int, action="append", help="pixels along a side; default 1024 and 4096")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the other process: package to be measured
    options = parser.parse_args()
    sides = options.side or [1024, 4096]
    if options.only:
        print(json.dumps(measure(options.only, sides)))
        return
    ours, theirs = measure("acquisition.images", sides), {}
    if options.pyobs:
        command = [options.pyobs, __file__, "--only", "pyobs.images", *(f"--side={side}" for side in sides)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs = json.loads(done.stdout.splitlines()[-1])
    print(f"{'':34}{'ours/ms':>10}{'pyobs/ms':>10}{'ratio':>8}")
    for name, ours_ms in ours.items():
        other = theirs.get(name)
        columns = f"{other:10.2f}{other / ours_ms:8.1f}" if other is not None else f"{'-':>10}{'-':>8}"
        print(f"{name:34}{ours_ms:10.2f}{columns}")


if __name__ == "__main__":
    main()
