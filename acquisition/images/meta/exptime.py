from dataclasses import dataclass


@dataclass
class ExpTime:
    """The exposure time that the next frame should have.

    Attributes
    ----------
    exptime : float
        Seconds.
    """

    exptime: float
