"""Satellites that cross the field: when, where and how bright.

In: how many an hour, the field and a seed. Out: trails of an exposure.
"""

from __future__ import annotations

import math

import numpy as np

from .process import Floats
from .streams import Subject, generator

NO_TRAILS = np.empty((0, 5))
MARGIN_PX = 50
SLOWEST_S = 120.0
"""No satellite takes twice that long to cross the field."""


class Satellites:
    """The satellites of a night.

    Parameters
    ----------
    per_hour : float
    width_px, height_px : int
        Of the detector.
    scale_arcsec_per_px : float
    zero_mag_e_per_s : float
        What a star of magnitude 0 yields.
    seed : int
    """

    def __init__(
        self,
        per_hour: float,
        width_px: int,
        height_px: int,
        scale_arcsec_per_px: float,
        zero_mag_e_per_s: float,
        seed: int,
    ) -> None:
        self._per_hour = per_hour
        self._centre = np.array([(width_px - 1) / 2, (height_px - 1) / 2])
        self._half_px = math.hypot(width_px, height_px) / 2 + MARGIN_PX
        self._scale_arcsec_per_px = scale_arcsec_per_px
        self._zero_mag_e_per_s = zero_mag_e_per_s
        self._seed = seed
        self._hours: dict[int, list[tuple[float, ...]]] = {}

    def trails(self, start_s: float, end_s: float) -> Floats:
        """Those of an exposure: [k, 5], from x, y to x, y (unbinned px) with so many electrons on the way."""
        if self._per_hour == 0:
            return NO_TRAILS
        hours = range(max(0, int((start_s - SLOWEST_S) // 3600)), int((end_s + SLOWEST_S) // 3600) + 1)
        trails = []
        for middle_s, angle, aside_px, px_per_s, e_per_s in (one for hour in hours for one in self._of(hour)):
            first = max(start_s - middle_s, -self._half_px / px_per_s)
            last = min(end_s - middle_s, self._half_px / px_per_s)
            if first < last:
                along = np.array([math.cos(angle), math.sin(angle)])
                closest = self._centre + aside_px * np.array([-along[1], along[0]])
                begin, end = closest + along * px_per_s * first, closest + along * px_per_s * last
                trails.append([*begin, *end, e_per_s * (last - first)])
        return np.array(trails) if trails else NO_TRAILS

    def _of(self, hour: int) -> list[tuple[float, ...]]:
        """Each satellite's middle of its way (s), angle, distance from the centre, speed (px/s) and light (e-/s)."""
        if hour not in self._hours:
            random = generator(self._seed, Subject.HITS, hour)
            self._hours[hour] = [
                (
                    3600 * (hour + random.random()),
                    random.uniform(0, 2 * math.pi),
                    random.uniform(-0.7, 0.7) * self._half_px,
                    random.lognormal(math.log(1500), 0.5) / self._scale_arcsec_per_px,
                    self._zero_mag_e_per_s * 10 ** (-0.4 * random.uniform(3, 8)),
                )
                for _ in range(int(random.poisson(self._per_hour)))
            ]
        return self._hours[hour]
