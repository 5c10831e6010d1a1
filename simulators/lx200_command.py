"""``starlatch simulate lx200``: the simulated mount at a terminal, for any program that speaks a dialect of LX200.

In: a dialect. Out: the terminal's name, and a mount behind it until Ctrl-C.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import click

DIALECTS = ("classic", "gps", "onstep", "am5", "astrophysics", "pulsar2", "ioptron")


@click.command()
@click.option("--dialect", type=click.Choice(DIALECTS), required=True, help="What the mount speaks.")
@click.option("--scenario", metavar="NAME|FILE", help="Rig and night [default: the one of sim://].")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of everything random.")
@click.option("-v", "--verbose", is_flag=True, help="Print every command that comes.")
def lx200(dialect: str, scenario: str | None, seed: int, verbose: bool) -> None:
    """The simulated mount behind a pseudo-terminal, until Ctrl-C.

    Prints the terminal's name, which other programs open like a serial port (any speed).

    \b
    Examples:
      starlatch simulate lx200 --dialect onstep
      starlatch simulate lx200 --dialect ioptron --scenario backlash -v
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(dialect, scenario, seed, verbose))


async def _serve(dialect: str, scenario: str | None, seed: int, verbose: bool) -> None:
    # imported here, as `starlatch --help` imports this file
    from acquisition.devices import DeviceContext, DeviceUrl

    from .lx200_serial import SerialMount
    from .shared_world import shared_world

    context = DeviceContext(seed=seed, scenario=scenario)
    mount = SerialMount(shared_world(DeviceUrl.parse("sim://"), context), dialect)
    click.echo(mount.tty)
    try:
        while True:
            await asyncio.sleep(0.2)
            while mount.heard:
                heard = mount.heard.popleft()
                if verbose:
                    click.echo(heard, err=True)
    finally:
        mount.close()
