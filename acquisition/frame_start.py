"""When the exposure of a frame began, where the device does not say.

In: what the clock said around the calls that began an exposure or waited for a frame. Out: the earliest time at which
it began, and how much later that may have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from acquisition.images import FrameFacts

WAITED_S = 0.002  # for a frame; less means that it was there
KEPT = 2  # frames that a camera's library keeps for us
LONGEST_DELAY_S = 0.5  # of a video's frame, from the end of its exposure to its arrival


@dataclass(frozen=True, slots=True)
class FrameStart:
    """When an exposure began: at `utc` = `loop_s`, or up to the uncertainty later."""

    utc: datetime
    loop_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one slice of waiting for video, from `asked_s` to `loop_s` = `utc`: no facts, no frame."""

    asked_s: float
    loop_s: float
    utc: datetime
    facts: FrameFacts | None


class VideoClock:
    """The times of a running video.

    The delay is the time from the end of an exposure to the frame's arrival: what the first frame took longer than its
    exposure since the video began. It includes what the camera needs to begin, so it is an upper limit.

    Parameters
    ----------
    began_s : float
        When the video had begun, on the event loop's clock.
    """

    def __init__(self, began_s: float) -> None:
        self._began_s = self._before_s = self._looked_s = began_s
        self._start_s = began_s  # of the last frame's exposure, earliest
        self._delay_s: float | None = None

    def looked(self, look: Look) -> None:
        """The camera was just asked for a frame."""
        self._before_s, self._looked_s = self._looked_s, look.loop_s

    def began(self, look: Look, exposure_s: float) -> FrameStart:
        """When the exposure of the frame that the last look found began.

        A frame that we had to wait for has arrived this moment. Any other one waited for us, among `KEPT` at the most,
        and began not before the exposure of the frame that was delivered before it had ended.
        """
        if self._delay_s is None:
            self._delay_s = min(max(look.loop_s - self._began_s - exposure_s, 0.0), LONGEST_DELAY_S)
        latest_s = look.loop_s - exposure_s
        earliest_s = latest_s - self._delay_s
        if look.loop_s - look.asked_s < WAITED_S:
            long_ago_s = self._before_s - (1 + KEPT) * exposure_s - self._delay_s
            earliest_s = min(max(self._start_s + exposure_s, long_ago_s), earliest_s)
        self._start_s = max(earliest_s, self._start_s)
        utc = look.utc - timedelta(seconds=look.loop_s - self._start_s)
        return FrameStart(utc, self._start_s, max(latest_s - self._start_s, 0.0))
