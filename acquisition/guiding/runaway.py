"""Do corrections make it worse? Then the axis must stop. A pure step.

In: frame by frame, where the star is on one axis, and what was sent since the frame before. Out: send on, hold, or
runaway.

When the star runs off in the direction in which the corrections should pull it back, they are held for a few frames:
if it then stops, they were the cause; if it runs on, something else is, and they go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

_FRAMES = 4  # running off for so many corrections raises suspicion
_HELD = 3  # frames without corrections that show who is to blame
_FAR_PX = 3.0
_WORSE = 0.25  # share of the corrections by which the star moved the wrong way, at least
_QUIET_S = 60.0  # after corrections were found innocent


@dataclass(frozen=True, slots=True)
class WatchedFrame:
    """Time, place on the axis (dithers do not change it), and what was sent since the frame before, px."""

    t_s: float
    position_px: float
    sent_px: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of an axis.

    Attributes
    ----------
    frames : tuple of WatchedFrame
        The last ones.
    suspects : tuple of WatchedFrame
        Those that raised suspicion; corrections are held meanwhile. Empty: no suspicion.
    gain : float or None
        Of corrections, as it was found when it was clearly negative: a runaway. 1 would be right.
    quiet_until_s : float
    """

    frames: tuple[WatchedFrame, ...] = ()
    suspects: tuple[WatchedFrame, ...] = ()
    gain: float | None = None
    quiet_until_s: float = -math.inf

    @property
    def held(self) -> bool:
        """Whether nothing may be sent."""
        return self.gain is not None or bool(self.suspects)


def watch_step(watch: Watch, t_s: float, position_px: float, displacement_px: float, sent_px: float) -> Watch:
    """One measured frame.

    Parameters
    ----------
    watch : Watch
    t_s : float
        Middle of the exposure.
    position_px, displacement_px : float
        On the axis: against the first lock and against the present one.
    sent_px : float
        Corrections since the last measured frame.
    """
    if watch.gain is not None:
        return watch
    frames = (*watch.frames, WatchedFrame(t_s, position_px, sent_px))
    if watch.suspects:
        return _judged(replace(watch, frames=frames)) if len(frames) > _HELD else replace(watch, frames=frames)
    frames, suspects = frames[-_FRAMES - 1 :], watch.suspects
    if t_s >= watch.quiet_until_s and abs(displacement_px) >= _FAR_PX and _runs_off(frames, displacement_px):
        frames, suspects = frames[-1:], frames
    return Watch(frames, suspects, quiet_until_s=watch.quiet_until_s)


def star_lost(watch: Watch) -> Watch:
    """A frame without a measurement: what was seen before it proves nothing."""
    return watch if watch.gain is not None else replace(watch, frames=(), suspects=())


def _runs_off(frames: tuple[WatchedFrame, ...], displacement_px: float) -> bool:
    if len(frames) <= _FRAMES:
        return False
    side = math.copysign(1.0, displacement_px)
    places = [side * frame.position_px for frame in frames]
    sent = [side * frame.sent_px for frame in frames[1:]]
    further = all(after > before for before, after in pairwise(places))
    return further and min(sent) > 0 and places[-1] - places[0] >= _WORSE * sum(sent)


def _judged(watch: Watch) -> Watch:
    seconds = watch.suspects[-1].t_s - watch.suspects[0].t_s
    sent_per_s = sum(frame.sent_px for frame in watch.suspects[1:]) / seconds
    gain = (_speed(watch.frames) - _speed(watch.suspects)) / sent_per_s
    if gain < -_WORSE:
        return replace(watch, gain=gain)
    return Watch(watch.frames, quiet_until_s=watch.frames[-1].t_s + _QUIET_S)


def _speed(frames: tuple[WatchedFrame, ...]) -> float:
    t, x = np.array([frame.t_s for frame in frames]), np.array([frame.position_px for frame in frames])
    t -= t.mean()
    return float(t @ x / (t @ t))
