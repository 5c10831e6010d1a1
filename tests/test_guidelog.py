"""PHD2's log format: what we write can be read, and what PHD2 wrote, too."""

import io
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import ConfigError
from acquisition.guidelog import (
    CalibrationRow,
    CalibrationSection,
    DropRow,
    GuideLogWriter,
    GuideRow,
    GuidingSection,
    open_loop,
    read_guide_log,
)

NOW = datetime(2026, 3, 1, 20, 0, 0)

distances = st.floats(-1000, 1000).map(lambda value: round(value, 3) + 0.0)
counts = st.integers(0, 10**6)
guide_rows = st.builds(
    GuideRow, counts, distances.map(abs), distances, distances, distances, distances, distances, distances,
    st.integers(0, 10000), st.sampled_from(["W", "E", ""]), st.integers(0, 10000), st.sampled_from(["N", "S", ""]),
    counts.map(float), distances.map(lambda value: round(abs(value), 2)), st.integers(0, 8),
)  # fmt: skip
drop_rows = st.builds(
    DropRow, counts, distances.map(abs), counts.map(float), distances.map(lambda value: round(abs(value), 2)),
    st.integers(0, 8),
    st.text(st.characters(codec="ascii", exclude_characters='"', exclude_categories=["C"]), max_size=30),
)  # fmt: skip


@given(rows=st.lists(guide_rows | drop_rows, max_size=20))
def test_rows_come_back(rows):
    text = io.StringIO()
    writer = GuideLogWriter(text, "1.0", NOW)
    writer.guiding_begins(NOW, ["Pixel scale = 3.22 arc-sec/px, Binning = 1, Focal length = 240 mm"])
    for row in rows:
        writer.row(row)
    writer.info("DITHER by 1.000, 2.000, new lock pos = 3.000, 4.000")
    writer.guiding_ends(NOW, 12.0)
    writer.end(NOW)
    (section,) = read_guide_log(text.getvalue().splitlines())
    assert isinstance(section, GuidingSection)
    assert section.rows == rows
    assert section.begins == section.ends == NOW
    assert section.header == ["Pixel scale = 3.22 arc-sec/px, Binning = 1, Focal length = 240 mm"]
    assert section.infos == [(len(rows), "DITHER by 1.000, 2.000, new lock pos = 3.000, 4.000")]


def test_a_calibration_comes_back():
    text = io.StringIO()
    writer = GuideLogWriter(text, "1.0", NOW)
    writer.calibration_begins(NOW, ["Mount = sim"])
    row = CalibrationRow("West", 1, -1.5, 0.25, 100.0, 200.5, 1.521)
    writer.calibration_row(row)
    writer.axis_calibrated("West", 12.34, 2.5)
    writer.calibration_ends("sim")
    (section,) = read_guide_log(text.getvalue().splitlines())
    assert section == CalibrationSection(NOW, ["Mount = sim"], [row], True)


def test_the_columns_are_phd2s():
    """Layout as PHD2 2.6.13 writes it, so that PHD Log Viewer and Ekos take it."""
    text = io.StringIO()
    writer = GuideLogWriter(text, "1.0", NOW)
    writer.row(GuideRow(1, 1.5, 0.1, -0.2, 0.3, -0.4, 0.5, 0.0, 123, "W", 0, "", 4567.8, 12.345))
    writer.row(DropRow(2, 3.0, 0.0, 0.0, 3, 'Star lost - "cloud"'))
    first, row, drop = text.getvalue().splitlines()
    assert first.startswith("PHD2 version ")
    assert first.endswith("Log version 2.5. Log enabled at 2026-03-01 20:00:00")
    assert row == '1,1.500,"Mount",0.100,-0.200,0.300,-0.400,0.500,0.000,123,W,0,,,,4568,12.35,0'
    assert drop == '2,3.000,"DROP",,,,,,,,,,,,,0,0.00,3,"Star lost - \'cloud\'"'


def test_every_row_of_real_logs_is_read(realdata):
    logs = sorted((realdata / "guidelogs").glob("*.txt"))
    assert logs
    for log in logs:
        text = log.read_text()
        sections = read_guide_log(text.splitlines())
        rows = sum(len(section.rows) for section in sections if isinstance(section, GuidingSection))
        assert rows == len(re.findall(r"^\d+,", text, re.MULTILINE)), log.name


def test_a_log_that_breaks_off_loses_only_its_last_line():
    text = io.StringIO()
    writer = GuideLogWriter(text, "1.0", NOW)
    writer.guiding_begins(NOW, [])
    for frame in (1, 2):
        writer.row(GuideRow(frame, 1.5, 0.1, -0.2, 0.3, -0.4, 0.5, 0.0, 123, "W", 0, "", 4567.8, 12.345))
    (section,) = read_guide_log(text.getvalue()[:-20].splitlines())
    assert isinstance(section, GuidingSection)
    assert [row.frame for row in section.rows] == [1]
    assert section.ends is None


def test_open_loop_undoes_the_guiding():
    """A known motion, guided by a law that overreacts and sees every second frame, dithered once."""
    motion_ra, motion_dec = [0.3 * i for i in range(20)], [2.0 * (i % 3) for i in range(20)]
    section = GuidingSection(
        NOW, ["Pixel scale = 2.00 arc-sec/px", "Mount = x, xAngle = 1, xRate = 2.0, yRate = 4.000"]
    )
    sent_ra = sent_dec = lock_ra = lock_dec = 0.0
    for i in range(20):
        if i == 10:
            section.infos.append((10, "DITHER by 1.500, -2.500, new lock pos = 0.000, 0.000"))
            lock_ra, lock_dec = 1.5, -2.5
        ra, dec = motion_ra[i] - sent_ra - lock_ra, motion_dec[i] - sent_dec - lock_dec
        if i % 5 == 4:
            section.rows.append(DropRow(i, float(i), 0, 0, 3, "cloud"))
            continue
        ra_ms, dec_ms = round(abs(ra) * 1000), round(abs(dec) * 500)
        row = GuideRow(
            i, float(i), 0, 0, ra, dec, 0, 0, ra_ms, "W" if ra > 0 else "E", dec_ms, "S" if dec > 0 else "N", 1, 1
        )
        section.rows.append(row)
        sent_ra += ra_ms / 1000 * 2.0 * (1 if ra > 0 else -1)
        sent_dec += dec_ms / 1000 * 4.0 * (1 if dec > 0 else -1)
    found = open_loop(section)
    seen = [i for i in range(20) if i % 5 != 4]
    assert found.scale_arcsec == 2.0
    assert list(found.t_s) == seen
    assert found.ra_px == pytest.approx([motion_ra[i] for i in seen])
    assert found.dec_px == pytest.approx([motion_dec[i] for i in seen])


def test_open_loop_needs_rates_and_stars():
    with pytest.raises(ConfigError, match="no xRate and yRate"):
        open_loop(GuidingSection(NOW, ["Mount = x"]))
    with pytest.raises(ConfigError, match="no frame has a star"):
        open_loop(GuidingSection(NOW, ["xRate = 1.0, yRate = 2.0"]))


def test_something_else_is_not_a_guide_log():
    with pytest.raises(ConfigError, match="not a PHD2 guide log"):
        read_guide_log(["hello", "world"])
