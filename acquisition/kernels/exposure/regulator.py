"""From the exposure that one frame asks for to the one that the next frame gets: what all level laws share.

In: a state, a frame, and the exposure with which that frame would have been on target. Out: the next state and a
`Decision`.

The exposure wanted is followed as a logarithm: for the sky with its slope (`Trend`), so that twilight is foretold for
the middle of the NEXT exposure; for stars without (`Steady`), so that twinkling is averaged and clouds' edges are
followed. Where light was clipped its amount is an estimate: the exposure is cut at once, and the trend begins anew.
Where there is no light, see `without_light`; in the first frame with light again the exposure does not grow, because
light that comes back comes back fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .law import Decision, Hold
from .limits import Bound, GainRule, Limits, permitted
from .measurement import Measurement
from .steady import Steady
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
_CALM = 0.25
"""A logarithm of the level so near to 0 is on target."""
_CALM_STEP = 4.0
"""Largest step once an exposure was on target: a star that fades within a frame or two may be gone in the next."""
_CALM_CUT = 40.0
"""Nor is a clipped frame cut below the last exposure on target over this."""
_NOISES = 1.0
"""The dead band is at least this many standard errors of the trend."""


@dataclass(frozen=True, slots=True)
class Regulated:
    """What a level law knows after a frame.

    Attributes
    ----------
    trend : Trend, Steady or None
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
    clipped_s : float
        The last exposure that was clipped, if nothing was measured since; else NaN.
    calm_s : float
        The last exposure that was on target, within a quarter: it is held while there is no light. NaN: none was.
    """

    trend: Trend | Steady | None = None
    ended_s: float = math.nan
    pause_s: float = 0.0
    seen: bool = False
    dark_frames: int = 0
    clipped_frames: int = 0
    clipped_s: float = math.nan
    calm_s: float = math.nan


def unusable(measured: Measurement) -> Hold | None:
    """Why no law can make anything of a frame, or None."""
    if not (1e-9 < measured.exposure_s < 1e6 and abs(measured.start_s) < 1e12):
        return Hold.NO_EXPOSURE
    if not 0 < measured.saturation_adu < 1e15:
        return Hold.NO_SATURATION
    return None


def held(state: Regulated, measured: Measurement, why: Hold) -> tuple[Regulated, Decision]:
    """Leave the exposure as it is."""
    return state, Decision(measured.exposure_s, hold=why)


def regulate(
    state: Regulated,
    measured: Measurement,
    limits: Limits,
    wanted_s: float,
    *,
    kind: type[Trend] | type[Steady],
    error: float = 0.0,
    clipped: bool = False,
) -> tuple[Regulated, Decision]:
    """The next exposure after a frame that shows light.

    Parameters
    ----------
    state, measured, limits
    wanted_s : float
        The exposure with which this frame would have been on target, finite, above 0; where clipped, an estimate.
    kind : type
        How the light changes.
    error : float
        Relative standard error of `wanted_s` by the detector's noise.
    clipped : bool
        Whether what it rests on was clipped.
    """
    wanted_s = min(max(wanted_s, 1e-12), 1e12)
    level = measured.exposure_s / wanted_s
    came_back = state.seen and state.dark_frames > 0
    state = replace(_timed(state, measured), seen=True, dark_frames=0)
    amplified = math.log(_amplification(measured, limits.gain))
    if clipped:
        state = _clipped(state, measured)
        deepest_s = 0.0 if math.isnan(state.calm_s) else state.calm_s / _CALM_CUT
        aim_s, sigma = max(wanted_s / caution(level), deepest_s), 0.0
    else:
        if abs(math.log(level)) < _CALM:
            state = replace(state, calm_s=measured.exposure_s)
        x = math.log(wanted_s) + amplified
        before = state.trend
        trend = kind.begin(measured.middle_s, x, error) if before is None else before.learn(measured.middle_s, x, error)
        state = replace(state, trend=trend, clipped_frames=0, clipped_s=math.nan)
        aim_s, sigma = _foretold(trend, measured.end_s + state.pause_s, amplified, limits)
        if before is None or kind is Trend:
            sigma = 0.0  # nothing better is known; or the error is that of the slope, not of noise
    held_s = _held_s(state, measured)
    if came_back and aim_s > held_s:
        return state, Decision(held_s, level=level, clipped=clipped, predicted=held_s / aim_s, bound=Bound.RETURN)
    gained_s, gain = _with_gain(limits, aim_s, measured.gain)
    if not math.isnan(state.calm_s):
        limits = replace(limits, max_step=min(limits.max_step, _CALM_STEP))
    exposure_s, bound = permitted(limits, gained_s, measured.exposure_s, clipped)
    predicted = exposure_s / gained_s
    change = abs(math.log(exposure_s / measured.exposure_s))
    if not clipped and gain is None and 0 < change <= max(math.log1p(limits.dead_band), _NOISES * sigma):
        kept_s, _ = permitted(limits, measured.exposure_s, measured.exposure_s, True)
        if kept_s == measured.exposure_s:
            exposure_s, bound, predicted = kept_s, Bound.BAND, kept_s / gained_s
    if bound is None:
        exposure_s = min(float(f"{exposure_s:.6g}"), limits.max_s)  # nobody needs more digits
    return state, Decision(exposure_s, gain, level=level, clipped=clipped, predicted=predicted, bound=bound)


def caution(level: float) -> float:
    """By what an exposure is cut beyond what the estimate of clipped light says, `level` over the target."""
    return float(max(level / _SURE_FACTOR, 1.0) ** _CAUTION)


def without_light(
    state: Regulated, measured: Measurement, limits: Limits, longest_s: float, why: Hold
) -> tuple[Regulated, Decision]:
    """The next exposure after a frame in which there is nothing to go by.

    Before any light was seen, exposures grow from frame to frame up to the longest. After a clipped frame that was cut
    too deep, the exposure is the geometric mean of both. Otherwise, once there was light, the last exposure that was on
    target is held; after the third frame comes a probe, three times as long, then every sixth frame, and the one after
    it is back to what it was.

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
    state = replace(state, dark_frames=dark, trend=None)
    if measured.exposure_s < state.clipped_s:  # cut too deep: half-way back
        wanted_s = math.sqrt(measured.exposure_s * state.clipped_s)
        exposure_s, bound = permitted(limits, wanted_s, measured.exposure_s, True)
        return state, Decision(exposure_s, hold=why, probing=True, bound=bound)
    held_s = _held_s(state, measured)
    if dark >= _PROBE_FIRST and (dark - _PROBE_FIRST) % _PROBE_EVERY == 0:
        probe_s, bound = permitted(limits, max(min(held_s * _PROBE, most_s), held_s), held_s, True)
        return state, Decision(probe_s, hold=why, probing=probe_s > held_s, bound=bound)
    return state, Decision(held_s, hold=why)


def blind_cut(state: Regulated, measured: Measurement, limits: Limits, first: float) -> tuple[Regulated, Decision]:
    """The next exposure after a frame so clipped that nothing says by how much: cut by `first`, then by ever more."""
    cut = first * 3.0 ** min(state.clipped_frames, 6)
    state = _clipped(replace(_timed(state, measured), seen=True, dark_frames=0), measured)
    gained_s, gain = _with_gain(limits, measured.exposure_s / cut, measured.gain)
    exposure_s, bound = permitted(limits, gained_s, measured.exposure_s, True)
    return state, Decision(exposure_s, gain, level=math.inf, clipped=True, bound=bound)


def _held_s(state: Regulated, measured: Measurement) -> float:
    """The exposure while there is no light."""
    return measured.exposure_s if math.isnan(state.calm_s) else state.calm_s


def _clipped(state: Regulated, measured: Measurement) -> Regulated:
    """After a clipped frame."""
    return replace(state, trend=None, clipped_frames=state.clipped_frames + 1, clipped_s=measured.exposure_s)


def _timed(state: Regulated, measured: Measurement) -> Regulated:
    """With what the frame's start says of the pause between exposures."""
    pause_s = measured.start_s - state.ended_s
    if not (0.0 <= pause_s <= 600.0):
        pause_s = state.pause_s
    return replace(state, ended_s=measured.end_s, pause_s=pause_s)


def _foretold(trend: Trend | Steady, next_start_s: float, amplified: float, limits: Limits) -> tuple[float, float]:
    """The exposure that will be on target at its own middle, and its relative standard error."""
    exposure_s, sigma = 0.0, 0.0
    for _ in range(4):
        x, sigma = trend.at(next_start_s + exposure_s / 2)
        exposure_s = min(max(math.exp(min(max(x - amplified, -50.0), 50.0)), limits.min_s / 10), limits.max_s * 10)
    return exposure_s, sigma


def _amplification(measured: Measurement, rule: GainRule | None) -> float:
    """ADU per electron, or something in proportion to it."""
    if 1e-9 < measured.egain_e_per_adu < 1e9:
        return 1.0 / measured.egain_e_per_adu
    if rule is not None and measured.gain is not None and rule.lowest <= measured.gain <= rule.highest:
        return rule.amplification(measured.gain - rule.lowest)
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
