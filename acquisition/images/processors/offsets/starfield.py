"""The stars that are followed from frame to frame, and what has been learned of them.

In: their measurements in a frame. Out: where they will be in the next; the motion of the field.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from acquisition.images.processors.plane import Detector, Plane
from acquisition.kernels import columns as c
from acquisition.kernels.combine import Motion, combine
from acquisition.kernels.match import match_stars
from acquisition.kernels.psf import Psf
from acquisition.kernels.stars import find_stars
from acquisition.kernels.track import track

from .starselection import choose

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Columns = list[list[float]]

_ANY_TURN = 0.05  # standard deviation of a turn of which nothing is known, radians


@dataclass
class StarField:
    """The stars that are followed, and what has been learned of them; arrays and lists have one entry a star.

    Places are x + iy, 0-based pixels of the plane that is measured (for raw Bayer frames, of half the size): a turn of
    the field, with its change of scale, is a factor then.
    """

    number: list[int]
    place: Complex  # in the system of the first frame
    variance: Array  # of the place, [n, 2], px²
    flux: list[float]  # ADU, as last seen in good light
    signal: list[float]
    psf: Psf
    detector: Detector
    window_sigma_px: float | None  # of windowed centroids; None: fits
    pivot: complex  # about which the field turns; the offset is the motion of this point
    pattern: Array  # x, y, flux of all stars of the first frame, for finding the field again
    shape: tuple[int, int]
    motion: complex = 0j  # of the pivot, in the last measured frame, px
    turn: complex = 0j  # of the field, with its stretch: the factor less 1
    turn_err: float = 1e-4
    excess: float = 0.0  # variance of a star beyond its stated one, px²: differential seeing
    excess_weight: float = 8.0  # frames that the expectation of no excess counts for
    unseen: int = 0  # frames since the field was last measured
    next_number: int = field(default=1)

    def predicted(self) -> Complex:
        """Where the stars are in a frame, by the last motion."""
        return (1.0 + self.turn) * (self.place - self.pivot) + (self.pivot + self.motion)

    def in_first_frame(self, place: Complex) -> Complex:
        """Where places of the last measured frame are in the first frame's system."""
        return (place - (self.pivot + self.motion)) / (1.0 + self.turn) + self.pivot

    def track(self, plane: Plane, search_px: int) -> Array:
        """Measure the stars where they should be by the last motion."""
        place = self.predicted()
        return track(
            plane.frame,
            plane.bad,
            place.real,
            place.imag,
            np.array(self.signal),
            self.psf,
            search_px=search_px,
            adu_per_e=self.detector.adu_per_e,
            saturation=self.detector.saturation,
            window_sigma_px=self.window_sigma_px,
            free_width_above=10.0,
        )

    def found_share(self, table: Array) -> float:
        """Share of the light expected inside the frame that was found as stars."""
        found = total = 0.0
        for status, signal in zip(table[:, c.STATUS].tolist(), self.signal, strict=True):
            expected = min(signal, 12.0)
            total += expected if status != c.NEAR_EDGE else 0.0
            found += expected if status == c.OK else 0.0
        return found / total if total > 0.0 else 0.0

    def find_pattern(self, plane: Plane) -> bool:
        """Search the whole frame for the pattern of stars; sets the motion if it is found."""
        stars = find_stars(
            plane.frame, plane.bad, adu_per_e=self.detector.adu_per_e, saturation=self.detector.saturation
        )
        known = np.column_stack((self.place.real, self.place.imag, self.flux))
        found = match_stars(_merge(known, self.pattern), stars.places[:60])
        if found is None:
            return False
        self.turn = cmath.rect(1.0, found.rotation_rad) - 1.0
        self.motion = self.turn * self.pivot + complex(found.dx, found.dy)
        self.turn_err = 5e-3
        return True

    def combine(self, table: Array, usable: list[bool]) -> Motion:
        """Motion of the field since the first frame, from those stars that are usable."""
        displacement, place = table[:, : c.Y + 1] - _pairs(self.place), _pairs(self.place - self.pivot)
        variance = variances(table) + self.variance
        if not all(usable):
            displacement, place, variance = displacement[usable], place[usable], variance[usable]
        floor = max(self.excess, 0.0)

        def motion(turn_err: float) -> Motion:
            turn = self.turn.real, self.turn.imag
            return combine(displacement, variance, place, floor_px=math.sqrt(floor), turn=turn, turn_err=turn_err)

        expected = motion(math.hypot(self.turn_err, 3e-4 * (1 + self.unseen)))
        if len(place) < 4:
            return expected
        promised = 1.0 / sum(1.0 / (v + floor) for v in variance[:, 0].tolist())
        count = expected.used.tolist().count(True)
        if count > 0.75 * len(place) and expected.var_dx < 3.0 * promised:
            return expected
        # stars disagree: the field may have turned by more than it ever did
        free = motion(_ANY_TURN)
        free_count = free.used.tolist().count(True)
        better = free_count > count + 1 or free.var_dx < 0.3 * expected.var_dx
        return free if better and free_count >= 4 else expected

    def has_turned(self, motion: Motion) -> bool:
        """Whether the field turned by so much that stars which are missing may be elsewhere."""
        reach = float(np.abs(self.place - self.pivot).max())
        return reach * abs(complex(motion.stretch, motion.turn) - self.turn) > 0.5

    def expect(self, motion: Motion) -> None:
        """Look for the stars where a motion puts them."""
        self.motion, self.turn = complex(motion.dx, motion.dy), complex(motion.stretch, motion.turn)
        self.turn_err = math.sqrt(motion.var_turn)

    def learn(self, seen: Columns, motion: Motion, used: list[bool]) -> None:
        """What this frame says about the next: motion, rotation, brightness, widths, scatter."""
        self.expect(motion)
        self.unseen = 0
        self.flux, self.signal = (
            [old + 0.1 * (new - old) if counts else old for old, new, counts in zip(olds, news, used, strict=True)]
            for olds, news in ((self.flux, seen[c.FLUX]), (self.signal, seen[c.SIGNAL]))
        )
        if math.isfinite(motion.excess):
            excess = motion.excess + max(self.excess, 0.0)
            self.excess_weight = min(self.excess_weight + 1.0, 50.0)
            self.excess += (excess - self.excess) / self.excess_weight
        if self.window_sigma_px is not None:
            return
        bright = [counts and signal >= 10.0 for counts, signal in zip(used, seen[c.SIGNAL], strict=True)]
        sharp = [k for k, clipped in enumerate(seen[c.CLIPPED]) if bright[k] and clipped == 0]
        if sharp:
            old = self.psf
            x = min(max(median([seen[c.FWHM_X][k] for k in sharp]) / old.fwhm_x, 0.5), 2.0)
            y = min(max(median([seen[c.FWHM_Y][k] for k in sharp]) / old.fwhm_y, 0.5), 2.0)
            fwhm_x, fwhm_y = old.fwhm_x * math.sqrt(x), old.fwhm_y * math.sqrt(y)
            self.psf = Psf(max(fwhm_x, 0.9), max(fwhm_y, 0.9), old.profile)

    def replenish(self, plane: Plane, used: list[bool], most: int) -> None:
        """As the field drifts, choose new stars where there is room for them; forget those long gone from the frame."""
        if not 2 <= used.count(True) <= 0.7 * len(used):
            return
        place = self.predicted()
        x, y = place.real, place.imag
        height, width = self.shape
        margin = self.psf.half_window_px
        inside = (x > margin) & (y > margin) & (x < width - 1 - margin) & (y < height - 1 - margin)
        if inside.sum() > 0.7 * len(x):
            return
        stars = find_stars(
            plane.frame,
            plane.bad,
            adu_per_e=self.detector.adu_per_e,
            saturation=self.detector.saturation,
            psf=self.psf,
        )
        near = np.full(len(stars.table), False)
        for k, row in enumerate(stars.table):
            near[k] = bool((np.hypot(x - row[c.X], y - row[c.Y]) < margin).any())
        chosen = [k for k in choose(stars, most, self.shape, with_clipped=False) if not near[k]]
        chosen = chosen[: most - int(inside.sum())]
        if not chosen:
            return
        table = stars.table[chosen]
        # the variance of the field's motion, to which they are tied
        common = float((1.0 / (1.0 / self.variance[used]).sum(axis=0)).mean())
        keep = inside | (np.arange(len(x)) < most)
        kept = np.flatnonzero(keep).tolist()
        self.number = [self.number[k] for k in kept] + [self.next_number + k for k in range(len(chosen))]
        self.next_number += len(chosen)
        self.place = np.concatenate((self.place[keep], self.in_first_frame(places_of(table))))
        self.variance = np.concatenate((self.variance[keep], variances(table) + common))
        self.flux = [self.flux[k] for k in kept] + table[:, c.FLUX].tolist()
        self.signal = [self.signal[k] for k in kept] + (0.6 * stars.snr[chosen]).tolist()


def places_of(table: Array) -> Complex:
    """Where the stars of a table are, x + iy."""
    return table[:, c.X] + 1j * table[:, c.Y]


def columns_of(table: Array) -> Columns:
    """A table of stars as lists, one a column: for a handful of stars faster than arrays."""
    return cast(Columns, table.T.tolist())


def variances(table: Array) -> Array:
    """Variance of x and y, [n, 2], px², enlarged where the profile does not fit."""
    return table[:, c.VAR_X : c.VAR_Y + 1] * np.maximum(table[:, c.CHI2 : c.CHI2 + 1], 1.0)


def median(values: list[float]) -> float:
    """The middle one of a few values, the higher of two; numpy takes ten times as long."""
    return sorted(values)[len(values) // 2]


def _merge(known: Array, pattern: Array) -> Array:
    """Known stars first, then those of the pattern that are not among them."""
    new = [row for row in pattern if (np.hypot(known[:, 0] - row[0], known[:, 1] - row[1]) > 3.0).all()]
    return np.vstack((known, new)) if new else known


def _pairs(place: Complex) -> Array:
    """x + iy as rows of x and y."""
    return place.view(np.float64).reshape(-1, 2)
