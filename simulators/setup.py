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
class Brightness:
    """How bright the sky is at an instant; between two the magnitude changes evenly."""

    at_s: float
    mag_per_arcsec2: float


@dataclass(frozen=True, slots=True)
class SkySpec:
    """What is up there."""

    faintest_mag: float = 14.0  # fainter stars are left out
    real: bool = False  # the brightest stars are Gaia's (G < 10)
    background_mag_per_arcsec2: float = 20.0
    background_course: tuple[Brightness, ...] = ()  # twilight, moonrise: in place of the one above
    zero_mag_e_per_s_m2: float = 1.5e10  # what a star of magnitude 0 yields, unfiltered, losses included


@dataclass(frozen=True, slots=True)
class Layer:
    """A turbulent layer that the wind carries over the aperture."""

    share: float  # of the tilt variance
    wind_m_per_s: float
    outer_scale_m: float
    height_m: float = 0.0  # 0: every star moves alike; above, stars more than about 0.3 D/height apart do not


@dataclass(frozen=True, slots=True)
class AirSpec:
    """The atmosphere."""

    seeing_fwhm_arcsec: float = 2.5  # long exposure, at 500 nm, infinite outer scale, at the zenith
    seeing_scatter: float = 0.0  # the night's seeing lies uniformly within ± this share of that
    seeing_wander: float = 0.0  # sigma of its logarithm in the course of the night ...
    seeing_wander_time_s: float = 1200.0  # ... and how fast
    layers: tuple[Layer, ...] = (Layer(0.5, 10.0, 25.0), Layer(0.5, 3.0, 15.0))
    follows_airmass: bool = False  # False: seeing, scintillation and extinction stay as at the zenith
    scintillation: bool = False
    extinction_mag_per_airmass: float = 0.0
    refraction: bool = False  # the field drifts as refraction changes
    cloud_mag: float = 0.0  # median extinction by clouds
    cloud_sigma: float = 0.8  # of its logarithm
    cloud_time_s: float = 120.0  # correlation time
    frame_jitter_arcsec: float = 0.0  # white, the same for all stars of a frame: in place of a centroid's noise
    frame_flicker: float = 0.0  # RMS of the logarithm of all stars' light, white from frame to frame


@dataclass(frozen=True, slots=True)
class Focus:
    """How much aberrations and focus blur at an instant; between two the blur changes evenly."""

    at_s: float
    blur_fwhm_arcsec: float


@dataclass(frozen=True, slots=True)
class OpticsSpec:
    """The telescope in front of the sensor."""

    name: str = "60 mm f/4 guide scope"
    focal_length_mm: float = 240.0
    aperture_mm: float = 60.0
    blur_fwhm_arcsec: float = 5.5  # aberrations and focus
    focus_course: tuple[Focus, ...] = ()  # in place of the one above
    halo_share: float = 0.1  # of a star's light, in a second Gaussian ...
    halo_width: float = 2.5  # ... this many times as wide as the first
    rotation_deg: float = 23.0  # of the camera by its rotator: from north towards east, where the rows go up
    mirrored: bool = False
    wavelength_nm: float = 500.0  # where sensor and filter see
    moffat_beta: float = 0.0  # 0: Gaussian core and halo; else a Moffat profile of this index (above 1) and no halo
    defocus_arcsec: float = 0.0  # diameter of the defocused pupil
    obstruction: float = 0.0  # share of the aperture's diameter
    vignetting: float = 0.0  # loss of light in the corners, as a share; grows with the square of the distance
    dust_spots: int = 0


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
    warm_share: float = 0.0  # of the pixels: a hundredth as bright as hot ones
    telegraph_share: float = 0.0  # of the pixels: jump between two levels from frame to frame
    telegraph_e: float = 40.0  # between those levels
    prnu: float = 0.0  # RMS of the pixels' gains, relative
    bias_columns_adc: float = 0.0  # RMS of fixed column offsets
    bias_slope_adc: float = 0.0  # from the first row to the last
    row_noise_adc: float = 0.0  # RMS of each frame's row offsets (banding)
    glow_e_per_s: float = 0.0  # of the amplifier, in the first row's last pixel, at `dark_temp_c`
    glow_radius_px: float = 200.0
    nonlinearity: float = 0.0  # share of the signal missing at full well
    blooming: bool = False  # beyond full well electrons spill along the columns
    bayer_pattern: str = ""  # such as RGGB; empty: monochrome
    bayer_throughput: tuple[float, float, float] = (0.6, 0.9, 0.5)  # of red, green and blue pixels
    line_time_s: float = 0.0  # rolling shutter: each row begins that much after the one before
    bins_sum: bool = False  # binned 16-bit pixels are clipped sums, not means
    cosmic_rays_per_cm2_min: float = 0.0
    satellites_per_hour: float = 0.0  # that cross the field
    drop_share: float = 0.0  # of the frames that are lost on the way
    guide_port: bool = True
    readout_s: float = 0.05
    noise: bool = True  # False: expected values, for tests of geometry


@dataclass(frozen=True, slots=True)
class Gear:
    """A periodic error beside the worm's."""

    period_s: float
    amplitude_arcsec: float


@dataclass(frozen=True, slots=True)
class MountSpec:
    """The mount's mechanics; arcsec on its axes (RA: of hour angle, cos δ times that on the sky).

    Of an alt-azimuth mount, what is said of RA and Dec holds for azimuth and altitude.
    """

    name: str = "Simulated equatorial mount"
    worm_period_s: float = 478.7
    worm_amplitude_arcsec: float = 10.0  # of the first harmonic
    worm_harmonics: int = 8
    worm_decline: float = 1.6  # harmonic h has amplitude ∝ h^-decline, scattered log-normally by 0.35
    worm_amplitude_scatter: float = 0.0  # the first amplitude lies uniformly within ± this share of what it says
    second_harmonic_arcsec: float | None = None  # in place of what the decline gives
    harmonic_wander: float = 0.0  # RMS of each harmonic's complex amplitude about its mean, relative
    harmonic_wander_time_s: float = 2500.0
    bump_arcsec: float = 0.0  # once a worm turn, a Gaussian ...
    bump_sigma_s: float = 12.0  # ... that long
    gears: tuple[Gear, ...] = (Gear(121.7, 1.2), Gear(13.4, 0.25))
    drift_ra_arcsec_per_min: float = 0.6
    drift_dec_arcsec_per_min: float = 1.5
    wander_arcsec_per_sqrt_s: tuple[float, float] = (0.015, 0.01)  # RA, Dec
    wander_rate_arcsec_per_s: tuple[float, float] = (0.006, 0.0012)
    wander_rate_time_s: float = 60.0
    backlash_dec_arcsec: float = 3.0
    backlash_scatter: float = 0.0  # the true one lies uniformly within ± this share of that
    stiction_dec_arcsec: float = 0.0  # the axis sticks until it lags that much, and then catches up at once
    wind_arcsec: float = 0.0  # RMS of the shaking by wind, each axis
    wind_gust_time_s: float = 2.5
    wind_gustiness: float = 0.0  # sigma of the logarithm of the wind's strength, which changes within minutes
    wind_resonance_hz: float = 2.5
    wind_damping: float = 0.1  # of the resonance, 1 is critical
    alt_az: bool = False  # an alt-azimuth mount without derotator: the field turns
    pulses_on_sky: bool = True  # of an alt-azimuth mount: North moves it north; False: up
    polar_azimuth_arcmin: float = 0.0  # of the polar axis, east of the pole
    polar_altitude_arcmin: float = 0.0  # above it
    flexure_arcsec: tuple[float, float] = (0.0, 0.0)  # RA, Dec: this many times the sine of the hour angle
    guide_rate_arcsec_per_s: float = 7.5
    guide_rate_error: float = 0.05  # true rates lie uniformly within ± this share of the nominal one
    pulse_latency_s: float = 0.05
    min_pulse_s: float = 0.001
    max_pulse_s: float = 10.0
    pulses_know_pier: bool = True  # False: after a meridian flip a North pulse moves south
    meridian_limit_deg: float = 180.0  # hour angle beyond which it stops tracking
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
