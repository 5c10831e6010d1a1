"""Processors that measure where the stars are against where they should be."""

from .apertureoffsets import ApertureOffsets
from .diskoffsets import DiskOffsets
from .guidestaroffsets import GuideStarOffsets
from .radecfrompixels import RaDecFromPixels

__all__ = ["ApertureOffsets", "DiskOffsets", "GuideStarOffsets", "RaDecFromPixels"]
