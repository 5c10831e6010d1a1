"""``starlatch exposure watch``: the exposure half for a program that takes frames by itself.

In: a folder in which FITS files appear, or their names on standard input. Out: the next exposure time, a line a frame,
and a command that sets it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from acquisition.cli.durations import Duration
from acquisition.cli.exposure_options import law_options, with_options

if TYPE_CHECKING:
    from acquisition.exposure.command import Command
    from acquisition.exposure.folder import Arrival
    from acquisition.exposure.report import FrameReport
    from acquisition.exposure.watch import FileLaw

_LONGEST_LINE = 64 * 1024


class Source(Protocol):
    """Where files come from."""

    async def next(self) -> Arrival | None:
        """The next file; None: there will be none."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("directory", metavar="DIR")
@click.option(
    "--then", metavar="COMMAND", help="Run it when the exposure changes; {exptime}, {gain} and {file} are filled in."
)
@click.option(
    "--then-timeout", type=Duration(), default="30s", show_default=True, metavar="T", help="Then it is killed."
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Config file (TOML) with [exposure].")
@law_options
@click.option("--name", "names", multiple=True, metavar="PATTERN", help="Of the files; repeatable [default: FITS].")
@click.option(
    "--rest",
    "rest_s",
    type=Duration(),
    default="1s",
    show_default=True,
    metavar="T",
    help="A file that has not changed for so long is complete.",
)
@click.option("--frames", "n_frames", type=click.IntRange(min=1), help="End after so many answers.")
def command(
    directory: str, then: str | None, then_timeout: float, config_file: Path | None, names: tuple[str, ...],
    rest_s: float, n_frames: int | None, **options: Any,
) -> None:  # fmt: skip
    """Answer another program's frames: for each FITS file that appears in DIR, the next exposure time, s.

    A line a frame goes to standard output: the exposure time and no more, or nan where a file cannot be read or does
    not say how long it was exposed. The whole report goes to standard error. DIR may be -: then the files' names come
    on standard input, a line each, and each one is answered. Of what is in a folder in the beginning, only the newest
    file is.

    The command of --then is run without a shell, when the next exposure differs from that of the frame.

    \b
    Examples:
      starlatch exposure watch incoming/ --law background --max 30s
      starlatch exposure watch incoming/ --then 'indi_setprop "CCD Simulator.CCD_EXPOSURE.CCD_EXPOSURE_VALUE={exptime}"'
      ls -tr night/*.fits | starlatch exposure watch - --law star
    """
    from acquisition.cli.compiling import announced
    from acquisition.cli.running import run
    from acquisition.config import Config, load_config
    from acquisition.exposure.command import Command
    from acquisition.exposure.folder import FITS_NAMES, FrameFolder
    from acquisition.exposure.watch import FileLaw

    config = load_config(config_file) if config_file is not None else Config()
    law = FileLaw(with_options(config.exposure, **options).rule())
    order = None if then is None else Command(then, then_timeout)
    source: Source
    source = (
        _Names() if directory == "-" else FrameFolder(Path(directory).absolute(), names or FITS_NAMES, rest_s=rest_s)
    )
    with announced(lambda text: click.echo(text, err=True)):
        run(_watch(source, law, order, n_frames))


async def _watch(source: Source, law: FileLaw, order: Command | None, n_frames: int | None) -> None:
    try:
        while n_frames is None or law.answered < n_frames:
            arrival = await source.next()
            if arrival is None:
                return
            report = await law.answer(arrival)
            if report is None:
                click.echo("nan")
            else:
                await _tell(report, arrival.path, order)
    except asyncio.CancelledError:
        click.echo(f"stopped: {law.answered} frames answered, {law.unreadable} not readable", err=True)
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()  # this was the order to end, and it is obeyed


async def _tell(report: FrameReport, path: Path, order: Command | None) -> None:
    values = report.values()
    click.echo(f"{report.line()} file={path.name}", err=True)
    next_s = values["next_exposure_s"]
    exptime = "nan" if next_s is None else f"{next_s:.6g}"
    click.echo(exptime)
    if order is not None and next_s is not None and report.decision.changes(report.measured):
        gain = "" if values["next_gain"] is None else f"{values['next_gain']:.6g}"
        await order.run({"exptime": exptime, "gain": gain, "file": str(path)})


class _Names:
    """Names of complete files on standard input."""

    def __init__(self) -> None:
        self._lines: asyncio.StreamReader | None = None

    async def next(self) -> Arrival | None:
        if self._lines is None:
            self._lines = asyncio.StreamReader(_LONGEST_LINE)
            protocol = asyncio.StreamReaderProtocol(self._lines)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while True:
            try:
                line = (await self._lines.readline()).decode(errors="surrogateescape")
            except ValueError:
                continue  # longer than any name; it was thrown away
            if not line:
                return None
            if line.strip():
                return _complete(line.strip())


def _complete(name: str) -> Arrival:
    from acquisition.exposure.folder import Arrival

    return Arrival(Path(name).absolute(), 0.0)
