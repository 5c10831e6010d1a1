"""A law exposing through a simulated night: the loop that a daemon runs, and figures of how well it went.

In: a camera, an `ExposureRule`, and how long. Out: `Frame`s, and a `Summary` of them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from acquisition.camera import Camera, Roi
from acquisition.exposure.laws import ExposureRule
from acquisition.exposure.table import ExposureTable, GainTable
from acquisition.kernels.exposure import Decision, Measurement


@dataclass(frozen=True, slots=True)
class Trial:
    """A simulated night for a law.

    Attributes
    ----------
    scenario : str
        Of the simulator.
    table : ExposureTable
        Law, target and limits.
    start_s : float
        First exposure.
    duration_s : float
    band : float
        Frames whose level is within ± this share of the target are in the target band.
    roi : Roi
        What is read out, so that a night takes seconds.
    """

    scenario: str
    table: ExposureTable
    start_s: float
    duration_s: float
    band: float
    roi: Roi


_STAR = ExposureTable(law="star", min_s=0.01, max_s=100.0, max_step=math.inf, bias_adu=1024)
_SKY = ExposureTable(law="background", min_s=0.02, max_s=60.0, max_step=math.inf, bias_adu=1024)
_MIDDLE = Roi(320, 240, 640, 480)

TRIALS = {
    "twilight": Trial("twilight", _SKY, 1.0, 1500.0, 0.10, Roi(480, 360, 320, 240)),
    "clouds": Trial(
        "cloud-edges", _STAR.model_copy(update={"parameters": {"full_well": 0.2}}), 1.0, 1200.0, 0.25, _MIDDLE
    ),
    "focus": Trial("focus", _STAR, 1.0, 600.0, 0.25, _MIDDLE),
    "saturated-start": Trial("steady", _STAR, 60.0, 240.0, 0.25, _MIDDLE),
    "moonrise": Trial(
        "moonrise",
        _SKY.model_copy(update={"max_s": 30.0, "gain": GainTable(lowest=0, highest=420)}),
        1.0, 3600.0, 0.10, Roi(800, 400, 320, 240),
    ),
}  # fmt: skip
"""By the name that they have on the command line."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a trial: what it was exposed with, what was measured, and what the law said."""

    t_s: float  # start, since the first
    gain: float | None
    measured: Measurement
    decision: Decision

    @property
    def level(self) -> float:
        """Measured over target; NaN without light."""
        return self.decision.level


@dataclass(frozen=True, slots=True)
class Summary:
    """How well a trial went.

    Attributes
    ----------
    frames : int
    in_band_from : int or None
        The first frame in the target band, counted from 1; None: none was.
    in_band_share : float
        Of the frames from then on in which there was light, and whose exposure no limit bound.
    bound_frames : int
        Frames that were too dark or too bright because a limit bound.
    clipped_frames : int
        In which what the law goes by was clipped.
    clipped_after_first : int
        Those of them that are not the very first frame.
    no_light_frames : int
        In which there was nothing to go by.
    overshoot : float
        Highest level after the first frame in the band.
    changes : int
        How often the exposure or the gain was changed.
    """

    frames: int
    in_band_from: int | None
    in_band_share: float
    bound_frames: int
    clipped_frames: int
    clipped_after_first: int
    no_light_frames: int
    overshoot: float
    changes: int


async def run_trial(camera: Camera, rule: ExposureRule, trial: Trial) -> list[Frame]:
    """Let a law expose for as long as a trial lasts; the camera is connected."""
    settings = replace(camera.settings, exposure_s=trial.start_s, roi=trial.roi)
    await camera.configure(settings)
    state, frames, began_s = rule.start(), list[Frame](), asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - began_s < trial.duration_s:
        start_s = asyncio.get_running_loop().time()
        image = await camera.expose()
        known_s = image.facts.start_loop_s
        state, measured, decision = rule.decide(state, image, start_s if known_s is None else known_s)
        frames.append(Frame(measured.start_s - began_s, image.facts.gain, measured, decision))
        if decision.changes(measured):
            gain = camera.settings.gain if decision.gain is None else decision.gain
            settings = replace(settings, exposure_s=decision.exposure_s, gain=gain)
            await camera.configure(settings)
    return frames


def summarise(frames: Sequence[Frame], rule: ExposureRule, band: float) -> Summary:
    """Figures of a trial."""
    inside = [abs(frame.level - 1) <= band for frame in frames]
    first = inside.index(True) if True in inside else None
    limits = rule.law.limits
    after = [] if first is None else list(zip(frames, inside, strict=True))[first:]
    bound = [frame for frame, ok in after if not ok and _is_bound(frame, limits.min_s, limits.max_s)]
    judged = [ok for frame, ok in after if not math.isnan(frame.level) and frame not in bound]
    levels = [frame.level for frame, _ in after if not math.isnan(frame.level) and frame not in bound]
    pairs = list(itertools.pairwise(frames))
    return Summary(
        frames=len(frames),
        in_band_from=None if first is None else first + 1,
        in_band_share=sum(judged) / len(judged) if judged else math.nan,
        bound_frames=len(bound),
        clipped_frames=sum(frame.decision.clipped for frame in frames),
        clipped_after_first=sum(frame.decision.clipped for frame in frames[1:]),
        no_light_frames=sum(math.isnan(frame.level) for frame in frames),
        overshoot=max(levels, default=math.nan),
        changes=sum(a.measured.exposure_s != b.measured.exposure_s or a.gain != b.gain for a, b in pairs),
    )


def _is_bound(frame: Frame, min_s: float, max_s: float) -> bool:
    """Whether a frame could not have been exposed better."""
    exposure_s = frame.measured.exposure_s
    return (exposure_s <= min_s and frame.level > 1) or (exposure_s >= max_s and frame.level < 1)
