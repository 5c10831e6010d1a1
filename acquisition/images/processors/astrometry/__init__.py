"""Processors that find where on the sky an image is."""

from .astrometrydotnet import AstrometryDotNet
from .offlineastrometry import OfflineAstrometry

__all__ = ["AstrometryDotNet", "OfflineAstrometry"]
