"""``starlatch calibrate``: measure how the stars move when the mount is pulsed.

In: options and a config file. Out: ``calibration.json`` for later nights, and a plot.
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Config file (TOML).")
@click.option("--camera", "camera_url", metavar="URL", help="Guide camera [default: sim://].")
@click.option("--mount", "mount_url", metavar="URL", help="Mount [default: sim://].")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of a simulated rig.")
@click.option("--scenario", metavar="NAME|FILE", help="The simulated rig and night.")
@click.option("--virtual-time", is_flag=True, help="Jump over all waits (simulated devices only).")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Draw where each pulse took the stars.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder [default: here]."
)
def command(
    config_file: Path | None, camera_url: str | None, mount_url: str | None, seed: int, scenario: str | None,
    virtual_time: bool, plot_file: Path | None, output: Path,
) -> None:  # fmt: skip
    """Measure how the stars move when the mount is pulsed, and keep it.

    The result is written to calibration.json, and to the file that [calibration] names in the config. `starlatch
    guide` uses the latter instead of calibrating, as long as camera and mount are the same.

    \b
    Examples:
      starlatch calibrate --config observatory.toml --plot calibration.png
      starlatch calibrate --virtual-time --seed 1
    """
    from acquisition.cli.compiling import announced
    from acquisition.cli.live import Lines
    from acquisition.cli.overrides import check_virtual_time, override
    from acquisition.cli.running import run
    from acquisition.config import Config, load_config
    from acquisition.guiding.calibration_plot import plot_calibration
    from acquisition.guiding.events import CalibrationBegan, CalibrationStep, Event
    from acquisition.guiding.plot import check_plotting
    from acquisition.guiding.statistics import GuidingStatistics
    from acquisition.session import calibrate

    config = override(load_config(config_file) if config_file else Config(), camera_url, mount_url)
    if virtual_time:
        check_virtual_time(config)
    if plot_file is not None:
        check_plotting()
    view = Lines(GuidingStatistics())
    steps: list[CalibrationStep] = []

    def listen(event: Event) -> None:
        view.listen(event)
        if isinstance(event, CalibrationBegan):
            steps.clear()
        elif isinstance(event, CalibrationStep):
            steps.append(event)

    with announced(view.say):
        response = run(
            calibrate(config, seed=seed, scenario=scenario, directory=output, listen=listen), virtual_time=virtual_time
        )
    if response is None:
        return
    click.echo(f"angle between the axes is off 90 degrees by {response.orthogonality_error_deg:.1f}")
    click.echo(f"saved   {output / 'calibration.json'}")
    if config.calibration.file is not None:
        click.echo(f"saved   {config.calibration.file}")
    if plot_file is not None:
        plot_calibration(steps, response, plot_file, f"{config.camera.url}   {config.mount.url}")
        click.echo(f"plot    {plot_file}")
