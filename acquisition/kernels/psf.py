"""What a star looks like: concentric Gaussians, integrated over pixels.

In: a full width at half maximum per axis and the name of a profile. Out: weights and widths of the Gaussians that the
fits are made of.

A Moffat profile is a scale mixture of Gaussians, and unlike the Moffat itself these integrate over pixels exactly and
one axis at a time. Three of them reproduce it to 1 % (beta 2.5), .8 % (3.5) and .1 % (5) of its peak. They were chosen
so that a fit's place is right: under-sampled stars (FWHM 1.2 to 1.6 px) are off by less than 7 % of the Cramér-Rao
bound at a signal-to-noise ratio of 500, see `benchmarks/fit_profiles.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place

Array = NDArray[np.float64]

# profile: (share of the flux, sigma over FWHM) of each Gaussian; the rest of the flux lies where a fit's window cannot
# tell it from the sky
_PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "gaussian": ((1.0,), (0.424661,)),
    "moffat5": ((0.21681, 0.60842, 0.17325), (0.33637, 0.48824, 0.77683)),
    "moffat3.5": ((0.24164, 0.60476, 0.14952), (0.33594, 0.54286, 0.99407)),
    "moffat2.5": ((0.19386, 0.54984, 0.23106), (0.32300, 0.56110, 1.10052)),
}

_WEIGHTS = {name: np.array(weights) for name, (weights, _) in _PROFILES.items()}
_SCALES = {name: np.array(scales) for name, (_, scales) in _PROFILES.items()}

PROFILES = tuple(_PROFILES)
"""Names of the profiles, from the steepest wings to the widest."""


@dataclass(frozen=True, slots=True)
class Psf:
    """The profile that all unsaturated stars of a frame share.

    Attributes
    ----------
    fwhm_x, fwhm_y : float
        Full width at half maximum along columns and rows before integration over pixels, px.
    profile : str
        One of `PROFILES`.
    """

    fwhm_x: float
    fwhm_y: float
    profile: str = "moffat3.5"

    def __post_init__(self) -> None:
        if self.profile not in _PROFILES:
            raise ValueError(f"profile is {self.profile!r}; allowed: {', '.join(PROFILES)}")
        if not (self.fwhm_x > 0 and self.fwhm_y > 0):
            raise ValueError(f"FWHM is {self.fwhm_x:g} x {self.fwhm_y:g} px; allowed: above 0")

    @property
    def fwhm(self) -> float:
        """Geometric mean of both axes, px."""
        return math.sqrt(self.fwhm_x * self.fwhm_y)

    @property
    def weights(self) -> Array:
        """Share of the flux in each Gaussian. Not to be written to."""
        return _WEIGHTS[self.profile]

    @property
    def scales(self) -> Array:
        """Sigma of each Gaussian over the FWHM. Not to be written to."""
        return _SCALES[self.profile]

    @property
    def half_window_px(self) -> int:
        """A fit's window reaches this far from its middle pixel: about 2.2 FWHM."""
        return half_window(max(self.fwhm_x, self.fwhm_y))

    def with_profile(self, profile: str) -> Psf:
        """The same widths with another profile."""
        return replace(self, profile=profile)


@in_place
def half_window(fwhm_px: float) -> int:
    """How far a fit's window reaches from its middle pixel for stars of a given width, px."""
    return min(max(math.ceil(2.2 * fwhm_px + 1.0), 4), 40)
