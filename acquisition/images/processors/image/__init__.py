"""Processors that change pixels or header, and bring images from and to elsewhere."""

from .addfitsheaders import AddFitsHeaders, Keyword
from .debayer import Debayer
from .download import Download
from .flip import Flip
from .grayscale import Grayscale
from .httpserver import HttpServer
from .normalize import Normalize
from .save import Save
from .saveimage import SaveImage
from .smooth import Smooth
from .softbin import SoftBin

__all__ = [
    "AddFitsHeaders",
    "Debayer",
    "Download",
    "Flip",
    "Grayscale",
    "HttpServer",
    "Keyword",
    "Normalize",
    "Save",
    "SaveImage",
    "Smooth",
    "SoftBin",
]
