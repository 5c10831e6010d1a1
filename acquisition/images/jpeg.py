"""Pixels as a picture for the eye.

In: an array of any range. Out: eight bits, and a JPEG.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_jpeg(data: NDArray[Any], vmin: float | None = None, vmax: float | None = None) -> bytes:
    """A JPEG of the same width and height, row 0 at the bottom.

    Parameters
    ----------
    data : array
        [y, x], or [3, y, x] in red, green, blue.
    vmin, vmax : float, optional
        See `to_8_bit`.

    Raises
    ------
    ValueError
        If the array has another shape, no pixels, or no real numbers.
    """
    import PIL.Image

    is_colour = data.ndim == 3 and data.shape[0] == 3
    if not (data.ndim == 2 or is_colour) or data.size == 0:
        raise ValueError(f"pixels have shape {data.shape}; a JPEG needs [y, x] or [3, y, x]")
    pixels = to_8_bit(data, vmin, vmax)[..., ::-1, :]
    if is_colour:
        pixels = np.moveaxis(pixels, 0, -1)
    with io.BytesIO() as stream:
        PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="jpeg")
        return stream.getvalue()


def to_8_bit(data: NDArray[Any], vmin: float | None = None, vmax: float | None = None) -> NDArray[np.uint8]:
    """Pixels scaled linearly from [vmin, vmax] to 0..255 and clipped.

    Parameters
    ----------
    data : array
        Real numbers; NaN becomes 0.
    vmin, vmax : float, optional
        By default the 5 % and 95 % order statistics of the finite pixels. If vmax is not above vmin (constant pixels),
        all becomes 0.

    Raises
    ------
    ValueError
        If the pixels are not real numbers.
    """
    if data.dtype.kind not in "biuf":
        raise ValueError(f"pixels are of type {data.dtype}; only real numbers can be shown")
    if vmin is None or vmax is None:
        low, high = _order_statistics(data)
        vmin = low if vmin is None else vmin
        vmax = high if vmax is None else vmax
    if not vmax > vmin:
        return np.zeros(data.shape, np.uint8)
    exact = np.float32 if data.dtype.itemsize <= 2 else np.float64
    scaled = np.subtract(data, float(vmin), dtype=exact)
    # a little more, so that rounding never leaves vmax just below 255
    scaled *= 255 * (1 + 4 * float(np.finfo(exact).eps)) / (float(vmax) - float(vmin))
    np.nan_to_num(np.clip(scaled, 0, 255, out=scaled), copy=False)
    eight_bit: NDArray[np.uint8] = scaled.astype(np.uint8)
    return eight_bit


def _order_statistics(data: NDArray[Any]) -> tuple[float, float]:
    finite = data[np.isfinite(data)] if data.dtype.kind == "f" else data.ravel()
    if finite.size == 0:
        return 0.0, 0.0
    low, high = int(0.05 * finite.size), int(0.95 * finite.size)
    ordered = np.partition(finite, (low, high))
    return float(ordered[low]), float(ordered[high])
