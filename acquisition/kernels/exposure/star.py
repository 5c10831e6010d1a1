"""The star law: the guide stars as bright as the detector allows, or as bright as they need to be.

In: the stars of a frame. Out: the next exposure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .law import Decision, Hold
from .limits import Limits, check_number
from .measurement import Measurement, StarLight
from .regulator import Regulated, blind_cut, held, regulate, unusable, without_light
from .steady import Steady


@dataclass(frozen=True, slots=True)
class StarLaw:
    """Brings a star's peak to a share of full well, or its SNR or its error to a goal, whichever asks for less light.

    Parameters
    ----------
    full_well : float
        Share of the saturation that the peak (sky included) should have, above 0, up to 1.
    snr : float or None
        Signal-to-noise ratio of the star that is enough; None: no such goal.
    error_px : float or None
        Standard error of the field's place, one axis, that is enough, px; None: no such goal.
    rank : int
        The star that counts: 1 the brightest, 2 the second brightest (one may be clipped) ...
    limits : Limits
    """

    name: ClassVar[str] = "star"

    full_well: float = 0.6
    snr: float | None = None
    error_px: float | None = None
    rank: int = 1
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_number("full_well", self.full_well, 0.001, 1.0)
        if self.snr is not None:
            check_number("snr", self.snr, 1.0, 1e6)
        if self.error_px is not None:
            check_number("error_px", self.error_px, 1e-4, 10.0)
        check_number("rank", self.rank, 1, 1000)

    def start(self) -> Regulated:
        return Regulated()

    def step(self, state: Regulated, measured: Measurement) -> tuple[Regulated, Decision]:
        why = unusable(measured)
        if why is not None:
            return held(state, measured, why)
        if measured.level_adu >= measured.saturation_adu:
            return blind_cut(state, measured, self.limits, first=10.0)
        if measured.stars is None:
            return held(state, measured, Hold.NOT_MEASURED)
        if not measured.stars:
            return without_light(state, measured, self.limits, self._longest_s(measured), Hold.NO_STARS)
        star = sorted(measured.stars, key=_brightness)[-min(self.rank, len(measured.stars))]
        if not math.isfinite(star.peak_adu):
            return held(state, measured, Hold.NOT_FINITE)
        if star.peak_adu <= 0:
            return held(state, measured, Hold.NEGATIVE)
        wanted_s = measured.exposure_s * self.full_well * measured.saturation_adu / star.peak_adu
        if not star.clipped:
            wanted_s = min(wanted_s, *self._enough_s(star, measured))
        error = measured.noise_adu / max(star.peak_adu - measured.level_adu, measured.noise_adu)
        error = error if math.isfinite(error) else 0.0
        return regulate(state, measured, self.limits, wanted_s, kind=Steady, error=error, clipped=star.clipped)

    def _longest_s(self, measured: Measurement) -> float:
        """With which the sky alone would reach the target; infinity where the sky is not known."""
        if not measured.level_adu > 0:
            return math.inf
        return measured.exposure_s * self.full_well * measured.saturation_adu / measured.level_adu

    def _enough_s(self, star: StarLight, measured: Measurement) -> tuple[float, float]:
        """With which the goals for SNR and error would be met; infinity without a goal or where it was not measured.

        Noise is photons' and the detector's: SNR² = S²e²/(N e + R), N and R from this frame.
        """
        fixed = fixed_share(measured)
        by_snr = by_error = math.inf
        if self.snr is not None and star.snr > 0:
            by_snr = measured.exposure_s * _longer(self.snr / star.snr, fixed)
        if self.error_px is not None and measured.error_px > 0:
            by_error = measured.exposure_s * _longer(measured.error_px / self.error_px, fixed)
        return by_snr, by_error


def _brightness(star: StarLight) -> float:
    return star.peak_adu if math.isfinite(star.peak_adu) else -math.inf


def fixed_share(measured: Measurement) -> float:
    """Share of the noise's variance that does not grow with the exposure, of the sky's pixels (stars': less)."""
    if measured.noise_adu > 0 and measured.read_noise_adu >= 0:
        return min((measured.read_noise_adu / measured.noise_adu) ** 2, 1.0)
    return 0.0


def _longer(factor: float, fixed: float) -> float:
    """By how much longer an exposure must be for so much more SNR: k² = f² ((1 - fixed) k + fixed)."""
    half = factor**2 * (1 - fixed) / 2
    return half + math.sqrt(half**2 + factor**2 * fixed)
