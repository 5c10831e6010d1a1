"""What a frame costs on its way from ZWO's library to an `Image`, beside pyzwoasi's own call.

Run: ``python benchmarks/bench_capture.py``. Everything is the real driver on the emulated library, which copies a test
pattern into the buffer as fast as memory goes; so what is measured is the driver, not a camera. Prints, for 640x480
and 3096x2080 px of 16 bits: CPU time and page faults a frame, frames and MB a second, drops, overhead.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.images import FrameFacts, Image
from acquisition.recording.ser import SerHeader, SerWriter
from acquisition.recording.video import record
from drivers.zwo.library import load
from simulators.asi_sdk import FakeSdk

SHAPES = ((480, 640), (2080, 3096))
URL = "zwo://ASI178MM?emulate=1"
RAM_DISK = "/dev/shm" if os.path.isdir("/dev/shm") else None
EXPOSURE_S = {(480, 640): 0.004, (2080, 3096): 0.030}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stream")
    parser.add_argument("--only", nargs=3, metavar=("WAY", "HEIGHT", "WIDTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    seconds = options.seconds
    if options.only is not None:
        way, shape = options.only[0], (int(options.only[1]), int(options.only[2]))
        print(json.dumps(plain(way, shape, seconds)))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for shape in SHAPES:
        ours = asyncio.run(streaming(shape, seconds))
        theirs = in_fresh_process("pyzwoasi", shape, seconds)
        bare = in_fresh_process("bare", shape, seconds)
        print(f"\n{shape[1]}x{shape[0]}, 16 bits, {2 * shape[0] * shape[1] / 1e6:.1f} MB a frame")
        print(f"  through the driver into Image: {said(ours)}")
        print(f"  pyzwoasi.getVideoData:         {said(theirs)}")
        print(f"  the library alone:             {said(bare)}")
        own, copy = ours["cpu_ms"] - bare["cpu_ms"], theirs["cpu_ms"] - bare["cpu_ms"]
        print(
            f"  CPU a frame: pyzwoasi / ours = {theirs['cpu_ms'] / ours['cpu_ms']:.1f}; "
            f"beyond the library alone: {copy:.2f} and {own:.2f} ms"
        )
        asyncio.run(recording(shape, seconds))
    print(f"\nframe -> Image, header not made: {overhead_us():.0f} µs")


async def streaming(shape: tuple[int, int], seconds: float) -> dict[str, float]:
    """Frames into `Image`s, let go at once."""
    camera = open_camera(URL, DeviceContext())
    async with camera:
        await configure(camera, shape)
        async with aclosing(camera.stream()) as frames:
            for _ in range(70):  # warm up: the emulator makes its pattern
                await anext(frames)
            gc.collect()
            before, began_s, n = usage(), time.perf_counter(), 0
            dropped_before = (await anext(frames)).facts.n_dropped or 0
            async for image in frames:
                n += 1
                dropped = (image.facts.n_dropped or 0) - dropped_before
                if time.perf_counter() - began_s > seconds:
                    break
            result = per_frame(before, usage(), n, time.perf_counter() - began_s, shape)
            result["dropped"] = dropped
    return result


def in_fresh_process(way: str, shape: tuple[int, int], seconds: float) -> dict[str, float]:
    """`plain` where nobody else has used the memory before."""
    command = [sys.executable, __file__, "--seconds", str(seconds / 2), "--only", way, str(shape[0]), str(shape[1])]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def plain(way: str, shape: tuple[int, int], seconds: float) -> dict[str, float]:
    """The same frames without our driver: by pyzwoasi's own call, or by the library's function into one buffer."""
    fake = FakeSdk()
    fake.attach("ZWO ASI178MM")
    sdk = load(str(fake.path))
    sdk.openCamera(0)
    sdk.initCamera(0)
    sdk.setROIFormat(0, shape[1], shape[0], 1, 2)
    sdk.setControlValue(0, 1, round(EXPOSURE_S[shape] * 1e6), False)
    n_bytes = 2 * shape[0] * shape[1]
    buffer = np.ones(n_bytes, np.uint8)
    address = ctypes.cast(buffer.ctypes.data, ctypes.POINTER(ctypes.c_ubyte))

    def frame() -> None:
        if way == "pyzwoasi":
            sdk.getVideoData(0, n_bytes, 1000)
        else:
            sdk.lib.ASIGetVideoData(0, address, n_bytes, 1000)

    sdk.startVideoCapture(0)
    for _ in range(70):
        frame()
    before, began_s, n = usage(), time.perf_counter(), 0
    while time.perf_counter() - began_s < seconds:
        frame()
        n += 1
    return per_frame(before, usage(), n, time.perf_counter() - began_s, shape) | {"dropped": sdk.getDroppedFrames(0)}


async def recording(shape: tuple[int, int], seconds: float) -> None:
    """Into a SER file on a RAM disk."""
    ram = RAM_DISK
    camera = open_camera(URL, DeviceContext())
    with tempfile.TemporaryDirectory(dir=ram) as directory:
        async with camera:
            await configure(camera, shape)
            header = SerHeader(shape[1], shape[0], 16)
            with SerWriter(Path(directory, "video.ser"), header) as writer:
                before = usage()
                state = await record(camera, writer, duration_s=seconds)
                cpu_s = usage()[0] - before[0]
    print(
        f"  recording SER to {ram or 'a disk'}: {state.fps * header.frame_bytes / 1e6:.0f} MB/s, {state.fps:.1f} fps, "
        f"{1e3 * cpu_s / max(state.written, 1):.2f} ms CPU a frame, "
        f"dropped {state.dropped_by_camera} by the camera, {state.dropped_by_disk} by the disk"
    )


async def configure(camera: Any, shape: tuple[int, int]) -> None:
    await camera.configure(CameraSettings(EXPOSURE_S[shape], roi=Roi(0, 0, shape[1], shape[0])))


def overhead_us() -> float:
    """From a full buffer and its facts to an `Image`."""
    frame, facts = np.zeros((2080, 3096), np.uint16), FrameFacts(exposure_s=1.0, instrument="camera", gain=10.0)
    times = []
    for _ in range(2000):
        began_s = time.perf_counter()
        Image.from_camera(frame, facts)
        times.append(time.perf_counter() - began_s)
    return 1e6 * statistics.median(times)


def usage() -> tuple[float, int]:
    """(CPU seconds, page faults without input) of this process so far."""
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime, now.ru_minflt


def per_frame(
    before: tuple[float, int], after: tuple[float, int], n: int, elapsed_s: float, shape: tuple[int, int]
) -> dict[str, float]:
    return {
        "cpu_ms": 1e3 * (after[0] - before[0]) / n,
        "faults": (after[1] - before[1]) / n,
        "fps": n / elapsed_s,
        "mb_per_s": n * 2 * shape[0] * shape[1] / 1e6 / elapsed_s,
    }


def said(result: dict[str, float]) -> str:
    return (
        f"{result['cpu_ms']:.2f} ms CPU and {result['faults']:.1f} page faults a frame, {result['fps']:.1f} fps, "
        f"{result['mb_per_s']:.0f} MB/s, {result['dropped']:.0f} dropped"
    )


if __name__ == "__main__":
    main()
