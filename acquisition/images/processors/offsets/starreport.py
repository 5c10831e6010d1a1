"""What a frame says of its guide stars, in pixels of the image as delivered.

In: the measurements of a `StarField`. Out: `GuideStars` and `StarShape`; why a star, or all of them, cannot be used.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.images.meta import GuideStar, GuideStars, StarShape
from acquisition.images.processors.plane import Plane
from acquisition.kernels import columns as c

from .starfield import StarField, median, variances

Array = NDArray[np.float64]

_REASONS = {
    c.NEAR_EDGE: "too near the edge",
    c.NO_STAR: "not found",
    c.MOVED: "not found",
    c.BAD_PIXELS: "bad pixels",
    c.SATURATED: "saturated",
}


def reasons_against(field_: StarField, table: Array, snr: Array) -> list[str | None]:
    """Why each star cannot be used in this frame; None where nothing speaks against it."""
    reasons = [_REASONS.get(int(status)) for status in table[:, c.STATUS].tolist()]
    clipped, ratio = table[:, c.CLIPPED].tolist(), snr.tolist()
    for k in range(len(reasons)):
        if reasons[k] is None and not ratio[k] >= 3.0:
            reasons[k] = "low SNR"
        elif reasons[k] is None and clipped[k] > 0 and field_.window_sigma_px is not None:
            reasons[k] = "saturated"
    _object_to_flux(field_, table, snr, reasons)
    return reasons


def report_of(field_: StarField, table: Array, snr: Array, reasons: list[str | None], plane: Plane) -> GuideStars:
    """`GuideStars` in pixels of the image as delivered."""
    step = plane.step
    rows = np.empty((len(table), 10))
    rows[:, :2] = plane.to_image(table[:, : c.Y + 1])
    rows[:, 2], rows[:, 3] = plane.to_image(field_.x), plane.to_image(field_.y)
    rows[:, 4:6] = np.sqrt(variances(table)) * step
    rows[:, 6], rows[:, 7], rows[:, 8] = table[:, c.FLUX] * step**2, table[:, c.PEAK], snr
    rows[:, 9] = table[:, c.HFD] * step
    return GuideStars(
        [
            GuideStar(number, *row, reason is None, reason)  # type: ignore[arg-type, call-arg]  # ten floats
            for number, row, reason in zip(field_.number.tolist(), rows.tolist(), reasons, strict=True)
        ],
        math.degrees(math.atan2(field_.turn[1], 1 + field_.turn[0])),
        (plane.to_image(field_.pivot[0]), plane.to_image(field_.pivot[1])),
    )


def shape_of(table: Array, used: NDArray[np.bool_], step: int) -> StarShape:
    """Medians over the stars used, those that are not clipped if there are any."""
    whole = used & (table[:, c.CLIPPED] == 0)
    rows = table[whole if whole.any() else used]
    hfd, x, y = (median(rows[:, column].tolist()) for column in (c.HFD, c.FWHM_X, c.FWHM_Y))
    return StarShape(hfd * step, math.sqrt(x * y) * step, 1.0 - min(x, y) / max(x, y), len(rows))


def why_lost(reasons: list[str | None]) -> str:
    """What became of the guide stars."""
    names = [reason or "faint" for reason in reasons]
    counts = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"star lost: of {len(names)} guide stars, {counts}"


def _object_to_flux(field_: StarField, table: Array, snr: Array, reasons: list[str | None]) -> None:
    """Object to stars that brightened or faded by another factor than most: another star, a blend, a trail."""
    usable = [k for k, reason in enumerate(reasons) if reason is None]
    flux, before, ratio = table[:, c.FLUX].tolist(), field_.flux.tolist(), snr.tolist()
    change = {k: math.log(flux[k] / before[k]) for k in usable}
    typical = median(list(change.values())) if len(usable) >= 3 else 0.0
    allowed = math.log(2.5) if len(usable) >= 3 else math.log(8.0)
    for k in usable:
        if abs(change[k] - typical) > allowed + 3.0 / ratio[k]:
            reasons[k] = "flux changed"
