"""The guide port of a camera, as its driver offers it to ``st4://``.

In: what a camera's driver can do. Out: the ports of a run, by the order in which their cameras were opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from acquisition.camera import Camera
from acquisition.device_thread import DeviceThread
from acquisition.devices import DeviceContext
from acquisition.mount import Direction


@dataclass(frozen=True, slots=True)
class GuidePort:
    """A camera whose driver can close and open the four contacts of a guide port.

    Attributes
    ----------
    name : str
    camera : Camera
        Connected as long as the port is used; it may turn out to have no port.
    thread : DeviceThread
        The camera's.
    on, off : callable
        Blocking, for the thread.
    """

    name: str
    camera: Camera
    thread: DeviceThread
    on: Callable[[Direction], None]
    off: Callable[[Direction], None]


def register(context: DeviceContext, port: GuidePort) -> None:
    """Offer a port to the mounts of a run."""
    ports(context).append(port)


def ports(context: DeviceContext) -> list[GuidePort]:
    """The ports of a run."""
    found = context.shared.setdefault("drivers.st4", [])
    assert isinstance(found, list)
    return found
