"""``starlatch record``: a camera's stream as a SER video.

In: a camera's URL and settings. Out: a file; frames per second and drops while it grows.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from acquisition.camera import Camera, CameraSettings, Roi
from acquisition.cli.durations import parse_duration
from acquisition.cli.expose import EXPOSURE, ROI
from acquisition.cli.running import run
from acquisition.devices import DeviceContext, open_camera
from acquisition.errors import DeviceNotFound
from acquisition.recording.ser import SerHeader, SerWriter, colour_id
from acquisition.recording.video import Recording, record

TOLD_EVERY_S = 0.5


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds <= 0:
        raise click.BadParameter(f"duration is {value!r}; allowed: more than 0, such as 30s, 5m")
    return seconds


@click.command()
@click.argument("url")
@click.option("--duration", callback=_duration, help="How long, such as 30s or 5m [default: until Ctrl-C].")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many frames.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("video.ser"),
    show_default=True,
    help="The file.",
)
@click.option(
    "-t", "--exposure", "exposure_s", type=EXPOSURE, default="0.02", show_default=True, help="Exposure time, s."
)
@click.option("--gain", type=float, help="In camera units [default: as the camera has it].")
@click.option("--offset", type=float, help="In camera units [default: as the camera has it].")
@click.option("--binning", type=click.IntRange(min=1), default=1, show_default=True, help="Of columns and rows.")
@click.option("--roi", type=ROI, help="Part of the detector, in binned px [default: all of it].")
@click.option("--bits", type=int, help="Per pixel, 8 or 16 [default: the most there are].")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--seed", type=click.IntRange(min=0), help="Of a simulated sky.")
def command(
    url: str,
    duration: float | None,
    count: int | None,
    output: Path,
    exposure_s: float,
    gain: float | None,
    offset: float | None,
    binning: int,
    roi: Roi | None,
    bits: int | None,
    overwrite: bool,
    seed: int | None,
) -> int:
    """Record a camera's stream as a SER video, with the start of every frame's exposure.

    The file is readable at any moment, even after a crash. Frames that the disk is too slow for are dropped and
    counted; the camera is never held up. Ctrl-C ends the recording in order.

    \b
    Examples:
      starlatch record sim:// --duration 30s -o video.ser
      starlatch record 'zwo://ASI178MM?high_speed=1' -t 5ms --roi 800,600,640,480 --bits 8 --duration 2m -o jupiter.ser
    """
    if output.exists() and not overwrite:
        raise click.UsageError(f"{output} exists; choose another name, or --overwrite")
    settings = CameraSettings(exposure_s, gain, offset, binning, roi)
    return run(_record(url, DeviceContext(seed=seed), settings, bits, output, overwrite, duration, count))


async def _record(
    url: str,
    context: DeviceContext,
    settings: CameraSettings,
    bits: int | None,
    output: Path,
    overwrite: bool,
    duration_s: float | None,
    count: int | None,
) -> int:
    try:
        camera = open_camera(url, context)
    except DeviceNotFound as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
    state = Recording()
    interrupted = False
    async with camera:
        try:
            await camera.configure(replace(settings, bits=max(camera.info.bits) if bits is None else bits))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        with SerWriter(output, await _header(camera), overwrite=overwrite) as writer:
            told_s = [0.0]

            def tell(now: Recording) -> None:
                nonlocal state
                state = now
                if now.elapsed_s - told_s[0] >= TOLD_EVERY_S:
                    told_s[0] = now.elapsed_s
                    click.echo(f"\r{_said(now)}   ", nl=False, err=True)

            try:
                state = await record(camera, writer, duration_s=duration_s, n_frames=count, tell=tell)
            except asyncio.CancelledError:
                interrupted = True
    click.echo("", err=True)
    click.echo(f"{output}: {_said(state)}")
    return 130 if interrupted else 0


async def _header(camera: Camera) -> SerHeader:
    """What the file will say of its frames; takes one to know their shape and colour."""
    image = await camera.expose()
    facts = image.facts
    height, width = image.data.shape[-2:]
    return SerHeader(
        width,
        height,
        8 * image.data.dtype.itemsize,
        colour_id(facts.bayer_pattern, facts.x_bayer_offset or 0, facts.y_bayer_offset or 0),
        observer=facts.observer or "",
        instrument=camera.info.name,
        telescope=facts.telescope or "",
        start_utc=facts.start_utc,
    )


def _said(state: Recording) -> str:
    return (
        f"{state.written} frames in {state.elapsed_s:.1f} s, {state.fps:.1f} fps; dropped "
        f"{state.dropped_by_camera} by the camera, {state.dropped_by_disk} by the disk"
    )
