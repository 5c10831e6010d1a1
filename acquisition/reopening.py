"""Frames from a camera that may fail: tried again, reopened and set up again, for as long as it takes.

In: a connected camera. Out: its frames; a failure is raised after what helps against it was done. That the camera is
gone is told once, and once that it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from acquisition.camera import Accepted, Camera, CameraSettings
from acquisition.errors import DeviceError, DeviceGone
from acquisition.images import Image

_RETRIES = 3
"""Failures running before the camera is reopened."""

_LONGEST_PAUSE_S = 30.0


class ReopeningCamera:
    """A camera whose failures end nobody's night.

    Parameters
    ----------
    camera : Camera
        Connected and configured.
    notice : callable
        Told, in a sentence, when the camera goes and when it is back.

    Attributes
    ----------
    failures : int
        Running, up to now.
    reopened : int
        How often the camera was opened anew.
    """

    def __init__(self, camera: Camera, notice: Callable[[str], None]) -> None:
        self._camera = camera
        self._notice = notice
        self._settings = camera.settings
        self.failures = 0
        self.reopened = 0

    @property
    def settings(self) -> CameraSettings:
        """In force, or put in force when the camera is back; known while it is gone."""
        return self._settings

    async def configure(self, settings: CameraSettings) -> Accepted:
        """As `Camera.configure`; a `DeviceError` is raised after what helps against it was done, as by `expose`."""
        try:
            accepted = await self._camera.configure(settings)
        except DeviceError as error:
            await self._failed(error)
            raise
        self._settings = accepted.settings
        return accepted

    async def expose(self) -> Image:
        """The next frame.

        Raises
        ------
        DeviceError
            When there is none, after a pause that grows from failure to failure up to half a minute, and after
            reopening the camera when it is gone or has failed a few times running.
        """
        try:
            image = await self._camera.expose()
        except DeviceError as error:
            await self._failed(error)
            raise
        if self.failures:
            self._notice("camera: frames again")
            self.failures = 0
        return image

    async def _failed(self, error: DeviceError) -> None:
        self.failures += 1
        if self.failures == 1:
            self._notice(f"camera: {error}")
        await asyncio.sleep(min(0.5 * 2 ** (self.failures - 1), _LONGEST_PAUSE_S))
        if self.failures < _RETRIES and not isinstance(error, DeviceGone):
            return
        with contextlib.suppress(DeviceError):  # else the next frame fails, and the wait grows
            await self._camera.close()
            await self._camera.connect()
            try:
                await self._camera.configure(self._settings)
            except ValueError as impossible:  # another camera is plugged in now
                self._notice(f"camera: {impossible}")
                await self._camera.close()
                return
            self.reopened += 1
