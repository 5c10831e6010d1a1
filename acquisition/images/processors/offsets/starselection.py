"""Which stars of a first frame will guide, and how they will be measured.

In: a `Plane` and what the camera knows. Out: a `Survey`: the stars, the detector, the choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acquisition.errors import NoStars
from acquisition.images import FrameFacts
from acquisition.images.processors.plane import Detector, Plane, detector_of
from acquisition.kernels import columns as c
from acquisition.kernels.stars import Stars, find_stars, predicted_variance

_NEAR_WANTED_PX = 10.0  # a star that the user wants is within this of where he points


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first frame shows.

    Attributes
    ----------
    stars : Stars
    detector : Detector
    window_sigma_px : float or None
        Of the windowed centroids that will be taken; None: fits.
    """

    stars: Stars
    detector: Detector
    window_sigma_px: float | None

    def chosen(self, most: int, shape: tuple[int, ...]) -> list[int]:
        """Indices of the stars to guide on, the best first."""
        return choose(self.stars, most, shape, with_clipped=self.window_sigma_px is None)


def survey(plane: Plane, facts: FrameFacts, precise: bool = True) -> Survey:
    """Find and measure the stars of a first frame, and decide how to measure them from then on."""
    detector = detector_of(plane, facts, *find_sky(plane))
    stars = find_stars(plane.frame, plane.bad, adu_per_e=detector.adu_per_e, saturation=detector.saturation)
    fits = stars.psf is None or (precise and _profile_fits(stars))
    return Survey(stars, detector, None if fits else _window_sigma_px(stars))


def find_sky(plane: Plane) -> tuple[float, float]:
    """Typical level and noise of a frame, ADU."""
    sample = plane.frame[::7, ::5]
    values = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if values.size == 0:
        return 0.0, 1.0
    low, middle = np.percentile(values, (15.8655, 50.0))
    return float(middle), max(float(middle - low), 0.3)


def choose(stars: Stars, most: int, shape: tuple[int, ...], with_clipped: bool) -> list[int]:
    """Indices of the stars to guide on, the best first: precise ones, far from each other.

    Clipped stars, if wanted, count as much less precise than their fits say.
    """
    variance = predicted_variance(stars.table)
    wanted = (None, "saturated") if with_clipped else (None,)
    free = [k for k, reason in enumerate(stars.reasons) if reason in wanted]
    chosen: list[int] = []
    score = -np.log(variance)
    x, y = stars.table[:, c.X], stars.table[:, c.Y]
    while free and len(chosen) < most:
        best = max(free, key=lambda k: float(score[k]))
        chosen.append(best)
        free.remove(best)
        distance = np.hypot(x - x[best], y - y[best]) / max(shape)
        score = score + np.log(np.minimum(0.3 + distance * 3.0, 1.0))
    return sorted(chosen, key=lambda k: float(variance[k]))


def nearest(stars: Stars, wanted: list[tuple[float, float]]) -> list[int]:
    """Indices of the stars nearest to the places wanted, in that order.

    Raises
    ------
    NoStars
        If there is none within `_NEAR_WANTED_PX` of one of them.
    """
    chosen: list[int] = []
    for x, y in wanted:
        distance = np.hypot(stars.table[:, c.X] - x, stars.table[:, c.Y] - y)
        if len(distance) == 0 or distance.min() > _NEAR_WANTED_PX:
            nearest = f"the nearest is {distance.min():.0f} px away" if len(distance) else "there is none at all"
            raise NoStars(f"no star at ({x:.0f}, {y:.0f}) px: {nearest}, need {_NEAR_WANTED_PX:.0f}")
        if (best := int(np.argmin(distance))) not in chosen:
            chosen.append(best)
    return chosen


def _window_sigma_px(stars: Stars) -> float:
    """Window of the centroids: half-flux diameter over 2.355 as in SExtractor, but no narrower than pixels allow.

    In steps of 2, so that similar frames are measured alike.
    """
    good = [k for k, reason in enumerate(stars.reasons) if reason is None] or list(range(len(stars.table)))
    sigma = float(np.median(stars.table[good[:20], c.HFD])) / 2.35482
    return float(2.0 ** round(math.log2(max(sigma, 1.0))))


def _profile_fits(stars: Stars) -> bool:
    """Whether a profile describes the bright stars: not when they are trailed or comatic, where fits are biased."""
    bright = [k for k, reason in enumerate(stars.reasons) if reason is None and stars.snr[k] > 40.0]
    return not bright or float(np.median(stars.table[bright, c.CHI2])) < 2.5


def why_none(stars: Stars, chosen: list[int], min_snr: float) -> str:
    """What keeps a first frame from guiding."""
    if len(stars.table) == 0:
        return "no stars: nothing in the frame stands out of the noise as a star does"
    if chosen:
        return f"no stars: the best has SNR {stars.snr[chosen].max():.1f}, need {min_snr:g}"
    names = [reason or "usable" for reason in stars.reasons]
    counts = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"no stars that can guide: of {len(names)} found, {counts}"
