"""What to improve, from a guiding log: like PHD2's guiding assistant, but after the fact and on anybody's log.

In: a section's `SectionSummary`. Out: advice in sentences, each with the figure that led to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from acquisition.guidelog import GuidingSection, read_guide_log
from acquisition.guiding.axis_summary import AxisSummary
from acquisition.guiding.events import Event, GuidingBegan, Step
from acquisition.guiding.summary import SectionSummary, summarise

_FIRST_LOOK_S = 300.0  # less says little
_LOOK_EVERY_S = 60.0


def advise(summary: SectionSummary) -> list[str]:
    """Advice, most urgent first; empty when there is nothing to say."""
    advice = [
        *_stars(summary),
        *_polar_alignment(summary),
        *(_axis("RA", summary.ra, summary)),
        *(_axis("Dec", summary.dec, summary)),
        *_balance(summary),
        *_exposure(summary),
    ]
    if summary.duration_s < 300:
        advice.append(
            f"this section has {summary.duration_s / 60:.1f} minutes; ten or more make the figures trustworthy"
        )
    return advice


def _stars(summary: SectionSummary) -> list[str]:
    advice = []
    if summary.lost > 0.02 * summary.frames:
        share = 100 * summary.lost / summary.frames
        advice.append(f"{share:.0f} % of the frames lost the star: expose longer, focus, or look for cables and clouds")
    if summary.saturated > 0.1 * summary.frames:
        advice.append(
            f"the star is saturated in {100 * summary.saturated / summary.frames:.0f} % of the frames: expose shorter, "
            "lower the gain, or choose a fainter star"
        )
    if 0 < summary.median_snr < 10:
        advice.append(
            f"the star's SNR is {summary.median_snr:.0f}, 10 or more is good: expose longer, or a brighter star"
        )
    return advice


def _polar_alignment(summary: SectionSummary) -> list[str]:
    drift, error = summary.dec.drift_px_per_min, summary.dec.polar_error_arcmin(summary.scale_arcsec)
    if drift is None or summary.scale_arcsec is None or error is None or summary.duration_s < 300 or error < 5:
        return []
    return [
        f"Dec drifts {drift * summary.scale_arcsec:+.1f}\"/min by itself: the polar axis is off by {error:.0f}' "
        "or more; align it to better than 5'"
    ]


def _axis(name: str, axis: AxisSummary, summary: SectionSummary) -> list[str]:
    advice = []
    if axis.pulses and axis.limited > 0.02 * axis.pulses:
        advice.append(
            f"{name}: {axis.limited} of {axis.pulses} pulses were cut at the longest allowed: allow longer ones"
        )
    enough = axis.pulses >= 20
    if enough and axis.turns > 0.7 and axis.lag_one < -0.2:
        advice.append(
            f"{name} oscillates ({100 * axis.turns:.0f} % of the pulses go against the one before): lower the "
            "aggression, raise the minimum move, or expose longer"
        )
    if enough and axis.lag_one > 0.6 and summary.jitter_px is not None and axis.rms_px > 1.5 * summary.jitter_px:
        mend = (
            "try a predictive law, or expose shorter" if name == "RA" else "look for backlash, or raise the aggression"
        )
        advice.append(
            f"{name} lags (a displacement says {100 * axis.lag_one:.0f} % of the next): corrections come too late or "
            f"are too small; {mend}"
        )
    return advice


def _balance(summary: SectionSummary) -> list[str]:
    ra, dec = summary.ra.rms_px, summary.dec.rms_px
    if min(ra, dec) > 0 and max(ra, dec) > 2 * min(ra, dec):
        worse = "RA" if ra > dec else "Dec"
        return [
            f"{worse} is {max(ra, dec) / min(ra, dec):.1f} times worse than the other axis: stars will be elongated"
        ]
    return []


def _exposure(summary: SectionSummary) -> list[str]:
    if summary.jitter_px is None:
        return []
    total = math.hypot(summary.ra.rms_px, summary.dec.rms_px)
    floor = math.sqrt(2) * summary.jitter_px
    if total < 1.3 * floor and summary.cadence_s < 4:
        return [
            f"{100 * min(1.0, (floor / total) ** 2):.0f} % of the variance is seeing and noise that no guiding at this "
            "pace removes: longer exposures would chase less of it"
        ]
    return []


class LiveAssistant:
    """Listens to a guider and says new advice as soon as its log shows it; looks once a minute.

    Parameters
    ----------
    log : Path
        The guide log that is being written.
    say : callable
        Gets each advice once; its figure is that of the moment.
    """

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        self._log = log
        self._say = say
        self._next_s = 0.0
        self._said: set[str] = set()

    def listen(self, event: Event) -> None:
        match event:
            case GuidingBegan():
                self._next_s = event.t_s + _FIRST_LOOK_S
            case Step() if event.t_s >= self._next_s:
                self._next_s = event.t_s + _LOOK_EVERY_S
                self._look()
            case _:
                pass

    def _look(self) -> None:
        with self._log.open(encoding="utf-8") as lines:
            section = read_guide_log(lines)[-1]
        if not isinstance(section, GuidingSection):
            return
        for advice in advise(summarise(section)):
            topic = re.sub(r"[\d.]+", "", advice)
            if topic not in self._said:
                self._said.add(topic)
                self._say(f"assistant: {advice}")
