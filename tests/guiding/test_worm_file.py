"""What was learned of a worm, from night to night."""

import asyncio
import dataclasses
import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.config import parse_config
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError
from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.events import GuidingBegan, Step, WormLearned
from acquisition.guiding.guider import Guider
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.worm_file import StoredWorm, load_worm, save_worm
from acquisition.images import Pipeline
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.session import GuideOptions, guide, known_worm

NOW = datetime(2026, 3, 1, 20, tzinfo=UTC)
STORED = StoredWorm("EQ6", NOW, Worm(478.7, (0.0746,), (3.0, -1.0), (0.5, 2.0)))

numbers = st.floats(-1e3, 1e3)


@given(
    period=st.floats(1, 1e5), lines=st.lists(st.floats(1e-6, 10), max_size=6),
    curve=st.lists(st.tuples(numbers, numbers), max_size=30), mount=st.text(max_size=20),
)  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory, period, lines, curve, mount):
    path = tmp_path_factory.mktemp("worm") / "worm.json"
    worm = Worm(period, tuple(lines), tuple(c for c, _ in curve), tuple(s for _, s in curve))
    save_worm(StoredWorm(mount, NOW, worm), path)
    assert load_worm(path) == StoredWorm(mount, NOW, worm)
    assert [entry.name for entry in path.parent.iterdir()] == ["worm.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 7}, "not a worm's curve of format 1"),
        ({"period_s": None}, "not a usable worm's curve"),
        ({"period_s": -1}, "above 0"),
        ({"cosines": [math.inf]}, "not a usable"),
        ({"cosines": [1.0]}, "1 cosines and 2 sines"),
        ({"made_utc": "yesterday"}, "yesterday"),
    ],
)
def test_what_is_no_curve_is_named(tmp_path, change, message):
    path = tmp_path / "worm.json"
    save_worm(STORED, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ConfigError, match=message):
        load_worm(path)
    values = json.loads(path.read_text())
    del values["mount"]
    values.update(dataclasses.asdict(STORED.worm), format=1, made_utc=NOW.isoformat())
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="no key 'mount'"):
        load_worm(path)


def test_another_mounts_worm_is_not_used(tmp_path, caplog):
    path = tmp_path / "worm.json"
    assert known_worm(path, "EQ6") is None
    save_worm(STORED, path)
    assert known_worm(path, "EQ6") == STORED.worm
    assert known_worm(path, "HEQ5") is None
    assert "learned of mount EQ6, not HEQ5" in caplog.text


def night(tmp_path, seconds, listen=lambda event: None, **mount):
    config = parse_config({"camera": {"roi": [320, 240, 640, 480]}, "mount": {"url": "sim://", **mount}})
    return virtual_time.run(guide(config, GuideOptions(tmp_path, seconds, seed=3), listen)).report


def test_a_minute_unlearns_nothing(tmp_path):
    path, told = tmp_path / "worm.json", []
    name = night(tmp_path, 4.0, lambda event: told.append(event) if isinstance(event, WormLearned) else None)["mount"]
    assert told == []
    assert name == "sim://"
    save_worm(dataclasses.replace(STORED, mount=mount_name()), path)
    night(tmp_path, 60.0, told.append, worm_file=str(path))
    (learned,) = (event.worm for event in told if isinstance(event, WormLearned))
    assert learned.cosines == pytest.approx(STORED.worm.cosines)
    assert load_worm(path).worm == learned
    assert load_worm(path).made_utc.year == 2026


def mount_name():
    async def ask():
        async with open_mount("sim://", DeviceContext()) as mount:
            return mount.info.name

    return virtual_time.run(ask())


def test_the_curve_outlives_a_slew_and_a_pause():
    told, slewing = [], []

    async def main():
        async with open_camera("sim://?seed=3") as camera, open_mount("sim://?seed=3") as mount:
            await camera.configure(CameraSettings(exposure_s=2.0, roi=Roi(320, 240, 640, 480)))
            chain = Pipeline(steps=[GuideStarOffsets()])

            def listen(event):
                told.append(event)
                if isinstance(event, Step) and event.frame == 5:
                    guider.pause()
                if isinstance(event, Step) and event.frame == 10 and not slewing:
                    guider.resume()
                    slewing.append(asyncio.create_task(mount.slew(84.5, 29.0)))

            guider = Guider(camera, mount, chain, GuiderSettings(), listen, worm=STORED.worm)
            await guider.run(90.0)

    virtual_time.run(main())
    assert len([event for event in told if isinstance(event, GuidingBegan)]) == 2
    for event in (event for event in told if isinstance(event, WormLearned)):
        assert event.worm.cosines == pytest.approx(STORED.worm.cosines)
        assert event.worm.lines_hz == STORED.worm.lines_hz
    assert len([event for event in told if isinstance(event, WormLearned)]) == 2


@pytest.mark.slow
def test_the_next_night_begins_better(tmp_path):
    """Half an hour of one night; the next night, another phase of the worm, the first turn is guided better."""
    path, told = tmp_path / "worm.json", []
    night(tmp_path, 1800.0, lambda e: told.append(e) if isinstance(e, WormLearned) else None, worm_file=str(path))
    assert load_worm(path).worm == told[-1].worm
    assert told[-1].worm.period_s == pytest.approx(478.7, rel=0.03)
    fresh, taught = night(tmp_path, 480.0), night(tmp_path, 480.0, worm_file=str(path))
    assert taught["true_rms_ra_arcsec"] < 0.9 * fresh["true_rms_ra_arcsec"]
    assert load_worm(path).worm.period_s == pytest.approx(478.7, rel=0.03)
