"""Pixels as eight bits for the eye: between which limits, and along which curve.

In: an array of any range and type. Out: 0..255, as a picture shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Stretch = Literal["linear", "asinh", "zscale"]

_BLOCK_PX = 1 << 16  # worked on at a time, so that the intermediate numbers stay in the cache
_LARGE_PX = 1 << 18  # from here on a table of all 65536 values pays


class Limits(NamedTuple):
    """What becomes black and white, and how far above black the curve is straight (None: all the way)."""

    black: float
    white: float
    knee: float | None = None


def to_8_bit(
    data: NDArray[Any],
    vmin: float | None = None,
    vmax: float | None = None,
    stretch: Stretch = "linear",
    upside_down: bool = False,
) -> NDArray[np.uint8]:
    """Pixels scaled from [vmin, vmax] to 0..255 and clipped.

    Parameters
    ----------
    data : array
        Real numbers; NaN becomes 0.
    vmin, vmax : float, optional
        By default those of the stretch. If vmax is not above vmin (constant pixels), all becomes 0.
    stretch : {'linear', 'asinh', 'zscale'}
        ``linear``: between the 5 % and 95 % order statistics of the finite pixels. ``zscale``: linear, too, between
        IRAF's limits (`astropy.visualization.ZScaleInterval`). ``asinh``: for frames of stars; from just below the sky
        to the 99.95 % order statistic, straight within the sky's noise and logarithmic above it (Lupton et al. 1999,
        AJ 118, 1406), so that faint stars show and bright ones keep their shape.
    upside_down : bool
        Whether the rows come in reverse order.

    Raises
    ------
    ValueError
        If the pixels are not real numbers, or there is no such stretch.
    """
    if data.dtype.kind not in "biuf":
        raise ValueError(f"pixels are of type {data.dtype}; only real numbers can be shown")
    if stretch not in get_args(Stretch):
        raise ValueError(f"stretch is {stretch!r}; allowed: {', '.join(get_args(Stretch))}")
    eight_bit = np.empty(data.shape, np.uint8)
    if eight_bit.size == 0:
        return eight_bit
    is_table_faster = data.dtype.kind in "iu" and data.dtype.itemsize == 2 and data.size >= _LARGE_PX
    scale = (_by_table if is_table_faster else _by_blocks)(data, vmin, vmax, stretch)
    planes, shown = (array.reshape(-1, *np.atleast_2d(array).shape[-2:]) for array in (data, eight_bit))
    for plane, target in zip(planes, shown, strict=True):
        scale(plane, target[::-1] if upside_down else target)
    return eight_bit


Scale = Callable[[NDArray[Any], NDArray[np.uint8]], None]
"""Writes what it makes of pixels [y, x] into an array of their shape."""


def _by_blocks(data: NDArray[Any], vmin: float | None, vmax: float | None, stretch: Stretch) -> Scale:
    limits = _limits(data, vmin, vmax, stretch, None)
    rows = max(1, _BLOCK_PX // np.atleast_2d(data).shape[-1])

    def scale(plane: NDArray[Any], target: NDArray[np.uint8]) -> None:
        for first in range(0, len(plane), rows):
            target[first : first + rows] = _scaled(plane[first : first + rows], limits)

    return scale


def _by_table(data: NDArray[Any], vmin: float | None, vmax: float | None, stretch: Stretch) -> Scale:
    """For many pixels of 16 bits: each of the 65536 values is scaled once."""
    from acquisition.kernels.levels import histogram, look_up

    def codes(array: NDArray[Any]) -> NDArray[np.uint16]:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(np.uint16)

    every_value = np.arange(65536, dtype=np.uint16).view(data.dtype.newbyteorder("="))
    needs_counts = stretch != "zscale" and (vmin is None or vmax is None)
    counts = histogram(codes(data).ravel()) if needs_counts else None
    table = _scaled(every_value, _limits(data, vmin, vmax, stretch, counts))
    return lambda plane, target: look_up(codes(plane), table, target)


def _limits(
    data: NDArray[Any], vmin: float | None, vmax: float | None, stretch: Stretch, counts: NDArray[np.int64] | None
) -> Limits:
    """Limits of a stretch where none are given; `counts` are those of all values, if they were counted."""
    black, white, knee = 0.0, 0.0, None
    if vmin is None or vmax is None or stretch == "asinh":
        values = data[np.isfinite(data)] if data.dtype.kind == "f" else data.ravel()
        if values.size == 0:
            pass
        elif stretch == "linear":
            black, white = _ranked(values, (0.05, 0.95), counts)
        elif stretch == "zscale":
            from astropy.visualization import ZScaleInterval

            black, white = (float(limit) for limit in ZScaleInterval().get_limits(values.astype(np.float64)))
        else:
            faint, sky, white = _ranked(values, (0.158655, 0.5, 0.9995), counts)
            noise = max(sky - faint, (white - sky) * 1e-4)  # a frame without noise has a knee, too
            black, knee = sky - 2.5 * noise, 3.0 * noise
    return Limits(black if vmin is None else float(vmin), white if vmax is None else float(vmax), knee)


def _ranked(values: NDArray[Any], fractions: tuple[float, ...], counts: NDArray[np.int64] | None) -> tuple[float, ...]:
    """Exact order statistics at fractions of the number of values."""
    ranks = tuple(int(fraction * values.size) for fraction in fractions)
    if counts is None:
        from acquisition.kernels.levels import order_statistics

        return tuple(float(value) for value in order_statistics(values, ranks))
    if values.dtype.kind == "i":  # codes from 32768 on are the negative values
        lowest, counts = -32768, np.roll(counts, 32768)
    else:
        lowest = 0
    return tuple(float(np.searchsorted(np.cumsum(counts), rank, side="right") + lowest) for rank in ranks)


def _scaled(data: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    black, white, knee = limits
    if not white > black:
        return np.zeros(data.shape, np.uint8)
    span = white - black
    is_simple = data.dtype.itemsize <= 2 or (data.dtype == np.float32 and 1e-30 < span < 1e30)
    exact = np.float32 if is_simple else np.float64
    # a little more, so that rounding never leaves white just below 255
    almost_256 = 255 * (1 + 4 * float(np.finfo(exact).eps))
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinite pixels
        scaled = np.subtract(data, black, dtype=exact)
        if knee is None:
            scaled *= almost_256 / span
        else:
            np.arcsinh(np.divide(scaled, knee, out=scaled), out=scaled)
            scaled *= almost_256 / np.arcsinh(span / knee)
        np.clip(scaled, 0, 255, out=scaled)
        np.copyto(scaled, 0, where=np.isnan(scaled))
        eight_bit: NDArray[np.uint8] = scaled.astype(np.uint8)
    return eight_bit
