"""How far the field moved since the first frame, from the stars that measure it best.

In: an `Image`. Out: the image with `PixelOffsets` and `GuideStars`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError, NoStars, StarLost
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.meta import GuideStar, GuideStars, PixelOffsets, StarShape
from acquisition.images.processors.plane import Detector, Plane, detector_of, plane_of
from acquisition.images.processors.tangent import sky_to_pixel
from acquisition.kernels import columns as c
from acquisition.kernels.combine import Motion, combine
from acquisition.kernels.match import match_stars
from acquisition.kernels.psf import Psf
from acquisition.kernels.stars import Stars, find_stars, predicted_variance
from acquisition.kernels.track import Tracked, track

Array = NDArray[np.float64]

_NEAR_WANTED_PX = 10.0  # a star that the user wants is within this of where he points
_ENOUGH = 0.7  # share of the expected light that must be found before the search ends
_NEAR_PX = 3  # the usual motion from frame to frame; more is searched for only when this fails
_REASONS = {
    c.NEAR_EDGE: "too near the edge",
    c.NO_STAR: "not found",
    c.MOVED: "not found",
    c.BAD_PIXELS: "bad pixels",
    c.SATURATED: "saturated",
}


@dataclass
class StarField:
    """The stars that are followed, and what has been learned of them; arrays have one entry a star.

    Places are 0-based pixels of the plane that is measured (for raw Bayer frames, of half the size).
    """

    number: NDArray[np.int64]
    x: Array  # in the system of the first frame
    y: Array
    variance: Array  # of the place, [n, 2], px²
    flux: Array  # ADU, as last seen in good light
    signal: Array
    psf: Psf
    detector: Detector
    window_sigma_px: float | None  # of windowed centroids; None: fits
    pivot: tuple[float, float]  # about which the field turns; the offset is the motion of this point
    pattern: Array  # x, y, flux of all stars of the first frame, for finding the field again
    shape: tuple[int, int]
    motion: tuple[float, float] = (0.0, 0.0)  # of the pivot, in the last measured frame, px
    turn: tuple[float, float] = (0.0, 0.0)
    turn_err: float = 1e-4
    excess: float = 0.0  # variance of a star beyond its stated one, px²: differential seeing
    excess_weight: float = 8.0  # frames that the expectation of no excess counts for
    unseen: int = 0  # frames since the field was last measured
    next_number: int = field(default=1)

    def predicted(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Where places of the first frame's system are in a frame, by the last motion."""
        px, py = x - self.pivot[0], y - self.pivot[1]
        a, b = self.turn
        return x + self.motion[0] + a * px - b * py, y + self.motion[1] + b * px + a * py

    def in_first_frame(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Where places of the last measured frame are in the first frame's system."""
        a, b = 1.0 + self.turn[0], self.turn[1]
        px, py = x - self.pivot[0] - self.motion[0], y - self.pivot[1] - self.motion[1]
        norm = a * a + b * b
        return self.pivot[0] + (a * px + b * py) / norm, self.pivot[1] + (a * py - b * px) / norm


class GuideStarOffsets(ImageProcessor):
    """Offset of the field against the first frame, from guide stars that it chooses there.

    The first frame (after construction or `reset`) selects stars: isolated, not saturated, away from the edges, spread
    over the field, those whose places can be measured best; saturated ones only where there are few others. Its
    `PixelOffsets` are 0 by definition (less a lock shift), with the errors of the reference itself; its `GuideStars`
    are the selection.

    Later frames measure these stars near where they are expected and combine their displacements by inverse variance,
    leaving out those that disagree; rotation of the field is followed. Beyond `search_px`, and after the field was
    lost, the whole frame is searched for the pattern of stars. Stars that fade or leave come back when they can; as
    the field drifts, new ones are tied to the first frame's system. The offset is lost only when no star is usable.

    `PixelOffsets`: place of the stars minus (place in the first frame + lock shift), px of the image as delivered;
    the errors are those of the difference, so they include the first frame's.

    Parameters
    ----------
    max_stars : int
        Stars to follow.
    min_snr : float
        Signal-to-noise ratio that the best star needs to be selected.
    search_px : int
        Largest motion from one frame to the next that is followed without searching the whole frame, px.
    precise : bool
        Fit the stars (True), or take windowed centroids, which are ten times faster and not as good for bright or
        narrow stars. Where no profile describes the stars (trailed ones), windowed centroids are taken in any case.
    at_px : sequence of (x, y)
        Take the stars nearest to these places of the first frame (0-based px) instead of choosing, however bright or
        close to others they are.
    at_sky_deg : sequence of (ra, dec)
        The same by coordinates of a catalogue (ICRS degrees), through the WCS of the first frame.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        max_stars: int = 20,
        min_snr: float = 6.0,
        search_px: int = 12,
        precise: bool = True,
        at_px: Sequence[tuple[float, float]] = (),
        at_sky_deg: Sequence[tuple[float, float]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_stars < 1:
            raise ValueError(f"max_stars is {max_stars}; allowed: 1 or more")
        if not min_snr > 0:
            raise ValueError(f"min_snr is {min_snr}; allowed: above 0")
        if not 1 <= search_px <= 50:
            raise ValueError(f"search_px is {search_px}; allowed: 1 to 50")
        self._max_stars = max_stars
        self._min_snr = min_snr
        self._search_px = search_px
        if not all(math.isfinite(v) for pair in (*at_px, *at_sky_deg) for v in pair):
            raise ValueError(f"stars are wanted at {at_px}, {at_sky_deg}; allowed: finite numbers")
        self._precise = precise
        self._at_px = tuple(at_px)
        self._at_sky_deg = tuple(at_sky_deg)
        self.field: StarField | None = None
        self.lock_shift: tuple[float, float] = (0.0, 0.0)

    async def __call__(self, image: Image) -> Image:
        """Measure a frame.

        Raises
        ------
        NoStars
            If the first frame has no star that can guide.
        StarLost
            If none of the stars chosen is usable in this frame; the next frame is tried anew.
        ImageError
            If the frame is no picture, or of another size than the first.
        """
        plane = plane_of(image)
        if self.field is None:
            offsets, stars, shape = self._select(plane, image.facts)
        else:
            offsets, stars, shape = self._follow(self.field, plane)
        image = image.derive()
        image.set_meta(offsets)
        image.set_meta(stars)
        image.set_meta(shape)
        return image

    async def reset(self) -> None:
        """Forget the stars and the lock shift; the next frame selects anew."""
        self.field = None
        self.lock_shift = (0.0, 0.0)

    def shift_lock(self, dx_px: float, dy_px: float) -> None:
        """Move the place where the stars should be, as dithering does, px of the image as delivered."""
        if not (math.isfinite(dx_px) and math.isfinite(dy_px)):
            raise ValueError(f"lock shift is ({dx_px}, {dy_px}) px; allowed: finite numbers")
        self.lock_shift = (self.lock_shift[0] + dx_px, self.lock_shift[1] + dy_px)

    # --- the first frame --------------------------------------------------------------------------------------------

    def _select(self, plane: Plane, facts: FrameFacts) -> tuple[PixelOffsets, GuideStars, StarShape]:
        seen = survey(plane, facts, self._precise)
        stars, detector, window_sigma_px = seen.stars, seen.detector, seen.window_sigma_px
        wanted = self._wanted(plane, facts)
        chosen = seen.chosen(self._max_stars, plane.frame.shape) if wanted is None else _nearest(stars, wanted)
        snr = stars.snr
        if not chosen or snr[chosen].max() < self._min_snr:
            raise NoStars(_why_none(stars, chosen, self._min_snr))
        assert stars.psf is not None
        # measured the way in which all later frames will be, so that what is common to both cancels
        table = stars.table[chosen]
        tracked = track(
            plane.frame,
            plane.bad,
            table[:, c.X],
            table[:, c.Y],
            np.full(len(chosen), 10.0),
            stars.psf,
            search_px=1,
            adu_per_e=detector.adu_per_e,
            saturation=detector.saturation,
            window_sigma_px=window_sigma_px,
        )
        usable = tracked.table[:, c.STATUS] == c.OK
        if not usable.any():
            raise NoStars(_why_none(stars, chosen, self._min_snr))
        table, signal = tracked.table[usable], tracked.signal[usable]
        variance = _variance(table)
        weight = 1.0 / variance.sum(axis=1)
        field_ = StarField(
            number=np.arange(1, len(table) + 1),
            x=table[:, c.X].copy(),
            y=table[:, c.Y].copy(),
            variance=variance,
            flux=table[:, c.FLUX].copy(),
            signal=signal,
            psf=stars.psf,
            detector=detector,
            window_sigma_px=window_sigma_px,
            pivot=(float(np.average(table[:, c.X], weights=weight)), float(np.average(table[:, c.Y], weights=weight))),
            pattern=stars.places[:60],
            shape=plane.frame.shape,
            next_number=len(table) + 1,
        )
        self.field = field_
        step = plane.step
        errors = np.sqrt(1.0 / (1.0 / variance).sum(axis=0)) * step
        offsets = PixelOffsets(0.0 - self.lock_shift[0], 0.0 - self.lock_shift[1], float(errors[0]), float(errors[1]))
        shape = _shape(table, np.ones(len(table), np.bool_), step)
        return offsets, self._report(field_, table, [None] * len(table), plane), shape

    def _wanted(self, plane: Plane, facts: FrameFacts) -> list[tuple[float, float]] | None:
        """Places that the user asked for, px of the plane; None: choose."""
        places = list(self._at_px)
        if self._at_sky_deg:
            if facts.wcs is None:
                raise ImageError(f"{len(self._at_sky_deg)} stars wanted by coordinates, but the image has no WCS")
            for ra_deg, dec_deg in self._at_sky_deg:
                place = sky_to_pixel(facts.wcs, ra_deg, dec_deg)
                if place is None:
                    raise ImageError(f"the star wanted at {ra_deg:g}, {dec_deg:g} degrees is behind the telescope")
                places.append(place)
        return [(plane.from_image(x), plane.from_image(y)) for x, y in places] or None

    # --- later frames -----------------------------------------------------------------------------------------------

    def _follow(self, field_: StarField, plane: Plane) -> tuple[PixelOffsets, GuideStars, StarShape]:
        if plane.frame.shape != field_.shape:
            here, first = ("x".join(map(str, shape[::-1])) for shape in (plane.frame.shape, field_.shape))
            raise ImageError(f"frame is {here} px, the first one was {first}; reset to select stars anew")
        tracked = self._find_again(field_, plane)
        table = tracked.table
        reasons = [_REASONS.get(int(status)) for status in table[:, c.STATUS]]
        snr = table[:, c.FLUX] / np.sqrt(table[:, c.VAR_FLUX])
        for k in range(len(table)):
            if reasons[k] is None and not snr[k] >= 3.0:
                reasons[k] = "low SNR"
            elif reasons[k] is None and table[k, c.CLIPPED] > 0 and field_.window_sigma_px is not None:
                reasons[k] = "saturated"
        _object_to_flux(field_, table, snr, reasons)
        usable = np.array([reason is None for reason in reasons])
        if not usable.any() or (usable.sum() == 1 and len(table) > 1 and snr[usable][0] < 4.0):
            field_.unseen += 1
            raise StarLost(_why_lost(reasons))
        motion = self._combine(field_, table, usable)
        for k in np.flatnonzero(usable)[~motion.used].tolist():
            reasons[k] = "outlier"
        used = np.array([reason is None for reason in reasons])
        self._learn(field_, tracked, motion, used, snr)
        report = self._report(field_, table, reasons, plane)
        self._replenish(field_, plane, used)
        step, moved = plane.step, motion.midway
        return (
            PixelOffsets(
                moved[0] * step - self.lock_shift[0],
                moved[1] * step - self.lock_shift[1],
                math.sqrt(motion.var_dx) * step,
                math.sqrt(motion.var_dy) * step,
            ),
            report,
            _shape(table, used, step),
        )

    def _find_again(self, field_: StarField, plane: Plane) -> Tracked:
        """The stars of this frame: near where they were, further away, or anywhere."""
        near = self._track(field_, plane, _NEAR_PX)
        if _found_share(field_, near) >= _ENOUGH:
            return near
        if self._search_px > _NEAR_PX:
            far = self._track(field_, plane, self._search_px)
            if _found_share(field_, far) >= _ENOUGH:
                return far
        before = (field_.motion, field_.turn, field_.turn_err)
        if self._match(field_, plane):
            anywhere = self._track(field_, plane, _NEAR_PX)
            if _found_share(field_, anywhere) > max(0.0, _found_share(field_, near)):
                return anywhere
            field_.motion, field_.turn, field_.turn_err = before
        return near

    def _track(self, field_: StarField, plane: Plane, search_px: int) -> Tracked:
        x, y = field_.predicted(field_.x, field_.y)
        return track(
            plane.frame,
            plane.bad,
            x,
            y,
            field_.signal,
            field_.psf,
            search_px=search_px,
            adu_per_e=field_.detector.adu_per_e,
            saturation=field_.detector.saturation,
            window_sigma_px=field_.window_sigma_px,
            free_width_above=10.0,
        )

    def _match(self, field_: StarField, plane: Plane) -> bool:
        """Search the whole frame for the pattern of stars; sets the motion if it is found."""
        stars = find_stars(
            plane.frame, plane.bad, adu_per_e=field_.detector.adu_per_e, saturation=field_.detector.saturation
        )
        known = np.column_stack((field_.x, field_.y, field_.flux))
        found = match_stars(_merge(known, field_.pattern), stars.places[:60])
        if found is None:
            return False
        cos, sin = math.cos(found.rotation_rad), math.sin(found.rotation_rad)
        px, py = field_.pivot
        field_.motion = (cos * px - sin * py + found.dx - px, sin * px + cos * py + found.dy - py)
        field_.turn = (cos - 1.0, sin)
        field_.turn_err = 5e-3
        return True

    def _combine(self, field_: StarField, table: Array, usable: NDArray[np.bool_]) -> Motion:
        rows = table[usable]
        place = np.column_stack((field_.x[usable], field_.y[usable]))
        displacement = rows[:, [c.X, c.Y]] - place
        variance = _variance(rows) + field_.variance[usable]
        return combine(
            displacement,
            variance,
            place - np.array(field_.pivot),
            floor_px=math.sqrt(max(field_.excess, 0.0)),
            turn=field_.turn,
            turn_err=math.hypot(field_.turn_err, 3e-4 * (1 + field_.unseen)),
        )

    def _learn(self, field_: StarField, tracked: Tracked, motion: Motion, used: NDArray[np.bool_], snr: Array) -> None:
        """What this frame says about the next: motion, rotation, brightness, widths, scatter."""
        table = tracked.table
        field_.motion = (motion.dx, motion.dy)
        field_.turn = (motion.stretch, motion.turn)
        field_.turn_err = math.sqrt(motion.var_turn)
        field_.unseen = 0
        field_.flux[used] += 0.1 * (table[used, c.FLUX] - field_.flux[used])
        field_.signal[used] += 0.1 * (tracked.signal[used] - field_.signal[used])
        if math.isfinite(motion.excess):
            excess = motion.excess + max(field_.excess, 0.0)
            field_.excess_weight = min(field_.excess_weight + 1.0, 50.0)
            field_.excess += (excess - field_.excess) / field_.excess_weight
        sharp = used & (tracked.signal >= 10.0) & (table[:, c.CLIPPED] == 0)
        if sharp.any() and field_.window_sigma_px is None:
            old = field_.psf
            x = min(max(_median(table[sharp, c.FWHM_X].tolist()) / old.fwhm_x, 0.5), 2.0)
            y = min(max(_median(table[sharp, c.FWHM_Y].tolist()) / old.fwhm_y, 0.5), 2.0)
            fwhm_x, fwhm_y = old.fwhm_x * math.sqrt(x), old.fwhm_y * math.sqrt(y)
            field_.psf = replace(old, fwhm_x=max(fwhm_x, 0.9), fwhm_y=max(fwhm_y, 0.9))

    def _replenish(self, field_: StarField, plane: Plane, used: NDArray[np.bool_]) -> None:
        """As the field drifts, choose new stars where there is room for them; forget those long gone from the frame."""
        x, y = field_.predicted(field_.x, field_.y)
        height, width = field_.shape
        margin = field_.psf.half_window_px
        inside = (x > margin) & (y > margin) & (x < width - 1 - margin) & (y < height - 1 - margin)
        if inside.sum() > 0.7 * len(x) or used.sum() < 2:
            return
        stars = find_stars(
            plane.frame,
            plane.bad,
            adu_per_e=field_.detector.adu_per_e,
            saturation=field_.detector.saturation,
            psf=field_.psf,
        )
        near = np.full(len(stars.table), False)
        for k, row in enumerate(stars.table):
            near[k] = bool((np.hypot(x - row[c.X], y - row[c.Y]) < margin).any())
        chosen = [k for k in choose(stars, self._max_stars, field_.shape, with_clipped=False) if not near[k]]
        chosen = chosen[: self._max_stars - int(inside.sum())]
        if not chosen:
            return
        table = stars.table[chosen]
        x_first, y_first = field_.in_first_frame(table[:, c.X], table[:, c.Y])
        common = _common_variance(field_, used)
        keep = inside | (np.arange(len(x)) < self._max_stars)
        count = len(chosen)

        def grown(old: Array, new: Array) -> Array:
            return np.concatenate((old[keep], new))

        field_.number = np.concatenate((field_.number[keep], field_.next_number + np.arange(count)))
        field_.next_number += count
        field_.x, field_.y = grown(field_.x, x_first), grown(field_.y, y_first)
        field_.variance = grown(field_.variance, _variance(table) + common)
        field_.flux = grown(field_.flux, table[:, c.FLUX])
        field_.signal = grown(field_.signal, 0.6 * stars.snr[chosen])

    def _report(self, field_: StarField, table: Array, reasons: list[str | None], plane: Plane) -> GuideStars:
        """`GuideStars` in pixels of the image as delivered."""
        step = plane.step
        x_ref = plane.to_image(field_.x) + self.lock_shift[0]
        y_ref = plane.to_image(field_.y) + self.lock_shift[1]
        variance = _variance(table)
        with np.errstate(invalid="ignore"):
            snr = table[:, c.FLUX] / np.sqrt(table[:, c.VAR_FLUX])
        rows = np.column_stack(
            (
                plane.to_image(table[:, c.X]),
                plane.to_image(table[:, c.Y]),
                x_ref,
                y_ref,
                np.sqrt(variance) * step,
                table[:, c.FLUX] * step**2,
                table[:, c.PEAK],
                snr,
                table[:, c.HFD] * step,
            )
        ).tolist()
        return GuideStars(
            [
                GuideStar(number, *row, reason is None, reason)  # type: ignore[call-arg]  # nine columns
                for number, row, reason in zip(field_.number.tolist(), rows, reasons, strict=True)
            ]
        )


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


def _nearest(stars: Stars, wanted: list[tuple[float, float]]) -> list[int]:
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


def _variance(table: Array) -> Array:
    """Variance of x and y, [n, 2], px², enlarged where the profile does not fit."""
    scale = np.maximum(table[:, c.CHI2], 1.0)
    return table[:, [c.VAR_X, c.VAR_Y]] * scale[:, None]


def _shape(table: Array, used: NDArray[np.bool_], step: int) -> StarShape:
    """Medians over the stars used, those that are not clipped if there are any."""
    whole = used & (table[:, c.CLIPPED] == 0)
    rows = table[whole if whole.any() else used]
    hfd, x, y = (_median(rows[:, column].tolist()) for column in (c.HFD, c.FWHM_X, c.FWHM_Y))
    return StarShape(hfd * step, math.sqrt(x * y) * step, 1.0 - min(x, y) / max(x, y), len(rows))


def _common_variance(field_: StarField, used: NDArray[np.bool_]) -> float:
    """Variance of the field's motion, for stars that are tied to it, px²."""
    return float((1.0 / (1.0 / field_.variance[used]).sum(axis=0)).mean())


def _found_share(field_: StarField, tracked: Tracked) -> float:
    """Share of the light expected inside the frame that was found as stars."""
    expected = np.minimum(field_.signal, 12.0)
    inside = tracked.table[:, c.STATUS] != c.NEAR_EDGE
    total = float(expected[inside].sum())
    if total <= 0.0:
        return 0.0
    found = tracked.standing_out & (tracked.table[:, c.STATUS] == c.OK)
    return float(expected[found].sum()) / total


def _object_to_flux(field_: StarField, table: Array, snr: Array, reasons: list[str | None]) -> None:
    """Object to stars that brightened or faded by another factor than most: another star, a blend, a trail."""
    usable = [k for k, reason in enumerate(reasons) if reason is None]
    flux, before, ratio = table[:, c.FLUX].tolist(), field_.flux.tolist(), snr.tolist()
    change = {k: math.log(flux[k] / before[k]) for k in usable}
    typical = _median(list(change.values())) if len(usable) >= 3 else 0.0
    allowed = math.log(2.5) if len(usable) >= 3 else math.log(8.0)
    for k in usable:
        if abs(change[k] - typical) > allowed + 3.0 / ratio[k]:
            reasons[k] = "flux changed"


def _median(values: list[float]) -> float:
    """The middle one of a few values, the higher of two; numpy takes ten times as long."""
    return sorted(values)[len(values) // 2]


def _merge(known: Array, pattern: Array) -> Array:
    """Known stars first, then those of the pattern that are not among them."""
    new = [row for row in pattern if (np.hypot(known[:, 0] - row[0], known[:, 1] - row[1]) > 3.0).all()]
    return np.vstack((known, new)) if new else known


def _why_none(stars: Stars, chosen: list[int], min_snr: float) -> str:
    if len(stars.table) == 0:
        return "no stars: nothing in the frame stands out of the noise as a star does"
    if chosen:
        return f"no stars: the best has SNR {stars.snr[chosen].max():.1f}, need {min_snr:g}"
    names = [reason or "usable" for reason in stars.reasons]
    counts = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"no stars that can guide: of {len(names)} found, {counts}"


def _why_lost(reasons: list[str | None]) -> str:
    names = [reason or "faint" for reason in reasons]
    counts = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"star lost: of {len(names)} guide stars, {counts}"
