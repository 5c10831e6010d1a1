"""``starlatch devices`` with ZWO's library: none found, cameras found, no library; always one line and exit code 0."""

from __future__ import annotations

from pathlib import Path

import pytest
from asi import needs_compiler

from acquisition.cli.main import main
from drivers.zwo.library import ENVIRONMENT
from simulators.asi_sdk import FakeSdk


def zwo_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as leave:
        main(["devices"])
    assert leave.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("  zwo://"))
    end = next(i for i, line in enumerate(lines) if i > begin and not line.startswith("    "))
    return lines[begin + 1 : end]


@needs_compiler
def test_no_camera_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeSdk()
    monkeypatch.setenv(ENVIRONMENT, str(fake.path))
    assert zwo_lines(capsys) == ["    none found"]


@needs_compiler
def test_cameras_are_listed_by_urls_that_open_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeSdk()
    for model in ("ZWO ASI120MM Mini", "ZWO ASI178MM", "ZWO ASI178MM"):
        fake.attach(model)
    monkeypatch.setenv(ENVIRONMENT, str(fake.path))
    assert zwo_lines(capsys) == [
        "    zwo://ASI120MM%20Mini  ZWO ASI120MM Mini, 1280x960 px of 3.75 µm, 12 bits, USB2",
        "    zwo://ASI178MM?index=1  ZWO ASI178MM, 3096x2080 px of 2.4 µm, 14 bits, USB3",
        "    zwo://ASI178MM?index=2  ZWO ASI178MM, 3096x2080 px of 2.4 µm, 14 bits, USB3",
    ]


def test_a_library_that_is_missing_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "nowhere.so"))
    (line,) = zwo_lines(capsys)
    assert line.startswith("    does not work: the ZWO library")
