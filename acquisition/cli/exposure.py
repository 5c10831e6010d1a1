"""``starlatch exposure``: exposure times by law.

In: a camera, a folder of frames, or a simulated night. Out: a camera that stays well exposed, and figures of how well.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    # name: (module whose `command` it is, one line for --help)
    "run": ("acquisition.cli.exposure_run", "The daemon: keep a camera well exposed."),
    "watch": ("acquisition.cli.exposure_watch", "Answer another program's frames with the next exposure."),
    "simulate": ("acquisition.cli.exposure_simulate", "Let a law expose through a simulated night, and say how well."),
}


class _Lazy(click.Group):
    """Commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(_COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_Lazy)
def command() -> None:
    """Keep a camera well exposed: laws for stars, the sky, the Moon and planets, and for guiding.

    \b
    Examples:
      starlatch exposure run --camera sim:// --law star
      starlatch exposure watch frames/ --law background --then 'set-exposure {exptime}'
      starlatch exposure simulate --scenario twilight --seed 1 --plot twilight.png
    """
