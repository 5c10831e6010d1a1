"""Processors that find sources and put them into the image's catalog."""

from .sepsourcedetection import SepSourceDetection

__all__ = ["SepSourceDetection"]
