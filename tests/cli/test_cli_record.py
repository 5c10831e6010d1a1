"""``starlatch record``."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.cli.main import main
from acquisition.recording.ser import SerReader


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(["record", *args])
    assert isinstance(leave.value.code, int)
    return leave.value.code


def test_records_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "v.ser"
    args = ("sim://", "-n", "3", "-t", "0.01", "--roi", "0,0,64,32", "-o", str(path))
    assert run(*args) == 0
    assert "3 frames in" in capsys.readouterr().out
    reader = SerReader(path)
    assert len(reader) == 3
    assert reader[0].shape == (32, 64)
    assert reader.header.instrument == "Simulated guide camera"
    assert reader.times_utc is not None
    assert run(*args) == 2  # which exists
    assert run(*args, "--overwrite") == 0


@pytest.mark.parametrize(
    "args", [("sim://", "--duration", "0s"), ("sim://", "--bits", "12", "-n", "1"), ("nothing://", "-n", "1")]
)
def test_wrong_calls_are_2(tmp_path: Path, args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*args, "-o", str(tmp_path / "v.ser")) == 2
    assert "starlatch:" in capsys.readouterr().err
