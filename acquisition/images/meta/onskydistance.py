from dataclasses import dataclass

from astropy.coordinates import Angle


@dataclass
class OnSkyDistance:
    """How far on the sky the target is from its place.

    Attributes
    ----------
    distance : astropy.coordinates.Angle
    """

    distance: Angle
