"""Processors that change pixels or header, and bring images from and to elsewhere."""

from .addfitsheaders import AddFitsHeaders, Keyword
from .debayer import Debayer
from .flip import Flip
from .grayscale import Grayscale
from .normalize import Normalize
from .save import Save
from .saveimage import SaveImage
from .smooth import Smooth
from .softbin import SoftBin

__all__ = [
    "AddFitsHeaders",
    "Debayer",
    "Flip",
    "Grayscale",
    "Keyword",
    "Normalize",
    "Save",
    "SaveImage",
    "Smooth",
    "SoftBin",
]
