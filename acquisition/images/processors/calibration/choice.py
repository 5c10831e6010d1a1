"""Which masters an image gets, and how its dark is scaled.

In: a library and what is known of an image. Out: a `Choice`, or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acquisition.errors import ImageError
from acquisition.images import FrameFacts

from .library import CalibrationLibrary, Master


@dataclass(frozen=True, slots=True)
class Choice:
    """The masters of one image; None where a step is not done."""

    bias: Master | None
    dark: Master | None
    dark_factor: float
    flat: Master | None


@dataclass(frozen=True, slots=True)
class Rules:
    """Which masters are wanted, and how far they may be from the image.

    Attributes
    ----------
    required : mapping
        Kind -> whether this step is done.
    max_days : mapping
        Kind -> the largest distance in time, days, or None.
    max_temp_diff_c : float
        Of bias and dark, °C.
    same_exposure : float
        Exposure times that differ by less than this, relatively, are the same.
    scale_s : float or None
        The longest dark that may be scaled down, s.
    scale_any : bool
        Whether the nearest dark may be scaled, up or down, where nothing else is left.
    no_dark_below_s : float
        Shorter exposures may do without a dark, s.
    """

    required: Mapping[str, bool]
    max_days: Mapping[str, float | None]
    max_temp_diff_c: float
    same_exposure: float
    scale_s: float | None
    scale_any: bool
    no_dark_below_s: float


def choose(library: CalibrationLibrary, rules: Rules, facts: FrameFacts, shape: tuple[int, ...]) -> Choice | str:
    """The masters of an image, or what is missing.

    Raises
    ------
    ImageError
        If a dark is wanted, and the image does not state its exposure time.
    """

    def found(kind: str) -> list[Master]:
        if not rules.required[kind]:
            return []
        return library.find(kind, facts, shape, rules.max_days[kind], rules.max_temp_diff_c)

    bias = next(iter(found("bias")), None)
    flat = next(iter(found("flat")), None)
    dark, factor = None, 1.0
    if rules.required["dark"]:
        exposure_s = facts.exposure_s
        if exposure_s is None or exposure_s < 0:
            raise ImageError(f"exposure time is {exposure_s} s; which dark suits is not known")
        usable = [d for d in found("dark") if d.exposure_s > 0]
        picked = _dark(usable, rules, exposure_s, bias is not None)
        if picked is None and exposure_s >= rules.no_dark_below_s:
            there = ", ".join(f"{s:g}" for s in sorted({d.exposure_s for d in usable})) or "none at all"
            return f"no dark for {exposure_s:g} s in {library.folder}; of this camera, so set, there are: {there}"
        if picked is not None:
            dark, factor = picked
    holds_bias = dark is not None and dark.has_bias and factor == 1.0
    if rules.required["bias"] and bias is None and not holds_bias:
        return f"no bias for {facts.instrument} in {library.folder}"
    if rules.required["flat"] and flat is None:
        return f"no flat for {facts.instrument}, filter {facts.filter_name} in {library.folder}"
    return Choice(bias, dark, factor, flat)


def _dark(darks: list[Master], rules: Rules, exposure_s: float, has_bias: bool) -> tuple[Master, float] | None:
    """A dark, and what it is to be multiplied by."""
    for dark in darks:
        if abs(dark.exposure_s - exposure_s) <= rules.same_exposure * exposure_s:
            return dark, 1.0
    scalable = [dark for dark in darks if has_bias or not dark.has_bias]
    if exposure_s >= rules.no_dark_below_s and rules.scale_s is not None:
        limit_s = rules.scale_s * (1 + rules.same_exposure)
        longer = [dark for dark in scalable if exposure_s < dark.exposure_s <= limit_s]
        if longer:
            dark = min(longer, key=lambda dark: dark.exposure_s)
            return dark, exposure_s / dark.exposure_s
    if rules.scale_any and scalable:
        dark = min(scalable, key=lambda dark: abs(dark.exposure_s - exposure_s))
        return dark, exposure_s / dark.exposure_s
    return None
