"""`starlatch masters` builds and lists."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from acquisition.cli.main import main
from acquisition.images import FrameFacts, Image


def starlatch(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(list(args))
    said = capsys.readouterr()
    return int(leave.value.code or 0), said.out, said.err


@pytest.fixture
def night(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "night", np.random.default_rng(1)
    folder.mkdir()
    for number in range(8):
        kind, exposure_s = ("dark", 20.0) if number < 4 else ("bias", 0.0) if number < 6 else ("object", 20.0)
        facts = FrameFacts(instrument="Guide Cam", exposure_s=exposure_s, image_type=kind, ccd_temp_c=12.0,
                           start_utc=datetime(2026, 3, 1, 20, number, tzinfo=UTC))  # fmt: skip
        Image.from_camera(rng.normal(200, 3, (20, 30)).astype(np.uint16), facts).writeto(folder / f"{number}.fits")
    return folder


def test_masters_are_built_and_listed(night: Path, tmp_path: Path, capsys) -> None:
    masters = str(tmp_path / "masters")
    code, out, err = starlatch(capsys, "masters", "build", str(night), "-o", masters)
    assert code == 1
    dark, bad_pixels = out.splitlines()
    assert dark.endswith("dark_Guide-Cam_1x1_20s_12C.fits: dark 20 s Guide Cam 1x1 12 °C, 4 frames, 0 bad pixels")
    assert bad_pixels.endswith("badpixels_Guide-Cam_1x1_30x20.fits: 0 bad pixels, for AddMask")
    assert err.splitlines() == [
        "left out, being no bias, dark or flat: 2 of the files",
        "starlatch: bias Guide Cam 1x1 12 °C: 2 frames; need 3",
    ]
    code, out, err = starlatch(capsys, "masters", "list", masters)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "dark  dark_Guide-Cam_1x1_20s_12C.fits: Guide Cam, 1x1, 30x20 px, 12.0 °C, 20 s",
        "darks of Guide Cam 1x1: 20 s",
    ]
    code, _, err = starlatch(capsys, "masters", "build", str(night), "-o", masters)
    assert (code, "20s_12C.fits exists" in err) == (1, True)
    code, _, err = starlatch(capsys, "masters", "build", str(night), "-o", masters, "--overwrite")
    assert "exists" not in err


def test_what_can_be_mended(night: Path, tmp_path: Path, capsys) -> None:
    code, _, err = starlatch(capsys, "masters", "list", str(tmp_path / "nowhere"))
    assert (code, "no folder" in err) == (2, True)
    code, _, err = starlatch(capsys, "masters", "build", str(night / "7.fits"), "-o", str(tmp_path / "m"))
    assert (code, "no bias, dark or flat" in err) == (2, True)
    code, _, err = starlatch(capsys, "masters", "build", str(night), "-o", str(tmp_path / "m"), "--hot-sigma", "-1")
    assert (code, "allowed" in err) == (2, True)
    (tmp_path / "empty").mkdir()
    assert starlatch(capsys, "masters", "list", str(tmp_path / "empty"))[1].startswith("no master in")
