"""Maps of bad pixels, for who wants these and nothing else.

In: a folder of masters. Out: FITS files of 0 and 1 beside them, which `AddMask` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.images import Image
from acquisition.images.facts import FrameFacts
from acquisition.images.header import facts_to_header

from .frames import loaded
from .library import CalibrationLibrary, slug


def write_bad_pixel_maps(folder: Path) -> Iterator[tuple[Path, int]]:
    """One map for each camera, binning and size: the pixels that are bad in any of its masters. Replaces earlier maps.

    Yields
    ------
    tuple of Path and int
        The map, and how many pixels are bad.

    Raises
    ------
    ImageError
        If a master cannot be read.
    OSError
        If a map cannot be written.
    """
    found: dict[tuple[str, int, int, tuple[int, int]], NDArray[np.bool_]] = {}
    for master in CalibrationLibrary(folder).masters:
        facts, bad = master.facts, loaded(master).bad
        key = facts.instrument or "", facts.x_binning or 1, facts.y_binning or 1, master.shape
        if bad is not None:
            found[key] = bad | found[key] if key in found else bad
    for (instrument, x_binning, y_binning, shape), bad in found.items():
        facts = FrameFacts(
            instrument=instrument or None, x_binning=x_binning, y_binning=y_binning, image_type="bad pixels"
        )
        name = f"badpixels_{slug(instrument or 'camera')}_{x_binning}x{y_binning}_{shape[1]}x{shape[0]}.fits"
        Image(bad.astype(np.uint8), facts_to_header(facts, shape)).writeto(folder / name, overwrite=True)
        yield folder / name, int(np.count_nonzero(bad))
