"""``starlatch log``: figures, plot and advice from a log that the guider wrote."""

import re

import pytest

from acquisition.cli.main import main


def starlatch(capsys, *args):
    with pytest.raises(SystemExit) as leave:
        main(list(map(str, args)))
    out = capsys.readouterr()
    return leave.value.code or 0, out.out, out.err


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The guide log of five simulated minutes."""
    folder = tmp_path_factory.mktemp("run")
    config = folder / "fast.toml"
    config.write_text("[camera]\nroi = [320, 240, 640, 480]\n[dither]\nevery_s = 120\n")
    with pytest.raises(SystemExit):
        main(["guide", "--virtual-time", "--duration", "5m", "--config", str(config), "--output", str(folder)])
    return folder / "guidelog.txt"


def test_show_prints_a_line_a_section_and_draws(capsys, log, tmp_path):
    plot = tmp_path / "night.png"
    code, out, err = starlatch(capsys, "log", "show", log, "--plot", plot)
    assert code == 0, err
    assert re.search(r"calibration, \d+ steps, complete", out)
    line = next(line for line in out.splitlines() if line.strip().startswith("1  20"))
    minutes, frames, lost = line.split()[3:6]
    assert 4.8 < float(minutes) < 5.1
    assert 120 < int(frames) < 150
    assert lost == "0"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_assistant_speaks(capsys, log):
    code, out, _ = starlatch(capsys, "log", "assistant", log)
    assert code == 0
    assert out.startswith("section 1, 2026-03-01 20:")
    assert "  - " in out


def test_bad_input_is_one_line(capsys, log, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("hello")
    for args, code, words in (
        (["show", text], 2, "text.txt: not a PHD2 guide log"),
        (["show", tmp_path / "missing.txt"], 1, "No such file"),
        (["show", log, "--section", "7"], 2, "has 1 guiding sections"),
    ):
        found, _, err = starlatch(capsys, "log", *args)
        assert found == code
        assert words in err
        assert len(err.strip().splitlines()) == 1


def test_replay_compares_laws(capsys, log):
    code, out, err = starlatch(capsys, "log", "replay", log, "--law", "hysteresis", "--law", "identity")
    assert code == 0, err
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert set(rows) == {"as", "hysteresis", "identity"}
    assert all(0 < float(value.rstrip('"')) < 2 for value in rows["hysteresis"])


def test_replay_names_the_laws_it_knows(capsys, log):
    code, _, err = starlatch(capsys, "log", "replay", log, "--law", "magic")
    assert code == 2
    assert "'magic'; there are: " in err
