"""``starlatch offsets``: over real frames, over frames of known motion, over what is no frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from star_scene import Scene, scatter

from acquisition.cli.main import main
from acquisition.images import Image, TangentWcs


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(["offsets", *map(str, args)])
    out, err = capsys.readouterr()
    err = "".join(line for line in err.splitlines(True) if not line.startswith("compiling"))
    assert isinstance(leave.value.code, int)
    return leave.value.code, out, err


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames; the stars move by (2, -1.5) px from each to the next. North up, east left, 1 arcsec/px."""
    from dataclasses import replace

    folder = tmp_path_factory.mktemp("moving")
    rng = np.random.default_rng(5)
    scene = Scene(200, 220, *scatter(rng, 8, 200, (5e3, 3e4)))
    wcs = TangentWcs(10.0, 20.0, 100.0, 100.0, (-1 / 3600, 0.0, 0.0, 1 / 3600))
    for k in range(3):
        frame = scene.frame(rng, 2.0 * k, -1.5 * k)
        Image.from_camera(frame, replace(scene.facts, wcs=wcs)).writeto(folder / f"f{k}.fits")
    return folder


def test_offsets_against_the_first_frame(moving: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, moving, "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [Path(row["file"]).name for row in rows] == ["f0.fits", "f1.fits", "f2.fits"]
    assert rows[0]["dx"] == 0
    assert rows[2]["dx"] == pytest.approx(4.0, abs=0.05)
    assert rows[2]["dy"] == pytest.approx(-3.0, abs=0.05)
    assert rows[2]["dra"] == pytest.approx(-4.0 / 3600, abs=0.05 / 3600)
    assert rows[2]["ddec"] == pytest.approx(-3.0 / 3600, abs=0.05 / 3600)
    assert rows[2]["stars"] == 8
    assert rows[2]["exptime"] > 0
    assert rows[2]["reason"] is None


def test_offsets_against_the_previous_frame(moving: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, moving, "--json", "--reference", "previous")
    assert [round(row["dx"], 1) for row in json.loads(out)] == [0, 2.0, 2.0]


def test_table_is_aligned(moving: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, moving)
    lines = out.splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1


def test_a_broken_file_does_not_stop_the_others(
    moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.fits"
    text.write_text("not a picture")
    code, out, err = run(capsys, moving / "f0.fits", text, moving / "f1.fits", "--json")
    rows = json.loads(out)
    assert code == 1
    assert err.count("\n") == 1
    assert "text.fits" in err
    assert rows[1]["dx"] is None
    assert rows[1]["reason"] in err
    assert rows[2]["dx"] == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "empty folder"])
def test_bad_input_is_one_line_and_exit_code_1(
    kind: str, moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "frame.fits"
    if kind == "truncated":
        path.write_bytes((moving / "f0.fits").read_bytes()[:20000])
    elif kind == "text":
        path.write_text("hello")
    elif kind == "empty folder":
        path.mkdir()
    code, out, err = run(capsys, path)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "frame.fits" in err


def test_frames_without_stars_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    Image(rng.normal(500, 10, (100, 100)).astype(np.uint16)).writeto(tmp_path / "blank.fits")
    Image(np.full((100, 100), 7, np.uint16)).writeto(tmp_path / "flat.fits")
    code, out, _ = run(capsys, tmp_path, "--json")
    assert code == 0
    assert all(row["dx"] is None and row["reason"].startswith("no stars") for row in json.loads(out))


def test_hatp32_each_against_the_one_before(realdata: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 4: whole against the matched-star track; no lost frame although steps reach 9 px."""
    _, out, _ = run(capsys, realdata / "hatp32", "--reference", "previous", "--json")
    rows = json.loads(out)
    steps = np.array([[row["dx"], row["dy"]] for row in rows[1:]])
    known = np.loadtxt(realdata / "hatp32" / "shifts.csv", delimiter=",", comments="#")[:, 1:3]
    rms = np.sqrt(((steps - known) ** 2).mean(axis=0))
    assert len(rows) == 60
    assert rms[0] < 0.15
    assert rms[1] < 0.15

    _, out, _ = run(capsys, realdata / "hatp32", "--json")
    first = np.array([[row["dx"], row["dy"]] for row in json.loads(out)[1:]])
    assert np.abs(np.cumsum(steps, axis=0) - first).max() < 0.3  # closure


def test_single_real_frames_have_stars_or_say_why_not(realdata: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((realdata / "frames").glob("*.fit*")):
        _, out, _ = run(capsys, path, "--json")
        (row,) = json.loads(out)
        assert (row["stars"] or 0) > 0 or row["reason"].startswith("no stars"), path.name
