"""Processors that measure where the stars are against where they should be."""

from .apertureoffsets import ApertureOffsets
from .astrometryoffsets import AstrometryOffsets
from .brighteststarguiding import BrightestStarGuiding
from .brighteststaroffsets import BrightestStarOffsets
from .diskoffsets import DiskOffsets
from .dummyoffsets import DummyOffsets, DummySkyOffsets
from .fitsheaderoffsets import FitsHeaderOffsets
from .guidestaroffsets import GuideStarOffsets
from .pixeloffset import PixelOffset
from .projectedoffsets import ProjectedOffsets
from .radecfrompixels import RaDecFromPixels
from .spilledlightguiding import SpilledLightGuiding
from .targetoffsets import TargetOffsets

__all__ = [
    "ApertureOffsets",
    "AstrometryOffsets",
    "BrightestStarGuiding",
    "BrightestStarOffsets",
    "DiskOffsets",
    "DummyOffsets",
    "DummySkyOffsets",
    "FitsHeaderOffsets",
    "GuideStarOffsets",
    "PixelOffset",
    "ProjectedOffsets",
    "RaDecFromPixels",
    "SpilledLightGuiding",
    "TargetOffsets",
]
