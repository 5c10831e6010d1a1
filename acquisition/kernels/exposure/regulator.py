"""From the exposure that one frame asks for to the one that the next frame gets: what all level laws share.

In: a state, a frame, and the exposure with which that frame would have been on target. Out: the next state and a
`Decision`.

The exposure wanted is followed as a logarithm (`Trend`), so that noise is averaged and steady changes are foretold for
the middle of the NEXT exposure. Where light was clipped its amount is an estimate: the exposure is cut at once, and the
trend begins anew. Where there is no light, see `without_light`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .law import Bound, Decision, Hold
from .limits import GainRule, Limits, permitted
from .measurement import Measurement
from .trend import Trend

_SEARCH = 8.0
"""Exposures grow by this factor from frame to frame until light is seen for the first time."""
_PROBE = 3.0
"""A probe is this many times as long as the exposure that is held."""
_PROBE_FIRST, _PROBE_EVERY = 3, 6
"""Frames without light before the first probe, and between one probe and the next."""
_SURE_FACTOR = 2.0
"""An estimate of clipped light up to so many times the saturation is taken as it is; above, with caution."""
_CAUTION = 0.35
"""Of what is clipped beyond that, the exposure is cut by (excess)^this more than the estimate says."""
_NOISES = 1.0
"""The dead band is at least this many standard errors of the trend."""


@dataclass(frozen=True, slots=True)
class Regulated:
    """What a level law knows after a frame.

    Attributes
    ----------
    trend : Trend or None
        Of the logarithm of the exposure wanted times the camera's amplification; None: no light measured yet, or it
        was clipped.
    ended_s : float
        End of the last frame's exposure; NaN before the first.
    pause_s : float
        From the end of an exposure to the start of the next.
    seen : bool
        Whether there ever was light.
    dark_frames : int
        Without light, in succession.
    clipped_frames : int
        Clipped, in succession.
    held_s : float
        The exposure that is held while there is no light.
    """

    trend: Trend | None = None
    ended_s: float = math.nan
    pause_s: float = 0.0
    seen: bool = False
    dark_frames: int = 0
    clipped_frames: int = 0
    held_s: float = math.nan


def unusable(measured: Measurement) -> Hold | None:
    """Why no law can make anything of a frame, or None."""
    if not (math.isfinite(measured.exposure_s) and measured.exposure_s > 0 and math.isfinite(measured.start_s)):
        return Hold.NO_EXPOSURE
    if not (math.isfinite(measured.saturation_adu) and measured.saturation_adu > 0):
        return Hold.NO_SATURATION
    return None


def held(state: Regulated, measured: Measurement, why: Hold) -> tuple[Regulated, Decision]:
    """Leave the exposure as it is."""
    return state, Decision(measured.exposure_s, hold=why)


def regulate(
    state: Regulated, measured: Measurement, limits: Limits, wanted_s: float, *, clipped: bool = False
) -> tuple[Regulated, Decision]:
    """The next exposure after a frame that shows light.

    Parameters
    ----------
    state, measured, limits
    wanted_s : float
        The exposure with which this frame would have been on target, finite, above 0; where clipped, an estimate.
    clipped : bool
        Whether what it rests on was clipped.
    """
    level = measured.exposure_s / wanted_s
    state = _timed(state, measured)
    amplified = math.log(_amplification(measured, limits.gain))
    if clipped:
        caution = max(level / _SURE_FACTOR, 1.0) ** _CAUTION
        state = replace(
            state, trend=None, seen=True, dark_frames=0, clipped_frames=state.clipped_frames + 1, held_s=math.nan
        )
        aim_s, sigma = wanted_s / caution, 0.0
    else:
        x = math.log(wanted_s) + amplified
        known = None if state.dark_frames or state.trend is None else state.trend
        trend = Trend.begin(measured.middle_s, x) if known is None else known.learn(measured.middle_s, x)
        state = replace(state, trend=trend, seen=True, dark_frames=0, clipped_frames=0, held_s=math.nan)
        aim_s, sigma = _foretold(trend, measured.end_s + state.pause_s, amplified, limits)
    gained_s, gain = _with_gain(limits, aim_s, measured.gain)
    exposure_s, bound = permitted(limits, gained_s, measured.exposure_s, clipped)
    predicted = exposure_s / gained_s if gained_s > 0 else math.nan
    change = abs(math.log(exposure_s / measured.exposure_s))
    if not clipped and gain is None and 0 < change <= max(math.log1p(limits.dead_band), _NOISES * sigma):
        kept, _ = permitted(limits, measured.exposure_s, measured.exposure_s, True)
        if kept == measured.exposure_s:
            exposure_s, bound, predicted = kept, Bound.BAND, kept / gained_s
    return state, Decision(exposure_s, gain, level=level, clipped=clipped, predicted=predicted, bound=bound)


def without_light(
    state: Regulated, measured: Measurement, limits: Limits, longest_s: float, why: Hold
) -> tuple[Regulated, Decision]:
    """The next exposure after a frame in which there is nothing to go by.

    Before any light was seen, exposures grow from frame to frame up to the longest. Once there was light, the exposure
    is held; from the third frame on, every sixth is a probe, three times as long, and the one after it is back to what
    it was.

    Parameters
    ----------
    state, measured, limits
    longest_s : float
        No probe is longer than this (what the sky allows).
    why : Hold
    """
    state = _timed(state, measured)
    most_s = max(min(longest_s, limits.max_s), limits.min_s)
    dark = state.dark_frames + 1
    if not state.seen:
        wanted_s = min(measured.exposure_s * _SEARCH, most_s)
        exposure_s, bound = permitted(limits, max(wanted_s, limits.min_s), measured.exposure_s, True)
        return replace(state, dark_frames=dark), Decision(
            exposure_s, hold=why, probing=exposure_s > measured.exposure_s, bound=bound
        )
    held_s = measured.exposure_s if math.isnan(state.held_s) else state.held_s
    state = replace(state, dark_frames=dark, held_s=held_s, trend=None)
    if dark >= _PROBE_FIRST and (dark - _PROBE_FIRST) % _PROBE_EVERY == 0:
        probe_s, bound = permitted(limits, max(min(held_s * _PROBE, most_s), held_s), held_s, True)
        return state, Decision(probe_s, hold=why, probing=probe_s > held_s, bound=bound)
    return state, Decision(held_s, hold=why)


def blind_cut(state: Regulated, measured: Measurement, limits: Limits, first: float) -> tuple[Regulated, Decision]:
    """The next exposure after a frame so clipped that nothing says by how much: cut by `first`, then by ever more."""
    cut = first * 3.0 ** min(state.clipped_frames, 6)
    state = replace(_timed(state, measured), trend=None, seen=True, dark_frames=0, held_s=math.nan)
    state = replace(state, clipped_frames=state.clipped_frames + 1)
    gained_s, gain = _with_gain(limits, measured.exposure_s / cut, measured.gain)
    exposure_s, bound = permitted(limits, gained_s, measured.exposure_s, True)
    return state, Decision(exposure_s, gain, level=math.inf, clipped=True, bound=bound)


def _timed(state: Regulated, measured: Measurement) -> Regulated:
    """With what the frame's start says of the pause between exposures."""
    pause_s = measured.start_s - state.ended_s
    if not (0.0 <= pause_s <= 600.0):
        pause_s = state.pause_s
    return replace(state, ended_s=measured.end_s, pause_s=pause_s)


def _foretold(trend: Trend, next_start_s: float, amplified: float, limits: Limits) -> tuple[float, float]:
    """The exposure that will be on target at its own middle, and its relative standard error."""
    exposure_s, sigma = 0.0, 0.0
    for _ in range(4):
        x, sigma = trend.at(next_start_s + exposure_s / 2)
        exposure_s = min(max(math.exp(min(max(x - amplified, -50.0), 50.0)), limits.min_s / 10), limits.max_s * 10)
    return exposure_s, sigma


def _amplification(measured: Measurement, rule: GainRule | None) -> float:
    """ADU per electron, or something in proportion to it."""
    if math.isfinite(measured.egain_e_per_adu) and measured.egain_e_per_adu > 0:
        return 1.0 / measured.egain_e_per_adu
    if rule is not None and measured.gain is not None:
        return rule.amplification(measured.gain)
    return 1.0


def _with_gain(limits: Limits, wanted_s: float, gain: float | None) -> tuple[float, float | None]:
    """The exposure wanted and the gain to go with it; None: the gain stays."""
    rule = limits.gain
    if rule is None or gain is None:
        return wanted_s, None
    steps = round((gain - rule.lowest) / rule.step)
    most = math.floor((rule.highest - rule.lowest) / rule.step + 1e-9)
    best = min(max(steps, 0), most)

    def exposure_at(step: int) -> float:
        return wanted_s / rule.amplification(rule.lowest + step * rule.step - gain)

    while best < most and exposure_at(best) > limits.max_s:
        best += 1
    while best > 0 and exposure_at(best - 1) <= limits.max_s * rule.return_share:
        best -= 1
    chosen = rule.lowest + best * rule.step
    return exposure_at(best), None if chosen == gain else chosen
