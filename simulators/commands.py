"""``starlatch simulate``: frames and nights from the simulator, and what there is to choose from.

In: a scenario. Out: FITS or PNG files, a printed truth, lists.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .lx200_command import lx200

if TYPE_CHECKING:
    from acquisition.images import Image

    from .camera import SimulatedCamera

LONGEST_S = 7 * 86400.0


@click.group("simulate")
def command() -> None:
    """Make frames and nights with the simulated telescope.

    \b
    Examples:
      starlatch simulate list
      starlatch simulate frame --scenario average -o sky.fits
      starlatch simulate frame --ra 83.8 --dec -5.4 -t 10 -o orion.png
      starlatch simulate night --scenario windy --duration 300 --every 10 -o night/
      starlatch simulate lx200 --dialect onstep
    """


command.add_command(lx200)


@command.command("list")
def list_them() -> None:
    """Scenarios, presets and kinds of faults."""
    from .faults import KINDS
    from .scenario import PARTS, load_scenario, presets, scenario_names

    click.echo("scenarios (--scenario NAME, or a TOML file)")
    for name in scenario_names():
        click.echo(f"  {name:<18}{load_scenario(name).summary}")
    for kind in PARTS:
        click.echo(f"\n{kind} presets ({kind}_preset = NAME, in a scenario)")
        for name, spec in presets(kind).items():
            click.echo(f"  {name:<18}{spec.name}")
    click.echo("\nfaults ([[faults]] kind = NAME, in a scenario)")
    for name, what in KINDS.items():
        click.echo(f"  {name:<18}{what}")


SCENARIO = click.option("--scenario", metavar="NAME|FILE", help="Rig and night [default: the one of sim://].")
SEED = click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of everything random.")
EXPOSURE = click.option(
    "-t", "--exposure", "exposure_s", type=click.FloatRange(0, 3600), default=2.0, show_default=True, help="Seconds."
)
RA = click.option("--ra", "ra_deg", type=float, help="Where to point, ICRS degrees [default: the scenario's].")
DEC = click.option("--dec", "dec_deg", type=click.FloatRange(-90, 90), help="The same.")


@command.command()
@SCENARIO
@SEED
@EXPOSURE
@RA
@DEC
@click.option(
    "--at", "at_s", type=click.FloatRange(0, LONGEST_S), default=0.0, help="So long after the night began, seconds."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default="simulated.fits", show_default=True)
def frame(
    scenario: str | None, seed: int, exposure_s: float, ra_deg: float | None, dec_deg: float | None, at_s: float,
    output: Path,
) -> None:  # fmt: skip
    """One frame, as FITS or (by its name) PNG, and what is true of it."""
    from acquisition import virtual_time

    async def take() -> None:
        camera = _camera(scenario, seed, ra_deg, dec_deg)
        async with camera:
            await asyncio.sleep(at_s)
            await _expose_to(camera, exposure_s, output)

    virtual_time.run(take())


@command.command()
@SCENARIO
@SEED
@EXPOSURE
@RA
@DEC
@click.option("--duration", "duration_s", type=click.FloatRange(0, LONGEST_S), default=600.0, show_default=True)
@click.option("--every", "every_s", type=click.FloatRange(0, LONGEST_S), default=0.0, help="From start to start.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default="night", show_default=True)
def night(
    scenario: str | None, seed: int, exposure_s: float, ra_deg: float | None, dec_deg: float | None,
    duration_s: float, every_s: float, output: Path,
) -> None:  # fmt: skip
    """A night's unguided frames, as FITS files in a folder; prints a line a frame."""
    from acquisition import virtual_time
    from acquisition.camera import CameraSettings
    from acquisition.errors import DeviceError, DeviceGone

    async def take() -> None:
        loop, number = asyncio.get_running_loop(), 0
        async with _camera(scenario, seed, ra_deg, dec_deg) as camera:
            while loop.time() < duration_s:
                began_s, number = loop.time(), number + 1
                try:
                    await _expose_to(camera, exposure_s, output / f"frame-{number:05d}.fits")
                except DeviceError as error:
                    click.echo(f"{began_s:9.1f} s  {error}")
                    await asyncio.sleep(1.0)
                    if isinstance(error, DeviceGone):
                        await camera.close()
                        await _connect(camera, duration_s)
                        await camera.configure(CameraSettings(exposure_s=exposure_s))
                await asyncio.sleep(max(0.0, began_s + every_s - loop.time()))

    output.mkdir(parents=True, exist_ok=True)
    virtual_time.run(take())


def _camera(scenario: str | None, seed: int, ra_deg: float | None, dec_deg: float | None) -> SimulatedCamera:
    from dataclasses import replace

    from .camera import SimulatedCamera
    from .scenario import DEFAULT, load_scenario
    from .world import make_world

    chosen = DEFAULT if scenario is None else load_scenario(scenario)
    setup = chosen.setup
    setup = replace(
        setup,
        ra_deg=setup.ra_deg if ra_deg is None else ra_deg % 360,
        dec_deg=setup.dec_deg if dec_deg is None else dec_deg,
    )
    return SimulatedCamera(make_world(replace(chosen, setup=setup), seed))


async def _connect(camera: SimulatedCamera, until_s: float) -> None:
    """Try until the camera is there again."""
    from acquisition.errors import DeviceError

    while True:
        try:
            return await camera.connect()
        except DeviceError:
            if asyncio.get_running_loop().time() > until_s:
                raise
            await asyncio.sleep(5.0)


async def _expose_to(camera: SimulatedCamera, exposure_s: float, path: Path) -> None:
    from acquisition.camera import CameraSettings

    await camera.configure(CameraSettings(exposure_s=exposure_s))
    began_s = asyncio.get_running_loop().time()
    image = await camera.expose()
    if path.suffix.lower() == ".png":
        _write_png(image, path)
    else:
        image.writeto(path, overwrite=True)
    truth, field = camera.truth(image), camera.world.field(began_s, began_s + exposure_s)
    assert truth is not None
    click.echo(
        f"{began_s:9.1f} s  {path}  stars {len(field.x)}, FWHM {2.3548 * field.sigma_px:.2f} px, mount's error "
        f'RA {truth.ra_arcsec:+.2f}" Dec {truth.dec_arcsec:+.2f}" = ({truth.dx_px:+.2f}, {truth.dy_px:+.2f}) px, '
        f"centre {field.ra_deg % 360:.5f} {field.dec_deg:+.5f}"
    )


def _write_png(image: Image, path: Path) -> None:
    """A picture to look at: square root of the brightness between sky and the brightest thousandth, north as it is."""
    import numpy as np
    from PIL import Image as Picture

    low, high = np.percentile(image.data, [20, 99.9])
    shown = np.sqrt(np.clip((image.data - low) / max(high - low, 1), 0, 1)) * 255
    Picture.fromarray(shown.astype(np.uint8)[::-1]).save(path)
