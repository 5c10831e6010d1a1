"""Processors that find sources and put them into the image's catalog."""

from .daophotsourcedetection import DaophotSourceDetection
from .sepsourcedetection import SepSourceDetection
from .simpledisk import SimpleDisk

__all__ = ["DaophotSourceDetection", "SepSourceDetection", "SimpleDisk"]
