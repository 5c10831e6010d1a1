"""Sources by Source Extractor's algorithms (the sep library), as a catalog.

In: an `Image`. Out: the image with a catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import masked, mono

if TYPE_CHECKING:
    from astropy.table import Table

_COLUMNS = (
    "x", "y", "peak", "flux", "fwhm", "a", "b", "theta", "ellipticity", "tnpix", "kronrad",
    "fluxrad25", "fluxrad50", "fluxrad75", "xwin", "ywin",
)  # fmt: skip
_UNITS = {
    **dict.fromkeys(("x", "y", "xwin", "ywin", "fwhm", "a", "b", "fluxrad25", "fluxrad50", "fluxrad75"), "pix"),
    "theta": "deg",
}


class SepSourceDetection(ImageProcessor):
    """Detect sources with sep (Barbary 2016; Bertin & Arnouts 1996).

    The catalog has one row a source: x, y and xwin, ywin (1-based px, the latter windowed), peak and flux (ADU above
    the background; flux within 2.5 Kron radii), fwhm, a, b (px), theta (degrees), ellipticity, tnpix, kronrad,
    fluxrad25/50/75 (px). Without sources it is empty. Masked and NaN pixels are not detected. An image without data
    passes unchanged.

    Parameters
    ----------
    threshold : float
        In units of the background's noise.
    minarea : int
        Pixels that a source has at the least.
    deblend_nthresh, deblend_cont, clean, clean_param
        As of `sep.extract`.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(
        self,
        threshold: float = 1.5,
        minarea: int = 5,
        deblend_nthresh: int = 32,
        deblend_cont: float = 0.005,
        clean: bool = True,
        clean_param: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._threshold = threshold
        self._options = {
            "minarea": minarea,
            "deblend_nthresh": deblend_nthresh,
            "deblend_cont": deblend_cont,
            "clean": clean,
            "clean_param": clean_param,
        }

    async def __call__(self, image: Image) -> Image:
        """Detect the sources of an image.

        Raises
        ------
        ImageError
            If the pixels are no picture, the mask does not fit, or sep gives up (more sources than it can hold).
        """
        if image.safe_data is None:
            return image
        with np.errstate(over="ignore"):
            pixels = np.array(mono(image), np.float32, order="C")  # native, and ours to change
        bad = ~(np.abs(pixels) < 1e30)
        mask = masked(image)
        if mask is not None:
            bad |= mask
        pixels[bad] = 0.0
        try:
            catalog = _catalog(pixels, bad, self._threshold, self._options, image.facts.egain_e_per_adu)
        except Exception as error:  # sep raises nothing more special
            raise ImageError(f"sources are not detected: {error}") from error
        return image.derive(catalog=catalog)


def _catalog(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_], threshold: float, options: dict[str, Any], gain: float | None
) -> Table:
    import sep
    from astropy.table import Table

    background = sep.Background(pixels, mask=mask, bw=32, bh=32, fw=3, fh=3)
    background.subfrom(pixels)
    found = sep.extract(pixels, threshold, err=background.globalrms, mask=mask, **options)
    found = found[(found["flag"] & sep.APER_TRUNC) == 0]
    found = found[np.isfinite(found["a"]) & (found["b"] > 0)]
    table = Table(found)
    if len(table) == 0:
        table = Table({name: np.empty(0) for name in _COLUMNS})
    else:
        x, y, a, b = found["x"], found["y"], found["a"], found["b"]
        theta = np.arcsin(np.sin(found["theta"]))  # within a quarter turn of the x axis
        kron, _ = sep.kron_radius(pixels, x, y, a, b, theta, 6.0, mask=mask)
        kron = np.where(np.isfinite(kron) & (kron > 0), kron, 1.0)
        flux, _, _ = sep.sum_ellipse(pixels, x, y, a, b, theta, 2.5 * kron, subpix=1, mask=mask, gain=gain)
        radii, _ = sep.flux_radius(pixels, x, y, 6.0 * a, [0.25, 0.5, 0.75], normflux=flux, subpix=5, mask=mask)
        xwin, ywin, _ = sep.winpos(pixels, x, y, np.maximum(2.0 / 2.35 * radii[:, 1], 0.3), mask=mask)
        table["x"], table["y"], table["xwin"], table["ywin"] = x + 1, y + 1, xwin + 1, ywin + 1
        table["flux"], table["kronrad"], table["theta"] = flux, kron, np.degrees(theta)
        table["fwhm"] = 2.0 * np.sqrt(np.log(2.0) * (a**2 + b**2))
        table["ellipticity"] = 1.0 - b / a
        table["fluxrad25"], table["fluxrad50"], table["fluxrad75"] = radii.T
    table = table[list(_COLUMNS)]
    for name, unit in _UNITS.items():
        table[name].unit = unit
    return table
