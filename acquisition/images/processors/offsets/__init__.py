"""Processors that measure where the stars are against where they should be."""

from .guidestaroffsets import GuideStarOffsets
from .radecfrompixels import RaDecFromPixels

__all__ = ["GuideStarOffsets", "RaDecFromPixels"]
