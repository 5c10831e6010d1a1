"""A calibration kept for the next night: it comes back, fits its devices only, and follows binning, pier and dec."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.camera import CameraInfo
from acquisition.config import parse_config
from acquisition.errors import ConfigError
from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.calibration_file import StoredCalibration, load_calibration, save_calibration
from acquisition.guiding.events import CalibrationBegan
from acquisition.mount import MountInfo
from acquisition.session import GuideOptions, calibrate, guide

NOW = datetime(2026, 3, 1, 20, 0, 0, tzinfo=UTC)
CAMERA = CameraInfo("cam", "1", 640, 480, 3.75, 12)
finite = st.floats(-1e3, 1e3)
axes = st.builds(MountAxis, finite, st.floats(1e-3, 1e3), finite.map(abs), finite.map(abs))
responses = st.builds(
    MountResponse,
    axes,
    axes,
    st.none() | st.floats(-90, 90),
    st.sampled_from(["East", "West", "Unknown"]),
    st.integers(1, 4),
)


@given(response=responses, backlash=st.none() | st.floats(0, 100), name=st.text(max_size=10))
def test_it_comes_back(tmp_path_factory, response, backlash, name):
    path = tmp_path_factory.mktemp("cal") / "deep" / "calibration.json"
    stored = StoredCalibration(name, "1", "mount", NOW, response, backlash)
    save_calibration(stored, path)
    assert load_calibration(path) == stored


def test_it_is_for_one_camera_on_one_mount():
    response = MountResponse(MountAxis(0, 2), MountAxis(90, 2))
    stored = StoredCalibration("cam", "1", "mount", NOW, response, None)
    assert stored.misfit(CAMERA, MountInfo("mount")) is None
    assert "not cam (1)" in (
        StoredCalibration("cam", "2", "mount", NOW, response, None).misfit(CAMERA, MountInfo("mount")) or ""
    )
    assert "not other" in (stored.misfit(CAMERA, MountInfo("other")) or "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("mount"), "no key 'mount'"),
        (lambda values: values.update(format=7), "not a calibration of format 1"),
        (lambda values: values["response"]["ra"].update(rate_px_per_s=0), "rate_px_per_s is 0.0; allowed: above 0"),
        (
            lambda values: values["response"]["dec"].update(angle_deg=math.nan),
            "angle_deg is nan; allowed: a finite number",
        ),
        (lambda values: values["response"].update(dec_deg=100), "dec_deg is 100"),
        (lambda values: values["response"].update(pier_side="Up"), "'Up' is not a valid PierSide"),
        (lambda values: values.update(response=[]), "not a usable calibration"),
    ],
)
def test_a_damaged_one_is_named(tmp_path, change, message):
    path = tmp_path / "calibration.json"
    response = MountResponse(MountAxis(0, 2), MountAxis(90, 2))
    save_calibration(StoredCalibration("cam", "1", "mount", NOW, response, None), path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=message) as failure:
        load_calibration(path)
    assert str(path) in str(failure.value)


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", "\x00"])
def test_something_else_is_not_a_calibration(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"calibration.json"):
        load_calibration(path)


def test_binning_and_sides_of_the_pier():
    response = MountResponse(MountAxis(10, 2.0, 1.0, 0.1), MountAxis(100, 3.0), pier_side="East", binning=1)
    half = response.at_binning(2)
    assert (half.ra.rate_px_per_s, half.ra.rate_err_px_per_s, half.dec.rate_px_per_s) == (1.0, 0.05, 1.5)
    assert half.at_binning(1) == response
    flipped = response.at_pier_side("West")
    assert (flipped.ra.angle_deg, flipped.dec.angle_deg) == (-170, -80)
    assert flipped.at_pier_side("East").ra.angle_deg == pytest.approx(10)
    assert response.at_pier_side("West", pulses_know_pier=False).dec == response.dec
    assert response.at_pier_side("Unknown") is response


def test_a_night_uses_what_the_last_one_found(tmp_path):
    file = tmp_path / "rig.json"
    config = parse_config({"camera": {"roi": [320, 240, 640, 480]}, "calibration": {"file": str(file)}})
    events = []

    def night(seed: int, name: str):
        events.clear()
        options = GuideOptions(tmp_path / name, 120.0, seed)
        return virtual_time.run(guide(config, options, events.append))

    first = night(3, "first")
    assert file.exists()
    assert any(isinstance(event, CalibrationBegan) for event in events)
    second = night(3, "second")
    assert not any(isinstance(event, CalibrationBegan) for event in events)
    assert second.report["calibration"] == first.report["calibration"]
    assert second.report["true_rms_total_arcsec"] < 1.5
    night(4, "another rig")
    assert any(isinstance(event, CalibrationBegan) for event in events), "another camera id: not that calibration"


def test_calibrate_alone_ends_after_it(tmp_path):
    config = parse_config({"camera": {"roi": [320, 240, 640, 480]}})
    response = virtual_time.run(calibrate(config, seed=3, scenario=None, directory=tmp_path, listen=lambda event: None))
    assert load_calibration(tmp_path / "calibration.json").response == response
