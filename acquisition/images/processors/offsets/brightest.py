"""The brightest star of a catalog, and the stars that could be taken for it.

In: an `Image` with a catalog. Out: positions and fluxes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.images import Image
from acquisition.images.processors.demands import columns


def stars_of(image: Image) -> NDArray[np.float64] | None:
    """Rows (x, y, flux), x and y 1-based, brightest first, of all sources with three finite numbers.

    None if there is no catalog, or no such source in it.

    Raises
    ------
    ImageError
        If the catalog lacks one of the columns.
    """
    catalog = image.safe_catalog
    if catalog is None or len(catalog) == 0:
        return None
    stars = np.stack(columns(catalog, "x", "y", "flux"), axis=1)
    stars = stars[np.isfinite(stars).all(axis=1)]
    return stars[np.argsort(-stars[:, 2], kind="stable")] if len(stars) else None
