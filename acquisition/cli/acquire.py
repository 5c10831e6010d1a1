"""``starlatch acquire``: bring a target to its place in the frame.

In: a camera, a mount, a target. Out: a line for every exposure, and a telescope that points at the target.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acquisition.cli.durations import Duration

if TYPE_CHECKING:
    from acquisition.config import Config
    from acquisition.guiding.acquisition import AcquisitionRule, Attempt
    from acquisition.images import Pipeline


class _Place(click.ParamType[tuple[float, float]]):
    name = "x,y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        try:
            x, y = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"place is {value!r}; allowed: x,y in px from 0, such as 639.5,479.5", param, ctx)
        return x, y


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Config file (TOML).")
@click.option("--camera", "camera_url", metavar="URL", help="Camera [default: sim://].")
@click.option("--mount", "mount_url", metavar="URL", help="Mount [default: sim://].")
@click.option("--exposure", "exposure_s", type=Duration(), metavar="T", help="Exposure time [default: 2s].")
@click.option("--star", is_flag=True, help="The target is the brightest star of the frame.")
@click.option("--target", metavar="'RA DEC'", help="The target is here (ICRS), e.g. '6h45m9s -16d43m'; needs a WCS.")
@click.option("--slew", is_flag=True, help="Slew to --target first.")
@click.option("--at", "place", type=_Place(), help="Where it is wanted, px [default: the middle of the frame].")
@click.option("--tolerance", default=1.0, show_default=True, help="Closer is there, arcsec.")
@click.option("--max-offset", default=120.0, show_default=True, help="Farther is a mistake, arcsec.")
@click.option("--attempts", type=click.IntRange(min=1), default=5, show_default=True, help="Exposures, at most.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of a simulated sky.")
@click.option("--scenario", metavar="NAME|FILE", help="The simulated rig and night.")
@click.option("--virtual-time", is_flag=True, help="Jump over all waits (simulated devices only).")
def command(
    config_file: Path | None, camera_url: str | None, mount_url: str | None, exposure_s: float | None, star: bool,
    target: str | None, slew: bool, place: tuple[float, float] | None, tolerance: float, max_offset: float,
    attempts: int, seed: int, scenario: str | None, virtual_time: bool,
) -> None:  # fmt: skip
    """Bring a target to its place in the frame: expose, measure, move, until it is there.

    The mount is moved by pointing offsets where it takes them, otherwise by a slew if it is far and by guide pulses if
    it is near. A target on the sky is found by each frame's WCS, the brightest star without.

    \b
    Examples:
      starlatch acquire --star --virtual-time --seed 1
      starlatch acquire --config observatory.toml --target '6h45m9s -16d43m' --slew --at 512,500 --tolerance 0.5
    """
    from acquisition.cli.overrides import check_virtual_time, override
    from acquisition.cli.running import run
    from acquisition.config import Config, load_config
    from acquisition.guiding.acquisition import AcquisitionRule
    from acquisition.images import Pipeline
    from acquisition.images.processors.offsets import RaDecFromPixels, TargetOffsets

    if star == (target is not None):
        raise click.UsageError("what is the target? allowed: either --star or --target 'RA DEC'")
    if slew and target is None:
        raise click.UsageError("--slew needs --target 'RA DEC'")
    config = override(load_config(config_file) if config_file else Config(), camera_url, mount_url, exposure_s)
    if virtual_time:
        check_virtual_time(config)
    sky = None if target is None else _coordinates(target)
    try:
        rule = AcquisitionRule(attempts, tolerance, max_offset)
        at = place or (None, None)
        chain = Pipeline([TargetOffsets(*(sky or (None, None)), *at), RaDecFromPixels()])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    last = run(_acquire(config, seed, scenario, sky if slew else None, chain, rule), virtual_time=virtual_time)
    click.echo(f"acquired: {last.distance_arcsec:.2f} arcsec from its place after {last.number} exposures")


def _coordinates(text: str) -> tuple[float, float]:
    from astropy.coordinates import SkyCoord

    units = ("hourangle", "deg") if ":" in text else "deg"
    try:
        place = SkyCoord(text, unit=units)
    except Exception as error:  # astropy raises many
        raise click.UsageError(
            f"target is {text!r}; allowed: right ascension and declination, such as '6h45m9s -16d43m', "
            f"'06:45:09 -16:43:00' or '101.29 -16.72' (degrees): {error}"
        ) from None
    return float(place.ra.deg), float(place.dec.deg)


async def _acquire(
    config: Config, seed: int, scenario: str | None, slew_to: tuple[float, float] | None, chain: Pipeline,
    rule: AcquisitionRule,
) -> Attempt:  # fmt: skip
    from acquisition.devices import DeviceContext, open_camera, open_mount
    from acquisition.errors import ConfigError
    from acquisition.guiding.acquisition import acquire

    def tell(attempt: Attempt) -> None:
        if attempt.distance_arcsec is None:
            click.echo(f"{attempt.number}/{rule.attempts}  not measured: {attempt.failure}")
        else:
            then = "moving the telescope" if attempt.moved else "there"
            click.echo(f"{attempt.number}/{rule.attempts}  {attempt.distance_arcsec:8.2f} arcsec off, {then}")

    context = DeviceContext(seed=seed, scenario=scenario)
    async with open_camera(config.camera.url, context) as camera, open_mount(config.mount.url, context) as mount:
        try:
            await camera.configure(config.camera.settings())
        except ValueError as impossible:
            raise ConfigError(str(impossible)) from None
        if slew_to is not None:
            await mount.slew(*slew_to)
        return await acquire(camera, mount, chain, rule, tell)
