"""What a frame says of its guide stars, in pixels of the image as delivered.

In: the measurements of a `StarField`. Out: `GuideStars` and `StarShape`; why a star, or all of them, cannot be used.
"""

from __future__ import annotations

import cmath
import math

from acquisition.images.meta import GuideStar, GuideStars, StarShape
from acquisition.images.processors.plane import Plane
from acquisition.kernels import columns as c

from .starfield import Columns, StarField, median

_REASONS: dict[float, str] = {
    c.NEAR_EDGE: "too near the edge",
    c.NO_STAR: "not found",
    c.MOVED: "not found",
    c.BAD_PIXELS: "bad pixels",
    c.SATURATED: "saturated",
}


def ratios(seen: Columns) -> list[float]:
    """Signal-to-noise ratio of each star; NaN where there is none."""
    both = zip(seen[c.FLUX], seen[c.VAR_FLUX], strict=True)
    return [flux / math.sqrt(variance) if variance > 0.0 else math.nan for flux, variance in both]


def reasons_against(field_: StarField, seen: Columns, snr: list[float]) -> list[str | None]:
    """Why each star cannot be used in this frame; None where nothing speaks against it."""
    reasons = [_REASONS.get(status) for status in seen[c.STATUS]]
    windowed = field_.window_sigma_px is not None
    for k, (reason, ratio, clipped) in enumerate(zip(reasons, snr, seen[c.CLIPPED], strict=True)):
        if reason is None and not ratio >= 3.0:
            reasons[k] = "low SNR"
        elif reason is None and windowed and clipped > 0:
            reasons[k] = "saturated"
    _object_to_flux(field_, seen, snr, reasons)
    return reasons


def report_of(
    field_: StarField, seen: Columns, snr: list[float], reasons: list[str | None], plane: Plane
) -> GuideStars:
    """`GuideStars` in pixels of the image as delivered."""
    step, area, first = plane.step, plane.step**2, plane.to_image(0.0)
    x, y, x_ref, y_ref = (
        [place * step + first for place in places]
        for places in (seen[c.X], seen[c.Y], field_.place.real.tolist(), field_.place.imag.tolist())
    )
    scale = [math.sqrt(max(chi2, 1.0)) * step for chi2 in seen[c.CHI2]]
    x_err, y_err = (
        [math.sqrt(variance) * wider for variance, wider in zip(seen[column], scale, strict=True)]
        for column in (c.VAR_X, c.VAR_Y)
    )
    flux, hfd = [light * area for light in seen[c.FLUX]], [width * step for width in seen[c.HFD]]
    used = [reason is None for reason in reasons]
    return GuideStars(
        list(
            map(
                GuideStar, field_.number, x, y, x_ref, y_ref, x_err, y_err, flux, seen[c.PEAK], snr, hfd, used,
                reasons,
            )
        ),
        math.degrees(cmath.phase(1 + field_.turn)),
        (plane.to_image(field_.pivot.real), plane.to_image(field_.pivot.imag)),
    )  # fmt: skip


def shape_of(seen: Columns, reasons: list[str | None], step: int) -> StarShape:
    """Medians over the stars used, those that are not clipped if there are any."""
    used = [k for k, reason in enumerate(reasons) if reason is None]
    clipped = seen[c.CLIPPED]
    rows = [k for k in used if clipped[k] == 0.0] or used
    hfd, x, y = (median([column[k] for k in rows]) for column in (seen[c.HFD], seen[c.FWHM_X], seen[c.FWHM_Y]))
    return StarShape(hfd * step, math.sqrt(x * y) * step, 1.0 - min(x, y) / max(x, y), len(rows))


def why_lost(reasons: list[str | None]) -> str:
    """What became of the guide stars."""
    names = [reason or "faint" for reason in reasons]
    counts = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"star lost: of {len(names)} guide stars, {counts}"


def _object_to_flux(field_: StarField, seen: Columns, snr: list[float], reasons: list[str | None]) -> None:
    """Object to stars that brightened or faded by another factor than most: another star, a blend, a trail."""
    usable = [k for k, reason in enumerate(reasons) if reason is None]
    flux, before = seen[c.FLUX], field_.flux
    changes = [math.log(flux[k] / before[k]) for k in usable]
    typical = median(changes) if len(usable) >= 3 else 0.0
    allowed = math.log(2.5) if len(usable) >= 3 else math.log(8.0)
    for k, change in zip(usable, changes, strict=True):
        if abs(change - typical) > allowed + 3.0 / snr[k]:
            reasons[k] = "flux changed"
