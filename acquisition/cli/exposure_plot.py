"""A picture of a law's night.

In: the frames of a trial, its limits, and lines of text. Out: a PNG: levels against the band, exposures and gains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from acquisition.guiding.plot import check_plotting, save_figure

if TYPE_CHECKING:
    from acquisition.exposure.simulate import Frame, Trial
    from acquisition.kernels.exposure import Limits

_LEVEL, _CLIPPED, _EXPOSURE, _GAIN = "#3b7dd8", "#d8573b", "0.25", "#2f8f5b"


def plot_trial(frames: Sequence[Frame], trial: Trial, limits: Limits, said: Sequence[str], path: Path) -> None:
    """Draw a trial.

    Raises
    ------
    LibraryNotFound
        Without matplotlib.
    """
    check_plotting()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(2.2, 2, 1.1))
    levels, exposures, text = (figure.add_subplot(grid[k]) for k in range(3))
    exposures.sharex(levels)
    middle = [(frame.t_s + frame.measured.exposure_s / 2) / 60 for frame in frames]

    levels.axhspan(1 - trial.band, 1 + trial.band, color="0.9", lw=0, label=f"target ±{100 * trial.band:.0f} %")
    for chosen, colour, name in ((False, _LEVEL, "measured"), (True, _CLIPPED, "clipped (estimated)")):
        seen = [
            (t, frame.level)
            for t, frame in zip(middle, frames, strict=True)
            if frame.decision.clipped is chosen and frame.level > 0
        ]
        # a frame too clipped for an estimate is drawn at the top
        if seen:
            levels.plot(
                *zip(*((t, min(level, 1e3)) for t, level in seen), strict=True), ".", color=colour, ms=5, label=name
            )
    dark = [t for t, frame in zip(middle, frames, strict=True) if math.isnan(frame.level)]
    if dark:
        levels.plot(dark, [0.02] * len(dark), "|", color="0.5", ms=8, label="no light")
    levels.set_yscale("log")
    levels.set_ylim(bottom=0.013)
    levels.set_ylabel("level over target")
    levels.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=4)

    for frame in frames:
        begins, ends = frame.t_s / 60, (frame.t_s + frame.measured.exposure_s) / 60
        exposures.plot([begins, ends], [frame.measured.exposure_s] * 2, color=_EXPOSURE, lw=2, solid_capstyle="butt")
    exposures.plot(
        [frame.t_s / 60 for frame in frames],
        [frame.measured.exposure_s for frame in frames],
        ".",
        color=_EXPOSURE,
        ms=2,
    )
    probes = [(b.t_s / 60, b.measured.exposure_s) for a, b in pairwise(frames) if a.decision.probing]
    if probes:
        exposures.plot(*zip(*probes, strict=True), "^", color=_CLIPPED, ms=5, label="probe")
        exposures.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    exposures.axhline(limits.max_s, color="0.7", lw=0.8, ls="--")
    exposures.set_yscale("log")
    exposures.set_ylabel("exposure (s)")
    exposures.set_xlabel("minutes")
    if limits.gain is not None:
        gains = exposures.twinx()
        gains.step([frame.t_s / 60 for frame in frames], [frame.gain or 0.0 for frame in frames], color=_GAIN, lw=1)
        gains.set_ylabel("gain", color=_GAIN)
    text.axis("off")
    text.text(0, 1, "\n".join(said), va="top", family="monospace", fontsize=9)
    save_figure(figure, path)
