from dataclasses import dataclass


@dataclass
class GenericOffset:
    """An offset in whatever unit its producer states (pyobs: of `FitsHeaderOffsets`, that of the header cards)."""

    dx: float = 0.0
    dy: float = 0.0
