"""What processors learn about an image, one small dataclass each; stored under its class by `Image.set_meta`."""

from .altazoffsets import AltAzOffsets
from .exptime import ExpTime
from .genericoffset import GenericOffset
from .guidestars import GuideStar, GuideStars
from .onskydistance import OnSkyDistance
from .pixeloffsets import PixelOffsets
from .radecoffsets import RaDecOffsets
from .skyoffsets import SkyOffsets
from .starshape import StarShape

__all__ = [
    "AltAzOffsets",
    "ExpTime",
    "GenericOffset",
    "GuideStar",
    "GuideStars",
    "OnSkyDistance",
    "PixelOffsets",
    "RaDecOffsets",
    "SkyOffsets",
    "StarShape",
]
