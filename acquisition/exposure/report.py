"""What the exposure daemon says: one report a frame, and a status of the whole.

In: a measurement, a decision, counters. Out: a line for the log (``key=value``), a dict for JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acquisition.kernels.exposure import Bound, Decision, Measurement

ON_TARGET = 0.15
"""A level within this share of the target counts as on target."""


@dataclass(frozen=True, slots=True)
class FrameReport:
    """One frame, and what came of it.

    Attributes
    ----------
    number : int
        Counts from 1.
    utc : datetime
        When it was there.
    measured : Measurement
    decision : Decision
    """

    number: int
    utc: datetime
    measured: Measurement
    decision: Decision

    @property
    def on_target(self) -> bool:
        """Whether the frame was exposed as it should be."""
        level = self.decision.level
        return not self.decision.clipped and abs(level - 1) <= ON_TARGET

    @property
    def at_limit(self) -> bool:
        """Whether the limits keep the exposure from the target, and will again in the next frame."""
        decision = self.decision
        stays = not decision.changes(self.measured) and decision.hold is None
        return stays and not self.on_target and decision.bound in (Bound.SHORTEST, Bound.LONGEST, Bound.DARKS)

    @property
    def verdict(self) -> str:
        """What the law says of the frame, in a word or a sentence."""
        decision = self.decision
        if decision.hold is not None:
            return f"{'probing' if decision.probing else 'holding'}: {decision.hold}"
        if decision.clipped:
            return "clipped"
        return "on target" if self.on_target else ("too bright" if decision.level > 1 else "too dark")

    def values(self) -> dict[str, Any]:
        """All there is to say, in units of their names; None where there is no number."""
        measured, decision = self.measured, self.decision
        stars = measured.stars
        return {
            "frame": self.number,
            "utc": self.utc.isoformat(timespec="milliseconds"),
            "exposure_s": _number(measured.exposure_s),
            "gain": _number(measured.gain),
            "level": _number(decision.level),
            "clipped": bool(decision.clipped),
            "sky_adu": _number(measured.level_adu),
            "stars": None if stars is None else len(stars),
            "verdict": self.verdict,
            "next_exposure_s": _number(decision.exposure_s),
            "next_gain": _number(decision.gain if decision.gain is not None else measured.gain),
            "bound": None if decision.bound is None else str(decision.bound),
        }

    def line(self) -> str:
        """One line for a log: ``frame=12 utc=... exposure_s=2.5 level=0.98 verdict="on target" ...``."""
        return " ".join(f"{key}={_logged(value)}" for key, value in self.values().items() if value is not None)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything somebody outside may want to know of a daemon.

    Attributes
    ----------
    utc, since_utc : datetime
        Now, and when the daemon began.
    state : str
        "waiting for the first frame", "exposing", "no camera", "stopped".
    camera, law : str
    frames, clipped, held, on_target : int
        Frames measured, and of them: clipped; without anything to go by; within 15 % of the target.
    failures, reopened : int
        Frames that the camera did not deliver, and how often it was opened anew.
    saved, not_saved : int
        Of the frames, where they are saved.
    disk : str or None
        Why frames are not being saved at the moment.
    reloads, bad_reloads : int
        Of the config.
    reload_error : str or None
        What was wrong with the last reload; None: nothing.
    last : FrameReport or None
    """

    utc: datetime
    since_utc: datetime
    state: str
    camera: str
    law: str
    frames: int = 0
    clipped: int = 0
    held: int = 0
    on_target: int = 0
    failures: int = 0
    reopened: int = 0
    saved: int = 0
    not_saved: int = 0
    disk: str | None = None
    reloads: int = 0
    bad_reloads: int = 0
    reload_error: str | None = None
    last: FrameReport | None = None

    def values(self) -> dict[str, Any]:
        """As a dict for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["utc"] = self.utc.isoformat(timespec="milliseconds")
        plain["since_utc"] = self.since_utc.isoformat(timespec="milliseconds")
        plain["last"] = None if self.last is None else self.last.values()
        return plain


def _number(value: float | None) -> float | None:
    """To seven digits, so that lines stay readable."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def _logged(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text
