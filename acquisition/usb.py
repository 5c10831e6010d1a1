"""What the kernel says about USB: memory for transfers, and who may open a device.

In: ``/sys`` and ``/dev``. Out: numbers and paths; nothing is changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

USBFS_MEMORY = Path("/sys/module/usbcore/parameters/usbfs_memory_mb")
DEVICES = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A USB device that is plugged in, and its node."""

    vendor: str
    product: str
    name: str
    node: Path

    @property
    def may_be_opened(self) -> bool:
        """Whether this process may read and write the node."""
        return os.access(self.node, os.R_OK | os.W_OK)


def usbfs_memory_mb(path: Path = USBFS_MEMORY) -> int | None:
    """What all USB transfers together may take, MB; 0 for no limit, None where the kernel does not say."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def usb_devices(vendor: str, devices: Path = DEVICES, nodes: Path = NODES) -> list[UsbDevice]:
    """The devices of a vendor (four hexadecimal digits), whether they may be opened or not."""
    found = []
    for place in sorted(devices.glob("*")) if devices.is_dir() else []:
        if _text(place / "idVendor") != vendor:
            continue
        try:
            node = nodes / f"{int(_text(place / 'busnum')):03d}" / f"{int(_text(place / 'devnum')):03d}"
        except ValueError:
            continue
        found.append(UsbDevice(vendor, _text(place / "idProduct"), _text(place / "product"), node))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
