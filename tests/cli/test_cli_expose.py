"""``starlatch expose``: frames on disk under the names asked for, nothing overwritten, clean errors, a clean end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.camera import Camera
from acquisition.cli.main import main
from acquisition.errors import ExposureFailed
from acquisition.images import Image

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in an empty directory, under virtual time: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            main(["expose", "--virtual-time", *map(str, args)])
        out, err = capsys.readouterr()
        assert isinstance(leave.value.code, int)
        return leave.value.code, out, err

    return run


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*.fits"))


def test_saves_frames_under_names_from_their_headers(run: Run) -> None:
    pattern = "night/{DATE-OBS|date}/{EXPTIME|exptime}s-{FRAMENUM|string:03d}.fits"
    code, out, err = run("sim://", "-t", 2, "-n", 3, "-o", pattern)
    assert (code, err) == (0, "")
    assert files() == [f"night/2026-03-01/2s-{number:03d}.fits" for number in (1, 2, 3)]
    assert out.splitlines() == [f"{number}/3  {name}" for number, name in enumerate(files(), 1)]
    image = Image.from_file(files()[1])
    assert image.header["FNAME"] == "2s-002.fits"
    assert image.facts.exposure_s == 2.0
    assert image.data.shape == (960, 1280)
    assert image.raw is image.data


def test_settings_reach_the_camera(run: Run) -> None:
    code, _, _ = run(
        "sim://", "-t", "500ms", "--gain", 70, "--offset", 12, "--binning", 2, "--roi", "8,4,64,32", "--bits", 8,
        "--temp", -10, "-o", "a.fits",
    )  # fmt: skip
    assert code == 0
    image = Image.from_file("a.fits")
    facts = image.facts
    assert image.data.shape == (32, 64)
    assert image.data.dtype == np.uint8
    assert (facts.exposure_s, facts.gain, facts.offset, facts.x_binning, facts.set_temp_c) == (0.5, 70, 12, 2, -10)
    assert (facts.x_origin_px, facts.y_origin_px) == (8, 4)


def test_what_the_camera_changed_is_said(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    code, _, _ = run("sim://", "--gain", 1000, "-o", "a.fits")
    assert code == 0
    assert "gain: asked for 1000.0, camera took 100.0" in caplog.messages
    assert Image.from_file("a.fits").facts.gain == 100.0


def test_seed_decides_the_sky(run: Run) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("sim://", "--seed", seed, "-o", f"{name}.fits")[0] == 0
    a, b, c = (Image.from_file(f"{name}.fits").data for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_several_frames_under_a_plain_name_are_numbered(run: Run) -> None:
    assert run("sim://", "-n", 2, "-o", "new/dark.fits")[0] == 0
    assert files() == ["new/dark-0001.fits", "new/dark-0002.fits"]


@pytest.mark.parametrize("output", [[], ["-o", "."], ["-o", "new/"]])
def test_default_name(run: Run, output: list[str]) -> None:
    assert run("sim://", "-n", 2, *output)[0] == 0
    assert [Path(name).name for name in files()] == ["20260301-200000-0001.fits", "20260301-200001-0002.fits"]


def test_known_name_that_exists_is_refused_before_anything_happens(run: Run) -> None:
    Path("a.fits").write_text("precious")
    code, out, err = run("sim://", "-o", "a.fits")
    assert (code, out) == (2, "")
    assert "a.fits exists; choose another name, or --overwrite" in err
    Path("b-0002.fits").write_text("precious")
    assert run("sim://", "-n", 3, "-o", "b.fits")[0] == 2
    assert Path("a.fits").read_text() == Path("b-0002.fits").read_text() == "precious"
    assert run("sim://", "-o", "a.fits", "--overwrite")[0] == 0
    assert Image.from_file("a.fits").data.shape == (960, 1280)


def test_name_that_turns_out_to_exist_gets_a_number(run: Run) -> None:
    for _ in range(2):
        assert run("sim://", "-n", 2, "-o", "{INSTRUME|lower}.fits")[0] == 0
    stem = "simulated guide camera"
    assert files() == sorted([f"{stem}.fits", f"{stem}-1.fits", f"{stem}-2.fits", f"{stem}-3.fits"])
    assert Image.from_file(f"{stem}-3.fits").header["FNAME"] == f"{stem}-3.fits"


def test_overwriting_never_touches_frames_of_the_same_run(run: Run) -> None:
    Path("2026-03-01.fits").write_text("old")
    assert run("sim://", "-n", 2, "-o", "{DATE-OBS|date}.fits", "--overwrite")[0] == 0
    assert files() == ["2026-03-01-1.fits", "2026-03-01.fits"]
    assert [Image.from_file(name).facts.frame_seq for name in reversed(files())] == [1, 2]


def test_frame_is_saved_even_if_its_header_lacks_a_key(run: Run) -> None:
    code, out, err = run("sim://", "-o", "new/{NOSUCH}/x.fits")
    assert code == 0
    assert files() == ["new/frame-0001.fits"]
    assert "saving as new/frame-0001.fits" in err
    assert "NOSUCH" in err
    assert "1/1  new/frame-0001.fits" in out


def test_files_are_played_back(run: Run) -> None:
    assert run("sim://", "-n", 2, "-o", "in/{FRAMENUM}.fits")[0] == 0
    assert run("replay://in/*.fits", "-n", 2, "-o", "out/{FRAMENUM}.fits")[0] == 0
    for number in (1, 2):
        before, after = (Image.from_file(f"{place}/{number}.fits") for place in ("in", "out"))
        assert (before.data == after.data).all()
        assert before.facts == after.facts


def test_when_frames_run_out_the_others_are_kept_and_counted(run: Run) -> None:
    assert run("sim://", "-n", 2, "-o", "in/{FRAMENUM}.fits")[0] == 0
    code, _, err = run("replay://in/*.fits", "-n", 3, "-o", "out/{FRAMENUM}.fits")
    assert code == 1
    assert err.splitlines()[-2:] == ["failed: 2 of 3 frames saved", "starlatch: all 2 frames of 'in/*.fits' are served"]
    assert files() == ["in/1.fits", "in/2.fits", "out/1.fits", "out/2.fits"]


def test_disk_that_cannot_be_written_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("not a directory")
    code, _, err = run("sim://", "-o", "file/{FRAMENUM}.fits")
    assert code == 1
    assert err.startswith("starlatch: ")
    assert len(err.splitlines()) == 1


def test_failed_exposure_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(camera: Camera) -> Image:
        raise ExposureFailed("the camera says failed")

    monkeypatch.setattr("simulators.camera.SimulatedCamera.expose", fail)
    code, _, err = run("sim://", "-o", "a.fits")
    assert (code, err) == (1, "starlatch: the camera says failed\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sim://", "-t", "-2"], "exposure is '-2'; allowed: 0 or more seconds"),
        (["sim://", "-t", "nan"], "exposure is 'nan'; allowed"),
        (["sim://", "-t", "soon"], "exposure is 'soon'; allowed"),
        (["sim://", "-t", "1000h"], "exposure is 3.6e+06 s; allowed: 3.2e-05 to 3600 s"),
        (["sim://", "-n", "0"], "0 is not in the range x>=1"),
        (["sim://", "--roi", "1,2,3"], "ROI is '1,2,3'; allowed: x,y,width,height"),
        (["sim://", "--roi", "0,0,5000,8"], "ROI is 5000x8+0+0; allowed: a rectangle inside 1280x960"),
        (["sim://", "--roi", "0,0,0,8"], "ROI is 0x8+0+0; allowed"),
        (["sim://", "--binning", "3"], "binning is 3; allowed: 1, 2, 4"),
        (["sim://", "--bits", "12"], "bits is 12; allowed: 8, 16"),
        (["sim://", "--gain", "nan"], "gain is nan; allowed"),
        (["nosuch://"], "unknown camera scheme 'nosuch' in 'nosuch://'; known: "),
        (["camera"], "'camera' is not a URL"),
        (["sim://?colour=1"], "unknown option 'colour'"),
        (["sim://", "-o", "{...}.fits"], "'{...}' is no placeholder; allowed: {KEY}"),
        (["sim://", "-o", "{OBJECT.fits"], "'{' is no placeholder"),
        (["sim://", "-o", "{OBJECT|shout}.fits"], "no function shout"),
        (["sim://", "--no-such-option"], "No such option"),
        ([], "Missing argument 'URL'"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(run: Run, args: list[str], said: str) -> None:
    code, out, err = run(*args)
    assert code == 2
    assert said in err.splitlines()[-1]
    assert out == ""
    assert files() == []


def test_no_such_camera_is_a_failure(run: Run) -> None:
    code, _, err = run("replay://nowhere/*.fits", "-o", "a.fits")
    assert (code, err) == (1, "starlatch: no file matches 'nowhere/*.fits'\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal_ends_the_exposure_and_keeps_what_is_saved(tmp_path: Path, number: signal.Signals) -> None:
    # A file of 60 s begins after one of .2 s: whenever the signal comes, an exposure is running.
    for index, exposure_s in enumerate((0.2, 60.0)):
        image = Image(np.zeros((8, 8), np.uint16))
        image.header["EXPTIME"] = exposure_s
        image.writeto(tmp_path / f"in{index}.fits")
    process = subprocess.Popen(
        [sys.executable, "-m", "acquisition.cli", "expose", "replay://in*.fits", "-n", "2", "-o", "out.fits"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "1/2  out-0001.fits\n"
        sent_s = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert time.monotonic() - sent_s < 10.0
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped: 1 of 2 frames saved"
    assert [path.name for path in tmp_path.glob("out*")] == ["out-0001.fits"]
    assert Image.from_file(tmp_path / "out-0001.fits").data.shape == (8, 8)


def test_progress_bar_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    code, out, _ = run("sim://", "-n", 2, "-o", "a.fits")
    assert code == 0
    assert "100 %" in out
    assert "2/2  a-0002.fits" in out
