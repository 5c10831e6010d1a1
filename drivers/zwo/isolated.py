"""A ZWO camera whose library lives in a process of its own: ``zwo://...?isolate=true``.

In: the calls of a `ZwoSensor`. Out: the same, from a child process that may be killed.
"""

from __future__ import annotations

from dataclasses import replace

from acquisition.camera import CameraInfo
from acquisition.isolated_sensor import IsolatedSensor
from acquisition.threaded_camera import Deadlines
from drivers.st4 import mount as st4

from .sdk import shared_sdk
from .sensor import Wanted, ZwoSensor


class IsolatedZwoSensor(IsolatedSensor):
    """A `ZwoSensor` in a child process, remedies and guide port included.

    Parameters
    ----------
    library : str, optional
        As of `library.load`.
    wanted : Wanted
    deadlines : Deadlines
    """

    def __init__(self, library: str | None, wanted: Wanted, deadlines: Deadlines) -> None:
        def arguments(info: CameraInfo | None) -> tuple[str | None, Wanted]:
            return library, wanted if info is None else _the_same(wanted, info)

        super().__init__("drivers.zwo.isolated:make_sensor", arguments, str(wanted), deadlines)
        self.repeat, self.stop_and_restart, self.reopen, self.lower_bandwidth = (
            self.remote(name, deadlines.open_s) for name in ("repeat", "stop_and_restart", "reopen", "lower_bandwidth")
        )
        self.guide_on, self.guide_off = (self.remote(name, st4.CALL_S) for name in ("guide_on", "guide_off"))


def make_sensor(library: str | None, wanted: Wanted) -> ZwoSensor:
    """In the child: the sensor itself."""
    return ZwoSensor(lambda: shared_sdk(library), wanted)


def _the_same(wanted: Wanted, info: CameraInfo) -> Wanted:
    """The camera that the last child had, where it has a serial number: not its twin beside it."""
    try:
        int(info.camera_id or "", 16)
    except ValueError:
        return wanted
    return replace(wanted, serial=info.camera_id)
