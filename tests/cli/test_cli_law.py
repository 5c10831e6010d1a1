"""``starlatch law``: the conversation with a plant."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from acquisition.cli.law import command
from acquisition.errors import ConfigError

GOLDEN = list(csv.DictReader((Path(__file__).parent.parent / "guiding" / "phd2_laws.csv").read_text().splitlines()))


def talk(lines: list[str], *args: str) -> list[str]:
    result = CliRunner().invoke(command, args, input="".join(line + "\n" for line in lines), catch_exceptions=False)
    return result.output.splitlines()


@pytest.mark.parametrize(
    ("column", "args"),
    [
        ("hysteresis", ["hysteresis"]),
        ("hysteresis_a1.2_h0.3", ["hysteresis", "-p", "aggression=1.2", "-p", "hysteresis=0.3", "-p", "min_move=0.1"]),
        ("resistswitch_nofast", ["resist-switch", "-p", "fast_switch=false", "-p", "aggression=0.8"]),
        ("zfilter", ["z-filter"]),
        ("ppec", ["predictive-pec"]),
    ],
)
def test_answers_a_line_for_every_line_as_phd2_does(column, args):
    answers = talk([row["input"].replace(" ", ",") for row in GOLDEN], *args)
    assert len(answers) == len(GOLDEN)
    for row, answer in zip(GOLDEN, answers, strict=True):
        if row[column] == "ok":
            assert answer == "ok"
        else:
            assert float(answer) == pytest.approx(float(row[column]), rel=1e-6, abs=1e-9)


def test_the_loop_closes_around_a_law_in_another_process():
    """One line out for one line in, at once: else this would hang."""
    code = "from acquisition.cli.main import main; main(['law', 'predictive', '--latency', '0.4'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as law:
        assert law.stdin is not None
        assert law.stdout is not None
        moved, seen = 0.0, []
        for frame in range(80):
            t = 2.4 * frame
            seen.append(0.05 * t - moved)
            law.stdin.write(f"{t},{seen[-1]},20,2\n")
            law.stdin.flush()
            correction = float(law.stdout.readline())
            if frame == 40:
                law.stdin.write(f"sent,{correction / 2}\n")
                law.stdin.flush()
                assert law.stdout.readline() == "ok\n"
                correction /= 2
            moved += correction
        law.stdin.close()
        assert law.wait(30) == 0
    assert max(map(abs, seen[60:])) < 0.15


def test_units_are_converted():
    lines = ["0,1,20,2", "2.4,1,20,2", "dither,1", "settled", "sent,0.5", "4.8,1,20,2", "lost,7.2"]
    arcsec = talk(lines, "predictive")
    px = talk(
        ["0,0.5,20,2", "2.4,0.5,20,2", "dither,0.5", "settled", "sent,0.25", "4.8,0.5,20,2", "lost,7.2"],
        *("predictive", "--unit", "px", "--scale", "2"),
    )
    assert arcsec[2:5] == px[2:5] == ["ok"] * 3
    for a, p in zip(arcsec, px, strict=True):
        if a != "ok":
            assert float(p) == pytest.approx(float(a) / 2, rel=1e-6)


def test_reset_begins_anew_and_what_is_no_number_is_a_lost_star():
    answers = talk(["0,1", "2,1", "reset", "0,1", "2,1", "4,nan"], "hysteresis")
    assert answers[:2] == answers[3:5]
    assert answers[2] == "ok"
    assert float(answers[5]) == 0


@pytest.mark.parametrize(
    ("args", "lines", "message"),
    [
        (["nonsense"], [], "no law 'nonsense'; there are: predictive, backlash-aware"),
        (["hysteresis", "-p", "agression=1"], [], "hysteresis has no parameter 'agression'; it knows: min_move"),
        (["hysteresis", "-p", "aggression=much"], [], "'much' is not a number"),
        (["hysteresis", "-p", "aggression=3"], [], "aggression is 3.0; allowed: 0 to 2"),
        (["resist-switch", "-p", "fast_switch=2"], [], "not true or false"),
        (["hysteresis", "--unit", "arcsec"], [], "works in px; for lines in arcsec give --scale"),
        (["hysteresis"], ["0,1", "what"], "line 2, 'what': t is 'what'"),
        (["hysteresis"], ["lost"], "line 1, 'lost': t is missing"),
        (["hysteresis"], ["dither,inf"], "amount is inf"),
        (["hysteresis"], ["0,1,2,3,4"], "a frame is t,displacement"),
    ],
)
def test_what_is_wrong_is_named(args, lines, message):
    with pytest.raises(ConfigError) as error:
        talk(lines, *args)
    assert message in str(error.value)


def test_every_law_answers():
    from acquisition.guiding.algorithms import LAWS

    for name in LAWS:
        answers = talk([f"{2.0 * i},{math.sin(i)},20,1" for i in range(12)], name)
        assert all(math.isfinite(float(answer)) for answer in answers)
