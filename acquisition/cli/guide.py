"""``starlatch guide``: the main job.

In: options and a config file. Out: a guided telescope, a live view, and a folder with log, report and plot.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click

from acquisition.cli.durations import Duration, format_duration
from acquisition.errors import LibraryNotFound


@click.command(context_settings={"max_content_width": 110})
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Config file (TOML).")
@click.option("--camera", "camera_url", metavar="URL", help="Guide camera [default: sim://].")
@click.option("--mount", "mount_url", metavar="URL", help="Mount [default: sim://].")
@click.option("--exposure", "exposure_s", type=Duration(), metavar="T", help="Exposure time [default: 2s].")
@click.option(
    "--duration", "duration_s", type=Duration(), metavar="T",
    help="How long to guide, after the calibration, e.g. 10m [default: until Ctrl-C].",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
@click.option(
    "--scenario", metavar="NAME|FILE", help="The simulated rig and night; `starlatch simulate list` shows them."
)
@click.option("--virtual-time", is_flag=True, help="Jump over all waits (simulated devices only).")
@click.option("--corrections/--no-corrections", default=True, help="Send guide pulses, or only measure.")
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Write the report (JSON) here, too.")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Write the plot here, too.")
@click.option("--assistant", is_flag=True, help="Say what to improve, while guiding and at the end.")
@click.option("--frames-dir", type=click.Path(path_type=Path, file_okay=False), help="Save every frame here.")
@click.option(
    "--output", "output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Folder of this run [default: a new one, below starlatch's folder for logs].",
)  # fmt: skip
def command(
    config_file: Path | None, camera_url: str | None, mount_url: str | None, exposure_s: float | None,
    duration_s: float | None, seed: int, scenario: str | None, virtual_time: bool, corrections: bool,
    report_file: Path | None, plot_file: Path | None, assistant: bool, frames_dir: Path | None, output: Path | None,
) -> int:  # fmt: skip
    """Guide a telescope: choose stars, calibrate the mount, keep the stars in place.

    Without options it guides a simulated telescope in real time, until Ctrl-C. With --config, SIGHUP reads the file
    anew, and the guide laws it names take over at the next frame.

    \b
    Examples:
      starlatch guide --duration 2m
      starlatch guide --duration 1h --virtual-time --seed 1 --report a.json
      starlatch guide --config observatory.toml --frames-dir tonight
    """
    from rich.console import Console

    from acquisition.cli.compiling import announced
    from acquisition.cli.live import Lines, Screen, View
    from acquisition.cli.overrides import check_virtual_time, override
    from acquisition.cli.running import run
    from acquisition.config import Config, load_config
    from acquisition.guiding.assistant import LiveAssistant
    from acquisition.guiding.events import Event
    from acquisition.guiding.guider import Guider
    from acquisition.guiding.plot import check_plotting, plot_run
    from acquisition.guiding.run_summary import summary_lines
    from acquisition.guiding.statistics import GuidingStatistics
    from acquisition.session import GuideOptions, guide, new_run_directory, reload_laws, write_report

    def read() -> Config:
        config = load_config(config_file) if config_file is not None else Config()
        return override(config, camera_url, mount_url, exposure_s)

    config = read()
    if virtual_time:
        check_virtual_time(config)
    if plot_file is not None:
        check_plotting()
    directory = output or new_run_directory()
    title = f"starlatch guide   {config.camera.url}   {config.mount.url}"
    statistics = GuidingStatistics()
    view: View = Screen(Console(), title, duration_s, statistics) if sys.stdout.isatty() else Lines(statistics)
    options = GuideOptions(directory, duration_s, seed, scenario, corrections, frames_dir)
    live_assistant = LiveAssistant(directory / "guidelog.txt", view.say)

    def listen(event: Event) -> None:
        view.listen(event)
        if assistant:
            live_assistant.listen(event)

    def ready(guider: Guider) -> None:
        if config_file is not None:  # without a file there is nothing to read anew: the end of a terminal ends the run
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, lambda: view.say(reload_laws(guider, read)))

    with view, announced(view.say):
        outcome = run(guide(config, options, listen, ready, statistics), virtual_time=virtual_time)
    write_report(outcome.report, directory / "report.json")
    if report_file is not None:
        write_report(outcome.report, report_file)
    click.echo(f"\n{outcome.report['ended']} after {format_duration(outcome.report['simulated_s'])}")
    for line in summary_lines(outcome.statistics):
        click.echo(f"  {line}")
    if isinstance(view, Screen):
        view.show_graph()
    click.echo(f"log     {directory / 'guidelog.txt'}\nreport  {report_file or directory / 'report.json'}")
    # drawing takes a second or two: somebody who interrupts a run wants it to end, unless a plot was asked for
    plots = {plot_file} if plot_file is not None else set()
    if outcome.report["ended"] != "interrupted":
        plots.add(directory / "plot.png")
    try:
        for path in sorted(plots):
            plot_run(outcome.history, summary_lines(outcome.statistics), path, title)
            click.echo(f"plot    {path}")
    except LibraryNotFound as error:
        click.echo(f"plot    none: {error}")
    if outcome.error is not None:
        raise outcome.error
    return 0
