"""A line graph in a terminal, of braille dots.

In: series of numbers. Out: rich text, one line a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row and column within a cell
_BLANK = 0x2800
_FEW = 60  # values that fill the width, stretched if need be


def braille_graph(
    series: Sequence[tuple[Sequence[float | None], str]], width: int, height: int, reach: float, unit: str
) -> list[Text]:
    """Draw series against their index, oldest at the left, with a scale at the left.

    Parameters
    ----------
    series : sequence of (values, style)
        Of equal length; None leaves a gap. Later series are drawn over earlier ones.
    width, height : int
        Of the whole graph, characters; the newest ``2 * (width - 9)`` values are shown, few ones stretched.
    reach : float
        The axis goes from -reach to reach.
    unit : str
        Behind the numbers at the axis.
    """
    columns = max(1, width - 9)
    cells = np.zeros((height, columns), dtype=int)
    styles: list[list[str]] = [["dim"] * columns for _ in range(height)]
    middle = 4 * height // 2
    for column in range(0, 2 * columns, 4):
        cells[middle // 4, column // 2] |= _DOTS[middle % 4][column % 2]
    longest = max((len(values) for values, _ in series), default=0)
    stretch = max(1, 2 * columns // max(longest, _FEW))
    for values, style in series:
        shown = list(values)[-(2 * columns // stretch) :]
        before: float | None = None
        for i, value in enumerate(shown):
            if value is None:
                before = None
                continue
            y = min(max((1 - value / reach) / 2, 0.0), 1.0) * (4 * height - 1)
            for part in range(1, stretch + 1):
                start, end = (y, y) if before is None else (before, y)
                low, high = sorted(round(start + (end - start) * share / stretch) for share in (part - 1, part))
                x = i * stretch + part - 1
                for dot in range(low, high + 1):
                    cells[dot // 4, x // 2] |= _DOTS[dot % 4][x % 2]
                    styles[dot // 4][x // 2] = style
            before = y
    labels = {0: f"{reach:+.1f}{unit}", height // 2: f"0{unit}", height - 1: f"{-reach:+.1f}{unit}"}
    lines = []
    for row in range(height):
        line = Text(f"{labels.get(row, ''):>7} ", style="dim")
        for column in range(columns):
            line.append(chr(_BLANK + int(cells[row, column])), style=styles[row][column])
        lines.append(line)
    return lines
