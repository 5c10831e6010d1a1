"""Guide laws, one file each: pure functions of state and input, returning state and correction."""

from __future__ import annotations

from typing import Any

from .backlash_aware import BacklashAware
from .hysteresis import Hysteresis
from .identity import Identity
from .law import Between, Dithered, Input, Law, Lost, Measured, Resumed, Sent, Settled, Unit, Work, Worked
from .lowpass import Lowpass, Lowpass2
from .predictive import Predictive
from .predictive_pec import PredictivePec
from .resist_switch import ResistSwitch
from .runner import LawRunner
from .zfilter import ZFilter

LAWS: dict[str, type[Law[Any]]] = {
    law.name: law
    for law in (
        Predictive,
        BacklashAware,
        Hysteresis,
        Identity,
        Lowpass,
        Lowpass2,
        PredictivePec,
        ResistSwitch,
        ZFilter,
    )
}
"""Every law by the name it has in config files."""

__all__ = [
    "LAWS",
    "BacklashAware",
    "Between",
    "Dithered",
    "Hysteresis",
    "Identity",
    "Input",
    "Law",
    "LawRunner",
    "Lost",
    "Lowpass",
    "Lowpass2",
    "Measured",
    "Predictive",
    "PredictivePec",
    "ResistSwitch",
    "Resumed",
    "Sent",
    "Settled",
    "Unit",
    "Work",
    "Worked",
    "ZFilter",
]
