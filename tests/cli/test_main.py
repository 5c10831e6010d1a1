"""``starlatch`` itself: help, mistakes, and commands of other packages."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest

from acquisition.cli import main as cli
from acquisition.errors import DeviceGone


def starlatch(capsys, *args):
    with pytest.raises(SystemExit) as leave:
        cli.main(list(args))
    out = capsys.readouterr()
    return leave.value.code or 0, out.out, out.err


def test_without_a_command_it_explains_itself(capsys):
    code, out, err = starlatch(capsys)
    assert code == 2
    for command in cli.COMMANDS:
        assert command in out + err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(capsys, command):
    code, out, _ = starlatch(capsys, command, "--help")
    assert code == 0
    assert f"starlatch {command}" in out


def test_an_unknown_command_names_the_known_ones(capsys):
    code, _, err = starlatch(capsys, "gude")
    assert code == 2
    assert err.startswith("starlatch: no such command 'gude'; there are: ")
    assert len(err.strip().splitlines()) == 1


def fails() -> None:
    raise DeviceGone("camera\nunplugged")


def crashes() -> None:
    raise ZeroDivisionError("a bug")


@pytest.fixture
def more_commands(monkeypatch):
    """Two commands from another package."""
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{name}_command", "starlatch.commands") for name in ("fails", "crashes")
    )
    monkeypatch.setattr(cli, "entry_points", lambda **how: points.select(**how))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


fails_command = click.command("fails")(fails)
crashes_command = click.command("crashes")(crashes)


def test_other_packages_add_commands(capsys, more_commands):
    assert "fails" in starlatch(capsys, "--help")[1]


def test_an_expected_failure_is_one_line(capsys, more_commands):
    assert starlatch(capsys, "fails") == (1, "", "starlatch: camera unplugged\n")


def test_a_bug_keeps_its_traceback(more_commands):
    with pytest.raises(ZeroDivisionError):
        cli.main(["crashes"])


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "acquisition.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("starlatch, version ")
