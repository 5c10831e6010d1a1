"""Durations as people write them: ``90``, ``90s``, ``10m``, ``1.5h``, ``1h30m``."""

from __future__ import annotations

import math
import re
from typing import Any

import click

_UNITS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|min|s|m|h|)")


def parse_duration(text: str) -> float:
    """Seconds.

    Raises
    ------
    ValueError
        If the text is not a duration above 0.
    """
    parts = _PART.findall(text.strip().lower())
    whole = "".join(number + unit for number, unit in parts) == text.strip().lower().replace(" ", "")
    bare = [unit for _, unit in parts].count("")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not whole or not parts or (bare and len(parts) > 1) or not 0 < seconds < math.inf:
        raise ValueError(f"duration is {text!r}; allowed: above 0, such as 90, 90s, 10m, 1.5h, 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """``0:01:30``."""
    minutes, s = divmod(max(0, int(seconds)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}"


class Duration(click.ParamType[float]):
    """A click option that takes a duration and gives seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
