"""Files that another program writes: which are new, and complete.

In: a folder, looked at again and again. Out: the newest complete file, each time there is one.
"""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import ConfigError

log = logging.getLogger(__name__)

FITS_NAMES = ("*.fits", "*.fit", "*.fts", "*.fits.fz", "*.fits.gz")
_LOOK_S = 30.0
_SHARE = 10.0
"""Between looks is at least this many times as long as a look takes."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete file.

    Attributes
    ----------
    path : Path
    age_s : float
        How long ago it was last written, by the machine's clock; 0 or above.
    """

    path: Path
    age_s: float


@dataclass(frozen=True, slots=True)
class _Look:
    """A file as one look at the folder found it."""

    written_ns: int
    size: int
    inode: int


@dataclass(slots=True)
class _Known:
    """A file that is there, since when it looks as it does (on the loop's clock), and whether it was delivered."""

    look: _Look
    since_s: float
    done: bool


class FrameFolder:
    """Waits for files. One is complete when size and time of its last change have rested; renamed ones are at once.

    Of several new ones only the newest is delivered, for an answer to an old frame helps nobody; of what is there in
    the beginning, too. A file that changes later is new again. Files whose names begin with a dot are not looked at.

    Parameters
    ----------
    directory : Path
    names : sequence of str
        Patterns of file names, as the shell's; upper and lower case are the same.
    poll_s : float
        Between looks.
    rest_s : float
        How long a file must have rested.

    Attributes
    ----------
    skipped : int
        Complete files that were not delivered because there was a newer one.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """

    def __init__(
        self, directory: Path, names: Sequence[str] = FITS_NAMES, poll_s: float = 0.25, rest_s: float = 1.0
    ) -> None:
        if not directory.is_dir():
            raise ConfigError(f"{directory} is no folder; allowed: a folder in which FITS files appear")
        self._directory = directory
        self._names = tuple(name.lower() for name in names)
        self._poll_s = poll_s
        self._rest_s = rest_s
        self._known: dict[str, _Known] | None = None  # None: not looked at yet
        self._gone = False
        self.skipped = 0

    async def next(self) -> Arrival:
        """The newest complete file that was not delivered yet; waits until there is one."""
        while True:
            began = time.perf_counter()
            name = self._newest(await self._look())
            if name is not None:
                assert self._known is not None
                age_s = (time.time_ns() - self._known[name].look.written_ns) / 1e9
                return Arrival(self._directory / name, max(age_s, 0.0))
            await asyncio.sleep(max(self._poll_s, _SHARE * (time.perf_counter() - began)))

    async def _look(self) -> dict[str, _Look]:
        """What is in the folder; nothing while it cannot be read, which is told once."""
        try:
            async with asyncio.timeout(_LOOK_S):
                there = await asyncio.to_thread(self._list)
        except (OSError, TimeoutError) as error:
            if not self._gone:
                log.warning("%s cannot be read: %s", self._directory, error or f"no answer within {_LOOK_S:g} s")
            self._gone = True
            return {}
        if self._gone:
            log.warning("%s can be read again", self._directory)
            self._gone = False
        return there

    def _list(self) -> dict[str, _Look]:
        found = {}
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not self._is_wanted(entry.name):
                    continue
                try:
                    if entry.is_file():
                        is_ = entry.stat()
                        found[entry.name] = _Look(is_.st_mtime_ns, is_.st_size, is_.st_ino)
                except FileNotFoundError:
                    continue  # gone meanwhile
        return found

    def _is_wanted(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in self._names)

    def _newest(self, there: dict[str, _Look]) -> str | None:
        """Take note of a look; the newest file that is complete now, if there is one."""
        now_s = asyncio.get_running_loop().time()
        if self._known is None:
            known = {name: _Known(look, now_s, True) for name, look in there.items()}
            if known:
                max(known.items(), key=lambda item: (item[1].look.written_ns, item[0]))[1].done = False
        else:
            known = {}
            for name, look in there.items():
                before = self._known.get(name)
                known[name] = before if before is not None and before.look == look else _Known(look, now_s, False)
        self._known = known
        rested = [
            (one.since_s, one.look.written_ns, name)
            for name, one in known.items()
            if not one.done and one.look.size > 0 and now_s - one.since_s >= self._rest_s
        ]
        for _, _, name in rested:
            known[name].done = True
        if len(rested) > 1:
            self.skipped += len(rested) - 1
            log.info("%s: %d older files are skipped, %d so far", self._directory, len(rested) - 1, self.skipped)
        return max(rested)[2] if rested else None
