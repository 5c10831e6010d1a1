"""How far the field moved since the first frame, from the stars that measure it best.

In: an `Image`. Out: the image with `PixelOffsets`, `GuideStars` and `StarShape`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError, NoStars, StarLost
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.meta import GuideStars, PixelOffsets, StarShape
from acquisition.images.processors.plane import Plane, plane_of
from acquisition.images.processors.tangent import sky_to_pixel
from acquisition.kernels import columns as c
from acquisition.kernels.track import track

from .starfield import StarField, columns_of, places_of, variances
from .starreport import ratios, reasons_against, report_of, shape_of, why_lost
from .starselection import nearest, survey, why_none

Array = NDArray[np.float64]

_ENOUGH = 0.7  # share of the expected light that must be found before the search ends
_NEAR_PX = 3  # the usual motion from frame to frame; more is searched for only when this fails


class GuideStarOffsets(ImageProcessor):
    """Offset of the field against the first frame, from guide stars that it chooses there.

    The first frame (after construction or `reset`) selects stars: isolated, not saturated, away from the edges, spread
    over the field, those whose places can be measured best; saturated ones only where there are few others. Its
    `PixelOffsets` are 0 by definition, with the errors of the reference itself; its `GuideStars` are the selection.

    Later frames measure these stars near where they are expected and combine their displacements by inverse variance,
    leaving out those that disagree; rotation of the field is followed. Beyond `search_px`, and after the field was
    lost, the whole frame is searched for the pattern of stars. Stars that fade or leave come back when they can; as
    the field drifts, new ones are tied to the first frame's system. The offset is lost only when no star is usable.

    `PixelOffsets`: place of the stars minus their place in the first frame, px of the image as delivered; the errors
    are those of the difference, so they include the first frame's. Moving the lock (dithering) is the guider's task.

    Parameters
    ----------
    max_stars : int
        Stars to follow.
    min_snr : float
        Signal-to-noise ratio that the best star needs to be selected.
    search_px : int
        Largest motion from one frame to the next that is followed without searching the whole frame, px.
    precise : bool
        Fit the stars (True), or take windowed centroids, which take half of the time and are not as good for
        bright or narrow stars. Where no profile describes the stars (trailed ones), they are taken in any case.
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
        """Forget the stars; the next frame selects anew."""
        self.field = None

    # --- the first frame --------------------------------------------------------------------------------------------

    def _select(self, plane: Plane, facts: FrameFacts) -> tuple[PixelOffsets, GuideStars, StarShape]:
        seen = survey(plane, facts, self._precise)
        stars, detector, window_sigma_px = seen.stars, seen.detector, seen.window_sigma_px
        wanted = self._wanted(plane, facts)
        chosen = seen.chosen(self._max_stars, plane.frame.shape) if wanted is None else nearest(stars, wanted)
        snr = stars.snr
        if not chosen or snr[chosen].max() < self._min_snr:
            raise NoStars(why_none(stars, chosen, self._min_snr))
        assert stars.psf is not None
        # measured the way in which all later frames will be, so that what is common to both cancels
        place = stars.table[chosen]
        table = track(
            plane.frame,
            plane.bad,
            place[:, c.X],
            place[:, c.Y],
            np.full(len(chosen), 10.0),
            stars.psf,
            search_px=1,
            adu_per_e=detector.adu_per_e,
            saturation=detector.saturation,
            window_sigma_px=window_sigma_px,
        )
        usable = table[:, c.STATUS] == c.OK
        if not usable.any():
            raise NoStars(why_none(stars, chosen, self._min_snr))
        table = table[usable]
        variance = variances(table)
        weight = 1.0 / variance.sum(axis=1)
        field_ = StarField(
            number=list(range(1, len(table) + 1)),
            place=places_of(table),
            variance=variance,
            flux=table[:, c.FLUX].tolist(),
            signal=table[:, c.SIGNAL].tolist(),
            psf=stars.psf,
            detector=detector,
            window_sigma_px=window_sigma_px,
            pivot=complex(np.average(places_of(table), weights=weight)),
            pattern=stars.places[:60],
            shape=plane.frame.shape,
            next_number=len(table) + 1,
        )
        self.field = field_
        step = plane.step
        errors = np.sqrt(1.0 / (1.0 / variance).sum(axis=0)) * step
        offsets = PixelOffsets(0.0, 0.0, float(errors[0]), float(errors[1]))
        columns, reasons = columns_of(table), cast(list[str | None], [None] * len(table))
        report = report_of(field_, columns, ratios(columns), reasons, plane)
        return offsets, report, shape_of(columns, reasons, step)

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
        table = self._find_again(field_, plane)
        for _ in range(3):
            seen = columns_of(table)
            snr = ratios(seen)
            reasons = reasons_against(field_, seen, snr)
            used = [reason is None for reason in reasons]
            count = reasons.count(None)
            if count == 0 or (count == 1 and len(table) > 1 and snr[reasons.index(None)] < 4.0):
                field_.unseen += 1
                raise StarLost(why_lost(reasons))
            motion = field_.combine(table, used)
            agree = motion.used.tolist()
            if (all(used) and all(agree)) or not field_.has_turned(motion):
                break
            # some stars were looked for in the wrong places: once more with what is known now
            field_.expect(motion)
            table = field_.track(plane, _NEAR_PX)
        usable = [k for k, counts in enumerate(used) if counts]
        for k, agrees in zip(usable, agree, strict=True):
            if not agrees:
                reasons[k], used[k] = "outlier", False
        field_.learn(seen, motion, used)
        report = report_of(field_, seen, snr, reasons, plane)
        field_.replenish(plane, used, self._max_stars)
        step, moved = plane.step, motion.midway
        return (
            PixelOffsets(
                moved[0] * step,
                moved[1] * step,
                math.sqrt(motion.var_dx) * step,
                math.sqrt(motion.var_dy) * step,
            ),
            report,
            shape_of(seen, reasons, step),
        )

    def _find_again(self, field_: StarField, plane: Plane) -> Array:
        """The stars of this frame: near where they were, further away, or anywhere."""
        near = field_.track(plane, _NEAR_PX)
        if field_.found_share(near) >= _ENOUGH:
            return near
        if self._search_px > _NEAR_PX:
            far = field_.track(plane, self._search_px)
            if field_.found_share(far) >= _ENOUGH:
                return far
        before = (field_.motion, field_.turn, field_.turn_err)
        if field_.find_pattern(plane):
            anywhere = field_.track(plane, _NEAR_PX)
            if field_.found_share(anywhere) > max(0.0, field_.found_share(near)):
                return anywhere
            field_.motion, field_.turn, field_.turn_err = before
        return near
