"""What a frame says of its exposure: the one place where images become the laws' measurements.

In: an `Image`, and what the law needs to know. Out: a `Measurement`. Used by the daemon, the guider, the processors
and the simulation alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.meta import GuideStar, GuideStars, PixelOffsets
from acquisition.images.processors.plane import Detector, Plane, detector_of, plane_of
from acquisition.kernels import columns as c
from acquisition.kernels.exposure import Measurement, StarLight
from acquisition.kernels.exposure.clipped import Box, Clipped, clipped_stars, peak_from_wings
from acquisition.kernels.stars import find_stars

_NAN = math.nan
_MOST_STARS = 30


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """What to measure in a frame.

    Attributes
    ----------
    stars : bool
        Whether stars are needed: those chosen for guiding where the image has `GuideStars`, else all that are found.
    percentile : float or None
        The percentile that is needed, per cent.
    bias_adu : float
        Pixel value without light.
    saturation_adu : float or None
        Where a pixel is clipped, for frames that do not say so; None: 50000, as pyobs has it (255 in 8-bit frames).
    """

    stars: bool = True
    percentile: float | None = None
    bias_adu: float = 0.0
    saturation_adu: float | None = None

    def __post_init__(self) -> None:
        if self.percentile is not None and not 0 < self.percentile <= 100:
            raise ValueError(f"percentile is {self.percentile}; allowed: above 0, up to 100")
        if not math.isfinite(self.bias_adu) or self.bias_adu < 0:
            raise ValueError(f"bias_adu is {self.bias_adu}; allowed: 0 or more")
        if self.saturation_adu is not None and not (self.bias_adu < self.saturation_adu < math.inf):
            raise ValueError(f"saturation_adu is {self.saturation_adu}; allowed: above the bias, {self.bias_adu:g}")


def measure(
    image: Image, rule: MeasureRule, start_s: float, moved_px: tuple[float, float] | None = None
) -> Measurement:
    """Measure a frame for an exposure law; whatever cannot be measured is NaN, and the law will say so.

    Parameters
    ----------
    image : Image
        Mono, colour or raw Bayer. Its facts should say how long it was exposed.
    rule : MeasureRule
    start_s : float
        When the exposure began, on a clock that never steps back.
    moved_px : tuple of float, optional
        As in `Measurement`.
    """
    facts = image.facts
    exposure_s = _NAN if facts.exposure_s is None else float(facts.exposure_s)
    saturation = saturation_adu(image, rule)
    empty = Measurement(start_s, exposure_s, saturation - rule.bias_adu, gain=facts.gain, moved_px=moved_px)
    try:
        plane = plane_of(image)
    except (ImageError, ValueError):
        return empty
    sample = _sample(plane)
    if sample.size == 0:
        return empty
    low, level = (float(value) for value in np.percentile(sample, (15.8655, 50.0)))
    noise = max(level - low, 0.3)
    clip = 0.98 * saturation  # pixels just below are not linear, and noise may lie on top of a full well
    percentile = _NAN if rule.percentile is None else float(np.percentile(_values(plane), rule.percentile))
    detector = detector_of(plane, facts, level, noise)
    stars: tuple[StarLight, ...] | None = None
    error_px = _NAN
    if rule.stars:
        stars, error_px = _stars(image, plane, detector, clip, level, rule.bias_adu) if level < clip else ((), _NAN)
    egain = facts.egain_e_per_adu
    full = saturation - rule.bias_adu
    return Measurement(
        start_s=start_s,
        exposure_s=exposure_s,
        saturation_adu=full,
        gain=facts.gain,
        egain_e_per_adu=_NAN if egain is None else float(egain),
        level_adu=full if level >= clip else level - rule.bias_adu,
        percentile_adu=full if percentile >= clip else percentile - rule.bias_adu,
        clipped_share=float((sample >= clip).mean()),
        noise_adu=noise,
        read_noise_adu=_NAN if egain is None or not facts.read_noise_e else facts.read_noise_e / egain / plane.step,
        stars=stars,
        error_px=error_px,
        moved_px=moved_px,
    )


def exposed_s(image: Image) -> float:
    """How long an image was exposed; `ImageError` where it does not say so."""
    exposure_s = image.facts.exposure_s
    if exposure_s is None:
        raise ImageError("no next exposure time: the image does not say how long it was exposed")
    return exposure_s


def began_s(image: Image) -> float:
    """When its exposure began, s: by the event loop's clock, else by UTC, else 0."""
    facts = image.facts
    if facts.start_loop_s is not None:
        return facts.start_loop_s
    return 0.0 if facts.start_utc is None else facts.start_utc.timestamp()


def saturation_adu(image: Image, rule: MeasureRule) -> float:
    """Where a pixel is clipped, as stored."""
    if rule.saturation_adu is not None:
        return rule.saturation_adu
    clips_at = image.facts.saturation_adu
    if clips_at is not None:
        return clips_at
    data = image.safe_data
    if data is not None and data.dtype.kind == "u" and data.dtype.itemsize == 1:
        return 255.0
    return 50000.0


def _sample(plane: Plane) -> NDArray[Any]:
    """Some ten thousand usable pixels, evenly over the frame."""
    height, width = plane.frame.shape
    step = max(1, round(math.sqrt(height * width / 40_000)))
    part = np.s_[::step, ::step]
    return _usable(plane.frame[part], plane.bad[part] if plane.bad.size else plane.bad)


def _values(plane: Plane) -> NDArray[Any]:
    """All usable pixels."""
    return _usable(plane.frame, plane.bad)


def _usable(frame: NDArray[Any], bad: NDArray[np.uint8]) -> NDArray[Any]:
    values = frame[bad == 0] if bad.size else frame.ravel()
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _stars(
    image: Image, plane: Plane, detector: Detector, clip: float, sky: float, bias: float
) -> tuple[tuple[StarLight, ...], float]:
    """The stars that count, the brightest first, and the standard error of the field's place, px."""
    chosen = image.get_meta_safe(GuideStars)
    if chosen is not None and chosen.used:
        offsets = image.get_meta_safe(PixelOffsets)
        error = _NAN if offsets is None or offsets.dx_err is None else float(offsets.dx_err)
        lights = [_of_guide_star(star, plane, clip, sky, bias) for star in chosen.stars]
        found = [light for light in lights if light is not None]
    else:
        found, error = _all_stars(plane, detector, clip, sky, bias)
    order = sorted(found, key=lambda light: light.peak_adu if math.isfinite(light.peak_adu) else -math.inf)
    return tuple(order[::-1]), error


def _of_guide_star(star: GuideStar, plane: Plane, clip: float, sky: float, bias: float) -> StarLight | None:
    """A star that the guider follows; None where it is not to be seen."""
    if not math.isfinite(star.peak):
        return None
    peak = _peak_of(star.peak, star.flux, star.hfd, sky)
    if peak >= clip:
        x, y = plane.from_image(star.x), plane.from_image(star.y)
        if not (math.isfinite(x) and math.isfinite(y)):
            x, y = plane.from_image(star.x_ref), plane.from_image(star.y_ref)
        return StarLight(_clipped_peak(plane, x, y, clip, sky) - bias, clipped=True)
    if not star.used:
        return None
    return StarLight(peak - bias, star.snr, max(star.x_err, star.y_err))


def _peak_of(peak: float, flux: float, hfd: float, sky: float) -> float:
    """The brightest pixel of a star, or, where that is far above what its flux explains (a defect), what that makes.

    A Gaussian's peak is flux / (2π σ²), and σ = HFD / 2.355.
    """
    if not (flux > 0 and hfd > 0):
        return peak
    modelled = 0.883 * flux / hfd**2
    return sky + modelled if peak - sky > 2.5 * modelled else peak


def _all_stars(plane: Plane, detector: Detector, clip: float, sky: float, bias: float) -> tuple[list[StarLight], float]:
    """All stars of a frame of which nothing is known yet."""
    stars = find_stars(plane.frame, plane.bad, adu_per_e=detector.adu_per_e, saturation=clip, most=_MOST_STARS)
    pieces = clipped_stars(plane.frame, plane.bad, clip, sky)
    lights = [StarLight(piece.peak_adu - bias, clipped=True) for piece in pieces]
    weight = 0.0
    for row, ratio, reason in zip(stars.table, stars.snr.tolist(), stars.reasons, strict=True):
        x, y = float(row[c.X]), float(row[c.Y])
        peak = _peak_of(float(row[c.PEAK]), float(row[c.FLUX]), float(row[c.HFD]), float(row[c.SKY]))
        if peak >= clip:  # a pixel or two, or a piece that is known already
            if all(math.hypot(piece.x - x, piece.y - y) > 3.0 + math.sqrt(piece.area_px) for piece in pieces):
                lights.append(StarLight(_clipped_peak(plane, x, y, clip, sky) - bias, clipped=True))
        elif reason != "too sharp":
            variance = (row[c.VAR_X] + row[c.VAR_Y]) / 2 * max(row[c.CHI2], 1.0)
            lights.append(StarLight(peak - bias, ratio, math.sqrt(variance) * plane.step))
            weight += 1.0 / variance
    return lights, (1.0 / math.sqrt(weight)) * plane.step if weight > 0 else _NAN


def _clipped_peak(plane: Plane, x: float, y: float, clip: float, sky: float) -> float:
    """The peak of a clipped star about a place."""
    reach = 40
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    part = np.s_[top : round(y) + reach + 1, left : round(x) + reach + 1]
    near: list[Clipped] = clipped_stars(plane.frame[part], plane.bad[part] if plane.bad.size else plane.bad, clip, sky)
    if near:
        return min(near, key=lambda one: math.hypot(one.x + left - x, one.y + top - y)).peak_adu
    # a pixel or two
    x0, y0 = max(round(x) - 2, 0), max(round(y) - 2, 0)
    return peak_from_wings(plane.frame, plane.bad, Box(x0, y0, x0 + 5, y0 + 5), clip, sky) or clip


def clipped_peak_adu(image: Image, x: float, y: float, clip: float) -> float | None:
    """The peak of a clipped star about a place (0-based px) by its wings, as stored; None where they say nothing."""
    try:
        plane = plane_of(image)
    except (ImageError, ValueError):
        return None
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    sample = _sample(plane)
    sky = float(np.median(sample)) if sample.size else _NAN
    if not sky < clip:
        return None
    peak = _clipped_peak(plane, plane.from_image(x), plane.from_image(y), clip, sky)
    return peak if peak > clip else None
