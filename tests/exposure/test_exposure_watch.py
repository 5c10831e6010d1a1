"""Another program's frames: which files are new and complete, what is answered, and the command that follows."""

from __future__ import annotations

import asyncio
import math
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.cli.main import main
from acquisition.errors import ConfigError
from acquisition.exposure.command import Command
from acquisition.exposure.folder import Arrival, FrameFolder
from acquisition.exposure.table import ExposureTable
from acquisition.exposure.watch import FileLaw
from acquisition.images import FrameFacts, Image

Step = tuple[float, Callable[[], object]]


def delivered(folder: Path, *steps: Step, until_s: float = 60.0) -> list[tuple[float, str]]:
    """When which file was delivered while things happened at their times, in virtual time."""
    found: list[tuple[float, str]] = []

    async def happen() -> None:
        clock = asyncio.get_running_loop().time
        for at_s, do in steps:
            await asyncio.sleep(at_s - clock())
            do()
        await asyncio.sleep(until_s - clock())

    async def main() -> None:
        frames = FrameFolder(folder, rest_s=1.0, poll_s=0.25)

        async def deliver() -> None:
            while True:
                arrival = await frames.next()
                found.append((asyncio.get_running_loop().time(), arrival.path.name))

        delivering = asyncio.create_task(deliver())
        await happen()
        delivering.cancel()

    virtual_time.run(main())
    return found


def test_a_file_that_grows_is_delivered_when_it_has_rested(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"

    def grow() -> None:
        with path.open("ab") as stream:
            stream.write(b"x" * 100)

    ((at_s, name),) = delivered(tmp_path, *((5 + 0.9 * n, grow) for n in range(6)))
    assert name == "a.fits"
    assert 9.5 + 1.0 <= at_s <= 9.5 + 1.8


def test_a_file_that_is_renamed_into_its_place_or_written_again_is_new(tmp_path: Path) -> None:
    def write(name: str, size: int) -> None:
        (tmp_path / name).write_bytes(b"x" * size)

    found = delivered(
        tmp_path,
        (5, lambda: write(".a.part", 9)),
        (10, lambda: (tmp_path / ".a.part").rename(tmp_path / "latest.fits")),
        (20, lambda: write("latest.fits", 10)),
        (30, lambda: write("notes.txt", 10)),
        (40, lambda: write("B.FIT", 0)),
    )
    assert [name for _, name in found] == ["latest.fits", "latest.fits"]
    assert [round(at_s) for at_s, _ in found] == [11, 21]


def test_only_the_newest_of_many_is_delivered(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.fits").write_bytes(b"x")
        os.utime(tmp_path / f"{number}.fits", (1e9, 1e9 + (number * 7) % 5))
    found = delivered(tmp_path, (30, lambda: [(tmp_path / f"n{n}.fits").write_bytes(b"x") for n in (2, 1)]))
    assert [name for _, name in found] == ["2.fits", "n1.fits"], "by time of writing, not by name"


def test_a_folder_that_goes_and_comes_back_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    found = delivered(
        folder,
        (5, lambda: folder.rename(elsewhere)),
        (20, lambda: elsewhere.rename(folder)),
        (30, lambda: (folder / "a.fits").write_bytes(b"x")),
    )
    assert [name for _, name in found] == ["a.fits"]
    assert [message.split(str(folder))[1][:15] for message in caplog.messages] == [" cannot be read", " can be read ag"]


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        FrameFolder(tmp_path / "nowhere")


# --- the answer ---


def save(path: Path, level: float, exposure_s: float = 2.0) -> Path:
    facts = FrameFacts(exposure_s=exposure_s, data_max_adu=60000.0)
    Image.from_camera(np.full((32, 32), level, np.uint16), facts).writeto(path)
    return path


def test_the_law_answers_files(tmp_path: Path) -> None:
    async def main() -> None:
        law = FileLaw(ExposureTable(law="background", parameters={"target": 0.5}).rule())
        report = await law.answer(Arrival(save(tmp_path / "a.fits", 15000), 0.0))
        assert report is not None
        assert report.decision.exposure_s == pytest.approx(4.0, rel=0.01)
        whole = save(tmp_path / "b.fits", 30000, 4.0).read_bytes()
        (tmp_path / "b.fits").write_bytes(whole[:3000])
        assert await law.answer(Arrival(tmp_path / "b.fits", 0.0)) is None
        assert await law.answer(Arrival(tmp_path / "gone.fits", 0.0)) is None
        (tmp_path / "b.fits").write_bytes(whole)
        report = await law.answer(Arrival(tmp_path / "b.fits", 0.0))
        assert report is not None
        assert report.on_target
        assert (law.answered, law.unreadable) == (2, 2)

    virtual_time.run(main())


def test_a_file_that_does_not_say_how_long_it_was_exposed(tmp_path: Path) -> None:
    Image(np.full((32, 32), 1000, np.uint16)).writeto(tmp_path / "a.fits")
    law = FileLaw(ExposureTable(law="background").rule())
    report = virtual_time.run(law.answer(Arrival(tmp_path / "a.fits", 0.0)))
    assert report is not None
    assert report.verdict.startswith("holding")
    assert report.values()["next_exposure_s"] is None


# --- the command ---


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50))
def test_a_value_is_one_word_whatever_is_in_it(name: str) -> None:
    command = Command("echo '{exptime} s' --file={file} {gain}")
    values = {"exptime": "2.5", "gain": "", "file": name}
    assert command.words(values) == ["echo", "2.5 s", f"--file={name}", ""]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "empty"),
        ("echo 'a", "No closing quotation"),
        ("echo {exptme}", "unknown placeholder {exptme}; allowed: {exptime}, {gain}, {file}"),
        ("no-such-program {exptime}", "there is no program 'no-such-program'"),
    ],
)
def test_what_is_no_command(template: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Command(template)


def test_no_shell_sees_the_command(tmp_path: Path) -> None:
    evil = f"x; touch {tmp_path}/a; $(touch {tmp_path}/b) `touch {tmp_path}/c`"
    write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    command = Command(f"{sys.executable} -c {shlex.quote(write)} {tmp_path}/said {{file}}")
    asyncio.run(command.run({"exptime": "1", "gain": "", "file": evil}))
    assert [entry.name for entry in tmp_path.iterdir()] == ["said"]
    assert (tmp_path / "said").read_text() == evil


def test_a_command_that_fails_or_hangs_is_told_and_killed_with_its_children(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"exptime": "1", "gain": "", "file": ""}
    hanging = Command(f"sh -c 'sleep 600 & echo $! > {tmp_path}/child; wait'", timeout_s=0.5)
    failing = Command("sh -c 'exit 3'")

    async def both() -> None:
        await hanging.run(values)
        await failing.run(values)

    asyncio.run(both())
    assert (hanging.failures, failing.failures) == (1, 1)
    assert "did not end within 0.5 s, killed" in caplog.messages[0]
    assert "exit code 3" in caplog.messages[1]
    child = Path("/proc") / (tmp_path / "child").read_text().strip()
    state = (child / "stat").read_text().rpartition(") ")[2][0] if child.exists() else "gone"
    assert state in ("Z", "X", "gone")


# --- the command line ---


def watch(*args: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(["exposure", "watch", *args])
    assert isinstance(leave.value.code, int)
    return leave.value.code


def test_from_a_file_to_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.fits", 15000)
    options = ("--law", "background", "-p", "target=0.5", "--rest", "10ms", "--frames", "1")
    assert watch(str(tmp_path), "--then", "echo now {exptime}", *options) == 0
    out, err = capfd.readouterr()
    assert float(out) == pytest.approx(4.0, rel=0.01)
    assert f"now {out}" in err
    assert "file=a.fits" in err


def test_names_on_standard_input(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = [save(tmp_path / f"{level}.fits", level).name for level in (15000, 30000)]
    read, write = os.pipe()
    os.write(write, f"{names[0]}\n\nno-such.fits\n{names[1]}\n".encode())
    os.close(write)
    monkeypatch.chdir(tmp_path)
    with os.fdopen(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert watch("-", "--law", "background", "-p", "target=0.5") == 0
    answers = [float(line) for line in capfd.readouterr().out.split()]
    assert answers == pytest.approx([4.0, math.nan, 2.0], rel=0.05, nan_ok=True), "one line for one line"
    assert "no-such.fits" in caplog.text
