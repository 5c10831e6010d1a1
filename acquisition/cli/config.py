"""``starlatch config``: check a config file, print the schema.

In: a file. Out: "ok", or the one line that says what to mend.
"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Check a config file, or print the schema of all of them.

    \b
    Examples:
      starlatch config check observatory.toml
      starlatch config schema > starlatch.schema.json
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say whether FILE is a valid config, and if not, what to mend."""
    from acquisition.config import load_config

    load_config(file)
    click.echo(f"{file}: ok")


@command.command()
def schema() -> None:
    """Print the JSON schema of the config file; editors check TOML against it."""
    from acquisition.config import schema as config_schema

    click.echo(json.dumps(config_schema(), indent=2))
