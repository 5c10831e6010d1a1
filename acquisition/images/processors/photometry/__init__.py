"""Processors that measure how bright the sources of the catalog are."""

from .aperturephotometry import AperturePhotometry
from .photutilsphotometry import PhotUtilsPhotometry
from .sepphotometry import SepPhotometry

__all__ = ["AperturePhotometry", "PhotUtilsPhotometry", "SepPhotometry"]
