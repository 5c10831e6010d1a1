"""What a simulated rig is made of: site, sky, air, optics, sensor and mount, as frozen values.

In: numbers, with a common guide rig as the default. Out: what `World` builds itself from.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Site:
    """Where the telescope stands; geodetic, east positive."""

    lat_deg: float = 48.2
    lon_deg: float = 11.6
    elev_m: float = 540.0


@dataclass(frozen=True, slots=True)
class SkySpec:
    """What is up there."""

    faintest_mag: float = 14.0  # fainter stars are left out
    background_mag_per_arcsec2: float = 20.0
    zero_mag_e_per_s_m2: float = 1.5e10  # what a star of magnitude 0 yields, unfiltered, losses included


@dataclass(frozen=True, slots=True)
class Layer:
    """A turbulent layer that the wind carries over the aperture."""

    share: float  # of the tilt variance
    wind_m_per_s: float
    outer_scale_m: float


@dataclass(frozen=True, slots=True)
class AirSpec:
    """The atmosphere."""

    seeing_fwhm_arcsec: float = 2.5  # long exposure, at 500 nm, infinite outer scale
    layers: tuple[Layer, ...] = (Layer(0.5, 10.0, 25.0), Layer(0.5, 3.0, 15.0))


@dataclass(frozen=True, slots=True)
class OpticsSpec:
    """The telescope in front of the sensor."""

    name: str = "60 mm f/4 guide scope"
    focal_length_mm: float = 240.0
    aperture_mm: float = 60.0
    blur_fwhm_arcsec: float = 5.5  # aberrations and focus
    halo_share: float = 0.1  # of a star's light, in a second Gaussian ...
    halo_width: float = 2.5  # ... this many times as wide as the first
    rotation_deg: float = 23.0  # from the row direction (+y) to north, through the west-to-east sense of the WCS
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """The detector and its camera electronics."""

    name: str = "Simulated guide camera"
    detector: str = "simulated CMOS"
    width_px: int = 1280
    height_px: int = 960
    pixel_size_um: float = 3.75
    adc_bits: int = 12
    binnings: tuple[int, ...] = (1, 2, 4)
    exposure_range_s: tuple[float, float] = (32e-6, 3600.0)
    gain_range: tuple[float, float] = (0.0, 100.0)  # 0.1 dB
    default_gain: float = 50.0
    offset_range: tuple[float, float] = (0.0, 20.0)
    default_offset: float = 8.0
    bias_adc_per_offset: float = 8.0  # ADC counts
    full_well_e: float = 13000.0
    egain_at_zero_e: float = 3.2  # e- per ADC count at gain 0
    read_noise_e: float = 4.0  # before the gain stage
    read_noise_adc: float = 1.4  # behind it, ADC counts
    dark_e_per_s: float = 0.5  # per px at `dark_temp_c`
    dark_temp_c: float = 20.0
    dark_doubling_c: float = 6.0
    hot_share: float = 1e-4  # of the pixels
    hot_median_e_per_s: float = 60.0  # at `dark_temp_c`; log-normal
    hot_sigma: float = 1.2  # of the logarithm
    ambient_temp_c: float = 12.0
    cooling_below_ambient_c: float = 35.0  # 0: no cooler
    cooler_time_constant_s: float = 40.0
    readout_s: float = 0.05
    noise: bool = True  # False: expected values, for tests of geometry


@dataclass(frozen=True, slots=True)
class Gear:
    """A periodic error beside the worm's."""

    period_s: float
    amplitude_arcsec: float


@dataclass(frozen=True, slots=True)
class MountSpec:
    """The mount's mechanics; arcsec on its axes (RA: of hour angle, cos δ times that on the sky)."""

    name: str = "Simulated equatorial mount"
    worm_period_s: float = 478.7
    worm_amplitude_arcsec: float = 10.0  # of the first harmonic
    worm_harmonics: int = 8
    worm_decline: float = 1.6  # harmonic h has amplitude ∝ h^-decline, scattered log-normally by 0.35
    gears: tuple[Gear, ...] = (Gear(121.7, 1.2), Gear(13.4, 0.25))
    drift_ra_arcsec_per_min: float = 0.6
    drift_dec_arcsec_per_min: float = 1.5
    wander_arcsec_per_sqrt_s: tuple[float, float] = (0.015, 0.01)  # RA, Dec
    wander_rate_arcsec_per_s: tuple[float, float] = (0.006, 0.0012)
    wander_rate_time_s: float = 60.0
    backlash_dec_arcsec: float = 3.0
    guide_rate_arcsec_per_s: float = 7.5
    guide_rate_error: float = 0.05  # true rates lie uniformly within ± this share of the nominal one
    pulse_latency_s: float = 0.05
    min_pulse_s: float = 0.001
    max_pulse_s: float = 10.0
    slew_rate_deg_per_s: float = 3.0
    settle_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A whole rig and where it points when the world begins (ICRS)."""

    ra_deg: float = 120.0
    dec_deg: float = 30.0
    site: Site = field(default_factory=Site)
    sky: SkySpec = field(default_factory=SkySpec)
    air: AirSpec = field(default_factory=AirSpec)
    optics: OpticsSpec = field(default_factory=OpticsSpec)
    sensor: SensorSpec = field(default_factory=SensorSpec)
    mount: MountSpec = field(default_factory=MountSpec)
