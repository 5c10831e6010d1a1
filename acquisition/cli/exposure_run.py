"""``starlatch exposure run``: the exposure daemon.

In: a camera's URL, a law, a config file. Out: a line a frame on standard output, and a camera that stays well exposed.
"""

from __future__ import annotations

import asyncio
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from acquisition.cli.durations import Duration
from acquisition.cli.exposure_options import law_options, with_options

if TYPE_CHECKING:
    from acquisition.devices import DeviceContext
    from acquisition.exposure.report import FrameReport
    from acquisition.exposure.service import Wishes

_MOST_FRAMES_ONCE = 20


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Config file (TOML); SIGHUP reads it anew."
)
@click.option("--camera", "camera_url", metavar="URL", help="Camera [default: sim://].")
@click.option("--exposure", "exposure_s", type=Duration(), metavar="T", help="Of the first frame [default: 2s].")
@law_options
@click.option(
    "--darks", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Only exposures of which this folder has master darks.",
)  # fmt: skip
@click.option(
    "--once",
    is_flag=True,
    help="End with the first frame on target and print its exposure, s; exit code 1 if there is none.",
)
@click.option("--frames", "n_frames", type=click.IntRange(min=1), help="End after so many frames [--once: 20].")
@click.option(
    "--socket", type=click.Path(path_type=Path), help="Tell every frame as a line of JSON on this unix socket."
)
@click.option("--metrics", type=click.Path(path_type=Path), help="Keep figures for Prometheus in this file (.prom).")
@click.option("--frames-dir", type=click.Path(path_type=Path, file_okay=False), help="Save every frame here.")
@click.option("--seed", type=click.IntRange(min=0), help="Of a simulated sky.")
@click.option("--scenario", metavar="NAME|FILE", help="A simulated night; `starlatch simulate list` shows them.")
@click.option("--virtual-time", is_flag=True, help="Jump over all waits (sim:// and replay:// only).")
def command(
    config_file: Path | None, camera_url: str | None, exposure_s: float | None, once: bool, n_frames: int | None,
    seed: int | None, scenario: str | None, virtual_time: bool, **options: Any,
) -> int:  # fmt: skip
    """Keep a camera well exposed: measure each frame, and set the camera before the next one.

    A line a frame goes to standard output. SIGTERM and Ctrl-C end it in order; SIGHUP reads the config file anew (a
    bad one is refused, and the old one stays in force). What the command line says goes before the config file.

    \b
    Examples:
      starlatch exposure run --camera sim:// --law star
      starlatch exposure run --camera 'zwo://ASI120MM%20Mini' --law background -p target=0.4 --max 30s
      starlatch exposure run --law star --exposures 1s,2s,5s,10s --once
      starlatch exposure run --config observatory.toml --socket state.sock --metrics exposure.prom
    """
    from acquisition.cli.compiling import announced
    from acquisition.cli.overrides import check_virtual_time, override
    from acquisition.cli.running import run
    from acquisition.config import Config, load_config
    from acquisition.devices import DeviceContext
    from acquisition.exposure.service import Wishes

    def read() -> Wishes:
        config = load_config(config_file) if config_file is not None else Config()
        config = override(config, camera_url, None, exposure_s)
        if virtual_time:
            check_virtual_time(config)
        return Wishes(config.camera.url, config.camera.settings(), with_options(config.exposure, **options))

    def complain(text: str) -> None:
        click.echo(text, err=True)

    wishes = read()
    wishes.table.rule()  # what is wrong is said before the camera is opened
    if once and n_frames is None:
        n_frames = _MOST_FRAMES_ONCE
    context = DeviceContext(seed=seed, scenario=scenario)
    on_hangup = config_file is not None
    with announced(complain):
        return run(_serve(wishes, read, context, n_frames, once, on_hangup), virtual_time=virtual_time)


async def _serve(
    wishes: Wishes, read: Callable[[], Wishes], context: DeviceContext, n_frames: int | None, once: bool,
    on_hangup: bool,
) -> int:  # fmt: skip
    from acquisition.devices import open_camera
    from acquisition.exposure.service import ExposureService
    from acquisition.exposure.systemd import ServiceManager

    listen = Lines(sys.stderr if once else sys.stdout)
    async with open_camera(wishes.camera_url, context) as camera:
        service = ExposureService(camera, wishes, read, listen.write, ServiceManager())
        if on_hangup:  # without a file there is nothing to read anew, and the end of a terminal ends the run
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload)
        try:
            await service.run(n_frames, once=once)
        except asyncio.CancelledError:
            click.echo(f"stopped: {service.status.frames} frames", err=True)
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # this was the order to end, and it is obeyed
            return 0
    last = service.status.last
    if not once or last is None:
        return 0
    click.echo(f"{last.measured.exposure_s if last.on_target else last.decision.exposure_s:.6g}")
    if not last.on_target:
        why = last.decision.bound if last.at_limit else f"after {service.status.frames} frames"
        click.echo(f"not on target: {last.verdict}, {why}", err=True)
    return 0 if last.on_target else 1


class Lines:
    """Writes a line a frame, but never waits for whoever reads them: a paused pager must not stop the regulation.

    Parameters
    ----------
    stream : TextIO
        Standard output, or the like.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, report: FrameReport) -> None:
        """Write it, or count it as lost."""
        if not self._takes_a_line():
            self._lost += 1
            return
        if self._lost:
            click.echo(f"frames_not_told={self._lost}", file=self._stream)
            self._lost = 0
        click.echo(report.line(), file=self._stream)

    def _takes_a_line(self) -> bool:
        try:
            return bool(select.select([], [self._stream], [], 0)[1])
        except (OSError, ValueError):  # no file behind it, or one too many
            return True
