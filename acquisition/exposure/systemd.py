"""What systemd is told: sd_notify(3)'s datagrams, and a watchdog that knows whether we get on.

In: states, and a question that says whether the work goes on. Out: datagrams; nothing where systemd did not start us.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


class ServiceManager:
    """systemd, where a unit of ``Type=notify`` started us.

    Parameters
    ----------
    environment : mapping
        NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID count.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        period = environment.get("WATCHDOG_USEC", "") if ours else ""
        self.watchdog_s = int(period) / 1e6 if period.isdecimal() and int(period) > 0 else None

    def ready(self, status: str) -> None:
        """We are at work."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The config is being read anew; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """We are about to end."""
        self._tell("STOPPING=1")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._tell(f"STATUS={status}")

    async def keep_awake(self, at_work: Callable[[], bool]) -> None:
        """Feed the watchdog, twice as often as it asks, while the answer is yes; for ever."""
        if self.watchdog_s is None:
            return
        while True:
            if at_work():
                self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        # an abstract address begins with @, which stands for a NUL
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message, address)
        except OSError as error:
            log.debug("systemd does not listen: %s", error)
