"""A command that somebody wants run with every new exposure time.

In: a template, ``set-exposure --seconds {exptime}``, and values. Out: a process, run without a shell, that
ends within a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping

from acquisition.errors import ConfigError

log = logging.getLogger(__name__)

PLACEHOLDERS = ("exptime", "gain", "file")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LAST_S = 2.0


class Command:
    """Runs a command with placeholders filled in.

    The template is cut into words as a shell would do it, before the values are filled in: a value is never more than
    part of one word, whatever is in it, and no shell ever sees it.

    Parameters
    ----------
    template : str
        With {exptime} (seconds), {gain} (camera units, empty where unknown) and {file}.
    timeout_s : float
        Then it is killed, with all that it has started.

    Attributes
    ----------
    failures : int
        Runs that failed.

    Raises
    ------
    ConfigError
        If it is empty, quotes do not match, a placeholder is unknown, or there is no such program.
    """

    def __init__(self, template: str, timeout_s: float = 30.0) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise ConfigError(f"command {template!r}: {error}") from None
        if not self._words:
            raise ConfigError(
                "command is empty; allowed: a program and its arguments, such as 'set-exposure {exptime}'"
            )
        for name in _PLACEHOLDER.findall(" ".join(self._words)):
            if name not in PLACEHOLDERS:
                allowed = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
                raise ConfigError(f"command {template!r}: unknown placeholder {{{name}}}; allowed: {allowed}")
        if shutil.which(self._words[0]) is None:
            raise ConfigError(f"command {template!r}: there is no program {self._words[0]!r}")
        self._timeout_s = timeout_s
        self.failures = 0

    def words(self, values: Mapping[str, str]) -> list[str]:
        """The command line with the values of all placeholders."""
        return [_PLACEHOLDER.sub(lambda found: values[found.group(1)], word) for word in self._words]

    async def run(self, values: Mapping[str, str]) -> None:
        """Run it to its end; what goes wrong is logged and counted. Its output goes to our standard error."""
        words = self.words(values)
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
            )
        except OSError as error:
            self._failed(words, str(error))
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                code = await process.wait()
        except TimeoutError:
            self._failed(words, f"did not end within {self._timeout_s:g} s, killed")
        else:
            if code != 0:
                self._failed(words, f"exit code {code}")
        finally:
            await _kill(process)

    def _failed(self, words: list[str], why: str) -> None:
        self.failures += 1
        log.warning("%s: %s", shlex.join(words), why)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End what is left of a process and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await process.wait()
