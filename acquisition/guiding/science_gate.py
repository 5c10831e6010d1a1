"""Which frames of a series may correct the pointing, when somebody else points, refocuses and changes filters.

In: one frame after the other. Out: what to do with it, and why.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from acquisition.images import FrameFacts, Image


@dataclass(frozen=True, slots=True)
class GateRule:
    """When a frame starts anew or does not count; pyobs' parameters, None switches a rule off.

    Parameters
    ----------
    separation_reset_arcsec : float or None
        The telescope says that it points so far from where it did.
    max_interval_s : float or None
        So long since the last frame.
    min_interval_s : float
        Frames that come sooner are left out.
    max_exposure_s : float or None
        Longer frames are left out, and the loop counts as open.
    focus_reset : float or None
        The focus (TEL-FOCU) changed by more, in its own unit.
    """

    separation_reset_arcsec: float | None = 120.0
    max_interval_s: float | None = 600.0
    min_interval_s: float = 0.0
    max_exposure_s: float | None = None
    focus_reset: float | None = 0.05


class Passage(enum.Enum):
    """What to do with a frame."""

    GUIDE = "guide"
    REFERENCE = "new reference"  # measure from here on; no correction
    IGNORE = "ignored"
    OPEN = "loop open"


@dataclass(frozen=True, slots=True)
class _Seen:
    facts: FrameFacts
    focus: float | None


class ScienceGate:
    """Remembers the frame that the reference is of, and the last one."""

    def __init__(self, rule: GateRule) -> None:
        self._rule = rule
        self._reference: _Seen | None = None
        self._last: _Seen | None = None

    def reset(self) -> None:
        """Forget everything: the next frame that counts is a reference."""
        self._reference = self._last = None

    def judge(self, image: Image) -> tuple[Passage, str]:
        """What to do with the next frame, and why.

        What a frame does not state cannot speak against it.
        """
        seen = _Seen(image.facts, _number(image.header.get("TEL-FOCU")))
        facts, rule = seen.facts, self._rule
        kind = (facts.image_type or "object").lower()
        if kind not in ("object", "guiding", "light"):
            return Passage.IGNORE, f"IMAGETYP is {facts.image_type}"
        gap_s = _gap_s(self._last, facts)
        if gap_s is not None and 0 <= gap_s < rule.min_interval_s:
            return Passage.IGNORE, f"{gap_s:g} s after the last, of at least {rule.min_interval_s:g}"
        if rule.max_exposure_s is not None and facts.exposure_s is not None and facts.exposure_s > rule.max_exposure_s:
            self._last = seen
            return Passage.OPEN, f"exposed {facts.exposure_s:g} s, more than {rule.max_exposure_s:g}"
        reason = self._reason_for_reset(seen, gap_s)
        self._last = seen
        if reason is not None:
            self._reference = seen
            return Passage.REFERENCE, reason
        return Passage.GUIDE, ""

    def _reason_for_reset(self, seen: _Seen, gap_s: float | None) -> str | None:
        rule, reference = self._rule, self._reference
        if reference is None:
            return "first frame"
        if gap_s is not None and rule.max_interval_s is not None and not 0 <= gap_s <= rule.max_interval_s:
            return f"{gap_s:g} s after the last, of at most {rule.max_interval_s:g}"
        moved = _separation_arcsec(reference.facts, seen.facts)
        if moved is not None and rule.separation_reset_arcsec is not None and moved > rule.separation_reset_arcsec:
            return f"telescope pointed {moved:.0f} arcsec from before"
        if reference.facts.filter_name != seen.facts.filter_name:
            return f"filter {seen.facts.filter_name} instead of {reference.facts.filter_name}"
        if rule.focus_reset is not None and reference.focus is not None and seen.focus is not None:
            turned = abs(seen.focus - reference.focus)
            if turned > rule.focus_reset:
                return f"focus moved by {turned:.3g}, more than {rule.focus_reset:g}"
        return None


def _number(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) else math.nan
    return number if math.isfinite(number) else None


def _gap_s(last: _Seen | None, now: FrameFacts) -> float | None:
    """From the start of the last frame to that of this."""
    if last is None or last.facts.start_utc is None or now.start_utc is None:
        return None
    return (now.start_utc - last.facts.start_utc).total_seconds()


def _separation_arcsec(before: FrameFacts, now: FrameFacts) -> float | None:
    if before.tel_ra_deg is None or before.tel_dec_deg is None or now.tel_ra_deg is None or now.tel_dec_deg is None:
        return None
    ra, dec = math.radians(now.tel_ra_deg - before.tel_ra_deg), math.radians(now.tel_dec_deg)
    dec_before = math.radians(before.tel_dec_deg)
    # haversine formula, exact for small angles
    half = math.sin((dec - dec_before) / 2) ** 2 + math.cos(dec) * math.cos(dec_before) * math.sin(ra / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half)))) * 3600
