"""The search for lines that are not the worm's: other gears.

In: rows of a night (time, exposure, position, weight), what is known of the worm, what is supposed. Out: frequencies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.periodic_banks import (
    Likeliest,
    Supposed,
    likeliest_filter,
    line_evidence,
)
from acquisition.guiding.algorithms.worm import Worm

FloatArray = NDArray[np.float64]

_FEWEST_FRAMES, _SHORTEST_S = 40, 100.0  # before any line is looked for
_MOST_LINES = 6
_LONGEST_LINE_S = 200.0
_CONVINCING = 5.0  # how far a new line's evidence must exceed the logarithm of the number of independent frequencies
_CANDIDATES = 8  # that are looked at closely
# Over the series, cycles:
_APART_CYCLES = 0.3  # by which lines must differ to be two
_STEP_CYCLES = 0.5  # between frequencies that are looked at: half of what makes them independent
_NEW_CYCLES = np.arange(-5, 6) / 10  # around one of these
_KNOWN_CYCLES = np.arange(-3, 4) / 10  # around a known line, which may be wrong by so much
_NOTICEABLE_CYCLES = 0.02


def find_lines(
    rows: FloatArray, worm: Worm, taught: bool, supposed: tuple[Supposed, ...]
) -> tuple[tuple[float, ...], bool]:
    """Lines that the worm does not explain: the known ones refined, and perhaps one more.

    A harmonic that stands out, of higher order than the likeliest filter knows, is one of them.

    Parameters
    ----------
    rows : array (n, 4)
    worm : Worm
        Known so far.
    taught : bool
        Whether another night knows better than this one which lines there are.
    supposed : tuple of Supposed
        What is supposed of the worm, while no period is sure.

    Returns
    -------
    tuple of float, bool
        Frequencies in Hz, and whether there is a new one.
    """
    duration_s = float(rows[-1, 0] - rows[0, 0])
    if len(rows) < _FEWEST_FRAMES or duration_s < _SHORTEST_S:
        return worm.lines_hz, False
    likeliest, lines = likeliest_filter(rows, worm, supposed), worm.lines_hz
    harmonics = np.zeros(0)  # that the filter knows
    if worm.period_s is not None:
        harmonics = np.arange(1, likeliest.harmonics + 1) / worm.period_s
    if not taught:
        lines = _refined(rows, likeliest, lines, harmonics)
    if len(lines) == _MOST_LINES:
        return lines, False
    added = _new_line(rows, likeliest, lines, harmonics)
    return (lines, False) if added is None else ((*lines, added), True)


def _refined(
    rows: FloatArray, likeliest: Likeliest, lines: tuple[float, ...], harmonics: FloatArray
) -> tuple[float, ...]:
    """Lines where there is most evidence for them, if there still is any, and if no harmonic explains them."""
    from acquisition.kernels.worm_period import frequency_of_lowest

    duration_s = float(rows[-1, 0] - rows[0, 0])
    for line in lines:
        others = tuple(other for other in lines if other != line)
        fine = line + _KNOWN_CYCLES / duration_s
        evidence = line_evidence(rows, likeliest, others, fine)
        best = frequency_of_lowest(fine, -evidence)
        if evidence.max() < 0 or not _apart(np.array([best]), np.concatenate([harmonics, others]), duration_s)[0]:
            lines = others
            continue
        if abs(best - line) * duration_s > _NOTICEABLE_CYCLES:
            lines = tuple(best if other == line else other for other in lines)
    return lines


def _new_line(rows: FloatArray, likeliest: Likeliest, lines: tuple[float, ...], harmonics: FloatArray) -> float | None:
    """Frequency of a line that is not known yet, if it is there beyond doubt."""
    from acquisition.kernels.worm_period import frequency_of_lowest

    duration_s, known = float(rows[-1, 0] - rows[0, 0]), np.concatenate([harmonics, lines])
    slowest, fastest = max(1 / _LONGEST_LINE_S, 4 / duration_s), 0.45 * (len(rows) - 1) / duration_s
    frequencies = np.arange(slowest, fastest, _STEP_CYCLES / duration_s)
    frequencies = frequencies[_apart(frequencies, known, duration_s)]
    if len(frequencies) < 10:
        return None
    evidence = line_evidence(rows, likeliest, lines, frequencies)
    candidates = np.argsort(-evidence)[:_CANDIDATES]
    candidates = candidates[evidence[candidates] > np.log(_STEP_CYCLES * len(frequencies)) + _CONVINCING]
    if len(candidates) == 0:
        return None
    fine = frequencies[candidates, None] + _NEW_CYCLES / duration_s
    evidence = line_evidence(rows, likeliest, lines, fine.ravel()).reshape(fine.shape)
    peaks = fine[np.arange(len(fine)), evidence.argmax(axis=1)]
    evidence[~_apart(peaks, known, duration_s)] = -np.inf  # it rises towards a harmonic, or a known line: it is that
    best = int(evidence.max(axis=1).argmax())
    return frequency_of_lowest(fine[best], -evidence[best]) if np.isfinite(evidence[best]).all() else None


def _apart(frequencies: FloatArray, known_hz: FloatArray, duration_s: float) -> NDArray[np.bool_]:
    """Which frequencies are none of the known ones."""
    cycles: FloatArray = np.abs(np.subtract.outer(frequencies, known_hz)) * duration_s
    apart: NDArray[np.bool_] = np.all(cycles > _APART_CYCLES, axis=1)
    return apart
