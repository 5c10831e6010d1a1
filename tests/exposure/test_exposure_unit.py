"""The systemd unit: what it starts can be started, and systemd understands it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from acquisition.cli.exposure_run import command
from acquisition.config import load_config

PACKAGING = Path(__file__).parents[2] / "packaging"
UNIT = PACKAGING / "starlatch-exposure@.service"


def test_what_it_starts_is_a_command_of_ours() -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    program, group, name, *args = line.split()
    assert (Path(program).name, group, name) == ("starlatch", "exposure", "run")
    context: click.Context = command.make_context("run", args)
    assert {"config_file", "socket", "metrics"} <= {key for key, value in context.params.items() if value}


def test_the_example_config_is_right() -> None:
    assert load_config(PACKAGING / "exposure.toml").exposure.rule().law.name == "background"


def test_systemd_understands_it(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: Debian's package systemd has it")
    unit = tmp_path / UNIT.name.replace("@", "@guide")
    unit.write_text(UNIT.read_text().replace("/opt/starlatch/bin/starlatch", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
