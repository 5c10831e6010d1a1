"""``starlatch simulate``: what it writes can be read, and what it prints is true."""

import numpy as np
import pytest
from click.testing import CliRunner

from acquisition.errors import ConfigError
from acquisition.images import Image
from simulators.commands import command
from simulators.faults import KINDS
from simulators.scenario import PARTS, presets, scenario_names


def run(*arguments):
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_list_names_everything():
    words = run("list").split()
    for name in [*scenario_names(), *KINDS, *(name for kind in PARTS for name in presets(kind))]:
        assert name in words


def test_a_frame_is_a_fits_file_of_what_was_asked(tmp_path):
    path = tmp_path / "a.fits"
    asked = ("frame", "--scenario", "plant-a", "--seed", "3", "-t", "4", "--at", "100", "--ra", "83.8", "-o")
    said = run(*asked, str(path))
    image = Image.from_file(path)
    assert image.facts.exposure_s == 4.0
    assert image.facts.instrument == "ZWO ASI290MM Mini"
    assert image.facts.ra_deg == pytest.approx(83.8, abs=0.02)
    assert "100.0 s" in said
    assert "mount's error RA" in said
    again = tmp_path / "b.fits"
    run(*asked, str(again))
    assert np.array_equal(image.data, Image.from_file(again).data)


def test_a_frame_as_a_picture(tmp_path):
    from PIL import Image as Picture

    path = tmp_path / "a.png"
    run("frame", "-o", str(path))
    with Picture.open(path) as picture:
        assert picture.size == (1280, 960)
        assert np.asarray(picture).std() > 5


def test_a_night_goes_on_whatever_fails(tmp_path):
    scenario = tmp_path / "short.toml"
    scenario.write_text(
        "[sensor]\nwidth_px = 64\nheight_px = 48\n"
        '[[faults]]\nkind = "drop"\nat_s = 15\nduration_s = 4\n'
        '[[faults]]\nkind = "unplug"\nat_s = 33\nduration_s = 20\n'
    )
    said = run("night", "--scenario", str(scenario), "--duration", "90", "--every", "10", "-o", str(tmp_path / "night"))
    files = sorted((tmp_path / "night").glob("*.fits"))
    assert 5 <= len(files) <= 9
    assert "was unplugged" in said
    starts = [Image.from_file(file).facts.start_utc for file in files]
    assert starts == sorted(starts)
    assert (starts[1] - starts[0]).total_seconds() == pytest.approx(10.0)


def test_mistakes_are_told():
    with pytest.raises(ConfigError, match="unknown scenario"):
        run("frame", "--scenario", "nonsense")
