"""The stars: a seeded catalogue that covers the whole sky and is made cell by cell where it is looked at.

In: a seed and a direction. Out: positions (ICRS degrees) and magnitudes of the stars around it, always the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .process import Floats
from .streams import Subject, generator

# log10 of the number of stars per square degree brighter than a visual magnitude, mean over the sky
# (after Allen's Astrophysical Quantities; good to some ten per cent, which is less than fields differ)
MAGNITUDES = np.arange(4.0, 17.0)
LOG_COUNTS = np.array([-1.90, -1.40, -0.92, -0.47, -0.01, 0.44, 0.90, 1.34, 1.76, 2.17, 2.56, 2.93, 3.27])

KEPT_CELLS = 256


@dataclass(frozen=True, slots=True)
class Stars:
    """Some stars: arrays of one length."""

    ra_deg: Floats
    dec_deg: Floats
    mag: Floats


class Sky:
    """All stars down to a magnitude limit, in cells of about one square degree."""

    def __init__(self, seed: int, faintest_mag: float) -> None:
        if not MAGNITUDES[0] < faintest_mag <= MAGNITUDES[-1]:
            raise ValueError(
                f"faintest magnitude is {faintest_mag:g}; allowed: above {MAGNITUDES[0]:g} to {MAGNITUDES[-1]:g}"
            )
        self._seed = seed
        self._per_deg2 = 10 ** float(np.interp(faintest_mag, MAGNITUDES, LOG_COUNTS))
        self._cells: dict[tuple[int, int], Stars] = {}

    def around(self, ra_deg: float, dec_deg: float, radius_deg: float) -> Stars:
        """The stars of every cell that comes within a radius (and so some from beyond it)."""
        found = [self._cell(*cell) for cell in _cells_around(ra_deg, dec_deg, radius_deg)]
        return Stars(
            np.concatenate([stars.ra_deg for stars in found]),
            np.concatenate([stars.dec_deg for stars in found]),
            np.concatenate([stars.mag for stars in found]),
        )

    def _cell(self, band: int, column: int) -> Stars:
        cell = band, column
        if cell not in self._cells:
            while len(self._cells) >= KEPT_CELLS:
                del self._cells[next(iter(self._cells))]
            self._cells[cell] = self._make(band, column)
        return self._cells[cell]

    def _make(self, band: int, column: int) -> Stars:
        random = generator(self._seed, Subject.SKY, band, column)
        width = 360.0 / _columns(band)
        low, high = math.sin(math.radians(band - 90)), math.sin(math.radians(band - 89))
        area_deg2 = width * math.degrees(high - low)
        n = int(random.poisson(self._per_deg2 * area_deg2))
        log_count = math.log10(self._per_deg2) + np.log10(1.0 - random.random(n))
        return Stars(
            (column + random.random(n)) * width,
            np.degrees(np.arcsin(low + (high - low) * random.random(n))),
            np.interp(log_count, LOG_COUNTS, MAGNITUDES),
        )


def tangent_plane_arcsec(stars: Stars, ra_deg: float, dec_deg: float) -> tuple[Floats, Floats, NDArrayBool]:
    """Gnomonic projection about a direction: (east, north) in arcsec, and which stars are in front at all."""
    delta_ra = np.radians(stars.ra_deg - ra_deg)
    dec, dec0 = np.radians(stars.dec_deg), math.radians(dec_deg)
    cos_dec, sin_dec = np.cos(dec), np.sin(dec)
    depth = sin_dec * math.sin(dec0) + cos_dec * math.cos(dec0) * np.cos(delta_ra)
    in_front = depth > 0.1
    safe = np.where(in_front, depth, 1.0)
    east = cos_dec * np.sin(delta_ra) / safe
    north = (sin_dec * math.cos(dec0) - cos_dec * math.sin(dec0) * np.cos(delta_ra)) / safe
    return np.degrees(east) * 3600, np.degrees(north) * 3600, in_front


NDArrayBool = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _columns(band: int) -> int:
    """How many cells make up the band of declination from band - 90 to band - 89 degrees."""
    return max(1, math.ceil(360 * math.cos(math.radians(band - 89.5))))


def _cells_around(ra_deg: float, dec_deg: float, radius_deg: float) -> list[tuple[int, int]]:
    bands = range(max(0, math.floor(dec_deg - radius_deg) + 90), min(179, math.floor(dec_deg + radius_deg) + 90) + 1)
    steepest = math.radians(min(90.0, abs(dec_deg) + radius_deg))
    reach_ra = 180.0 if math.cos(steepest) < radius_deg / 180 else radius_deg / math.cos(steepest)
    cells = []
    for band in bands:
        n = _columns(band)
        if reach_ra >= 180:
            cells += [(band, column) for column in range(n)]
            continue
        first, last = (math.floor((ra_deg + side * reach_ra) / 360 * n) for side in (-1, 1))
        cells += [(band, column % n) for column in range(first, min(last, first + n - 1) + 1)]
    return cells
