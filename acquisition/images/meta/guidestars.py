from dataclasses import dataclass, field


@dataclass(slots=True)  # a frozen one takes six times as long to make
class GuideStar:
    """One guide star in one frame.

    Attributes
    ----------
    number : int
        Constant over frames, from 1, best star first at selection.
    x, y : float
        Where it is, 0-based px (NaN when it was not found).
    x_ref, y_ref : float
        Where it should be, 0-based px.
    x_err, y_err : float
        Standard errors of x and y, px (NaN when it was not found).
    flux : float
        ADU above the background.
    peak : float
        Brightest pixel, ADU as stored.
    snr : float
        Flux over its standard error.
    hfd : float
        Half-flux diameter, px.
    used : bool
        Whether it contributed to the offset.
    reason : str or None
        Why not, in a word or two (``low SNR``, ``saturated``, ``too near the edge``, ``outlier`` ...); None if used.
    """

    number: int
    x: float
    y: float
    x_ref: float
    y_ref: float
    x_err: float
    y_err: float
    flux: float
    peak: float
    snr: float
    hfd: float
    used: bool
    reason: str | None = None


@dataclass
class GuideStars:
    """The guide stars of a frame, in the order of their numbers.

    Attributes
    ----------
    stars : list of GuideStar
    turn_deg : float
        How far the field is turned against the first frame, from columns towards rows.
    pivot : (float, float) or None
        About where in the first frame, 0-based px: the place whose displacement is the frame's; None: not known.
    """

    stars: list[GuideStar] = field(default_factory=list)
    turn_deg: float = 0.0
    pivot: tuple[float, float] | None = None

    @property
    def used(self) -> list[GuideStar]:
        """Those that contributed to the offset."""
        return [star for star in self.stars if star.used]

    @property
    def brightest(self) -> GuideStar | None:
        """Of those used, the one of the highest SNR."""
        return max(self.used, key=lambda star: star.snr, default=None)
