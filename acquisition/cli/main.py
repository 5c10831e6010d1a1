"""``starlatch``: finds commands, and turns every expected failure into one line and an exit code.

In: the command line. Out: exit code 0, 1 (failure) or 2 (usage: options, config, arguments).
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import click

from acquisition.errors import ConfigError, StarlatchError

COMMANDS = {
    # name: (module, one line for --help; said here so that --help imports nothing)
    "acquire": ("acquisition.cli.acquire", "Bring a target to its place in the frame."),
    "calibrate": ("acquisition.cli.calibrate", "Measure how the stars move when the mount is pulsed, and keep it."),
    "config": ("acquisition.cli.config", "Check a config file, or print the schema of all of them."),
    "devices": ("acquisition.cli.devices", "List the device schemes, and what each driver can see."),
    "doctor": ("acquisition.cli.doctor", "Check this machine, and say what mends it."),
    "expose": ("acquisition.cli.expose", "Take frames with a camera and save them."),
    "exposure": ("acquisition.cli.exposure", "Keep a camera well exposed by itself: daemon, laws, simulation."),
    "guide": ("acquisition.cli.guide", "Guide a telescope; without options, a simulated one."),
    "image": ("acquisition.cli.image", "Say what a FITS file is, show it in the terminal, or convert it."),
    "log": ("acquisition.cli.log", "Read guide logs, ours and PHD2's: figures, plots, advice."),
    "law": ("acquisition.cli.law", "Run a guide law between standard input and standard output."),
    "masters": ("acquisition.cli.masters", "Build master bias, dark and flat frames, or list those of a folder."),
    "offsets": ("acquisition.cli.offsets", "Measure how the stars move over a series of FITS files."),
    "pipeline": ("acquisition.cli.pipeline", "Run image processors over FITS files."),
    "record": ("acquisition.cli.record", "Record a camera's stream as a SER video."),
    "stars": ("acquisition.cli.stars", "List the stars of a frame, and which of them would guide."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; other packages add theirs by entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *(point.name for point in entry_points(group="starlatch.commands"))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command = import_module(COMMANDS[cmd_name][0]).command
        else:
            points = entry_points(group="starlatch.commands", name=cmd_name)
            if not points:
                return None
            command = next(iter(points)).load()
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (name, COMMANDS[name][1] if name in COMMANDS else self._summary_of_added(ctx, name))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary_of_added(self, ctx: click.Context, name: str) -> str:
        """Another package's own words; one that cannot be imported must not take --help with it."""
        try:
            command = self.get_command(ctx, name)
        except Exception as error:
            return f"(cannot be loaded: {error})"
        return "" if command is None else command.get_short_help_str(80)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(f"no such command {args[0]!r}; there are: {', '.join(self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="starlatch", prog_name="starlatch")
@click.option("-v", "--verbose", count=True, help="Say more: -v what is done, -vv everything.")
def cli(verbose: int) -> None:
    """Acquires camera frames and guides telescopes on them.

    \b
    Examples:
      starlatch guide                              guide a simulated telescope until Ctrl-C
      starlatch guide --camera sim:// --mount sim:// --duration 10m
      starlatch offsets night/*.fits               how do the stars move over these frames?
      starlatch devices                            what is attached?
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit.

    Expected failures (`StarlatchError`, a missing file) become one line on standard error: exit code 2 when the user
    can mend the call or the config, 1 otherwise. Anything else is a bug and keeps its traceback.
    """
    try:
        code: Any = cli.main(args, prog_name="starlatch", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "starlatch"
        _complain(f"{error.format_message()} (see {command} --help)")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _complain(error.format_message())
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except ConfigError as error:
        _complain(error)
        sys.exit(2)
    except (StarlatchError, OSError) as error:
        _complain(error)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: Exception | str) -> None:
    text = " ".join(str(error).split()) or type(error).__name__
    click.echo(f"starlatch: {text}", err=True)
