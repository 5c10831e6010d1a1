"""A law through a simulated night, as a command; and the figures of a trial."""

import json
import math
from dataclasses import replace

import pytest

from acquisition.cli.main import main
from acquisition.exposure.simulate import TRIALS, Frame, run_trial, summarise
from acquisition.kernels.exposure import Decision, Measurement


def starlatch(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["exposure", "simulate", *args])
    return int(ended.value.code or 0)


def shorten(monkeypatch: pytest.MonkeyPatch, name: str, duration_s: float) -> None:
    monkeypatch.setitem(TRIALS, name, replace(TRIALS[name], duration_s=duration_s))


def test_a_saturated_start(capsys, tmp_path, monkeypatch):
    shorten(monkeypatch, "saturated-start", 90.0)
    plot = tmp_path / "start.png"
    assert starlatch("--scenario", "saturated-start", "--seed", "2", "--plot", str(plot), "--frames") == 0
    said = capsys.readouterr().out
    assert "in the band     from frame" in said
    assert "clipped" in said.splitlines()[0]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_twilight_as_json(capsys, monkeypatch):
    shorten(monkeypatch, "twilight", 40.0)
    assert starlatch("--scenario", "twilight", "--seed", "1", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["in_band_share"] >= 0.95
    assert figures["clipped_frames"] == 0
    assert figures["in_band_from"] == 2


def test_an_unknown_night(capsys):
    assert starlatch("--scenario", "noon") == 2
    assert "saturated-start" in capsys.readouterr().err


def test_the_figures_of_a_trial():
    rule = TRIALS["focus"].table.rule()
    limit_s = rule.law.limits.max_s

    def frame(level: float, exposure_s: float = 1.0, clipped: bool = False) -> Frame:
        return Frame(0.0, None, Measurement(0.0, exposure_s, 1.0), Decision(1.0, level=level, clipped=clipped))

    frames = [frame(3.0, 5.0, clipped=True), frame(1.1), frame(1.4, 2.0), frame(math.nan), frame(0.5, limit_s)]
    summary = summarise(frames, rule, 0.25)
    assert (summary.frames, summary.in_band_from, summary.in_band_share) == (5, 2, 0.5)
    assert (summary.clipped_frames, summary.clipped_after_first, summary.no_light_frames) == (1, 0, 1)
    assert (summary.bound_frames, summary.overshoot, summary.changes) == (1, 1.4, 4)
    assert summarise([frame(5.0)], rule, 0.25).in_band_from is None


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_every_night_ends_well(name):
    from acquisition import virtual_time
    from acquisition.devices import DeviceContext, open_camera

    trial = TRIALS[name]
    rule = trial.table.rule()

    async def night() -> list[Frame]:
        async with open_camera("sim://", DeviceContext(seed=3, scenario=trial.scenario)) as camera:
            return await run_trial(camera, rule, trial)

    summary = summarise(virtual_time.run(night()), rule, trial.band)
    assert summary.in_band_from is not None
    assert summary.in_band_from <= 4
    assert summary.in_band_share >= 0.85
