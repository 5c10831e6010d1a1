"""A serial line (or a socket) on which commands are asked and answered. Blocking, for the device's thread.

In: commands. Out: answers, each within a deadline; after noise the line is brought back into step.
"""

from __future__ import annotations

import errno
import termios
import time
from collections.abc import Callable
from typing import Any

from acquisition.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermissionDenied,
    DeviceTimeout,
)

from .dialects import Answer

ANSWER_S = 1.5
QUIET_S = 0.15  # of silence before the line is taken to be in step again
ATTEMPTS = 3
LONGEST = 128
LENGTHS = {Answer.CHARACTER: 1, Answer.FOUR: 4}


class Line:
    """An open line.

    Parameters
    ----------
    port : str
        A device node, or what else pyserial opens (``socket://host:port``).
    baud : int

    Raises
    ------
    DeviceNotFound, DevicePermissionDenied, DeviceBusy
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self.resynchronised = 0
        self._serial = _open(port, baud)

    def close(self) -> None:
        self._serial.close()

    def ask(self, command: str, answer: Answer = Answer.TEXT, check: Callable[[str], object] = str) -> str:
        """Send a command; its answer without the ``#``, empty when none is expected.

        What is no answer, or none in time, is asked for again on a line that was brought into step; but ``:MS`` only
        once, as the mount may be moving already.

        Raises
        ------
        DeviceTimeout
            If nothing comes, or nothing that makes sense.
        DeviceGone
            If the line is lost.
        """
        problem = "no answer"
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    self._resynchronise()
                self._serial.reset_input_buffer()
                self._serial.write(command.encode("latin-1"))
                self._serial.flush()
                if answer is Answer.NONE:
                    return ""
                text = self._read(answer)
                check(text)
            except TimeoutError as error:
                problem = str(error)
            except (OSError, termios.error) as error:  # pyserial's are OSErrors
                raise DeviceGone(f"{self.port}: the line is lost: {error}") from error
            except ValueError as error:
                problem = str(error)
            else:
                return text
            if command.startswith(":MS"):
                break
        raise DeviceTimeout(f"{self.port}: {command} was not answered: {problem}")

    def _read(self, answer: Answer) -> str:
        deadline_s = time.monotonic() + ANSWER_S
        text = b""
        while time.monotonic() < deadline_s:
            text += self._serial.read(1)
            if answer is Answer.TEXT and text.endswith(b"#"):
                return str(text[:-1], "latin-1")
            if len(text) == LENGTHS.get(answer, LONGEST):
                if answer is Answer.TEXT:
                    raise ValueError(f"{LONGEST} characters without a #")
                return str(text, "latin-1")
        raise TimeoutError(f"{text!r} within {ANSWER_S:g} s")

    def _resynchronise(self) -> None:
        """End whatever command is half sent, and listen until the line is quiet."""
        self.resynchronised += 1
        self._serial.write(b"#")
        deadline_s = time.monotonic() + ANSWER_S
        quiet_since_s = time.monotonic()
        while time.monotonic() < min(quiet_since_s + QUIET_S, deadline_s):
            if self._serial.read(64):
                quiet_since_s = time.monotonic()


def _open(port: str, baud: int) -> Any:
    import serial

    try:
        options = {} if "://" in port else {"exclusive": True}
        return serial.serial_for_url(port, baudrate=baud, timeout=0.05, write_timeout=ANSWER_S, **options)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        text = str(error)
        if number == errno.ENOENT:
            raise DeviceNotFound(f"{port}: there is no such port; is the mount plugged in and switched on?") from error
        if number == errno.EACCES:
            raise DevicePermissionDenied(
                f"{port} may not be opened by this user: sudo usermod -aG dialout $USER, then log in again"
            ) from error
        if number in (errno.EBUSY, errno.EAGAIN) or "lock" in text:
            raise DeviceBusy(f"{port} is in use by another program") from error
        raise DeviceError(f"{port} cannot be opened: {text}") from error
