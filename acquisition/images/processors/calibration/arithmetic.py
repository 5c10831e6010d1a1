"""An image without the detector's own signature, and its noise.

In: raw pixels, master frames and what is known of the camera. Out: calibrated pixels, their standard deviation, and a
mask of those that cannot be used. Source of the formulas: Howell, Handbook of CCD Astronomy (2006), chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """Pixels of a master, ADU (of a flat: 1 on average), [y, x].

    Attributes
    ----------
    value : array
    variance : array or float
        0 where nothing is known of it.
    bad : array of bool or None
    """

    value: Array
    variance: Array | float = 0.0
    bad: NDArray[np.bool_] | None = None


def pedestal(bias: Frame | None, dark: Frame | None, dark_has_bias: bool, dark_factor: float) -> Frame | None:
    """What is to be subtracted: bias and dark current; None if there is neither.

    Parameters
    ----------
    dark_has_bias : bool
        Whether the dark's pixels hold the bias, too. If they do, and the factor is 1, no bias is needed.
    dark_factor : float
        Exposure time of the image over that of the dark.

    Raises
    ------
    ValueError
        If the dark is to be scaled and holds a bias that is not known.
    """
    if dark is None:
        return bias
    k = dark_factor
    of_bias = (1.0 - k) if dark_has_bias else 1.0  # how much of the bias is to be added
    if dark_has_bias and k == 1.0:
        return dark
    if bias is None:
        if dark_has_bias:
            raise ValueError("a dark that holds the bias can be scaled with the bias only")
        return Frame((k * dark.value).astype(np.float32), k**2 * dark.variance, dark.bad)
    return Frame(
        (of_bias * bias.value + k * dark.value).astype(np.float32),
        of_bias**2 * bias.variance + k**2 * dark.variance,
        joined(bias.bad, dark.bad),
    )


def calibrated(
    raw: NDArray[Any],
    dark_level: Frame | None,
    flat: Frame | None,
    bias: Frame | None,
    egain_e_per_adu: float | None,
    read_noise_e: float | None,
    deviation: NDArray[Any] | None,
) -> tuple[Array, Array | None, NDArray[np.bool_]]:
    """Pixels, standard deviation and mask, ADU.

    Parameters
    ----------
    raw : array
        [y, x], ADU.
    dark_level : Frame, optional
        As of `pedestal`.
    flat : Frame, optional
        Divided by; a pixel of less than a twentieth of the average is masked, and NaN.
    bias : Frame, optional
        Where light and dark current begin, for their shot noise; without it the whole pedestal is taken.
    deviation : array, optional
        Standard deviation of the raw pixels. By default shot noise and read noise, if the gain is known; without
        either there is none of the result.
    """
    value = raw.astype(np.float32)
    bad = ~np.isfinite(value)
    variance: Array | None = None
    if deviation is not None:
        variance = deviation.astype(np.float32) ** 2
    elif egain_e_per_adu is not None:
        floor = bias if bias is not None else dark_level
        light = value if floor is None else value - floor.value
        read_noise = np.float32(((read_noise_e or 0.0) / egain_e_per_adu) ** 2)
        variance = (np.maximum(light, 0) / np.float32(egain_e_per_adu) + read_noise).astype(np.float32)
    if dark_level is not None:
        value -= dark_level.value
        if variance is not None:
            variance = variance + dark_level.variance
    if flat is not None:
        dark_corner = ~(flat.value > _LEAST_FLAT)
        response = np.where(dark_corner, np.float32(np.nan), flat.value)
        value /= response
        if variance is not None:
            variance = (variance + value**2 * flat.variance) / response**2
        bad |= dark_corner
    for frame in (dark_level, flat):
        if frame is not None and frame.bad is not None:
            bad |= frame.bad
    bad |= ~np.isfinite(value)
    return value, None if variance is None else np.sqrt(variance).astype(np.float32), bad


_LEAST_FLAT = 0.05


def joined(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Bad in either."""
    if one is None or other is None:
        return one if other is None else other
    return one | other
