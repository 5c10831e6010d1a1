"""The one world that simulated cameras and mounts share: sky, air, telescope, mount, sensor, and its clock.

In: a `Setup` and a seed. Out: what the camera needs to render an exposure, and the mechanics that the mount moves.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from acquisition.devices import DeviceContext, DeviceUrl
from acquisition.errors import ConfigError

from . import optics
from .atmosphere import Tilt
from .mechanics import Mechanics
from .process import Floats
from .sensor import HotPixels, hot_pixels
from .setup import Setup
from .sky import Sky, tangent_plane_arcsec

DEFAULT_SEED = 1
PATH_STEP_S = 0.02
MOST_PATH_STEPS = 20_000
MOST_PIECES = 256
NO_STARS = np.empty(0)


@dataclass(frozen=True, slots=True)
class Field:
    """What fell onto the detector during one exposure; detector px, unbinned, noise-free.

    Attributes
    ----------
    x, y, flux_e_per_s : arrays of one length
        The stars, in the middle of the path.
    path : [m, 5] array
        Pieces of the motion, as `render.add_stars` takes them.
    ra_deg, dec_deg : float
        Mean true pointing.
    ra_arcsec, dec_arcsec : float
        Mean true pointing minus the place pointed at, arcsec on the sky along the mount's axes.
    """

    x: Floats
    y: Floats
    flux_e_per_s: Floats
    path: Floats
    ra_deg: float
    dec_deg: float
    ra_arcsec: float
    dec_arcsec: float


class World:
    """Everything that is simulated, as a function of its own time, which begins at 0 s with the first use."""

    def __init__(self, setup: Setup, seed: int) -> None:
        self.setup = setup
        self.seed = seed
        self.n_cameras = 0
        sensor, telescope = setup.sensor, setup.optics
        self.sky = Sky(seed, setup.sky.faintest_mag)
        self.tilt = Tilt(setup.air, telescope.aperture_mm * 1e-3, seed)
        self.mechanics = Mechanics(setup.mount, seed, setup.ra_deg, setup.dec_deg)
        self.hot: HotPixels = hot_pixels(sensor, seed)
        self.scale_arcsec_per_px = optics.scale_arcsec_per_px(telescope, sensor.pixel_size_um)
        self.cd_deg_per_px = optics.cd_deg_per_px(telescope, sensor.pixel_size_um)
        self.px_per_deg = np.linalg.inv(self.cd_deg_per_px)
        sigma = optics.sigma_arcsec(telescope, setup.air.seeing_fwhm_arcsec, self.tilt.variance_arcsec2)
        self.sigma_px = sigma / self.scale_arcsec_per_px
        area_m2 = math.pi * (telescope.aperture_mm / 2000) ** 2
        self.zero_mag_e_per_s = setup.sky.zero_mag_e_per_s_m2 * area_m2
        self.sky_e_per_s_px = (
            self.zero_mag_e_per_s * 10 ** (-0.4 * setup.sky.background_mag_per_arcsec2) * self.scale_arcsec_per_px**2
        )
        self._began_s: float | None = None

    def now_s(self) -> float:
        """Seconds since the world began, by the running event loop's clock."""
        loop_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = loop_s
        return loop_s - self._began_s

    @property
    def centre_px(self) -> tuple[float, float]:
        """Where the optical axis meets the detector, (x, y)."""
        return (self.setup.sensor.width_px - 1) / 2, (self.setup.sensor.height_px - 1) / 2

    def field(self, start_s: float, end_s: float) -> Field:
        """The stars, and how they moved, between two instants of the past."""
        steps = min(max(16, math.ceil((end_s - start_s) / PATH_STEP_S)), MOST_PATH_STEPS)
        times = start_s + (end_s - start_s) * (np.arange(steps) + 0.5) / steps
        ra, dec = self.mechanics.pointing_arcsec(times)
        target_ra, target_dec = self.mechanics.target_arcsec
        error_ra, error_dec = float(ra.mean()) - target_ra, float(dec.mean()) - target_dec
        ra, dec = ra / 3600, dec / 3600
        mean_ra, mean_dec = float(ra.mean()), float(dec.mean())
        cos_dec = math.cos(math.radians(mean_dec))
        # where the telescope goes, the stars go the other way
        dx, dy = self.px_per_deg @ np.array([(mean_ra - ra) * cos_dec, mean_dec - dec])
        tilt_x, tilt_y = self.tilt.at(times)
        path = pieces(dx + tilt_x / self.scale_arcsec_per_px, dy + tilt_y / self.scale_arcsec_per_px, self.sigma_px)
        motion_px = max(float(np.ptp(dx)), float(np.ptp(dy)))
        slewing = motion_px > steps  # a blur too faint to see
        x, y, flux = (NO_STARS,) * 3 if slewing else self._stars(mean_ra, mean_dec, motion_px)
        return Field(x, y, flux, path, mean_ra, mean_dec, error_ra * cos_dec, error_dec)

    def displacement_px(self, ra_arcsec: float, dec_arcsec: float) -> tuple[float, float]:
        """How the field moves on the unbinned detector when the pointing goes by this much on the sky."""
        dx, dy = self.px_per_deg @ np.array([-ra_arcsec, -dec_arcsec]) / 3600
        return float(dx), float(dy)

    def _stars(self, ra_deg: float, dec_deg: float, motion_px: float) -> tuple[Floats, Floats, Floats]:
        sensor = self.setup.sensor
        width, height = sensor.width_px, sensor.height_px
        margin = 50 + motion_px
        radius = (math.hypot(width, height) / 2 + margin) * self.scale_arcsec_per_px / 3600
        stars = self.sky.around(ra_deg, dec_deg, radius)
        east, north, in_front = tangent_plane_arcsec(stars, ra_deg, dec_deg)
        dx, dy = self.px_per_deg @ np.vstack([east, north]) / 3600
        x, y = dx + self.centre_px[0], dy + self.centre_px[1]
        seen = in_front & (x > -margin) & (x < width + margin) & (y > -margin) & (y < height + margin)
        flux = self.zero_mag_e_per_s * 10 ** (-0.4 * stars.mag[seen])
        return x[seen], y[seen], flux


def pieces(dx_px: Floats, dy_px: Floats, sigma_px: float) -> Floats:
    """Cut a path, sampled evenly in time, into pieces that are short beside a star.

    Returns
    -------
    [m, 5] array
        Mean dx and dy of each piece, its share of the time, and its variances: mean and second moment of the image
        are those of the path itself.
    """
    extent = max(float(np.ptp(dx_px)), float(np.ptp(dy_px)))
    n = min(max(1, math.ceil(extent / sigma_px)), MOST_PIECES, len(dx_px))
    path = np.empty((n, 5))
    for row, (x, y) in zip(path, zip(np.array_split(dx_px, n), np.array_split(dy_px, n), strict=True), strict=True):
        row[:] = x.mean(), y.mean(), len(x) / len(dx_px), x.var(), y.var()
    return path


def shared_world(url: DeviceUrl, context: DeviceContext) -> World:
    """The world that a URL means: one for each ``?world=`` of a context, made on first use.

    Raises
    ------
    ConfigError
        If the seeds of the context, the URL and the world differ.
    """
    asked = whole_number(url, "seed")
    if asked is not None and context.seed is not None and asked != context.seed:
        raise ConfigError(f"seed is {asked} in {url.text!r} and {context.seed} for the whole run; give it once")
    seed = asked if asked is not None else context.seed
    name = url.query.get("world", "")
    place = f"simulators.world:{name}"
    if place not in context.shared:
        context.shared[place] = World(Setup(), DEFAULT_SEED if seed is None else seed)
    world = context.shared[place]
    assert isinstance(world, World)
    if seed is not None and seed != world.seed:
        raise ConfigError(
            f"seed is {seed} in {url.text!r}, but world {name!r} has seed {world.seed}; "
            "give every device of a world the same one"
        )
    return world


def whole_number(url: DeviceUrl, key: str) -> int | None:
    """An option of a URL as a number >= 0, None when it is not given; `ConfigError` when it is something else."""
    text = url.query.get(key)
    if text is not None and not (text.isascii() and text.isdecimal()):
        raise ConfigError(f"{key} is {text!r} in {url.text!r}; allowed: a whole number, 0 or above")
    return None if text is None else int(text)


def sidereal_time_deg(utc: datetime, lon_deg: float) -> float:
    """Local mean sidereal time (Meeus, Astronomical Algorithms, 12.4, to first order), degrees."""
    days = (utc - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400
    return (280.46061837 + 360.98564736629 * days + lon_deg) % 360.0


def hour_angle_deg(utc: datetime, lon_deg: float, ra_deg: float) -> float:
    """Hour angle within ±180 degrees, positive west of the meridian."""
    return math.remainder(sidereal_time_deg(utc, lon_deg) - ra_deg, 360.0)


def airmass(hour_angle_deg: float, dec_deg: float, lat_deg: float) -> float | None:
    """Airmass (Kasten & Young 1989); None below the horizon."""
    h, dec, lat = map(math.radians, (hour_angle_deg, dec_deg, lat_deg))
    sin_alt = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * math.cos(h)
    if sin_alt <= 0:
        return None
    return float(1 / (sin_alt + 0.50572 * (math.degrees(math.asin(sin_alt)) + 6.07995) ** -1.6364))
