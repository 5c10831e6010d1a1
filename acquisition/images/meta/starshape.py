from dataclasses import dataclass


@dataclass
class StarShape:
    """How the stars of a frame look: focus, seeing, trailing. Medians over the stars used, px as delivered.

    Attributes
    ----------
    hfd : float
        Half-flux diameter, pixels included.
    fwhm : float
        Full width at half maximum before integration over pixels, geometric mean of both axes.
    ellipticity : float
        1 - narrow axis / wide axis of the FWHM along columns and rows.
    stars : int
        How many stars this rests on.
    """

    hfd: float
    fwhm: float
    ellipticity: float
    stars: int

    @property
    def cards(self) -> dict[str, tuple[float | int, str]]:
        """Header cards, for when a frame is saved."""
        return {
            "HFD": (round(self.hfd, 3), "[px] half-flux diameter, median of stars"),
            "FWHM": (round(self.fwhm, 3), "[px] full width at half maximum, median"),
            "ELLIPTIC": (round(self.ellipticity, 3), "1 - axis ratio of the stars, median"),
            "NSTARS": (self.stars, "stars that HFD and FWHM rest on"),
        }
