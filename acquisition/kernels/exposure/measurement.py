"""What an exposure law is told of a frame.

In: numbers that `images.processors.exptime.measure` found in a frame. Out: a `Measurement`, one for all laws.

Everything is above the bias (the pixel value without light), so that it grows in proportion to the exposure time; what
was not measured is NaN, and a law that needs it holds.
"""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class StarLight:
    """One star as far as exposure is concerned.

    Attributes
    ----------
    peak_adu : float
        Its brightest pixel above the bias, sky included, ADU; where it is clipped, what an unclipped detector would
        have shown, as estimated from the star's wings (never below the saturation).
    snr : float
        Flux over its standard error; NaN where the star is clipped.
    error_px : float
        Standard error of its place, one axis, px; NaN where the star is clipped.
    clipped : bool
        Whether pixels of it are at the saturation.
    """

    peak_adu: float
    snr: float = NAN
    error_px: float = NAN
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """One frame as the exposure laws see it.

    Attributes
    ----------
    start_s : float
        Start of the exposure on a clock that never steps back (the event loop's).
    exposure_s : float
    saturation_adu : float
        Above the bias.
    gain : float or None
        Camera units; None where the camera has none or does not say.
    egain_e_per_adu : float
        Of the stored values; NaN where it is not known.
    level_adu : float
        Median of the frame above the bias; the saturation where that is clipped.
    percentile_adu : float
        The percentile asked for, above the bias; the saturation where that is clipped.
    clipped_share : float
        Of the pixels: at the saturation.
    noise_adu : float
        Of a pixel of the sky.
    read_noise_adu : float
        The part of it that does not grow with the exposure.
    stars : tuple of StarLight or None
        The brightest first; empty: looked for, none found; None: not looked for.
    error_px : float
        Standard error of the field's place, one axis, from all stars used, px.
    moved_px : tuple of float or None
        Where the field is and would be without any correction sent, (RA, Dec) along the mount's axes or (x, y), px.
    """

    start_s: float
    exposure_s: float
    saturation_adu: float
    gain: float | None = None
    egain_e_per_adu: float = NAN
    level_adu: float = NAN
    percentile_adu: float = NAN
    clipped_share: float = NAN
    noise_adu: float = NAN
    read_noise_adu: float = NAN
    stars: tuple[StarLight, ...] | None = None
    error_px: float = NAN
    moved_px: tuple[float, float] | None = None

    @property
    def middle_s(self) -> float:
        """Middle of the exposure."""
        return self.start_s + self.exposure_s / 2

    @property
    def end_s(self) -> float:
        return self.start_s + self.exposure_s
