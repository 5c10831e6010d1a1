"""What ZWO's library accepts as a region of interest.

In: a wish in binned px. Out: the largest allowed region inside it.
"""

from __future__ import annotations

import math

from acquisition.camera import Roi

STEP_X, STEP_Y = 8, 2


def allowed_roi(wish: Roi | None, width_px: int, height_px: int, binning: int, name: str) -> Roi:
    """The largest region inside a wish that the library takes.

    Width is a multiple of 8, height of 2, in binned px; the USB2 models of the ASI120 also want a multiple of 1024
    pixels.

    Parameters
    ----------
    wish : Roi, optional
        In binned px, inside the detector; None means all of it.
    width_px, height_px : int
        Of the detector, unbinned.
    binning : int
    name : str
        Of the model.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    roi = wish or Roi(0, 0, width_px // binning, height_px // binning)
    width = roi.width // STEP_X * STEP_X
    step = STEP_Y
    if width and is_usb2_asi120(name):
        step = max(step, 1024 // math.gcd(width, 1024))
    height = roi.height // step * step
    if width < STEP_X or height < STEP_Y:
        raise ValueError(f"ROI is {roi}; allowed: at least {STEP_X}x{step} binned px")
    return Roi(roi.x, roi.y, width, height)


def is_usb2_asi120(name: str) -> bool:
    """Whether the model is an ASI120 with USB2: all but those with an S."""
    return "ASI120" in name and not name.rstrip().endswith("-S")
