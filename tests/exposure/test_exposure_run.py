"""``starlatch exposure run``: as a user and as systemd start it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from acquisition.cli.exposure_run import Lines
from acquisition.cli.main import main
from acquisition.exposure.report import FrameReport
from acquisition.images import FrameFacts, Image
from acquisition.kernels.exposure import Decision, Measurement

Run = Callable[..., tuple[int, str, str]]
SIM = "Simulated guide camera"
SMALL = '[camera]\nurl = "sim://"\nexposure_s = 0.5\nroi = [480, 360, 320, 240]\n'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a directory with a config, under virtual time: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL)

    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            main(["exposure", "run", "--config", "small.toml", "--virtual-time", *map(str, args)])
        out, err = capsys.readouterr()
        assert isinstance(leave.value.code, int)
        return leave.value.code, out, err

    return run


def test_a_line_a_frame(run: Run) -> None:
    code, out, _ = run("--law", "background", "-p", "target=0.02", "--frames", 6, "--bias", 160, "--metrics", "m.prom")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [f"frame={number}" for number in range(1, 7)]
    asked = [float(re.search(r"next_exposure_s=(\S+)", line)[1]) for line in lines]  # type: ignore[index]  # it matches
    taken = [float(re.search(r" exposure_s=(\S+)", line)[1]) for line in lines]  # type: ignore[index]  # it matches
    assert taken[0] == 0.5
    assert taken[1:] == pytest.approx(asked[:-1], rel=1e-4)
    assert "frames_total" in Path("m.prom").read_text()


def test_once_prints_an_exposure_and_no_more(run: Run) -> None:
    code, out, err = run("--law", "background", "-p", "target=0.02", "--once")
    assert code == 0
    assert 0.1 < float(out) < 60
    assert 'verdict="on target"' in err


def test_once_says_when_the_limits_keep_it_from_the_target(run: Run) -> None:
    code, out, err = run("--law", "background", "-p", "target=0.8", "--once", "--max", "2s")
    assert (code, float(out)) == (1, 2.0)
    assert "not on target: too dark, longest exposure" in err


def test_only_the_exposures_of_the_darks(run: Run) -> None:
    _, out, _ = run("--law", "background", "-p", "target=0.03", "--frames", 5, "--exposures", "1s,4s,16s")
    assert set(re.findall(r"next_exposure_s=(\S+)", out)) <= {"1", "4", "16"}


def test_only_exposures_of_which_there_are_darks(run: Run, tmp_path: Path) -> None:
    darks = tmp_path / "darks"
    darks.mkdir()
    for number, (exposure_s, gain, camera) in enumerate([(1, 50, SIM), (4, 50, SIM), (2, 80, SIM), (3, 50, "other")]):
        facts = FrameFacts(image_type="master dark", exposure_s=exposure_s, gain=gain, instrument=camera)
        Image.from_camera(np.zeros((240, 320), np.uint16), facts).writeto(darks / f"{number}.fits")
    config = Path("small.toml").read_text().replace("[camera]", "[camera]\ngain = 50")
    Path("small.toml").write_text(config)
    _, out, _ = run("--law", "background", "-p", "target=0.008", "--bias", 1000, "--frames", 5, "--darks", "darks")
    assert set(re.findall(r"next_exposure_s=(\S+)", out)) == {"1", "4"}
    code, _, err = run("--frames", 5, "--darks", "darks", "--exposures", "1s")
    assert (code, "give one of them" in err) == (2, True)
    Path("small.toml").write_text(config.replace("gain = 50", "gain = 60"))
    code, _, err = run("--frames", 5, "--darks", "darks")
    assert (code, "where no dark suits" in err, "gain 60" in err) == (2, True, True)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("-p", "target"), "-p 'target'; allowed: KEY=NUMBER"),
        (("-p", "targte=1"), "has no parameter 'targte'; allowed: full_well"),
        (("--min", "5s", "--max", "1s"), "min_s is 5"),
        (("--exposures", "1s,x"), "several, with commas"),
        (("--camera", "zwo://x"), "--virtual-time is for simulated devices"),
        (("--camera", "sim://?sed=1"), "unknown option 'sed'"),
    ],
)
def test_what_cannot_be_is_said(run: Run, args: tuple[str, ...], why: str) -> None:
    code, out, err = run("--frames", 1, *args)
    assert (code, out) == (2, "")
    assert why in err


def test_nobody_is_waited_for_who_does_not_read() -> None:
    report = FrameReport(1, datetime(2026, 3, 1, tzinfo=UTC), Measurement(0.0, 1.0, 4000.0), Decision(1.0))
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as writer:
        lines = Lines(writer)
        for _ in range(5000):  # a pipe holds a tenth of that
            lines.write(report)
        os.set_blocking(read, False)
        told = reader.read().count("\n")
        assert 100 < told < 2000
        lines.write(report)
        assert reader.read().splitlines() == [f"frames_not_told={5000 - told}", report.line()]


def test_signals_socket_and_systemd(tmp_path: Path) -> None:
    """SIGHUP reloads, SIGTERM ends it in order with exit code 0, and systemd is told."""
    config = tmp_path / "night.toml"
    config.write_text(SMALL + '[exposure]\nlaw = "background"\nsocket = "s"\nmetrics = "m.prom"\n')
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(60)
    code = "from acquisition.cli.main import main; main(['exposure', 'run', '--config', 'night.toml'])"
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert systemd.recv(4096).startswith(b"READY=1")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(tmp_path / "s"))
            told = client.makefile()
            config.write_text(config.read_text().replace("background", "percentile"))
            process.send_signal(signal.SIGHUP)
            while json.loads(told.readline())["law"] != "percentile":
                pass
            config.write_text("law = ")
            process.send_signal(signal.SIGHUP)
            while json.loads(told.readline())["reload_error"] is None:
                pass
            process.send_signal(signal.SIGTERM)
            last = json.loads(told.read().splitlines()[-1])
            assert (last["state"], last["law"]) == ("stopped", "percentile")
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        systemd.close()
    assert process.returncode == 0, err
    assert "reload refused" in err
    assert err.endswith(" frames\n")
    assert not (tmp_path / "s").exists()
    assert out.count("\n") == last["frames"]
