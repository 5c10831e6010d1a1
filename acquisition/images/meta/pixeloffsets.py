from dataclasses import dataclass


@dataclass
class PixelOffsets:
    """Where the stars are minus where they should be, in pixels of the frame as delivered (binned).

    Attributes
    ----------
    dx, dy : float
        Offset along columns and rows, px; positive dx = the stars moved to larger column.
    dx_err, dy_err : float or None
        Standard errors, px; None when the processor cannot tell.
    """

    dx: float = 0.0
    dy: float = 0.0
    dx_err: float | None = None
    dy_err: float | None = None
