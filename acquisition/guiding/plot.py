"""A picture of a guiding run.

In: its `History` and lines of text. Out: a PNG (or whatever the file's name ends in that matplotlib knows).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import LibraryNotFound
from acquisition.guiding.history import History
from acquisition.guiding.statistics import RECENT_S

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RA_COLOUR, DEC_COLOUR = "#3b7dd8", "#d8573b"


def check_plotting() -> None:
    """Raise `LibraryNotFound`, saying what to install, when pictures cannot be made."""
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError:
        raise LibraryNotFound("plots need matplotlib: pip install 'starlatch[plot]'") from None


def plot_run(history: History, summary: list[str], path: Path, title: str) -> None:
    """Displacements, pulses and SNR against time, the scatter on the mount's axes, and lines of text.

    Raises
    ------
    LibraryNotFound
        Without matplotlib.
    """
    check_plotting()
    from matplotlib.figure import Figure

    scale, unit = (history.scale_arcsec, '"') if history.scale_arcsec else (1.0, " px")
    points = list(history.points)
    seen = [point for point in points if point.ra_px is not None and point.dec_px is not None]
    t = [point.t_s / 60 for point in seen]
    ra = [(point.ra_px or 0.0) * scale for point in seen]
    dec = [(point.dec_px or 0.0) * scale for point in seen]
    figure = Figure(figsize=(12, 7), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(3, 1.2, 1.2))
    top = figure.add_subplot(grid[0, :3])
    pulses = figure.add_subplot(grid[1, :3], sharex=top)
    snr = figure.add_subplot(grid[2, :3], sharex=top)
    scatter = figure.add_subplot(grid[0, 3])
    text = figure.add_subplot(grid[1:, 3])

    top.axhline(0, color="0.7", lw=0.8)
    top.plot(t, ra, color=RA_COLOUR, lw=1, label="RA")
    top.plot(t, dec, color=DEC_COLOUR, lw=1, label="Dec")
    steady = [i for i, point in enumerate(seen) if not point.settling] or list(range(len(seen)))
    steady_t, steady_ra, steady_dec = ([values[i] for i in steady] for values in (t, ra, dec))
    for values, colour in ((steady_ra, "navy"), (steady_dec, "darkred")):
        top.plot(steady_t, _sliding_rms(steady_t, values), color=colour, lw=2, ls="--")
    reach = max([abs(value) for value in (*steady_ra, *steady_dec)], default=1.0) * 1.1 or 1.0
    top.set_ylim(-reach, reach)
    for lost in (point.t_s / 60 for point in points if point.ra_px is None):
        top.axvline(lost, color="0.8", lw=1)
    for dither in history.dithers:
        top.axvline(dither / 60, color="goldenrod", lw=1, ls=":")
    top.set_ylabel(f"star minus lock ({'arcsec' if unit == chr(34) else 'px'})")
    top.plot([], [], color="0.2", lw=2, ls="--", label=f"RMS of {RECENT_S / 60:.0f} min")
    top.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=3, frameon=False)
    times = [point.t_s / 60 for point in points]
    pulses.axhline(0, color="0.7", lw=0.8)
    pulses.plot(*_bars(times, [point.ra_pulse_s for point in points]), color=RA_COLOUR, lw=1)
    pulses.plot(*_bars(times, [point.dec_pulse_s for point in points]), color=DEC_COLOUR, lw=1, alpha=0.7)
    pulses.set_ylabel("pulse (s)\nW, S up")
    snr.plot(t, [math.nan if point.snr is None else point.snr for point in seen], color="0.35", lw=1)
    snr.set_ylabel("SNR of the\nbest star")
    snr.set_ylim(0, 1.15 * max((point.snr or 0.0 for point in seen), default=1.0) or 1.0)
    snr.set_xlabel("minutes of guiding")
    scatter.axhline(0, color="0.7", lw=0.8)
    scatter.axvline(0, color="0.7", lw=0.8)
    scatter.plot(steady_ra, steady_dec, ".", color="0.25", ms=3, alpha=0.6)
    scatter.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="RA", ylabel="Dec")
    text.axis("off")
    text.text(0, 1, "\n".join(summary), va="top", family="monospace", fontsize=9)
    figure.suptitle(title)
    save_figure(figure, path)


def _bars(minutes: list[float], heights: list[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Upright lines from 0 as one line with gaps, which is drawn in a tenth of the time that as many lines take."""
    ends = np.zeros((len(heights), 3))
    ends[:, 1], ends[:, 2] = heights, np.nan
    return np.repeat(minutes, 3), ends.ravel()


def _sliding_rms(minutes: list[float], values: list[float]) -> NDArray[np.float64]:
    """At every point, of the `RECENT_S` seconds before it."""
    t, squares = np.array(minutes) * 60, np.concatenate([[0.0], np.cumsum(np.square(values))])
    first, last = np.searchsorted(t, t - RECENT_S), np.arange(1, len(t) + 1)
    rms: NDArray[np.float64] = np.sqrt((squares[last] - squares[first]) / (last - first))
    return rms


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture; the file appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        figure.savefig(partial, dpi=110)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
