"""Processors that measure where the stars are against where they should be."""

from .astrometryoffsets import AstrometryOffsets
from .brighteststarguiding import BrightestStarGuiding
from .brighteststaroffsets import BrightestStarOffsets
from .dummyoffsets import DummyOffsets, DummySkyOffsets
from .fitsheaderoffsets import FitsHeaderOffsets
from .guidestaroffsets import GuideStarOffsets
from .pixeloffset import PixelOffset
from .projectedoffsets import ProjectedOffsets
from .radecfrompixels import RaDecFromPixels

__all__ = [
    "AstrometryOffsets",
    "BrightestStarGuiding",
    "BrightestStarOffsets",
    "DummyOffsets",
    "DummySkyOffsets",
    "FitsHeaderOffsets",
    "GuideStarOffsets",
    "PixelOffset",
    "ProjectedOffsets",
    "RaDecFromPixels",
]
