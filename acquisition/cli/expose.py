"""``starlatch expose``: take frames and save them.

In: a camera's URL, settings, a pattern for file names. Out: FITS files, each saved before the next exposure begins.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from acquisition.camera import CameraSettings, Roi
from acquisition.cli.durations import parse_duration
from acquisition.cli.frame_files import DEFAULT_NAME, FrameFiles
from acquisition.cli.running import run
from acquisition.devices import DeviceContext, open_camera
from acquisition.errors import DeviceNotFound

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class _Exposure(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parse_duration(value)
            except ValueError:
                seconds = -1.0
        if not 0 <= seconds < math.inf:
            self.fail(f"exposure is {value!r}; allowed: 0 or more seconds, such as 2, 0.5, 20ms, 5m", param, ctx)
        return seconds


class _Roi(click.ParamType[Roi]):
    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Roi:
        try:
            x, y, width, height = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"ROI is {value!r}; allowed: x,y,width,height in binned px, such as 0,0,640,480", param, ctx)
        return Roi(x, y, width, height)


EXPOSURE, ROI = _Exposure(), _Roi()


@click.command()
@click.argument("url")
@click.option("-t", "--exposure", "exposure_s", type=EXPOSURE, default="1", show_default=True, help="Exposure time, s.")
@click.option("-n", "--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many frames.")
@click.option("-o", "--output", default=DEFAULT_NAME, show_default=True, help="File name; see below.")
@click.option("--gain", type=float, help="In camera units [default: as the camera has it].")
@click.option("--offset", type=float, help="In camera units [default: as the camera has it].")
@click.option("--binning", type=click.IntRange(min=1), default=1, show_default=True, help="Of columns and rows.")
@click.option("--roi", type=ROI, help="Part of the detector, in binned px [default: all of it].")
@click.option("--bits", type=int, help="Per pixel, 8 or 16 [default: the most there are].")
@click.option("--temp", "target_temp_c", type=float, help="Switch the cooler on, to this temperature (°C); no waiting.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--seed", type=click.IntRange(min=0), help="Of a simulated sky.")
@click.option("--virtual-time", is_flag=True, help="Jump over all waits (sim:// and replay:// only).")
def command(
    url: str,
    exposure_s: float,
    count: int,
    output: str,
    gain: float | None,
    offset: float | None,
    binning: int,
    roi: Roi | None,
    bits: int | None,
    target_temp_c: float | None,
    overwrite: bool,
    seed: int | None,
    virtual_time: bool,
) -> int:
    """Take frames with a camera and save them as FITS.

    The file name may have placeholders, filled from the frame's header: {KEY}, {KEY|date}, {KEY|time},
    {KEY|string:04d}, {KEY|lower}, {KEY|exptime}, {KEY|type}, {KEY|filter}. FRAMENUM counts from 1. Several frames
    under a name without placeholders get the number at its end. A directory means the default name in it.

    Existing files are kept: a name known in advance is refused, and a frame whose name turns out to exist gets -1, -2
    ... at its end. Ctrl-C ends the running exposure and keeps what is saved.

    \b
    Examples:
      starlatch expose sim:// -t 2 -n 3 -o 'frames/{DATE-OBS|date}/{FRAMENUM|string:03d}.fits'
      starlatch expose sim:// -t 0.5 --gain 80 --binning 2 --roi 0,0,320,240 -o test.fits --overwrite
      starlatch expose 'replay:///nights/2026-03-01/*.fits' -n 10 --virtual-time -o copies/
    """
    settings = CameraSettings(
        exposure_s=exposure_s,
        gain=gain,
        offset=offset,
        binning=binning,
        roi=roi,
        target_temp_c=target_temp_c,
        cooler_on=None if target_temp_c is None else True,
    )
    files = FrameFiles(output, count, overwrite)
    context = DeviceContext(seed=seed)
    return run(_expose(url, context, settings, bits, count, files), virtual_time=virtual_time)


async def _expose(
    url: str, context: DeviceContext, settings: CameraSettings, bits: int | None, count: int, files: FrameFiles
) -> int:
    """Take and save `count` frames; the exit code."""
    try:
        camera = open_camera(url, context)
    except DeviceNotFound as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
    try:
        async with camera:
            settings = replace(settings, bits=max(camera.info.bits) if bits is None else bits)
            try:
                await camera.configure(settings)
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            with _progress() as progress:
                bar = progress.add_task(f"{camera.settings.exposure_s:g} s", total=count)
                for number in range(1, count + 1):
                    with _moving(progress, bar, camera.settings.exposure_s):
                        image = await camera.expose()
                    path = files.save(image)
                    progress.update(bar, completed=number)
                    progress.console.print(f"{number}/{count}  {path}", markup=False, highlight=False, soft_wrap=True)
    except asyncio.CancelledError:
        click.echo(f"stopped: {len(files.saved)} of {count} frames saved", err=True)
        return 130
    except Exception:
        if files.saved:
            click.echo(f"failed: {len(files.saved)} of {count} frames saved", err=True)
        raise
    return 0


def _progress() -> Progress:
    """A bar on a terminal, plain lines otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def _moving(progress: Progress, bar: TaskID, exposure_s: float) -> Iterator[None]:
    """Move the bar by one frame during an exposure."""

    async def move() -> None:
        clock = asyncio.get_running_loop().time
        done, began_s = progress.tasks[bar].completed, clock()
        while not progress.disable and exposure_s > 0:
            progress.update(bar, completed=done + min((clock() - began_s) / exposure_s, 1.0))
            await asyncio.sleep(0.2)

    moving = asyncio.ensure_future(move())
    try:
        yield
    finally:
        moving.cancel()
