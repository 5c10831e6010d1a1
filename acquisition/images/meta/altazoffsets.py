from dataclasses import dataclass


@dataclass
class AltAzOffsets:
    """What must be added to the telescope's pointing to bring the stars back, in DEGREES on the sky.

    (pyobs' documentation says degrees as well; its code uses arcsec.)

    Attributes
    ----------
    dalt : float
        Along altitude, degrees.
    daz : float
        Along azimuth, an arc (ΔA·cos h), degrees; positive = towards larger azimuth.
    """

    dalt: float = 0.0
    daz: float = 0.0
