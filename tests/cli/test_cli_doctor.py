"""``starlatch doctor``: findings, remedies, exit codes; and the udev rules."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from acquisition import usb
from acquisition.cli import doctor
from acquisition.cli.main import main

ROOT = Path(__file__).parents[2]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as leave:
        main(["doctor", *args])
    assert isinstance(leave.value.code, int)
    return leave.value.code, capsys.readouterr().out


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without trouble; its rules directory."""
    monkeypatch.setattr(doctor, "drivers", lambda group: {})
    monkeypatch.setattr(doctor, "_clock_state", lambda: 0)
    monkeypatch.setattr(doctor.usb, "usbfs_memory_mb", lambda: 256)
    monkeypatch.setattr(doctor.usb, "usb_devices", lambda vendor: [])
    monkeypatch.setattr(doctor, "_in_group", lambda name: True)
    monkeypatch.setattr(doctor, "_serial", lambda: iter(()))
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GB", 0.0)
    (tmp_path / doctor.RULES).write_text(doctor.rules())
    return tmp_path


def test_a_healthy_machine_is_0(healthy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--rules-dir", str(healthy))
    assert code == 0
    assert "MEND" not in out
    assert "256 MB" in out


def test_everything_wrong_is_named_with_its_remedy(
    healthy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = usb.UsbDevice("03c3", "120d", "ASI120MM Mini", Path("/dev/bus/usb/001/099"))
    monkeypatch.setattr(doctor.usb, "usb_devices", lambda vendor: [device])
    monkeypatch.setattr(doctor.usb, "usbfs_memory_mb", lambda: 16)
    monkeypatch.setattr(doctor, "_clock_state", lambda: doctor.NOT_SYNCHRONISED)
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GB", 1e9)
    code, out = run(capsys, "--rules-dir", str(healthy / "none"))
    assert code == 1
    assert out.count("MEND") == 5
    for remedy in ("--install-udev", "plugdev", "echo 256 >", "delete or move", "set-ntp true"):
        assert remedy in out


def test_drivers_that_lack_a_library_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code in (0, 1)
    assert "sim:// works" in out
    assert re.search(r"zwo:// (works|does not work)", out)


def test_unsynchronised_clock_is_asked_of_the_kernel() -> None:
    assert doctor._clock_state() in (None, *range(6))


def test_serial_ports_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ttyUSB0").touch()
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    (finding,) = doctor._serial(tmp_path)
    assert finding.remedy is not None
    assert "dialout" in finding.remedy


def test_install_shows_the_rules_asks_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--install-udev", "--yes", "--rules-dir", str(tmp_path / "rules.d"))
    assert code == 0
    assert 'TAG+="uaccess"' in out
    assert (tmp_path / "rules.d" / doctor.RULES).read_text() == doctor.rules()


def test_install_that_may_not_says_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SystemExit) as leave:
        main(["doctor", "--install-udev", "--yes", "--rules-dir", str(tmp_path)])
    assert leave.value.code == 1
    assert "sudo starlatch doctor --install-udev" in capsys.readouterr().err


# --- the rules themselves ---


def test_rules_are_one_file_and_sort_before_the_seat() -> None:
    assert (ROOT / "udev" / doctor.RULES).read_text() == doctor.rules()
    assert doctor.RULES < "73-seat-late.rules"


def test_rules_never_open_devices_to_everybody() -> None:
    lines = [line for line in doctor.rules().splitlines() if "MODE=" in line]
    assert lines
    for line in lines:
        assert 'MODE="0660"' in line
        assert "GROUP=" in line
        assert 'TAG+="uaccess"' in line


@pytest.mark.parametrize(("before", "after"), [("16", "256"), ("256", "256"), ("1000", "1000"), ("0", "0")])
def test_usb_memory_is_raised_and_never_lowered(tmp_path: Path, before: str, after: str) -> None:
    (script,) = re.findall(r"RUN\+=\"/bin/sh -c '([^']*)'\"", doctor.rules())
    memory = tmp_path / "usbfs_memory_mb"
    memory.write_text(before + "\n")
    script = script.replace("$$", "$").replace("/sys/module/usbcore/parameters/usbfs_memory_mb", str(memory))
    subprocess.run(["/bin/sh", "-c", script], check=True, timeout=10)
    assert memory.read_text().strip() == after


def test_every_rule_is_well_formed() -> None:
    """Comma-separated KEY op "value", as udev(7) has it; no udevadm here to ask."""
    item = re.compile(r'[A-Z]+(\{[^}]+\})?\s*(==|!=|=|\+=)\s*"[^"]*"')
    for line in doctor.rules().splitlines():
        if line and not line.startswith("#"):
            rest = item.sub("", line)
            assert rest.replace(",", "").strip() == "", line
