"""Keeps a camera well exposed: frame after frame, set before the next one, whatever happens.

In: a camera and a `Plan`, which may be replaced at any time. Out: a `FrameReport` for each frame, a `Status` for every
change. Nothing here knows of signals, files or sockets.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from acquisition.camera import Camera, CameraSettings
from acquisition.errors import DeviceError
from acquisition.exposure.laws import ExposureRule
from acquisition.exposure.report import FrameReport, Status
from acquisition.recording.frames import RecordFrames
from acquisition.reopening import ReopeningCamera
from acquisition.virtual_time import utc_now

log = logging.getLogger(__name__)

_PATIENCE_S = 120.0
"""So much longer than its exposure a frame may take with all that belongs to it, reopening the camera included."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a config says.

    Parameters
    ----------
    settings : CameraSettings
        The exposure time is that of the very first frame.
    rule : ExposureRule
        Its limits are within what the camera can do.
    """

    settings: CameraSettings
    rule: ExposureRule


class ExposureDaemon:
    """Exposes, measures, and sets the camera before the next frame.

    Parameters
    ----------
    camera : Camera
        Connected.
    plan : Plan
    tell : callable
        Gets the status after each frame and whenever else something changes; `Status.last` is new after a frame only.
    saver : RecordFrames, optional
        Gets every frame.
    """

    def __init__(
        self, camera: Camera, plan: Plan, tell: Callable[[Status], None], saver: RecordFrames | None = None
    ) -> None:
        self._camera = ReopeningCamera(camera, self._notice)
        self._plan = plan
        self._state: Any = plan.rule.start()
        self._wanted = plan.settings
        self._asked: CameraSettings | None = None  # what the camera was last set to
        self._tell = tell
        self._saver = saver
        self._turn_ends_s = math.inf
        now = utc_now()
        self.status = Status(now, now, "waiting for the first frame", camera.info.name, plan.rule.law.name)

    def replace(self, plan: Plan) -> None:
        """From the next frame on, follow another plan; the exposure time stays what it is."""
        if plan == self._plan:
            return
        limits = plan.rule.law.limits
        exposure_s = min(max(self._wanted.exposure_s, limits.min_s), limits.max_s)
        gain = plan.settings.gain if limits.gain is None else self._wanted.gain
        self._wanted = replace(plan.settings, exposure_s=exposure_s, gain=gain)
        self._plan, self._state = plan, plan.rule.start()
        self.status = replace(self.status, law=plan.rule.law.name)

    def noted(self, **changes: Any) -> None:
        """Change the status and tell it."""
        saver = self._saver
        if saver is not None:
            changes |= {"saved": saver.saved, "not_saved": saver.dropped, "disk": saver.trouble}
        self.status = replace(self.status, utc=utc_now(), reopened=self._camera.reopened, **changes)
        self._tell(self.status)

    def ended(self) -> None:
        """There will be no more frames."""
        self.noted(state="stopped")

    def at_work(self) -> bool:
        """Whether the frame under way is not overdue."""
        return asyncio.get_running_loop().time() < self._turn_ends_s

    async def frame(self) -> FrameReport | None:
        """The next frame; None where there was none, and what helps against that was done.

        Raises
        ------
        ValueError
            If the camera cannot have the plan's settings.
        """
        clock = asyncio.get_running_loop().time
        self._turn_ends_s = clock() + self._wanted.exposure_s + _PATIENCE_S
        try:
            if self._wanted != self._asked:
                wanted = self._wanted
                await self._camera.configure(wanted)
                self._asked = wanted
            image = await self._camera.expose()
        except DeviceError as error:
            log.debug("no frame: %s", error)
            self.noted(state="no camera", failures=self.status.failures + 1)
            return None
        if self._saver is not None:
            image = await self._saver(image)
        start_s = image.facts.start_loop_s
        if start_s is None:
            start_s = clock() - (image.facts.exposure_s or 0.0)
        plan = self._plan
        state, measured, decision = await asyncio.to_thread(plan.rule.decide, self._state, image, start_s)
        report = FrameReport(self.status.frames + 1, utc_now(), measured, decision)
        if plan is self._plan:  # else it was replaced meanwhile, and this frame says nothing to the new one
            self._state = state
            self._set(report)
        self._count(report)
        return report

    def _set(self, report: FrameReport) -> None:
        """Note what the camera is set to before the next frame."""
        measured, decision = report.measured, report.decision
        if decision.changes(measured) and math.isfinite(decision.exposure_s):
            exposure_s = round(decision.exposure_s, 6)  # no camera knows less than a microsecond
            gain = self._wanted.gain if decision.gain is None else decision.gain
            self._wanted = replace(self._wanted, exposure_s=exposure_s, gain=gain)

    def _count(self, report: FrameReport) -> None:
        status = self.status
        self.noted(
            state="exposing",
            frames=report.number,
            clipped=status.clipped + report.decision.clipped,
            held=status.held + (report.decision.hold is not None),
            on_target=status.on_target + report.on_target,
            last=report,
        )

    def _notice(self, text: str) -> None:
        log.warning("%s", text)
