"""Time a simulated night, guided by the default laws, from a cold start to the plot; and is it the same twice?

In: nothing. Out: wall time, processor time and milliseconds a frame of each run, and which files differ. The night is
the one that the simulator promises to run in 90 s on two cores: ``--scenario average``, 2 s exposures, 512x512 px of
the detector, every effect on. Run ``python benchmarks/bench_night.py`` (``--hours 1`` for a shorter one), on a machine
that has nothing else to do, and once before to have everything compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = "[camera]\nroi = [384, 224, 512, 512]\n"
STARLATCH = "import sys; from acquisition.cli.main import main; sys.argv[0] = 'starlatch'; main()"


def night(hours: float, config: Path, directory: Path) -> str:
    """Run one and say how long it took."""
    command = [sys.executable, "-c", STARLATCH, "guide", "--config", str(config), "--scenario", "average"]
    command += ["--duration", f"{hours:g}h", "--virtual-time", "--seed", "1", "--output", str(directory)]
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    frames = len((directory / "frames.csv").read_text().splitlines()) - 1
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return f"{frames} frames: {wall_s:.1f} s, {1e3 * wall_s / frames:.2f} ms a frame; processor {cpu_s:.1f} s"


def differing(one: Path, other: Path) -> list[str]:
    """Names of files that are not the same; of the report, but for its wall time."""

    def content(path: Path) -> object:
        if path.name != "report.json":
            return path.read_bytes()
        return {key: value for key, value in json.loads(path.read_text()).items() if key != "wall_s"}

    names = sorted({path.name for path in (*one.iterdir(), *other.iterdir())})
    return [name for name in names if content(one / name) != content(other / name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=10.0)
    hours = parser.parse_args().hours
    with tempfile.TemporaryDirectory() as folder:
        config, first, second = (Path(folder) / name for name in ("night.toml", "first", "second"))
        config.write_text(CONFIG)
        for directory in (first, second):
            print(night(hours, config, directory), flush=True)
        print(f"differing: {', '.join(differing(first, second)) or 'none'}")


if __name__ == "__main__":
    main()
