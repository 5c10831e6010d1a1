"""What the command line reads and shows: durations and the braille graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.cli.durations import format_duration, parse_duration
from acquisition.cli.graph import braille_graph


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("2 min", 120),
        (".5", 0.5),
    ],
)
def test_durations_as_people_write_them(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "-5", "-5m", "ten", "5x", "5m 3", "nan", "inf", "1e3"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="allowed: above 0, such as"):
        parse_duration(text)


@given(st.integers(1, 10**6))
def test_seconds_come_back(seconds):
    assert parse_duration(f"{seconds}s") == seconds
    hours, minutes, rest = format_duration(seconds).split(":")
    assert int(hours) * 3600 + int(minutes) * 60 + int(rest) == seconds


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), max_size=300),
    st.integers(12, 120),
    st.integers(3, 20),
)
def test_a_graph_fits_its_place_whatever_it_shows(values, width, height):
    lines = braille_graph([(values, "blue")], width, height, 2.0, '"')
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)


def test_a_graph_shows_up_as_up():
    up = [str(line) for line in braille_graph([([1.9] * 200, "blue")], 40, 5, 2.0, '"')]
    assert set(up[0][8:]) == {"\u2809"}, "a line of dots at the top"
    assert set(up[-1][8:]) == {"\u2800"}, "nothing at the bottom"
