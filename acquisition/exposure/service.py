"""The exposure daemon as a service: everything around it, opened and closed in order.

In: a connected camera, an ``[exposure]`` table, and what reads the config anew. Out: reports to whoever listens, the
state on a socket, figures in a file, saved frames, and word to systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from acquisition.camera import Camera, CameraSettings, check_settings
from acquisition.errors import ConfigError, DeviceError
from acquisition.exposure.daemon import ExposureDaemon, Plan
from acquisition.exposure.metrics import MetricsFile
from acquisition.exposure.report import FrameReport, Status
from acquisition.exposure.state_socket import StateSocket
from acquisition.exposure.systemd import ServiceManager
from acquisition.exposure.table import ExposureTable
from acquisition.recording.frames import RecordFrames

log = logging.getLogger(__name__)

_READING_S = 10.0
_MOST_FAILURES = 3
"""Of a camera, running, after which somebody who wants one answer gets none."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a config file and a command line ask for.

    Parameters
    ----------
    camera_url : str
    settings : CameraSettings
    table : ExposureTable
    """

    camera_url: str
    settings: CameraSettings
    table: ExposureTable


class ExposureService:
    """A camera that is kept well exposed, and everybody who is told.

    Parameters
    ----------
    camera : Camera
        Connected.
    wishes : Wishes
    read : callable
        Reads the wishes anew, for `reload`; may block; raises `ConfigError`.
    listen : callable
        Gets every frame's report. When it raises OSError it is asked no more.
    manager : ServiceManager

    Raises
    ------
    ConfigError
        If the camera cannot do what is asked for.
    """

    def __init__(
        self,
        camera: Camera,
        wishes: Wishes,
        read: Callable[[], Wishes],
        listen: Callable[[FrameReport], None],
        manager: ServiceManager | None = None,
    ) -> None:
        self._info = camera.info
        self._wishes = wishes
        self._read = read
        self._listen: Callable[[FrameReport], None] | None = listen
        self._manager = ServiceManager({}) if manager is None else manager
        self._listeners: list[Callable[[Status], None]] = []
        self._reloading: asyncio.Task[None] | None = None
        self._reload_again = False
        table = wishes.table
        self._saver = None if table.frames_dir is None else RecordFrames(table.frames_dir)
        self._daemon = ExposureDaemon(camera, self._plan(wishes), self._tell, self._saver)

    @property
    def status(self) -> Status:
        """As last told."""
        return self._daemon.status

    async def run(self, n_frames: int | None = None, *, once: bool = False) -> None:
        """Keep the camera exposed until cancelled, which is raised on when everything is closed.

        Parameters
        ----------
        n_frames : int or None
            End after so many frames; None: never.
        once : bool
            End with the first frame on target, or when the limits keep the exposure from it.

        Raises
        ------
        ConfigError, OSError
            If the socket or the folder for frames cannot be made.
        DeviceError
            With `once`: when the camera has failed several times running.
        """
        table = self._wishes.table
        async with contextlib.AsyncExitStack() as stack:
            if table.socket is not None:
                server = await stack.enter_async_context(StateSocket(table.socket))
                self._listeners.append(lambda status: server.publish(status.values()))
            if table.metrics is not None:
                self._listeners.append((await stack.enter_async_context(MetricsFile(table.metrics))).publish)
            stack.callback(self._daemon.ended)
            if self._saver is not None:
                await stack.enter_async_context(self._saver)
            stack.push_async_callback(self._finish, asyncio.create_task(self._manager.keep_awake(self._daemon.at_work)))
            stack.callback(self._manager.stopping)
            self._manager.ready(self._summary())
            self._daemon.noted()
            failures = 0
            while n_frames is None or self.status.frames < n_frames:
                report = await self._daemon.frame()
                if report is not None:
                    failures = 0
                    self._say(report)
                    if once and (report.on_target or report.at_limit):
                        return
                    continue
                failures += 1
                if once and failures >= _MOST_FAILURES:
                    raise DeviceError(f"{self._info.name}: {failures} failures running, {self.status.frames} frames")

    def reload(self) -> None:
        """Read the config anew and follow it from the next frame on; a bad one is refused, and the old one kept."""
        if self._reloading is not None and not self._reloading.done():
            self._reload_again = True
            return
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        while True:
            self._reload_again = False
            self._manager.reloading()
            try:
                async with asyncio.timeout(_READING_S):
                    wishes, plan = await asyncio.to_thread(self._read_plan)
            except (ConfigError, TimeoutError) as error:
                why = f"not read within {_READING_S:g} s" if isinstance(error, TimeoutError) else str(error)
                log.warning("reload refused, the old config stays in force: %s", why)
                self._daemon.noted(bad_reloads=self.status.bad_reloads + 1, reload_error=why)
            else:
                self._wishes = wishes
                self._daemon.replace(plan)
                log.warning("reloaded; in force from the next frame on: %s", self._summary())
                self._daemon.noted(reloads=self.status.reloads + 1, reload_error=None)
            self._manager.ready(self._summary())
            if not self._reload_again:
                return

    def _read_plan(self) -> tuple[Wishes, Plan]:
        wishes = self._read()
        self._check_same(wishes)
        return wishes, self._plan(wishes)

    def _plan(self, wishes: Wishes) -> Plan:
        table = wishes.table
        if table.darks is not None:
            if table.darks_s:
                raise ConfigError(
                    f"exposure.darks is {table.darks}, exposure.darks_s {table.darks_s}; give one of them"
                )
            from acquisition.exposure.darks import dark_exposures_s  # which needs astropy

            found = dark_exposures_s(table.darks, self._info, wishes.settings)
            table = table.model_copy(update={"darks_s": found})
        rule = table.rule(exposure_range_s=self._info.exposure_range_s)
        if rule.law.name == "guiding":
            raise ConfigError("[exposure] law is 'guiding', which needs a guider; allowed here: star, background, ...")
        limits = rule.law.limits
        first_s = min(max(wishes.settings.exposure_s, limits.min_s), limits.max_s)
        settings = replace(wishes.settings, exposure_s=first_s)
        try:
            check_settings(settings, self._info)
        except ValueError as impossible:
            raise ConfigError(str(impossible)) from None
        return Plan(settings, rule)

    def _check_same(self, wishes: Wishes) -> None:
        """What a reload cannot change."""
        old, new = self._wishes, wishes
        fixed = {"camera.url": (old.camera_url, new.camera_url)}
        for key in ("socket", "metrics", "frames_dir"):
            fixed[f"exposure.{key}"] = getattr(old.table, key), getattr(new.table, key)
        for key, (before, after) in fixed.items():
            if before != after:
                raise ConfigError(f"{key} is {after}, was {before}; to change that, restart")

    def _tell(self, status: Status) -> None:
        for listener in self._listeners:
            listener(status)

    def _say(self, report: FrameReport) -> None:
        self._manager.status(f"{self._summary()}: {report.measured.exposure_s:g} s, {report.verdict}")
        if self._listen is None:
            return
        try:
            self._listen(report)
        except OSError as failure:  # a closed terminal or a full disk must not cost the night
            log.warning("reports: %s; the work goes on without them", failure)
            self._listen = None

    def _summary(self) -> str:
        return f"{self._info.name}, law {self.status.law}"

    async def _finish(self, keeping_awake: asyncio.Task[None]) -> None:
        tasks = [task for task in (keeping_awake, self._reloading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
