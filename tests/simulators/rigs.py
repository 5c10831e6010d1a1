"""Worlds for the simulator's tests: what a test does not look at is switched off."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulators.setup import AirSpec, MountSpec, OpticsSpec, SensorSpec, Setup, SkySpec

STILL_MOUNT = MountSpec(
    worm_amplitude_arcsec=0.0,
    gears=(),
    drift_ra_arcsec_per_min=0.0,
    drift_dec_arcsec_per_min=0.0,
    wander_arcsec_per_sqrt_s=(0.0, 0.0),
    wander_rate_arcsec_per_s=(0.0, 0.0),
    backlash_dec_arcsec=0.0,
    guide_rate_error=0.0,
)
STILL_AIR = AirSpec(seeing_fwhm_arcsec=0.0)
CLEAN_SENSOR = SensorSpec(width_px=320, height_px=240, noise=False, hot_share=0.0, dark_e_per_s=0.0)
DARK_SKY = SkySpec(background_mag_per_arcsec2=25.0)
QUIET = Setup(mount=STILL_MOUNT, air=STILL_AIR, sensor=CLEAN_SENSOR, sky=DARK_SKY)
SHARP = replace(QUIET, optics=OpticsSpec(blur_fwhm_arcsec=5.5, halo_share=0.0))


def centroid(frame: NDArray[np.generic], x: float, y: float, radius: int = 8) -> tuple[float, float]:
    """Flux-weighted mean of a noiseless star near a place, above the darkest pixel around it; (x, y)."""
    column, row = round(x), round(y)
    window = frame[row - radius : row + radius + 1, column - radius : column + radius + 1].astype(float)
    window -= window.min()
    rows, columns = np.mgrid[row - radius : row + radius + 1, column - radius : column + radius + 1]
    return float((window * columns).sum() / window.sum()), float((window * rows).sum() / window.sum())
