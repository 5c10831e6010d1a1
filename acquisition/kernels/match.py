"""Which star of a frame is which star of the reference, after any motion.

In: two lists of places, the better known first. Out: rotation, shift, and the partner of each reference star.

Two stars of the reference and two of the frame that are as far apart give a hypothesis (a rotation and a shift); the
hypothesis that brings most reference stars to within a tolerance of a star wins. Where the reference is a single
star only fluxes can tell, and the answer is cautious.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Array = NDArray[np.float64]

_FROM_REFERENCE = 12  # stars from which pairs are made
_FROM_FRAME = 40


@dataclass(frozen=True, slots=True)
class Match:
    """How a frame lies on the reference.

    Attributes
    ----------
    partner : ndarray of int, shape [stars of the reference]
        Index of the star in the frame, -1 where there is none.
    rotation_rad : float
        Of the frame against the reference, positive from x towards y.
    dx, dy : float
        Shift of the origin: place in the frame = rotation applied to the place in the reference + shift, px.
    """

    partner: NDArray[np.int64]
    rotation_rad: float
    dx: float
    dy: float

    @property
    def n(self) -> int:
        """Stars with a partner."""
        return int((self.partner >= 0).sum())


def match_stars(
    reference: Array,
    frame: Array,
    tolerance_px: float = 2.5,
    max_rotation_rad: float = math.radians(3.0),
    max_flux_ratio: float = 8.0,
) -> Match | None:
    """Find the stars of the reference in a frame, wherever they moved.

    Parameters
    ----------
    reference, frame : ndarray, shape [n, 3]
        x, y, flux of stars, the better first; the units of flux cancel.
    tolerance_px : float
        A partner is within this of where the match puts the star.
    max_rotation_rad : float
        Larger rotations are not considered.
    max_flux_ratio : float
        With a single star: how much it may have faded or brightened.

    Returns
    -------
    Match or None
        None where no match is better than chance: fewer than 3 partners, unless that is all there are (2 of 2 stars
        at the right distance; a single star of the reference by a similar flux without a rival).
    """
    reference = np.ascontiguousarray(reference, np.float64)
    frame = np.ascontiguousarray(frame, np.float64)
    if len(reference) == 0 or len(frame) == 0:
        return None
    if len(reference) == 1:
        return _match_single(reference, frame, max_flux_ratio)
    if len(frame) == 1:
        return None  # any of several
    best = np.zeros(5)
    _vote(reference, frame, tolerance_px, max_rotation_rad, best)
    n, angle, dx, dy, second = best
    enough = min(3, len(reference), len(frame))
    # a rival that fits as many stars (and more than these two could by chance) leaves the answer open
    if n < enough or (n <= 3 and second >= n):
        return None
    cos, sin = math.cos(angle), math.sin(angle)
    partner = np.full(len(reference), -1)
    taken = set()
    for i, (x, y, _) in enumerate(reference):
        distance = np.hypot(frame[:, 0] - (cos * x - sin * y + dx), frame[:, 1] - (sin * x + cos * y + dy))
        j = int(np.argmin(distance))
        if distance[j] <= tolerance_px and j not in taken:
            partner[i] = j
            taken.add(j)
    return Match(partner, angle, dx, dy)


def _match_single(reference: Array, frame: Array, max_flux_ratio: float) -> Match | None:
    """The brightest star is the brightest star, if its flux is similar and the next one's is not."""
    ratios = np.abs(np.log(np.maximum(frame[:, 2], 1e-9) / reference[0, 2]))
    order = np.argsort(ratios)
    if ratios[order[0]] > math.log(max_flux_ratio):
        return None
    if len(order) > 1 and ratios[order[1]] < ratios[order[0]] + math.log(3.0):
        return None
    partner = np.full(len(reference), -1)
    partner[0] = order[0]
    dx, dy = frame[order[0], :2] - reference[0, :2]
    return Match(partner, 0.0, float(dx), float(dy))


@compiled
def _vote(reference: Array, frame: Array, tolerance: float, max_rotation: float, best: Array) -> None:
    """``best`` = partners, rotation, dx, dy of the best hypothesis, and the partners of the best different one."""
    n_ref, n_frame = len(reference), len(frame)
    for a in range(min(n_ref, _FROM_REFERENCE)):
        for b in range(a + 1, min(n_ref, _FROM_REFERENCE)):
            ux, uy = reference[b, 0] - reference[a, 0], reference[b, 1] - reference[a, 1]
            length = math.sqrt(ux * ux + uy * uy)
            if length < 4.0 * tolerance:
                continue
            slack = tolerance + 0.003 * length
            for c in range(min(n_frame, _FROM_FRAME)):
                for d in range(min(n_frame, _FROM_FRAME)):
                    vx, vy = frame[d, 0] - frame[c, 0], frame[d, 1] - frame[c, 1]
                    if c == d or abs(math.sqrt(vx * vx + vy * vy) - length) > slack:
                        continue
                    angle = math.atan2(ux * vy - uy * vx, ux * vx + uy * vy)
                    if abs(angle) > max_rotation + 1.5 * tolerance / length:
                        continue
                    cos, sin = math.cos(angle), math.sin(angle)
                    mx, my = 0.5 * (reference[a, 0] + reference[b, 0]), 0.5 * (reference[a, 1] + reference[b, 1])
                    dx = 0.5 * (frame[c, 0] + frame[d, 0]) - (cos * mx - sin * my)
                    dy = 0.5 * (frame[c, 1] + frame[d, 1]) - (sin * mx + cos * my)
                    hits, closeness = 0, 0.0
                    for i in range(n_ref):
                        x = cos * reference[i, 0] - sin * reference[i, 1] + dx
                        y = sin * reference[i, 0] + cos * reference[i, 1] + dy
                        nearest = tolerance * tolerance
                        for j in range(n_frame):
                            r2 = (frame[j, 0] - x) ** 2 + (frame[j, 1] - y) ** 2
                            nearest = min(nearest, r2)
                        if nearest < tolerance * tolerance:
                            hits += 1
                            closeness += 1.0 - nearest / (tolerance * tolerance)
                    score = hits + 0.5 * closeness / n_ref
                    mx, my = reference[0, 0], reference[0, 1]
                    x, y = cos * mx - sin * my + dx, sin * mx + cos * my + dy
                    cos0, sin0 = math.cos(best[1]), math.sin(best[1])
                    x0, y0 = cos0 * mx - sin0 * my + best[2], sin0 * mx + cos0 * my + best[3]
                    same = (x - x0) ** 2 + (y - y0) ** 2 < 9.0 * tolerance * tolerance
                    if score > best[0]:
                        if not same:
                            best[4] = max(best[4], math.floor(best[0]))
                        best[0], best[1], best[2], best[3] = score, angle, dx, dy
                    elif not same:
                        best[4] = max(best[4], float(hits))
    best[0] = math.floor(best[0])
