"""``starlatch guide`` as a user meets it."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from acquisition.cli.main import main
from acquisition.guidelog import CalibrationSection, GuidingSection, read_guide_log


def starlatch(capsys, *args):
    """Run the command in this process; returns (exit code, standard output, standard error)."""
    with pytest.raises(SystemExit) as leave:
        main(list(map(str, args)))
    out = capsys.readouterr()
    return leave.value.code or 0, out.out, out.err


FAST = """
[camera]
exposure_s = 2.0
roi = [320, 240, 640, 480]
"""


@pytest.fixture
def fast(tmp_path):
    """A config file with a small frame."""
    file = tmp_path / "fast.toml"
    file.write_text(FAST)
    return file


def guide(capsys, tmp_path, name, *args):
    output = tmp_path / name
    code, out, err = starlatch(capsys, "guide", "--virtual-time", "--output", output, *args)
    assert code == 0, err
    return output, json.loads((output / "report.json").read_text()), out


def test_a_run_leaves_log_report_and_plot(capsys, tmp_path, fast):
    report_file, plot_file = tmp_path / "a.json", tmp_path / "a.png"
    output, report, out = guide(
        capsys, tmp_path, "run", "--config", fast, "--duration", "3m", "--report", report_file, "--plot", plot_file,
        "--frames-dir", tmp_path / "frames",
    )  # fmt: skip
    assert report == json.loads(report_file.read_text())
    assert 80 <= report["frames"] <= 90
    assert report["lost_frames"] == 0
    assert 0 < report["true_rms_total_arcsec"] < report["rms_total_arcsec"] < 3
    assert report["calibration"]["ra"]["rate_px_per_s"] > 1
    assert report["simulated_s"] > 180 > report["wall_s"]
    assert plot_file.read_bytes().startswith(b"\x89PNG")
    calibration, guiding = read_guide_log((output / "guidelog.txt").read_text().splitlines())
    assert isinstance(calibration, CalibrationSection)
    assert calibration.complete
    assert isinstance(guiding, GuidingSection)
    assert guiding.ends is not None
    assert len(guiding.rows) == report["frames"]
    assert "Guiding: on the guide stars" in out
    assert "duration reached" in out
    assert str(output / "guidelog.txt") in out
    frames = sorted((tmp_path / "frames").glob("*.fits"))
    assert len(frames) >= report["frames"]
    assert report["frames_not_saved"] == 0


def test_same_seed_same_report_and_log_to_the_byte(capsys, tmp_path, fast):
    args = ("--config", fast, "--duration", "90s", "--seed", "7")
    first, second = (guide(capsys, tmp_path, name, *args) for name in "ab")
    other = guide(capsys, tmp_path, "c", "--config", fast, "--duration", "90s", "--seed", "8")
    for report in (first[1], second[1], other[1]):
        del report["wall_s"]
    assert first[1] == second[1] != other[1]
    assert (first[0] / "guidelog.txt").read_bytes() == (second[0] / "guidelog.txt").read_bytes()


def test_without_corrections_no_pulse_is_sent(capsys, tmp_path, fast):
    _, report, _ = guide(capsys, tmp_path, "free", "--config", fast, "--duration", "60s", "--no-corrections")
    assert report["pulses"] == 0
    assert report["corrections"] is False


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--camera", "foo://"], 1, ["unknown camera scheme 'foo'", "known:", "sim"]),
        (["--camera", "sim"], 2, ["'sim' is not a URL", "sim://"]),
        (["--camera", "sim://?colour=1"], 2, ["unknown option 'colour'", "allowed:"]),
        (["--exposure", "-1"], 2, ["duration is '-1'", "allowed: above 0"]),
        (["--duration", "soon"], 2, ["duration is 'soon'"]),
        (["--seed", "-3"], 2, ["-3", "x>=0"]),
        (["--config", "nowhere.toml"], 2, ["nowhere.toml", "cannot be read: No such file"]),
        (["--virtual-time", "--camera", "zwo://"], 2, ["--virtual-time is for simulated devices", "zwo://"]),
    ],
)
def test_bad_input_is_one_line_with_fact_value_and_remedy(capsys, tmp_path, args, code, words):
    exit_code, _, err = starlatch(capsys, "guide", "--output", tmp_path / "run", *args)
    assert exit_code == code
    for word in words:
        assert word in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.strip() and not line.startswith(("Usage:", "Try "))]) == 1


def test_a_roi_outside_the_sensor_is_one_line(capsys, tmp_path):
    file = tmp_path / "roi.toml"
    file.write_text("[camera]\nroi = [1000, 0, 640, 480]\n")
    code, _, err = starlatch(capsys, "guide", "--config", file, "--output", tmp_path / "run", "--virtual-time")
    assert code == 2
    assert "ROI is 640x480+1000+0; allowed: a rectangle inside 1280x960 binned px" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(tmp_path, fast, number):
    """In well under two seconds on an idle machine; a busy one is given the ten that anything here may wait."""
    output = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "acquisition.cli", "guide", "--config", fast, "--exposure", "0.2", "--output", output],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "calibration 1" in line:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "interrupted after" in out
    assert (output / "guidelog.txt").read_text().rstrip().splitlines()[-1].startswith("Log closed at")
    assert json.loads((output / "report.json").read_text())["ended"] == "interrupted"


def test_help_has_an_example():
    from acquisition.cli.guide import command

    result = CliRunner().invoke(command, ["--help"])
    assert "starlatch guide --duration 2m" in result.output


def test_calibrate_keeps_what_it_finds_and_draws_it(capsys, tmp_path, fast):
    plot = tmp_path / "calibration.png"
    code, out, err = starlatch(
        capsys, "calibrate", "--virtual-time", "--config", fast, "--seed", "3", "-o", tmp_path, "--plot", plot
    )
    assert code == 0, err
    assert "calibrated: RA" in out
    assert json.loads((tmp_path / "calibration.json").read_text())["camera_id"] == "sim-3-0"
    assert plot.read_bytes().startswith(b"\x89PNG")
