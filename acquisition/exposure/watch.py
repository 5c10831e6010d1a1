"""Answers frames that another program takes with the next exposure time.

In: files, one after the other. Out: a `FrameReport` for each that can be read.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

from acquisition.errors import ImageError
from acquisition.exposure.folder import Arrival
from acquisition.exposure.laws import ExposureRule
from acquisition.exposure.report import FrameReport
from acquisition.images import Image
from acquisition.virtual_time import utc_now

log = logging.getLogger(__name__)

_READ_S = 60.0


class FileLaw:
    """A law that files are put before.

    When a frame was exposed is reckoned from its arrival, not from its header: another machine's clock may be wrong,
    and any clock may be set; a constant delay does not matter to a law.

    Parameters
    ----------
    rule : ExposureRule

    Attributes
    ----------
    answered, unreadable : int
    """

    def __init__(self, rule: ExposureRule) -> None:
        self._rule = rule
        self._state: Any = rule.start()
        self._ended_s = -math.inf
        self.answered = 0
        self.unreadable = 0

    async def answer(self, arrival: Arrival) -> FrameReport | None:
        """What the law says of a file; None where it cannot be read, which is logged."""
        arrived_s = asyncio.get_running_loop().time() - arrival.age_s
        try:
            async with asyncio.timeout(_READ_S):
                image = await asyncio.to_thread(Image.from_file, arrival.path)
        except (OSError, ValueError, ImageError, TimeoutError) as error:
            self.unreadable += 1
            log.warning("%s: %s", arrival.path.name, error or f"not read within {_READ_S:g} s")
            return None
        exposure_s = image.facts.exposure_s or 0.0
        start_s = max(arrived_s - exposure_s, self._ended_s)
        self._ended_s = start_s + exposure_s
        decided = await asyncio.to_thread(self._rule.decide, self._state, image, start_s)
        self._state, measured, decision = decided
        self.answered += 1
        return FrameReport(self.answered, utc_now(), measured, decision)
