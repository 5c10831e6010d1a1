"""Processors of masks, catalogs, names and backgrounds."""

from .addmask import AddMask
from .catalogcircularmask import CatalogCircularMask
from .circularmask import CircularMask
from .createfilename import CreateFilename
from .imagesourcefilter import ImageSourceFilter
from .removebackground import RemoveBackground

__all__ = [
    "AddMask",
    "CatalogCircularMask",
    "CircularMask",
    "CreateFilename",
    "ImageSourceFilter",
    "RemoveBackground",
]
