"""Guiding on science frames: each frame that counts shifts the telescope's pointing.

In: the frames of a camera that exposes for its own purposes, in order. Out: shifts at the mount, and what was done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from acquisition.errors import DeviceError, ImageError
from acquisition.guiding.offset_statistics import OffsetSessions, Uptime
from acquisition.guiding.pointing_offsets import Applied, OffsetLimits, Verdict, apply_offsets
from acquisition.guiding.science_gate import GateRule, Passage, ScienceGate
from acquisition.images import Image, Pipeline
from acquisition.images.meta import PixelOffsets, RaDecOffsets
from acquisition.mount import Mount

_LIMITS, _RULE = OffsetLimits(), GateRule()


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a frame; `applied` is None where nothing was measured, `reason` says why nothing moved."""

    passage: Passage
    reason: str
    applied: Applied | None = None


class ScienceGuiding:
    """Keeps the stars of science frames where the first of them had them.

    Parameters
    ----------
    chain : Pipeline
        Sets `PixelOffsets` or `RaDecOffsets` against the first frame since its reset, for example
        `ProjectedOffsets` or `GuideStarOffsets`, then `RaDecFromPixels`.
    mount : Mount
        Connected.
    limits : OffsetLimits
    rule : GateRule
    """

    def __init__(self, chain: Pipeline, mount: Mount, limits: OffsetLimits = _LIMITS, rule: GateRule = _RULE) -> None:
        self._chain = chain
        self._mount = mount
        self._limits = limits
        self._gate = ScienceGate(rule)
        self._uptime = Uptime(asyncio.get_running_loop().time())
        self.sessions = OffsetSessions()

    @property
    def uptime_percent(self) -> float:
        """Which part of the time since the beginning the loop was closed."""
        return self._uptime.percent(asyncio.get_running_loop().time())

    async def reset(self) -> None:
        """Take the next frame as reference."""
        self._gate.reset()
        self._note(closed=False)

    async def take(self, image: Image) -> Taken:
        """Guide on a frame; a frame or a mount that fails costs this correction, not the night."""
        passage, reason = self._gate.judge(image)
        if passage in (Passage.IGNORE, Passage.OPEN):
            if passage is Passage.OPEN:
                self._note(closed=False)
            return Taken(passage, reason)
        if passage is Passage.REFERENCE:
            await self._chain.reset()
        try:
            image = await self._chain(image)
            if passage is Passage.REFERENCE:
                self._note(closed=True)
                return Taken(passage, reason)
            applied = await apply_offsets(image, self._mount, self._limits)
        except ImageError as error:
            if passage is Passage.REFERENCE:  # it shows nothing to refer to
                self._gate.reset()
            self._note(closed=False)
            return Taken(Passage.IGNORE, str(error))
        except DeviceError as error:
            self._note(closed=False)
            return Taken(passage, str(error))
        self.sessions.add(image.get_meta_safe(PixelOffsets), image.get_meta_safe(RaDecOffsets))
        self._note(closed=applied.verdict in (Verdict.APPLIED, Verdict.TOO_SMALL))
        return Taken(passage, "" if applied.verdict is Verdict.APPLIED else applied.verdict.value, applied)

    def _note(self, closed: bool) -> None:
        self._uptime.note(asyncio.get_running_loop().time(), closed)
