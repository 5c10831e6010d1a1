from dataclasses import dataclass


@dataclass
class RaDecOffsets:
    """What must be added to the telescope's pointing to bring the stars back, in DEGREES on the sky.

    (pyobs' documentation says degrees as well; its code uses arcsec.)

    Attributes
    ----------
    dra : float
        Along right ascension, an arc (Δα·cos δ), degrees; positive = east.
    ddec : float
        Along declination, degrees.
    """

    dra: float = 0.0
    ddec: float = 0.0
