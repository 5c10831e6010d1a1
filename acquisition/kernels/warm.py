"""The kernels of star measurement, compiled: once for ever on a machine, and known beforehand when it will take long.

In: nothing. Out: the compiled code in numba's cache on disk.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import background, combine, detect, fit, match, patches, track
from .psf import Psf
from .stars import find_stars
from .track import track as track_stars

_KERNELS: tuple[Any, ...] = (
    background._measure,
    detect._scan,
    patches.cut,
    fit.fit_stars,
    track._track,
    combine._combine,
    match._vote,
)


def is_cold() -> bool:
    """Whether the kernels for a 16-bit camera still have to be compiled, which takes a minute or two.

    Looks for each kernel's index in numba's cache; what a newer source or another processor makes obsolete counts as
    there.
    """
    return not all(os.path.exists(kernel._cache._cache_file._index_path) for kernel in _KERNELS)


def warm_up(dtype: type[np.generic] = np.uint16) -> None:
    """Compile (or load from the cache) everything that measuring a star needs, for frames of a type.

    A minute or so when the cache is cold, else about a second. May run in a thread: it holds the interpreter
    while compiling, but not afterwards.
    """
    y, x = np.mgrid[:96, :96]
    rng = np.random.default_rng(0)
    light = 100.0 + rng.normal(0.0, 3.0, (96, 96))
    for cx, cy in ((30.2, 40.7), (60.1, 20.4), (70.6, 66.3)):
        light += 100.0 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 2 / 1.2**2)
    frame, none = light.astype(dtype), np.empty((0, 0), np.uint8)
    frame.flags.writeable = False  # as an Image's data; for numba that is a type of its own
    stars = find_stars(frame, none, adu_per_e=1.0, saturation=60000.0)
    psf = stars.psf or Psf(2.8, 2.8)
    at = (np.array([30.0, 60.0, 71.0]), np.array([41.0, 20.0, 66.0]))
    for sigma in (None, 1.2):
        track_stars(
            frame, none, *at, np.full(3, 20.0), psf, search_px=3, adu_per_e=1.0, saturation=60000.0,
            window_sigma_px=sigma, free_width_above=10.0,
        )  # fmt: skip
    places = np.column_stack((*at, np.full(3, 100.0)))
    match.match_stars(places, places)
    combine.combine(np.zeros((3, 2)), np.ones((3, 2)), places[:, :2], turn_err=1e-3)
