"""From any image to what the kernels take: one plane of light, a mask, and the detector's properties.

In: an `Image` (mono, colour, raw Bayer, integer or float, masked or not). Out: a `Plane`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image

_NONE = np.empty((0, 0), np.uint8)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # as `Image.to_grayscale`


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of light.

    Attributes
    ----------
    frame : ndarray, [y, x], uint8, uint16 or float32
        Native byte order, contiguous; the image's own array where that is possible.
    bad : ndarray of uint8, [y, x] or [0, 0]
        Non-zero where a pixel must not be used; empty when all may be.
    step : int
        Pixels of the image along a pixel of the plane: 2 where the four colours of a Bayer matrix were averaged.
    """

    frame: NDArray[Any]
    bad: NDArray[np.uint8]
    step: int = 1

    def to_image(self, position: Any) -> Any:
        """A coordinate of the plane (0-based) as one of the image."""
        return (position + 0.5) * self.step - 0.5

    def from_image(self, position: Any) -> Any:
        """A coordinate of the image (0-based) as one of the plane."""
        return (position + 0.5) / self.step - 0.5


@dataclass(frozen=True, slots=True)
class Detector:
    """What the measurement must know of the detector.

    Attributes
    ----------
    adu_per_e : float
        Stored ADU of the plane per electron.
    saturation : float
        From here on a pixel is clipped, ADU; infinity where nothing is.
    estimated : bool
        Whether the shot noise is a guess from the frame.
    """

    adu_per_e: float
    saturation: float
    estimated: bool


def plane_of(image: Image) -> Plane:
    """The image's light as one plane.

    Colour is weighted to luminance; the four pixels of a raw Bayer matrix (the facts name a pattern) are averaged.

    Raises
    ------
    ImageError
        If there is no data, or data of a shape that is no picture.
    """
    data = image.data
    mask: NDArray[Any] | None = image.safe_mask
    if data.ndim == 3 and data.shape[0] == 3:
        data = np.tensordot(_LUMINANCE, data.astype(np.float32), axes=1)
    elif data.ndim == 3 and data.shape[0] == 1:
        data = data[0]
    if data.ndim != 2 or min(data.shape) < 8:
        raise ImageError(f"image has shape {'x'.join(map(str, data.shape))}; need at least 8x8 px, mono or colour")
    if mask is not None and mask.ndim == 3:
        mask = np.any(mask, axis=0)
    if mask is not None and mask.shape != data.shape:
        raise ImageError(f"mask has shape {mask.shape}, image {data.shape}; both must be the same")
    frame = _native(data)
    bad = _NONE if mask is None else np.ascontiguousarray(mask != 0, np.uint8)
    if image.facts.bayer_pattern is not None and image.data.ndim == 2:
        return _average_colours(frame, bad, image.facts)
    return Plane(frame, bad)


def _native(data: NDArray[Any]) -> NDArray[Any]:
    """The same values in a type that the kernels are compiled for."""
    kind, size = data.dtype.kind, data.dtype.itemsize
    if kind == "u" and size <= 2:
        native = data.dtype.newbyteorder("=")
    elif kind == "i" and size == 2 and data.size and data.min() >= 0:
        native = np.dtype(np.uint16)
    elif kind == "b":
        native = np.dtype(np.uint8)
    elif kind in "iuf":
        native = np.dtype(np.float32)
    else:
        raise ImageError(f"image has pixels of type {data.dtype}; allowed: integers and floats")
    if data.dtype == native and data.flags.c_contiguous:
        return data
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(data, native)


def _average_colours(frame: NDArray[Any], bad: NDArray[np.uint8], facts: FrameFacts) -> Plane:
    """One pixel for each 2 x 2 of a Bayer matrix: their mean, or the highest where one is clipped."""
    height, width = (n // 2 * 2 for n in frame.shape)
    four = np.stack([frame[j:height:2, i:width:2] for j in (0, 1) for i in (0, 1)]).astype(np.float32)
    mean = four.mean(axis=0)
    limit = facts.saturation_adu
    if limit is not None:
        highest = four.max(axis=0)
        mean = np.where(highest >= _clip_level(limit), highest, mean)
    if bad.size:
        bad = np.stack([bad[j:height:2, i:width:2] for j in (0, 1) for i in (0, 1)]).max(axis=0)
    return Plane(mean, bad, step=2)


def _clip_level(saturation_adu: float) -> float:
    """Pixels just below saturation are not linear, and noise may lie on top of a full well."""
    return 0.98 * saturation_adu


def detector_of(plane: Plane, facts: FrameFacts, level: float, noise: float) -> Detector:
    """The detector as the facts have it; what they leave out is estimated from the frame.

    Parameters
    ----------
    level, noise : float
        Of the sky, ADU.

    Notes
    -----
    Without a gain, the sky's noise is taken for its shot noise (within 0.05 and 20 ADU per e-): too high where read
    noise dominates, too low where an offset does. Weights depend on it little, and goodness of fit corrects errors.
    Without a saturation value, the frame's maximum is one if at least 3 pixels have it; or the type's largest value.
    """
    if facts.egain_e_per_adu is not None and facts.egain_e_per_adu > 0:
        adu_per_e, estimated = 1.0 / facts.egain_e_per_adu / plane.step**2, False
    else:
        adu_per_e, estimated = float(np.clip(noise**2 / max(level, 1.0), 0.05, 20.0)), True
    if facts.saturation_adu is not None:
        saturation = _clip_level(facts.saturation_adu)
    else:
        frame = plane.frame
        usable = frame if not plane.bad.size else frame[plane.bad == 0]
        usable = usable[np.isfinite(usable)] if usable.dtype.kind == "f" else usable
        highest = float(usable.max()) if usable.size else 0.0
        saturation = float(np.iinfo(frame.dtype).max) if frame.dtype.kind == "u" else sys.float_info.max
        if highest > level + 20.0 * noise and int((usable == highest).sum()) >= 3:
            saturation = highest
    return Detector(adu_per_e, saturation, estimated)
