"""Figures and advice from guide logs."""

import csv
import dataclasses
from datetime import datetime

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.config import parse_config
from acquisition.errors import ConfigError
from acquisition.guidelog import DropRow, GuideRow, GuidingSection, read_guide_log
from acquisition.guiding.assistant import LiveAssistant, advise
from acquisition.guiding.summary import summarise
from acquisition.session import GuideOptions, guide

HEADER = [
    "Pixel scale = 2.00 arc-sec/px",
    "xRate = 2.0, yRate = 2.0",
    "Max RA duration = 2500, Max DEC duration = 2500",
]


def section(ra, dec, *, ra_ms=0, dec_ms=0, snr=50.0, code=0):
    """A log of measured displacements, px every 2 s; pulses are signed (positive: West, South)."""
    ra_ms, dec_ms = np.broadcast_to(ra_ms, len(ra)), np.broadcast_to(dec_ms, len(ra))
    rows = [
        GuideRow(
            i, 2.0 * i, 0, 0, float(x), float(y), 0, 0,
            abs(int(a)), "" if a == 0 else "W" if a > 0 else "E", abs(int(b)), "" if b == 0 else "S" if b > 0 else "N",
            1000, snr, code,
        )
        for i, (x, y, a, b) in enumerate(zip(ra, dec, ra_ms, dec_ms, strict=True))
    ]  # fmt: skip
    return GuidingSection(datetime(2026, 3, 1), list(HEADER), list(rows))


def noise(sigma=0.2, n=400, seed=1):
    return np.random.default_rng(seed).normal(0, sigma, n)


def test_figures_of_white_noise():
    summary = summarise(section(noise(), noise(0.3, seed=2)))
    assert summary.ra.rms_px == pytest.approx(0.2, rel=0.1)
    assert summary.dec.rms_px == pytest.approx(0.3, rel=0.1)
    assert summary.jitter_px == pytest.approx(0.2, rel=0.1)
    assert abs(summary.ra.lag_one) < 0.2
    assert (summary.frames, summary.lost, summary.cadence_s, summary.scale_arcsec) == (400, 0, 2.0, 2.0)


def test_drift_is_that_of_the_open_loop():
    """Held by pulses, the stars stay; the pulses tell the drift: 50 ms at 2 px/s every 2 s are 3 px/min."""
    summary = summarise(section(noise(), noise(seed=2), dec_ms=50))
    assert summary.dec.drift_px_per_min == pytest.approx(3.0, rel=0.02)
    assert summary.ra.drift_px_per_min == pytest.approx(0.0, abs=0.02)


def test_settling_does_not_count():
    rows = section(np.r_[noise(n=100), np.full(10, 50.0), noise(n=100)], noise(n=210))
    rows.infos = [(100, "SETTLING STATE CHANGE, Settling started"), (110, "SETTLING STATE CHANGE, Settling complete")]
    assert summarise(rows).ra.rms_px < 0.25


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (section(noise(), noise(), dec_ms=100), ["Dec drifts", "polar axis is off by 46'"]),
        (
            section(np.tile([1.0, -1.0], 200) + noise(), noise(), ra_ms=np.tile([300, -300], 200)),
            ["RA oscillates", "RA is 5"],
        ),
        (
            section(3 * np.sin(np.arange(400) / 30) + noise(), noise(), ra_ms=100 * np.sin(np.arange(400) / 30)),
            ["RA lags", "predictive law"],
        ),
        (section(noise(), noise(), snr=6.0), ["SNR is 6, 10 or more is good"]),
        (section(noise(), noise(), code=1), ["saturated in 100 % of the frames"]),
        (section(noise(), noise(), ra_ms=2500), ["RA: 400 of 400 pulses were cut"]),
        (section(noise(n=60), noise(n=60)), ["this section has 2.0 minutes"]),
    ],
)
def test_advice_names_the_figure_that_led_to_it(log, words):
    advice = "\n".join(advise(summarise(log)))
    for word in words:
        assert word in advice


def test_a_good_night_gets_no_advice():
    steady = summarise(section(noise(), noise(seed=2), ra_ms=np.sign(noise(seed=3)) * 50))
    advice = [text for text in advise(steady) if "no guiding at this pace" not in text]
    assert advice == []


def test_lost_frames_are_counted_and_told():
    log = section(noise(), noise())
    log.rows[100:150] = [DropRow(i, 2.0 * i, 0, 0, 3, "cloud") for i in range(100, 150)]
    summary = summarise(log)
    assert (summary.frames, summary.lost) == (400, 50)
    assert "12 % of the frames lost the star" in "\n".join(advise(summary))


def test_a_section_without_stars_says_so():
    log = GuidingSection(datetime(2026, 3, 1), [], [DropRow(1, 2.0, 0, 0, 3, "cloud")])
    with pytest.raises(ConfigError, match="no frame has a star"):
        summarise(log)


def test_real_logs_have_the_rms_that_others_found(realdata):
    """`sections.csv` was made by another program, which counts settling frames: compare nights without dithers."""
    with (realdata / "guidelogs" / "sections.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["dithers"] == "0" and int(row["frames"]) > 100]
    assert rows
    for row in rows:
        with (realdata / "guidelogs" / row["log"]).open() as log:
            sections = [s for s in read_guide_log(log) if isinstance(s, GuidingSection)]
        summary = summarise(dataclasses.replace(sections[int(row["guiding_section"])], infos=[]))
        assert summary.ra.rms_px * summary.scale_arcsec == pytest.approx(float(row["guided_rms_ra_arcsec"]), abs=0.03)
        assert summary.dec.rms_px * summary.scale_arcsec == pytest.approx(float(row["guided_rms_dec_arcsec"]), abs=0.1)
        assert summary.lost == int(row["lost"])


def test_the_assistant_speaks_while_guiding_and_says_each_thing_once(tmp_path):
    """Fifteen virtual minutes without corrections: Dec drifts, and no axis is pulsed."""
    log, said = tmp_path / "guidelog.txt", []
    assistant = LiveAssistant(log, said.append)
    config = parse_config({"camera": {"roi": [320, 240, 640, 480]}, "mount": {"url": "sim://"}})
    options = GuideOptions(tmp_path, 900.0, 1, corrections=False)
    virtual_time.run(guide(config, options, assistant.listen))
    assert len(said) == len(set(said)) >= 1
    assert any("Dec drifts" in text and "polar axis" in text for text in said)
