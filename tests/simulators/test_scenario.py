"""Scenarios and presets: the library loads, files override, and mistakes are told with what is allowed."""

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError
from simulators.faults import KINDS
from simulators.scenario import PARTS, load_scenario, parse_scenario, presets, scenario_names
from simulators.setup import Setup
from simulators.world import World, make_world

NIGHTS = {
    "good", "average", "bad-seeing", "strain-wave", "windy", "clouds", "backlash", "faint-oag", "everything-fails",
    "alt-az",
}  # fmt: skip
EXPOSURE = {"twilight", "focus", "cloud-edges", "moonrise", "steady"}  # what `starlatch exposure simulate` takes
PLANTS = {f"plant-{letter}" for letter in "abcdefgh"}
CAMERAS = {"asi120mm-mini", "asi290mm-mini", "asi174mm", "asi2600mm", "asi224mc", "lodestar"}


def test_the_library_is_complete():
    assert set(scenario_names()) == NIGHTS | EXPOSURE | PLANTS
    assert set(presets("camera")) == CAMERAS
    for name in scenario_names():
        assert load_scenario(name).summary


@pytest.mark.parametrize("name", sorted(NIGHTS | EXPOSURE | PLANTS))
def test_every_scenario_has_stars(name):
    world = make_world(load_scenario(name), 1)
    field, sensor = world.field(60.0, 62.0), world.setup.sensor
    seen = (field.x > 30) & (field.x < sensor.width_px - 30) & (field.y > 30) & (field.y < sensor.height_px - 30)
    assert (field.flux_e_per_s[seen] * 2 > 1000).sum() >= 3


def test_the_plants_are_those_of_the_table():
    """Spot checks against the guide-law table: scale, worm, drift, seeing, latency."""
    rows = {  # worm s, PE ", n, drifts "/min, seeing ", D m, noise ", latency s, "/px, backlash, stiction
        "a": (480, 2, 4, 0.3, 0.6, 1.8, 0.1, 0.07, 0.4, 1.0, 0.2, 0),
        "b": (478.7, 10, 8, 0.6, 1.5, 2.5, 0.1, 0.10, 0.4, 1.5, 3, 0.15),
        "c": (478.7, 10, 8, 0.6, 1.5, 4.5, 0.1, 0.20, 0.4, 1.5, 3, 0.15),
        "d": (432, 16, 40, 0.6, 2, 2.5, 0.1, 0.14, 0.3, 1.5, 0, 0),
        "e": (288, 18, 50, 0.6, 2, 2.5, 0.1, 0.10, 0.4, 1.5, 0, 0),
        "f": (638, 20, 12, 0.6, 2.5, 3.0, 0.1, 0.12, 0.4, 2.0, 6, 0.4),
        "g": (480, 4, 6, 0.6, 0.8, 2.2, 0.2, 0.20, 0.6, 0.7, 1, 0),
        "h": (480, 0, 0, 0.5, 0.6, 2.2, 0.1, 0.08, 0.4, 1.0, 0, 0),
    }
    for letter, row in rows.items():
        setup = load_scenario(f"plant-{letter}").setup
        m, air = setup.mount, setup.air
        there = (
            m.worm_period_s, m.worm_amplitude_arcsec, m.worm_harmonics, m.drift_ra_arcsec_per_min,
            m.drift_dec_arcsec_per_min, air.seeing_fwhm_arcsec, setup.optics.aperture_mm / 1000,
            air.frame_jitter_arcsec, setup.sensor.readout_s + m.pulse_latency_s,
            World(setup, 1).scale_arcsec_per_px, m.backlash_dec_arcsec, m.stiction_dec_arcsec,
        )  # fmt: skip
        assert there == pytest.approx(row, rel=2e-4), letter


def test_a_file_begins_with_presets_and_changes_single_values(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'summary = "mine"\ncamera_preset = "asi290mm-mini"\nmount_preset = "premium"\ndec_deg = -20\n'
        "[mount]\nbacklash_dec_arcsec = 7\ngears = [{period_s = 50, amplitude_arcsec = 1}]\n"
        "[air]\nseeing_fwhm_arcsec = 3\n[[air.layers]]\nshare = 1\nwind_m_per_s = 5\nouter_scale_m = 20\n"
        '[[faults]]\nkind = "hang"\nat_s = 60\n'
    )
    scenario = load_scenario(str(path))
    setup = scenario.setup
    assert setup.sensor == presets("camera")["asi290mm-mini"]
    assert setup.mount == replace(
        presets("mount")["premium"], backlash_dec_arcsec=7.0, gears=(type(Setup().mount.gears[0])(50.0, 1.0),)
    )
    assert (setup.dec_deg, setup.ra_deg, setup.air.seeing_fwhm_arcsec, len(setup.air.layers)) == (-20, 120, 3, 1)
    assert scenario.faults[0].kind == "hang"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"camera_preset": "asi999"}, "camera_preset is 'asi999'; allowed: asi120mm-mini"),
        ({"mount_preset": 3}, "mount_preset is 3; allowed: premium"),
        ({"telescop": 1}, "unknown key 'telescop' in the scenario; allowed: .*telescope_preset"),
        ({"air": {"seing": 1}}, r"unknown key 'seing' in \[air\]; allowed: seeing_fwhm_arcsec"),
        ({"air": 3}, "air is 3; allowed: a table"),
        ({"air": {"seeing_fwhm_arcsec": "bad"}}, "air.seeing_fwhm_arcsec is 'bad'; allowed: a number"),
        ({"air": {"seeing_fwhm_arcsec": -1}}, "air.seeing_fwhm_arcsec is -1; allowed: 0 or above"),
        ({"air": {"seeing_fwhm_arcsec": math.nan}}, "is nan; allowed: a finite number"),
        ({"air": {"layers": [{"share": 1.0}]}}, r"air.layers\[0\]: wind_m_per_s is missing"),
        ({"optics": {"focal_length_mm": 0}}, "optics.focal_length_mm is 0; allowed: above 0"),
        ({"optics": {"vignetting": 1}}, "optics.vignetting is 1; allowed: 0 to below 1"),
        ({"optics": {"mirrored": 1}}, "optics.mirrored is 1; allowed: true or false"),
        ({"sensor": {"width_px": 10.5}}, "sensor.width_px is 10.5; allowed: a whole number"),
        ({"sensor": {"bayer_pattern": "RGBG"}}, "sensor.bayer_pattern is 'RGBG'"),
        ({"sensor": {"gain_range": [1]}}, "sensor.gain_range has 1 values; allowed: 2"),
        ({"dec_deg": 91}, "dec_deg is 91; allowed: -90 to 90"),
        ({"faults": [{"kind": "fire", "at_s": 3}]}, "fault kind is 'fire'; allowed: hang, unplug"),
        ({"faults": [{"kind": "hang"}]}, r"faults\[0\]: at_s is missing"),
        ({"faults": [{"kind": "hang", "at_s": -3}]}, "at_s is -3; allowed: 0 or above"),
        ({"faults": [{"kind": "hang", "at_s": 3, "amount": 1}]}, "'hang' has no amount; allowed for: late"),
        ({"faults": [{"kind": "hang", "at_s": 3, "every_s": 10}]}, "every_s is 10; allowed: more than duration_s"),
        ({"faults": 3}, "write .*faults"),
        ({"summary": 3}, "summary is 3; allowed: text"),
    ],
)
def test_mistakes_say_what_is_allowed(tables, message):
    with pytest.raises(ConfigError, match=message):
        parse_scenario(tables)


def test_values_that_do_not_go_together_are_config_errors():
    with pytest.raises(ConfigError, match="faintest magnitude is 40"):
        make_world(parse_scenario({"sky": {"faintest_mag": 40}}), 1)


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown scenario 'god'; allowed: alt-az, average, .*or a TOML file"):
        load_scenario("god")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_scenario(str(tmp_path / "no.toml"))
    (tmp_path / "bad.toml").write_text("[air")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_scenario(str(tmp_path / "bad.toml"))


keys = st.sampled_from(["air", "mount", "sensor", "sky", "optics", "faults", "dec_deg", "camera_preset", "gears", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(keys, values, max_size=3))
def test_any_tables_parse_or_are_config_errors(tables):
    try:
        scenario = parse_scenario(tables)
    except ConfigError:
        return
    assert isinstance(scenario.setup, Setup)


def test_scenarios_are_chosen_by_url_or_for_the_whole_run():
    context = DeviceContext(scenario="plant-h")
    camera, mount = open_camera("sim://", context), open_mount("sim://", context)
    assert camera.world is mount.world
    assert camera.world.setup.mount.name == "plant H"
    with pytest.raises(ConfigError, match=r"scenario is 'good' in .* and 'plant-h' for the whole run"):
        open_camera("sim://?scenario=good", context)
    by_url = DeviceContext()
    camera = open_camera("sim://?scenario=plant-a", by_url)
    assert open_mount("sim://", by_url).world is camera.world  # who does not ask joins
    with pytest.raises(ConfigError, match="was made of 'plant-a'"):
        open_mount("sim://?scenario=plant-b", by_url)
    with pytest.raises(ConfigError, match="unknown scenario"):
        open_mount("sim://?scenario=plant-z", DeviceContext())


def test_every_fault_kind_is_said_to_be_somebodys():
    assert all(text.partition(":")[0] in ("camera", "mount", "weather") for text in KINDS.values())
    assert set(PARTS) == {"camera", "telescope", "mount"}


def test_the_sky_and_the_focus_follow_their_courses():
    setup = parse_scenario(
        {
            "sky": {"background_course": [{"at_s": 0, "mag_per_arcsec2": 12}, {"at_s": 100, "mag_per_arcsec2": 17}]},
            "optics": {"focus_course": [{"at_s": 0, "blur_fwhm_arcsec": 5}, {"at_s": 100, "blur_fwhm_arcsec": 25}]},
        }
    ).setup
    world = World(setup, 1)
    first, middle, late = (world.field(t, t + 1e-3) for t in (0.0, 50.0, 500.0))
    assert first.sky_e_per_s_px / middle.sky_e_per_s_px == pytest.approx(10, rel=1e-3)
    assert middle.sky_e_per_s_px / late.sky_e_per_s_px == pytest.approx(10, rel=1e-3)
    assert first.sigma_px < middle.sigma_px < late.sigma_px


def test_flicker_changes_all_stars_alike_from_frame_to_frame():
    setup = parse_scenario({"air": {"frame_flicker": 0.1}}).setup
    steady, flickering = World(replace(setup, air=replace(setup.air, frame_flicker=0.0)), 1), World(setup, 1)
    shares = [flickering.field(t, t + 1).flux_e_per_s / steady.field(t, t + 1).flux_e_per_s for t in range(50)]
    assert all(share == pytest.approx(share[0]) for share in shares)
    assert 0.06 < statistics.stdev(math.log(share[0]) for share in shares) < 0.14
