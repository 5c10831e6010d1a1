"""The child process of an `IsolatedSensor`: ``python -m acquisition.isolated_process SOCKET MEMORY``.

In: calls from the socket. Out: their answers, and frames in the shared memory. It ends when the parent is gone.
"""

from __future__ import annotations

import mmap
import signal
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from acquisition.errors import DeviceError

_FRAMES = {"read", "wait_video"}


def main(socket_number: int, memory_number: int) -> None:
    """Answer calls until nobody asks."""
    _die_with_parent()
    connection = Connection(socket_number)
    sensor: Any = None
    view: mmap.mmap | None = None
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            break
        failure: Exception | None = None
        answer: Any = None
        try:
            if name == "make":
                module, function = arguments[0].split(":")
                sensor = getattr(import_module(module), function)(*arguments[1])
            elif name in _FRAMES:
                shape, dtype, *rest = arguments
                n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
                if view is None or len(view) < n_bytes:
                    view = mmap.mmap(memory_number, n_bytes)
                answer = getattr(sensor, name)(np.frombuffer(view, dtype, int(np.prod(shape))).reshape(shape), *rest)
            else:
                answer = getattr(sensor, name)(*arguments)
        except (DeviceError, ValueError) as error:
            failure = type(error)(str(error))  # without its causes, which may not be picklable
        except Exception as error:
            failure = DeviceError(f"{name}: {type(error).__name__}: {error}")
        try:
            connection.send((failure, answer))
        except OSError:
            break
    with suppress(Exception):
        if sensor is not None:
            sensor.close()


def _die_with_parent() -> None:
    """Not outlive a parent that was killed while a call of ours hangs; Linux only."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1  # from sys/prctl.h
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
