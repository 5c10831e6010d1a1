"""``starlatch exposure simulate``: a law exposes through a simulated night.

In: the name of a night, a seed, and maybe another law or limits. Out: how long it took to converge, the share of
frames in the target band, and what was clipped; a plot.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from acquisition.exposure.simulate import Frame, Summary, Trial

_NIGHTS = ("twilight", "clouds", "focus", "saturated-start", "moonrise")


@click.command()
@click.option("--scenario", "name", type=click.Choice(_NIGHTS), required=True, help="What happens in the night.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Draw levels and exposures (PNG).")
@click.option("--frames", "show_frames", is_flag=True, help="Print a line for every frame.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(name: str, seed: int, plot_file: Path | None, show_frames: bool, as_json: bool) -> None:
    """Let an exposure law run against the simulator, in virtual time, and say how well it exposed.

    \b
    twilight         the sky fades e-fold in 5 minutes; the background law takes flats
    clouds           3 magnitudes come and go within 30 s, then 12 hide every star; the star law
    focus            somebody turns the focuser; the star law
    saturated-start  stars that flicker by 10 %, the first frame many times over-exposed; the star law
    moonrise         the sky under a lens brightens; the background law, with gain as its second variable

    \b
    Example:
      starlatch exposure simulate --scenario twilight --seed 1 --plot twilight.png
    """
    from acquisition.cli.compiling import announced
    from acquisition.cli.exposure_plot import plot_trial
    from acquisition.cli.running import run
    from acquisition.devices import DeviceContext, open_camera
    from acquisition.exposure.simulate import TRIALS, run_trial, summarise
    from acquisition.guiding.plot import check_plotting

    if plot_file is not None:
        check_plotting()
    trial = TRIALS[name]
    rule = trial.table.rule()

    async def night() -> list[Frame]:
        context = DeviceContext(seed=seed, scenario=trial.scenario)
        async with open_camera("sim://", context) as camera:
            return await run_trial(camera, rule, trial)

    with announced(lambda text: click.echo(text, err=True)):
        frames = run(night(), virtual_time=True)
    summary = summarise(frames, rule, trial.band)
    if show_frames:
        click.echo("\n".join(_line(frame) for frame in frames))
    if as_json:
        click.echo(json.dumps({"scenario": name, "seed": seed, "band": trial.band, **asdict(summary)}, indent=2))
    else:
        click.echo("\n".join(_said(name, seed, trial, summary)))
    if plot_file is not None:
        plot_trial(frames, trial, rule.law.limits, _said(name, seed, trial, summary), plot_file)
        click.echo(f"plot            {plot_file}", err=as_json)


def _line(frame: Frame) -> str:
    decision = frame.decision
    gain = "" if frame.gain is None else f"gain {frame.gain:3.0f}  "
    why = decision.hold or decision.bound or ""
    marks = f"{' clipped' if decision.clipped else ''}{' probe' if decision.probing else ''}"
    return (
        f"{frame.t_s:8.1f} s  exposed {frame.measured.exposure_s:9.4f} s  {gain}level {decision.level:8.3f}  "
        f"next {decision.exposure_s:9.4f} s  {why}{marks}"
    )


def _said(name: str, seed: int, trial: Trial, summary: Summary) -> list[str]:
    first = "never" if summary.in_band_from is None else f"from frame {summary.in_band_from} on"
    return [
        f"night           {name}, seed {seed}: {summary.frames} frames, law {trial.table.law}",
        f"in the band     {first}, {100 * summary.in_band_share:.1f} % of frames with light within "
        f"±{100 * trial.band:.0f} % of the target",
        f"clipped         {summary.clipped_frames} frames, {summary.clipped_after_first} of them after the first frame",
        f"no light        {summary.no_light_frames} frames",
        f"limits bound    {summary.bound_frames} frames",
        f"overshoot       {summary.overshoot:.2f} times the target at most, once in the band",
        f"changes         {summary.changes} of exposure or gain",
    ]
