"""``starlatch doctor``: what a newcomer trips over on this machine, and the command that mends it.

In: the machine. Out: one line a check; exit code 1 when something is wrong. ``--install-udev`` writes the rules.
"""

from __future__ import annotations

import ctypes
import grp
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click

from acquisition import usb
from acquisition.devices import CAMERAS, MOUNTS, drivers, load_driver

RULES = "72-starlatch.rules"
RULES_DIRECTORY = Path("/etc/udev/rules.d")
ZWO = "03c3"
ENOUGH_USB_MB = 200
ENOUGH_DISK_GB = 2.0
NOT_SYNCHRONISED = 5  # what adjtimex(2) returns


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is what mends it, None when nothing needs to be."""

    what: str
    remedy: str | None = None


@click.command()
@click.option("--install-udev", is_flag=True, help="Write the udev rules; shows what it will do and asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--rules-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=RULES_DIRECTORY,
    show_default=True,
    help="Where udev's rules are.",
)
def command(install_udev: bool, yes: bool, rules_dir: Path) -> int:
    """Check this machine, and say what mends it.

    Libraries of the drivers, permissions of cameras and serial ports, memory for USB transfers, free disk, the clock.

    \b
    Examples:
      starlatch doctor
      sudo starlatch doctor --install-udev
    """
    if install_udev:
        return _install(rules_dir, yes)
    findings = [*_machine(), *_drivers(), *_udev(rules_dir), *_usb_memory(), *_serial(), *_disk(Path.cwd()), *_clock()]
    for finding in findings:
        mark = click.style("ok  ", fg="green") if finding.remedy is None else click.style("MEND", fg="red")
        click.echo(f"{mark}  {finding.what}")
        if finding.remedy is not None:
            click.echo(f"      {finding.remedy}")
    return int(any(finding.remedy is not None for finding in findings))


def rules() -> str:
    """The udev rules."""
    return files("acquisition.cli").joinpath(RULES).read_text(encoding="utf-8")


def _machine() -> Iterator[Finding]:
    yield Finding(
        f"{platform.system()} {platform.release()} on {platform.machine()}, Python {platform.python_version()}"
    )


def _drivers() -> Iterator[Finding]:
    for kind, group in (("camera", CAMERAS), ("mount", MOUNTS)):
        for scheme, point in drivers(group).items():
            try:
                found = load_driver(point).discover()
            except Exception as error:  # a broken driver must not hide the others
                yield Finding(f"{scheme}:// does not work", " ".join(str(error).split()))
                continue
            if found is not None:
                seen = ", ".join(listing.url for listing in found) or "none found"
                yield Finding(f"{scheme}:// works; {kind}s: {seen}")


def _udev(rules_directory: Path) -> Iterator[Finding]:
    if platform.system() != "Linux":
        return
    path = rules_directory / RULES
    install = "sudo starlatch doctor --install-udev"
    if not path.exists():
        yield Finding(f"udev rules: {path} is not there", install)
    elif path.read_text(encoding="utf-8") != rules():
        yield Finding(f"udev rules: {path} is not this version's", install)
    else:
        yield Finding(f"udev rules: {path}")
    for device in usb.usb_devices(ZWO):
        name = f"{device.name or 'ZWO device'} at {device.node}"
        if device.may_be_opened:
            yield Finding(f"{name} may be opened")
        else:
            live = "sudo udevadm control --reload && sudo udevadm trigger" if path.exists() else install
            groups = "; over ssh or as a service also: sudo usermod -aG plugdev $USER, then log in again"
            yield Finding(f"{name} may not be opened by this user", live + groups)


def _usb_memory() -> Iterator[Finding]:
    memory_mb = usb.usbfs_memory_mb()
    if memory_mb is None:
        return
    if memory_mb == 0 or memory_mb >= ENOUGH_USB_MB:
        yield Finding(f"USB transfers may take {'any amount' if memory_mb == 0 else f'{memory_mb} MB'} of memory")
    else:
        yield Finding(
            f"USB transfers may take {memory_mb} MB; large frames need {ENOUGH_USB_MB} MB or more",
            f"sudo sh -c 'echo 256 > {usb.USBFS_MEMORY}'  (the udev rules do it whenever a camera is plugged in)",
        )


def _serial(devices: Path = Path("/dev")) -> Iterator[Finding]:
    ports = sorted([*devices.glob("ttyUSB*"), *devices.glob("ttyACM*")])
    for port in ports:
        if os.access(port, os.R_OK | os.W_OK):
            yield Finding(f"serial port {port} may be opened")
        else:
            yield Finding(f"serial port {port} may not be opened by this user", _join_dialout())
    if not ports and os.geteuid() != 0 and not _in_group("dialout"):
        yield Finding("this user is not in the group of serial ports", _join_dialout())


def _join_dialout() -> str:
    return "sudo usermod -aG dialout $USER, then log in again"


def _in_group(name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in os.getgroups()
    except KeyError:
        return True  # a system that does not have it guards its ports otherwise


def _disk(directory: Path) -> Iterator[Finding]:
    free_gb = shutil.disk_usage(directory).free / 1e9
    if free_gb >= ENOUGH_DISK_GB:
        yield Finding(f"{free_gb:.0f} GB are free in {directory}")
    else:
        yield Finding(f"{free_gb:.1f} GB are free in {directory}; a night of frames needs more", "delete or move files")


def _clock() -> Iterator[Finding]:
    state = _clock_state()
    if state is None:
        return
    if state == NOT_SYNCHRONISED:
        yield Finding(
            "the clock is not synchronised: DATE-OBS will be off",
            "sudo timedatectl set-ntp true  (or install chrony; without network, a GPS receiver)",
        )
    else:
        yield Finding("the clock is synchronised")


def _clock_state() -> int | None:
    """What adjtimex(2) says; None where there is no such call."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return None
    state = int(adjtimex(ctypes.create_string_buffer(512)))  # a zeroed struct timex only asks
    return state if state >= 0 else None


def _install(directory: Path, yes: bool) -> int:
    path = directory / RULES
    click.echo(rules())
    live = directory == RULES_DIRECTORY
    click.echo(f"This will be written to {path}" + (", and udev told to apply it." if live else "."))
    if not yes and not click.confirm("Go ahead?"):
        return 1
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(rules(), encoding="utf-8")
    except PermissionError:
        raise click.ClickException(f"{path} may not be written; run: sudo starlatch doctor --install-udev") from None
    click.echo(f"written: {path}")
    if live:
        for step in (["udevadm", "control", "--reload"], ["udevadm", "trigger"]):
            if shutil.which("udevadm") is None or subprocess.run(step, check=False, timeout=60).returncode != 0:
                raise click.ClickException(f"{' '.join(step)} failed: run it as root, or restart the machine")
        click.echo("udev applies it; if the camera is plugged in, unplug it once")
    return 0
