"""A guiding run as a whole: what must not cost the night."""

import csv
import logging
import math

import pytest

from acquisition import virtual_time
from acquisition.config import parse_config
from acquisition.errors import ConfigError
from acquisition.guidelog import GuidingSection, read_guide_log
from acquisition.guiding.events import Step
from acquisition.guiding.frame_table import COLUMNS
from acquisition.session import GuideOptions, guide, new_run_directory, write_report

CONFIG = parse_config({"camera": {"roi": [320, 240, 640, 480]}})


def run(tmp_path, listen=lambda event: None, config=CONFIG, **options):
    return virtual_time.run(guide(config, GuideOptions(tmp_path, **options), listen))


def test_a_view_that_breaks_does_not_stop_the_guiding(tmp_path, caplog):
    seen = []

    def closed_terminal(event):
        seen.append(event)
        if isinstance(event, Step) and event.frame == 3:
            raise BrokenPipeError("terminal gone")

    with caplog.at_level(logging.WARNING):
        outcome = run(tmp_path, closed_terminal, duration_s=60.0)
    assert isinstance(seen[-1], Step)
    assert seen[-1].frame == 3
    assert outcome.report["frames"] > 20
    assert [record.getMessage() for record in caplog.records] == ["view: terminal gone; guiding goes on without it"]
    (_, section) = read_guide_log((tmp_path / "guidelog.txt").read_text().splitlines())
    assert isinstance(section, GuidingSection)
    assert section.ends is not None


def test_the_table_beside_the_log_has_a_row_a_frame(tmp_path):
    outcome = run(tmp_path, duration_s=60.0)
    with (tmp_path / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == outcome.report["frames"]
    assert tuple(rows[0]) == COLUMNS
    errors = [float(row["dx_err_px"]) for row in rows]
    assert 0 < min(errors) <= max(errors) < 0.5
    assert all(row["utc"].startswith("2026-03-01T20:") and int(row["stars_used"]) > 3 for row in rows)
    assert all(math.isfinite(float(row["true_ra_arcsec"])) for row in rows)
    assert all(0 < float(row["ra_expected_rms_px"]) < 1 for row in rows[5:])


def test_the_logs_header_has_phd2s_lines_in_phd2s_order(tmp_path):
    run(tmp_path, duration_s=10.0)
    (_, section) = read_guide_log((tmp_path / "guidelog.txt").read_text().splitlines())
    beginnings = [
        "Equipment Profile = ", "Dither = both axes, Dither scale = 1.000, ", "Pixel scale = 3.22 arc-sec/px, ",
        "Camera = ", "Exposure = 2000 ms", "Mount = Simulated equatorial mount, connected, guiding enabled, xAngle = ",
        "Norm rates RA = ", "X guide algorithm = predictive", "Y guide algorithm = backlash-aware", "Backlash comp = ",
        "Max RA duration = 2500, Max DEC duration = 2500, DEC guide mode = Auto", "RA Guide Speed = ", "RA = ",
        "Lock position = ",
    ]  # fmt: skip
    assert len(section.header) == len(beginnings)
    assert all(line.startswith(start) for line, start in zip(section.header, beginnings, strict=True)), section.header
    assert section.setting("xRate") > 1


def test_a_bug_in_a_view_is_not_hidden(tmp_path):
    def buggy(event):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, buggy, duration_s=60.0)


def test_a_full_disk_costs_the_frames_that_do_not_fit_and_no_more(tmp_path, mocker):
    mocker.patch("acquisition.images.Image.writeto", side_effect=OSError(28, "No space left on device"))
    outcome = run(tmp_path, duration_s=30.0, frames_directory=tmp_path / "frames")
    assert outcome.report["lost_frames"] == 0
    assert outcome.report["frames_not_saved"] >= outcome.report["frames"]


def test_impossible_settings_are_a_config_error(tmp_path):
    config = parse_config({"camera": {"roi": [1200, 0, 640, 480]}})
    with pytest.raises(ConfigError, match="ROI is 640x480"):
        run(tmp_path, config=config, duration_s=10.0)


def test_a_mount_that_does_not_answer_pulses_ends_with_the_reason(tmp_path):
    config = parse_config({"camera": {"roi": [320, 240, 640, 480]}, "calibration": {"attempts": 1, "time_limit_s": 5}})
    outcome = run(tmp_path, config=config, duration_s=60.0)
    assert outcome.error is not None
    assert outcome.report["ended"] == str(outcome.error)
    assert "not done after 5 s" in outcome.report["ended"]


def test_a_report_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "report.json"
    write_report({"rms": 1.0}, path)
    with pytest.raises(ValueError, match="nan"):
        write_report({"rms": float("nan")}, path)
    assert path.read_text() == '{\n  "rms": 1.0\n}\n'
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


def test_every_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folders = {new_run_directory() for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() and tmp_path in folder.parents for folder in folders)
