"""Processors that draw on the pixels."""

from .circle import Circle
from .crosshair import Crosshair
from .text import Text

__all__ = ["Circle", "Crosshair", "Text"]
