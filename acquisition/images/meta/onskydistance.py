from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes half a second to import
    from astropy.coordinates import Angle


@dataclass
class OnSkyDistance:
    """How far on the sky the target is from its place.

    Attributes
    ----------
    distance : astropy.coordinates.Angle
    """

    distance: Angle
