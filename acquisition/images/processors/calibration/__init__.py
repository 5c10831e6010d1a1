"""Bias, dark current and flat field: masters built, kept, looked up, and taken out of images."""

from .badpixels import write_bad_pixel_maps
from .build import Built, build_masters
from .calibration import Calibration
from .library import CalibrationLibrary, Master

__all__ = ["Built", "Calibration", "CalibrationLibrary", "Master", "build_masters", "write_bad_pixel_maps"]
