"""``starlatch image``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from rich.console import Console
from star_scene import Scene, scatter

from acquisition.cli.main import main
from acquisition.cli.preview import fitted, half_blocks, shrunk
from acquisition.images import Image

GREEN, RED = (0, 230, 90), (255, 90, 70)


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(["image", *map(str, args)])
    out, err = capsys.readouterr()
    err = "".join(line for line in err.splitlines(True) if not line.startswith("compiling"))
    assert isinstance(leave.value.code, int)
    return leave.value.code, out, err


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(200, 220, *scatter(np.random.default_rng(1), 8, 200, (5e3, 3e4)))


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    path = tmp_path_factory.mktemp("image") / "frame.fits"
    image = Image.from_camera(scene.frame(np.random.default_rng(2)), scene.facts)
    image.mask = np.eye(200, 220, dtype=bool)
    image.writeto(path)
    return path


def test_info_in_words_and_as_an_object(frame: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, err = run(capsys, "info", frame, "--header")
    assert (code, err) == (0, "")
    assert "220 x 200, uint16, in adu" in text
    assert "mask (200 px masked)" in text
    assert "raw (the data themselves)" in text
    assert "\nNAXIS1  =                  220" in text
    code, out, _ = run(capsys, "info", frame, "--json")
    found = json.loads(out)
    image = Image.from_file(frame)
    assert found["shape"] == [200, 220]
    assert found["pixels"]["median"] == np.sort(image.data, axis=None)[22_000]
    assert found["pixels"]["max"] == image.data.max()
    assert found["exposure_s"] == image.facts.exposure_s


def test_info_of_pixels_that_are_no_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image(np.full((3, 4), np.nan)).writeto(tmp_path / "nan.fits")
    assert "pixels: 12 not finite" in run(capsys, "info", tmp_path / "nan.fits")[1]
    found = json.loads(run(capsys, "info", tmp_path / "nan.fits", "--json")[1])
    assert found["pixels"]["median"] is None
    assert found["start_utc"] is None


def test_a_picture_has_rings_where_the_stars_are(
    frame: Path, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "stars.png"
    code, out, _ = run(capsys, "convert", frame, "-o", target, "--stars")
    assert code == 0
    assert str(target) in out
    with PIL.Image.open(target) as picture:
        pixels = np.asarray(picture)[::-1].astype(int)
    assert pixels.shape == (200, 220, 3)
    rings = (pixels == GREEN).all(axis=2) | (pixels == RED).all(axis=2)
    for x, y in zip(scene.x, scene.y, strict=True):
        patch = rings[max(0, round(y) - 9) : round(y) + 10, max(0, round(x) - 9) : round(x) + 10]
        assert patch.sum() > 10
    assert rings.sum() < 8 * 60


@pytest.mark.parametrize("ending", ["fits.fz", "fits.gz", "fits"])
def test_fits_of_another_kind_has_the_same_in_it(
    frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    assert run(capsys, "convert", frame, "-o", f"{tmp_path}/", "--format", ending)[0] == 0
    before, after = Image.from_file(frame), Image.from_file(tmp_path / f"frame.{ending}")
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.mask, before.mask)
    assert after.facts == before.facts


def test_several_frames_into_a_folder(frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.fits", "b.fits.gz"):
        Image.from_file(frame).writeto(tmp_path / name)
    code, out, _ = run(capsys, "convert", tmp_path, "-o", f"{tmp_path}/p/", "--format", "jpg", "--vmax", "3000")
    assert (code, out) == (0, f"2 frames converted: {tmp_path}/p/\n")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["a.jpg", "b.jpg"]
    code, _, err = run(capsys, "convert", tmp_path, "-o", tmp_path / "p", "--format", "jpg")
    assert code == 1
    assert "a.jpg exists" in err
    assert run(capsys, "convert", tmp_path, "-o", tmp_path / "p", "--format", "jpg", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["info", "nothing.fits"], 1, "nothing.fits"),
        (["convert", "{frame}", "-o", "x.gif"], 2, "allowed endings: .png, .jpg"),
        (["convert", "{frame}", "{frame}", "-o", "x.png"], 2, "name a folder"),
        (["convert", "{cube}", "-o", "{cube}.png"], 1, "shape (2, 5, 5)"),
        (["show", "{frame}"], 2, "no terminal"),
        (["info", "{empty}"], 1, "no HDU is a science image; there are PRIMARY"),
    ],
)
def test_mistakes_are_one_line(
    frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, text: str
) -> None:
    Image(np.zeros((2, 5, 5))).writeto(tmp_path / "cube.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    names = {"frame": frame, "cube": tmp_path / "cube.fits", "empty": tmp_path / "empty.fits"}
    found, _, err = run(capsys, *(arg.format(**names) for arg in args))
    assert found == code
    assert text in err
    assert err.count("\n") == 1


# --- in the terminal ----------------------------------------------------------------------------------------------


def test_a_star_survives_being_shrunk() -> None:
    data = np.random.default_rng(1).normal(1000, 10, (1000, 1500)).astype(np.float32)
    data[700:703, 300:303] += 500
    data[10, 10] = np.nan
    height, width = fitted(1000, 1500, rows=40, columns=100)
    assert (height, width) == (67, 100)
    small = shrunk(data, height, width)
    y, x = np.unravel_index(small.argmax(), small.shape)
    assert abs(y - 701 / 15) < 1.5
    assert abs(x - 301 / 15) < 1.5
    assert small.max() > np.median(small) + 100
    assert fitted(10, 10, rows=40, columns=100) == (10, 10)


@pytest.mark.parametrize("in_colour", [True, False])
def test_each_character_shows_two_pixels(in_colour: bool) -> None:
    grey = np.array([[0, 255], [0, 255], [255, 0]], np.uint8)
    lines = half_blocks(PIL.Image.fromarray(grey), in_colour=in_colour)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor" if in_colour else None, width=40)
    for line in lines:
        console.print(line)
    text = out.getvalue()
    if in_colour:
        assert "38;2;255;255;255;48;2;255;255;255" in text
        assert len(lines) == 2
    else:
        assert [line.plain for line in lines] == [" █", "▒ "]
