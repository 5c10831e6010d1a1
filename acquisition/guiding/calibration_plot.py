"""A picture of a calibration: where each pulse took the stars, and the axes that were found.

In: the calibration's events. Out: a PNG (or whatever the file's name ends in that matplotlib knows).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from acquisition.geometry import MountResponse
from acquisition.guiding.events import CalibrationStep
from acquisition.guiding.plot import DEC_COLOUR, RA_COLOUR, check_plotting, save_figure
from acquisition.mount import Direction


def plot_calibration(steps: Sequence[CalibrationStep], response: MountResponse, path: Path, title: str) -> None:
    """The stars' path, pulse by pulse, in pixels of the detector.

    Raises
    ------
    LibraryNotFound
        Without matplotlib.
    """
    check_plotting()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.add_subplot()
    for before, after in pairwise(steps):
        colour = RA_COLOUR if after.direction in (Direction.EAST, Direction.WEST) else DEC_COLOUR
        arrow = {"arrowstyle": "->", "color": colour, "lw": 1.5}
        axes.annotate("", (after.dx, after.dy), (before.dx, before.dy), arrowprops=arrow)
    axes.plot([step.dx for step in steps], [step.dy for step in steps], "o", color="0.3", ms=4)
    for step in steps:
        axes.annotate(str(step.number), (step.dx, step.dy), (4, 4), textcoords="offset points", fontsize=8, color="0.3")
    reach = max((abs(value) for step in steps for value in (step.dx, step.dy)), default=1.0)
    for name, axis, colour in (("RA +", response.ra, RA_COLOUR), ("Dec +", response.dec, DEC_COLOUR)):
        x, y = (reach * function(math.radians(axis.angle_deg)) for function in (math.cos, math.sin))
        label = (
            f"{name}  {axis.angle_deg:.1f} ± {axis.angle_err_deg:.1f}°, "
            f"{axis.rate_px_per_s:.2f} ± {axis.rate_err_px_per_s:.2f} px/s"
        )
        axes.plot([-x, x], [-y, y], color=colour, lw=0.8, ls="--", label=label)
    axes.set(xlabel="x (px, columns)", ylabel="y (px, rows)", aspect="equal", title=title)
    axes.legend(loc="best", fontsize=9)
    axes.grid(color="0.9")
    save_figure(figure, path)
