"""A blocking `Sensor` in a process of its own, so that a library that hangs or crashes can be killed and started anew.

In: the calls of a `Sensor`. Out: the same calls in a child process (`isolated_process.py`); frames come through shared
memory, everything else through a socket. Not for Windows.
"""

from __future__ import annotations

import logging
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.camera import CameraInfo, CameraSettings, CameraStatus, ExposureState
from acquisition.errors import DeviceGone, DeviceTimeout, Unsupported
from acquisition.images import FrameFacts
from acquisition.threaded_camera import Deadlines

log = logging.getLogger(__name__)

ENDS_S = 1.0
SOONER = 0.8
"""The child is killed before the thread that waits for it would be given up: by this part of the deadline."""


class IsolatedSensor:
    """A `Sensor` whose calls are made in a child process.

    A call that does not return in time costs the child its life, and a child that dies says so at the next call: both
    are `DeviceGone`, and the next `open` begins with a new child. Settings are put in force again by `ThreadedCamera`.

    Parameters
    ----------
    make : str
        ``package.module:function``, called in the child; returns the `Sensor`.
    arguments : callable
        Gives what `make` is called with; gets what the last child said of the camera, None at first. Picklable.
    name : str
        For messages.
    deadlines : Deadlines
        Of the `ThreadedCamera` around.

    Raises
    ------
    Unsupported
        On Windows.
    """

    def __init__(
        self, make: str, arguments: Callable[[CameraInfo | None], tuple[Any, ...]], name: str, deadlines: Deadlines
    ) -> None:
        if sys.platform == "win32":
            raise Unsupported(f"{name}: isolate=true does not work on Windows")
        self._make = make
        self._arguments = arguments
        self._name = name
        self._deadlines = deadlines
        self._info: CameraInfo | None = None
        self._child: _Child | None = None

    @property
    def process_id(self) -> int | None:
        """Of the child; None when there is none."""
        return None if self._child is None else self._child.process.pid

    def open(self) -> CameraInfo:
        self.close()
        until_s = time.monotonic() + self._deadlines.open_s
        self._child = _Child(self._name)
        try:
            # python itself starts, too, on however small and busy a computer
            self.call("make", self._make, self._arguments(self._info), limit_s=self._deadlines.open_s * 0.7)
            info: CameraInfo = self.call("open", limit_s=until_s - time.monotonic())
        except BaseException:
            self._end_child()
            raise
        self._info = info
        return info

    def close(self) -> None:
        """Let the device go and end the child."""
        if self._child is None:
            return
        with suppress(DeviceGone, DeviceTimeout):
            self.call("close", limit_s=self._deadlines.stop_s)
        self._end_child()

    def configure(self, settings: CameraSettings) -> CameraSettings:
        accepted: CameraSettings = self.call("configure", settings, limit_s=self._deadlines.configure_s)
        return accepted

    def start(self) -> None:
        self.call("start", limit_s=self._deadlines.call_s)

    def ask(self) -> ExposureState:
        state: ExposureState = self.call("ask", limit_s=self._deadlines.call_s)
        return state

    def read(self, buffer: NDArray[Any]) -> None:
        self._there().lend(buffer)
        self.call("read", buffer.shape, buffer.dtype.str, limit_s=self._deadlines.read_s)
        self._there().fetch(buffer)

    def stop(self) -> None:
        self.call("stop", limit_s=self._deadlines.stop_s)

    def start_video(self) -> None:
        self.call("start_video", limit_s=self._deadlines.call_s)

    def wait_video(self, buffer: NDArray[Any], timeout_s: float) -> bool:
        self._there().lend(buffer)
        arrived: bool = self.call(
            "wait_video", buffer.shape, buffer.dtype.str, timeout_s, limit_s=self._deadlines.call_s
        )
        if arrived:
            self._there().fetch(buffer)
        return arrived

    def status(self) -> CameraStatus:
        status: CameraStatus = self.call("status", limit_s=self._deadlines.call_s)
        return status

    def facts(self) -> FrameFacts:
        facts: FrameFacts = self.call("facts", limit_s=self._deadlines.call_s)
        return facts

    def remote(self, name: str, limit_s: float) -> Callable[..., Any]:
        """Another method of the child's sensor, as a function of that name."""

        def call(*arguments: Any) -> Any:
            return self.call(name, *arguments, limit_s=limit_s)

        call.__name__ = name
        return call

    def call(self, name: str, *arguments: Any, limit_s: float) -> Any:
        """Make a call in the child.

        Raises
        ------
        DeviceGone
            If the child is dead, or had to be killed because it did not answer.
        DeviceError
            Of the sensor itself.
        """
        child = self._there()
        try:
            child.connection.send((name, arguments))
            answered = child.connection.poll(limit_s * SOONER)
            failure, answer = child.connection.recv() if answered else (None, None)
        except (EOFError, OSError) as error:
            code = self._end_child()
            raise DeviceGone(
                f"{self._name}: the process of its driver has died during {name} (code {code}); it is started anew "
                "with the camera"
            ) from error
        if not answered:
            child.process.kill()
            self._end_child()
            raise DeviceGone(
                f"{self._name}: {name} has not returned within {limit_s * SOONER:g} s; the process of its driver was "
                "killed, and is started anew with the camera"
            )
        if failure is not None:
            raise failure
        return answer

    def _there(self) -> _Child:
        if self._child is None:
            raise DeviceGone(f"{self._name}: is not open")
        return self._child

    def _end_child(self) -> int | None:
        if self._child is None:
            return None
        child, self._child = self._child, None
        return child.end()


class _Child:
    """A running child process, the socket to it, and the memory that it shares with us."""

    def __init__(self, name: str) -> None:
        ours, theirs = socket.socketpair()
        self._memory = _anonymous_memory()
        self._view: mmap.mmap | None = None
        with theirs:
            numbers = theirs.fileno(), self._memory
            self.process = subprocess.Popen(
                [sys.executable, "-m", "acquisition.isolated_process", *map(str, numbers)],
                pass_fds=numbers, stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which closes the camera
            )  # fmt: skip
        self.connection = Connection(ours.detach())
        log.debug("%s: its driver runs in process %d", name, self.process.pid)

    def lend(self, frame: NDArray[Any]) -> None:
        """Have room for a frame in the shared memory."""
        if self._view is None or len(self._view) < frame.nbytes:
            os.ftruncate(self._memory, frame.nbytes)
            self._view = mmap.mmap(self._memory, frame.nbytes)

    def fetch(self, frame: NDArray[Any]) -> None:
        """Copy what the child has written into a frame."""
        assert self._view is not None
        np.copyto(frame, np.frombuffer(self._view, frame.dtype, frame.size).reshape(frame.shape))

    def end(self) -> int | None:
        """Let the child end, kill it if it does not; its exit code."""
        self.connection.close()
        try:
            self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):  # in the kernel, as a call into a dead USB bus may be
                self.process.wait(ENDS_S / 2)
        os.close(self._memory)
        return self.process.returncode


def _anonymous_memory() -> int:
    """The number of a file that has no name, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("starlatch-frame")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
