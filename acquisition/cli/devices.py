"""``starlatch devices``: which URL schemes there are, and what each driver can see.

In: the registered drivers. Out: a list for people, or JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint

import click

from acquisition.devices import CAMERAS, MOUNTS, Listing, drivers, load_driver
from acquisition.errors import StarlatchError


@dataclass(frozen=True)
class _Scheme:
    """A scheme, its driver, and what that sees; a driver that does not work says why instead."""

    scheme: str
    summary: str
    example: str
    devices: tuple[Listing, ...] | None = None  # None: nobody can look
    problem: str | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List the device schemes, and what each driver can see.

    A scheme begins the URL that names a camera or a mount to other commands.

    \b
    Examples:
      starlatch devices
      starlatch devices --json
    """
    kinds = {
        "cameras": [_look(point) for point in drivers(CAMERAS).values()],
        "mounts": [_look(point) for point in drivers(MOUNTS).values()],
    }
    if as_json:
        click.echo(
            json.dumps({kind: [asdict(scheme) for scheme in schemes] for kind, schemes in kinds.items()}, indent=2)
        )
        return
    for kind, schemes in kinds.items():
        click.echo(click.style(kind.capitalize(), bold=True))
        for scheme in schemes:
            click.echo(f"  {scheme.scheme + '://':<12}{scheme.summary}, such as {scheme.example}")
            if scheme.problem is not None:
                click.echo(f"    does not work: {scheme.problem}")
            elif scheme.devices == ():
                click.echo("    none found")
            for device in scheme.devices or ():
                click.echo(f"    {device.url}  {device.description}")
        if not schemes:
            click.echo("  no driver is installed")


def _look(point: EntryPoint) -> _Scheme:
    try:
        driver = load_driver(point)
    except Exception as error:  # one broken driver must not hide the others
        return _Scheme(point.name, "", f"{point.name}://", problem=_one_line(error))
    try:
        found = driver.discover()
        return _Scheme(point.name, driver.summary, driver.example, None if found is None else tuple(found))
    except Exception as error:
        return _Scheme(point.name, driver.summary, driver.example, problem=_one_line(error))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, StarlatchError) else f"{type(error).__name__}: {text}"
