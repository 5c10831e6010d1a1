"""Exposure laws, one file each: pure functions of state and measurement, returning state and decision."""

from __future__ import annotations

from .background import BackgroundLaw
from .guiding import GuidingLaw
from .law import AnyLaw, Decision, ExposureLaw, Hold
from .limits import Bound, GainRule, Limits
from .measurement import Measurement, StarLight
from .percentile import PercentileLaw
from .star import StarLaw

LAWS: dict[str, type[AnyLaw]] = {law.name: law for law in (StarLaw, BackgroundLaw, PercentileLaw, GuidingLaw)}
"""Every exposure law by the name it has in config files and on the command line."""

__all__ = [
    "LAWS",
    "AnyLaw",
    "BackgroundLaw",
    "Bound",
    "Decision",
    "ExposureLaw",
    "GainRule",
    "GuidingLaw",
    "Hold",
    "Limits",
    "Measurement",
    "PercentileLaw",
    "StarLaw",
    "StarLight",
]
