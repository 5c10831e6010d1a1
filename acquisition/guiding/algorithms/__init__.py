"""Guide laws, one file each: pure functions of state and input, returning state and correction."""

from __future__ import annotations

from typing import Any

from .hysteresis import Hysteresis
from .law import Dithered, Input, Law, Lost, Measured, Sent, Settled, Unit
from .resist_switch import ResistSwitch

LAWS: dict[str, type[Law[Any]]] = {law.name: law for law in (Hysteresis, ResistSwitch)}
"""Every law by the name it has in config files."""

__all__ = [
    "LAWS",
    "Dithered",
    "Hysteresis",
    "Input",
    "Law",
    "Lost",
    "Measured",
    "ResistSwitch",
    "Sent",
    "Settled",
    "Unit",
]
