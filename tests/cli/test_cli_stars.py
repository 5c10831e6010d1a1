"""``starlatch stars``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from star_scene import Scene, scatter

from acquisition.cli.main import main
from acquisition.images import Image


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(["stars", *map(str, args)])
    out, err = capsys.readouterr()
    err = "".join(line for line in err.splitlines(True) if not line.startswith("compiling"))
    assert isinstance(leave.value.code, int)
    return leave.value.code, out, err


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stars") / "frame.fits"
    rng = np.random.default_rng(1)
    scene = Scene(200, 220, *scatter(rng, 8, 200, (5e3, 3e4)))
    Image.from_camera(scene.frame(rng), scene.facts).writeto(path)
    return path


def test_table_and_json_agree(frame: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, frame)
    assert code == 0
    assert text.startswith("8 stars, ")
    code, out, _ = run(capsys, frame, "--json", "--max-stars", "3")
    found = json.loads(out)
    assert code == 0
    assert [star["guide"] for star in found["stars"]] == [True] * 3 + [False] * 5
    assert all(star["reason"] for star in found["stars"][3:])
    assert found["fwhm_x_px"] == pytest.approx(2.5, rel=0.1)


def test_plot(frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    code, _, _ = run(capsys, frame, "--plot", tmp_path / "p.png")
    assert code == 0
    assert (tmp_path / "p.png").stat().st_size > 10000


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.fits").write_text("hello")
    for name in ("text.fits", "missing.fits"):
        code, out, err = run(capsys, tmp_path / name)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1


def test_real_frames_show_stars_or_none(realdata: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one star among banding and warm pixels is found, and a frame without stars shows none."""
    _, out, _ = run(capsys, realdata / "frames" / "phd2_simimage.fit", "--json")
    (star,) = (star for star in json.loads(out)["stars"] if star["guide"])
    assert (star["x"], star["y"]) == pytest.approx((730.3, 368.4), abs=0.5)
    _, out, _ = run(capsys, realdata / "frames" / "phd2_savetest.fit", "--json")
    assert json.loads(out)["stars"] == []
