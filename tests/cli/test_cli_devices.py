"""``starlatch devices``: what there is, and what is broken, without failing."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from acquisition.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as leave:
        main(["devices", *args])
    assert isinstance(leave.value.code, int)
    return leave.value.code, capsys.readouterr().out


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers beside the simulator: one lacks a library, two are none. Others of ours may lack a library here, too."""
    from acquisition import devices

    true_entry_points = devices.entry_points
    points = [
        EntryPoint("lacking", "a_library_that_nobody_has:DRIVER", devices.CAMERAS),
        EntryPoint("wrong", "math:pi", devices.CAMERAS),
        EntryPoint("typo", "math:no_such_name", devices.MOUNTS),
    ]
    monkeypatch.setattr(
        devices,
        "entry_points",
        lambda group: [
            *true_entry_points(group=group).select(name="sim"),
            *(p for p in points if p.group == group),
        ],
    )


def test_lists_schemes_with_examples_and_what_they_see(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code == 0
    cameras, mounts = out.split("Mounts")
    assert "replay://" in cameras
    assert "sim://" in cameras
    assert "sim://" in mounts
    assert "1280x960" in cameras


def test_json_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--json")
    assert code == 0
    found = json.loads(out)
    assert {camera["scheme"] for camera in found["cameras"]} >= {"sim", "replay"}
    sim = next(mount for mount in found["mounts"] if mount["scheme"] == "sim")
    assert sim["problem"] is None
    assert sim["devices"][0]["url"].startswith("sim://")
    assert sim["example"].startswith("sim://")


@pytest.mark.usefixtures("broken")
def test_broken_drivers_say_why_in_one_line_and_hide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code == 0
    assert "sim://" in out
    problems = [line for line in out.splitlines() if "does not work" in line]
    assert len(problems) == 3
    assert "pip install a_library_that_nobody_has" in problems[0]
    assert "not a Driver" in problems[1]
    assert "no_such_name" in problems[2]


@pytest.mark.usefixtures("broken")
def test_broken_drivers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--json")
    assert code == 0
    problems = {camera["scheme"]: camera["problem"] for camera in json.loads(out)["cameras"]}
    assert problems["sim"] is None
    assert "pip install" in problems["lacking"]
