"""Known stars, found again in small windows.

In: a frame, where its stars are expected, how bright they were. Out: one row of numbers a star (`columns`).

First all stars together choose one common motion in whole pixels (`locate`). Then each is measured on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import COLUMNS
from .compiled import compiled
from .fit import fit_stars
from .locate import locate
from .patches import cut, rows_of, side_of
from .psf import Psf, half_window
from .ring import RING
from .window import window_stars

Array = NDArray[np.float64]


def track(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    x: Array,
    y: Array,
    signal: Array,
    psf: Psf,
    *,
    search_px: int,
    adu_per_e: float,
    saturation: float,
    window_sigma_px: float | None = None,
    free_width_above: float = np.inf,
) -> Array:
    """Measure stars near where they are expected.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    x, y : ndarray of float64
        Expected places, 0-based px; may lie outside the frame.
    signal : ndarray of float64
        Expected significance of each star's light (column SIGNAL); weighs the votes.
    psf : Psf
        Profile of the stars.
    search_px : int
        Largest common motion against the expectation, px.
    adu_per_e, saturation : float
        As for `fit.fit_stars`.
    window_sigma_px : float, optional
        Take windowed centroids with this sigma instead of fits.
    free_width_above : float
        Fit the widths of stars of at least this signal, too.

    Returns
    -------
    ndarray, shape [n, COLUMNS]
        See `columns`; positions in the frame.
    """
    table = np.empty((len(x), COLUMNS))
    _track(
        frame, bad, np.ascontiguousarray(x), np.ascontiguousarray(y), signal, psf.fwhm_x, psf.fwhm_y, psf.weights,
        psf.scales, window_sigma_px or 0.0, free_width_above, adu_per_e, saturation, search_px, table,
    )  # fmt: skip
    return table


@compiled
def _track(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    x: Array,
    y: Array,
    signal: Array,
    fwhm_x: float,
    fwhm_y: float,
    weights: Array,
    scales: Array,
    window_sigma: float,
    free_width_above: float,
    adu_per_e: float,
    saturation: float,
    search: int,
    table: Array,
) -> None:
    """All of `track` that is arithmetic, so that Python is asked once."""
    n, widest = len(x), max(fwhm_x, fwhm_y)
    half, margin, reach = half_window(widest), max(2.0, 0.6 * widest), 1.5 + 0.5 * widest
    around = half + search + 2 + (RING if window_sigma == 0.0 else 0)
    patches, corner = np.empty((n, rows_of(around), side_of(around)), np.float32), np.empty((n, 2), np.int64)
    guess, skies = np.empty((2, n)), np.empty((n, 4))
    table[:] = np.nan
    cut(frame, bad, x, y, patches, corner)
    locate(patches, corner, signal, search, margin, frame.shape[0], frame.shape[1], skies, guess, table)
    if window_sigma == 0.0:
        free = signal >= free_width_above
        fit_stars(
            patches, corner, guess[0], guess[1], fwhm_x, fwhm_y, weights, scales, free, adu_per_e, saturation, half,
            reach, skies, table,
        )  # fmt: skip
    else:
        window_stars(
            patches, corner, guess[0], guess[1], window_sigma, adu_per_e, saturation, half, reach, skies, table
        )
