"""A picture in a terminal: two pixels a character, one above the other.

In: a frame. Out: a small array that still shows its stars, and rich text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

if TYPE_CHECKING:
    import PIL.Image

_SHADES = " ░▒▓█"


def fitted(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """The largest (height, width) in px of a picture of that shape in so many characters; never enlarged."""
    scale = min(2 * rows / height, columns / width, 1.0)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrunk(data: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Pixels on a coarser grid: averages, of which the brightest counts, so that stars do not drown in the sky.

    Parameters
    ----------
    data : array
        [y, x] or [3, y, x]; NaN and infinite pixels count as the median.
    height, width : int

    Returns
    -------
    array of float32, [height, width] or [3, height, width]
    """
    import PIL.Image

    if data.ndim == 3:
        return np.stack([shrunk(colour, height, width) for colour in data])
    frame = np.array(data, np.float32)
    is_finite = np.isfinite(frame)
    if not is_finite.all():
        frame[~is_finite] = np.median(frame[is_finite]) if is_finite.any() else 0.0
    fine = PIL.Image.fromarray(frame).resize((3 * width, 3 * height), PIL.Image.Resampling.BOX)
    brightest: NDArray[np.float32] = np.asarray(fine).reshape(height, 3, width, 3).max(axis=(1, 3))
    return brightest


def half_blocks(picture: PIL.Image.Image, *, in_colour: bool = True) -> list[Text]:
    """Lines of text that look like the picture; in five shades of grey where the terminal has no colours."""
    colours = np.asarray(picture.convert("RGB" if in_colour else "L"))
    if len(colours) % 2:
        colours = np.concatenate([colours, np.zeros_like(colours[:1])])
    lines = []
    for upper, lower in zip(colours[::2], colours[1::2], strict=True):
        line = Text(no_wrap=True, end="")
        for above, below in zip(upper, lower, strict=True):
            if in_colour:
                line.append("▀", style="#{:02x}{:02x}{:02x} on #{:02x}{:02x}{:02x}".format(*above, *below))
            else:
                line.append(_SHADES[(int(above) + int(below)) * len(_SHADES) // 512])
        lines.append(line)
    return lines
