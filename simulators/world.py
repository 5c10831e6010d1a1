"""The one world that simulated cameras and mounts share: sky, air, telescope, mount, sensor, and its clock.

In: a `Setup` and a seed. Out: what the camera needs to render an exposure, and the mechanics that the mount moves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.camera import FrameTruth
from acquisition.errors import ConfigError
from acquisition.images import TangentWcs
from acquisition.virtual_time import EPOCH, utc_now

from . import optics
from .atmosphere import TWINKLE_S, HighTilt, Night, Tilt, scintillation_sigma, seeing_fwhm_arcsec, twinkle
from .disturbance import Disturbance, Recording
from .faults import Fault, Faults
from .mechanics import SIDEREAL_ARCSEC_PER_S, Mechanics
from .path import moved, pieces, roll
from .pointing import AltAzAxes, SlowError, airmass_of, alt_az_axes, hour_angle_deg, slow_error
from .process import Floats
from .satellites import Satellites
from .scenario import Scenario
from .sensor import SinglePixels, Structure, single_pixels, structure
from .setup import Setup
from .sky import Sky, Stars, choose, unit_vectors
from .streams import Subject, generator

PATH_STEP_S = 0.02
MOST_PATH_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Field:
    """What fell onto the detector during one exposure; detector px, unbinned, noise-free.

    Attributes
    ----------
    x, y, flux_e_per_s : arrays of one length
        The stars, in the middle of the path.
    path : [m, 5] array
        Pieces of the motion, as `render.add_stars` takes them.
    trails : [k, 5] array
        Satellites: from x, y to x, y, electrons on the way.
    sigma_px : float
        Of a star's core.
    sky_e_per_s_px : float
        Light of the sky.
    cd_deg_per_px : [2, 2] array
        The WCS' CD matrix, unbinned.
    ra_deg, dec_deg : float
        Mean true pointing.
    ra_arcsec, dec_arcsec : float
        Mean true pointing minus the place pointed at, arcsec on the sky along the mount's axes.
    """

    x: Floats
    y: Floats
    flux_e_per_s: Floats
    path: Floats
    trails: Floats
    sigma_px: float
    sky_e_per_s_px: float
    cd_deg_per_px: Floats
    ra_deg: float
    dec_deg: float
    ra_arcsec: float
    dec_arcsec: float


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the detector, unbinned px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StarsOnChip:
    """Stars on and near the detector: arrays of one length, and a number that stays with each star."""

    x: Floats
    y: Floats
    flux_e_per_s: Floats
    names: NDArray[np.uint64]


NO_STARS = StarsOnChip(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.uint64))


@dataclass(frozen=True, slots=True)
class _Looked:
    """The stars around the place looked at, their directions, their light and their names."""

    stars: Stars
    vectors: Floats
    flux_e_per_s: Floats
    names: NDArray[np.uint64]


NOTHING_SEEN = _Looked(
    Stars(np.empty(0), np.empty(0), np.empty(0)), np.empty((3, 0)), np.empty(0), np.empty(0, np.uint64)
)


class World:
    """Everything that is simulated, as a function of its own time, which begins at 0 s with the first use.

    Parameters
    ----------
    setup : Setup
    seed : int
    faults : sequence of Fault
    recording : Recording, optional
        The open-loop motion of the mount, in place of what `setup.mount` does wrong.
    """

    def __init__(
        self, setup: Setup, seed: int, faults: Sequence[Fault] = (), recording: Recording | None = None
    ) -> None:
        self.setup = setup
        self.seed = seed
        self.n_cameras = 0
        sensor, telescope = setup.sensor, setup.optics
        self.aperture_m = telescope.aperture_mm * 1e-3
        self.sky = Sky(seed, setup.sky.faintest_mag, setup.sky.real)
        self.tilt = Tilt(setup.air, self.aperture_m, seed)
        self.high_tilt = HighTilt(setup.air, self.aperture_m, seed)
        self.night = Night(setup.air, seed)
        self.faults = Faults(faults, setup.mount)
        motion = recording if recording is not None else Disturbance(setup.mount, seed)
        self.mechanics = Mechanics(setup.mount, motion, seed, setup.ra_deg, setup.dec_deg)
        self.structure: Structure = structure(sensor, telescope, seed)
        self.single_pixels: SinglePixels = single_pixels(sensor, self.structure, seed)
        self.scale_arcsec_per_px = optics.scale_arcsec_per_px(telescope, sensor.pixel_size_um)
        self.cd_deg_per_px = optics.cd_deg_per_px(telescope, sensor.pixel_size_um)
        self.sigma_px = self._sigma_px(1.0)
        area_m2 = math.pi * (telescope.aperture_mm / 2000) ** 2 * (1 - telescope.obstruction**2)
        self.zero_mag_e_per_s = setup.sky.zero_mag_e_per_s_m2 * area_m2
        self.sky_e_per_s_px = (
            self.zero_mag_e_per_s * 10 ** (-0.4 * setup.sky.background_mag_per_arcsec2) * self.scale_arcsec_per_px**2
        )
        self.satellites = Satellites(
            sensor.satellites_per_hour,
            sensor.width_px,
            sensor.height_px,
            self.scale_arcsec_per_px,
            self.zero_mag_e_per_s,
            seed,
        )
        mount = setup.mount
        self._slow = setup.air.refraction or any(
            (mount.polar_azimuth_arcmin, mount.polar_altitude_arcmin, *mount.flexure_arcsec)
        )
        self._arrival: tuple[object, ...] = ()
        self._there = SlowError(0.0, 0.0, 0.0)
        self._looked = NOTHING_SEEN
        self._began_s: float | None = None
        self.began_utc = EPOCH
        self._caught_up_s = 0.0

    def now_s(self) -> float:
        """Seconds since the world began, by the running event loop's clock."""
        loop_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = loop_s
            self.began_utc = utc_now()
            self.mechanics.set_side(self.hour_angle_deg(0.0, self.setup.ra_deg) > 0)
        now_s = loop_s - self._began_s
        if now_s > self._caught_up_s:
            self._catch_up(now_s)
        return now_s

    def hour_angle_deg(self, time_s: float, ra_deg: float) -> float:
        """Hour angle of a right ascension at a time of this world, ±180 degrees, positive in the west."""
        return hour_angle_deg(self.began_utc, self.setup.site.lon_deg, ra_deg, time_s)

    @property
    def centre_px(self) -> tuple[float, float]:
        """Where the optical axis meets the detector, (x, y)."""
        return (self.setup.sensor.width_px - 1) / 2, (self.setup.sensor.height_px - 1) / 2

    def field(self, start_s: float, end_s: float, window: Window | None = None) -> Field:
        """The stars, and how they moved, between two instants of the past.

        Stars that no pixel of the window (the whole detector without one) can see are left out; whatever the window,
        a star is the same.
        """
        window = window or Window(0, 0, self.setup.sensor.width_px, self.setup.sensor.height_px)
        air, scale = self.setup.air, self.scale_arcsec_per_px
        steps = min(max(16, math.ceil((end_s - start_s) / PATH_STEP_S)), MOST_PATH_STEPS)
        step_s = (end_s - start_s) / steps
        tail_s = self.setup.sensor.line_time_s * self.setup.sensor.height_px  # of a rolling shutter
        n_tail = min(math.ceil(tail_s / step_s), MOST_PATH_STEPS) if step_s > 0 else 0
        times = start_s + step_s * np.arange(0.5, steps + n_tail)
        ra, dec, rotation = self._pointing_arcsec(times)
        cd = self.cd_deg_per_px if rotation == 0 else optics.turned(self.cd_deg_per_px, rotation)
        px_per_deg = optics.inverse(cd)
        dx, dy = np.empty(len(times)), np.empty(len(times))
        ra_arcsec, dec_arcsec, motion_px = moved(ra, dec, steps, px_per_deg, dx, dy)
        mean_ra, mean_dec = ra_arcsec / 3600, dec_arcsec / 3600
        middle_s = (start_s + end_s) / 2
        mass = airmass_of(self.setup.site, air, self.hour_angle_deg(middle_s, mean_ra), mean_dec)
        seeing_factor = self.night.seeing_factor(start_s) * mass**0.6
        shaken = seeing_factor ** (5 / 6)  # tilt goes as its variance's root, seeing^(5/3)
        self.tilt.shake(times, shaken / scale, dx, dy)
        if air.frame_jitter_arcsec:
            jitter = generator(self.seed, Subject.JITTER, round(start_s * 1000)).standard_normal(2)
            dx += jitter[0] * air.frame_jitter_arcsec / scale
            dy += jitter[1] * air.frame_jitter_arcsec / scale
        steady = seeing_factor == 1 and not self.setup.optics.focus_course
        sigma_px = self.sigma_px if steady else self._sigma_px(seeing_factor, middle_s)
        if self.high_tilt.variance_arcsec2:
            blur = self.high_tilt.blur_arcsec2(end_s - start_s) * shaken**2
            sigma_px = math.sqrt(sigma_px**2 + blur / scale**2)
        slewing = motion_px > steps  # a blur too faint to see
        stars = NO_STARS if slewing else self._stars(mean_ra, mean_dec, motion_px, px_per_deg, window)
        x, y, flux = stars.x, stars.y, stars.flux_e_per_s
        if len(x):
            if self.high_tilt.variance_arcsec2:
                apart_x, apart_y = self.high_tilt.mean(x * scale, y * scale, start_s, end_s)
                x, y = x + apart_x * shaken / scale, y + apart_y * shaken / scale
            if n_tail:
                roll(x, y, dx, dy, steps, self.setup.sensor.height_px, self.setup.sensor.line_time_s / step_s)
            flux = flux * self._transmission(times[:steps], mass)
            if air.frame_flicker:
                flicker = generator(self.seed, Subject.JITTER, round(start_s * 1000), 1).standard_normal()
                flux = flux * math.exp(air.frame_flicker * flicker - air.frame_flicker**2 / 2)
            if air.scintillation:
                sigma = scintillation_sigma(self.aperture_m, mass, self.setup.site.elev_m, TWINKLE_S)
                flux = flux * twinkle(stars.names, self.seed, sigma, start_s, end_s)
        return Field(
            x=x,
            y=y,
            flux_e_per_s=flux,
            path=pieces(dx[:steps], dy[:steps], sigma_px),
            trails=self.satellites.trails(start_s, end_s),
            sigma_px=sigma_px,
            sky_e_per_s_px=self._sky_e_per_s_px(times[:steps]),
            cd_deg_per_px=cd,
            ra_deg=mean_ra,
            dec_deg=mean_dec,
            ra_arcsec=(ra_arcsec - self.mechanics.target_arcsec[0]) * math.cos(math.radians(mean_dec)),
            dec_arcsec=dec_arcsec - self.mechanics.target_arcsec[1],
        )

    def _pointing_arcsec(self, times: Floats) -> tuple[Floats, Floats, float]:
        """True pointing at ascending times, and the camera's mean rotation, from north towards east, radians."""
        self._catch_up(float(times[-1]))
        axes = self.alt_az_axes(times)
        ra, dec = self.mechanics.pointing_arcsec(times, axes)
        if self.faults.has("gust", "cable-drag"):
            swung_ra, swung_dec = self.faults.pointing_arcsec(times)
            ra, dec = ra + swung_ra, dec + swung_dec
        turned = math.pi if self.mechanics.flipped else 0.0
        if axes is not None:
            turned += float(axes.up_rad.mean())
        if self._slow:
            there = self._slow_error_there()
            first, last = (self._slow_error(float(time)) - there for time in (times[0], times[-1]))
            share = (times - times[0]) / max(times[-1] - times[0], 1e-9)
            ra += first.ra_arcsec + (last.ra_arcsec - first.ra_arcsec) * share
            dec += first.dec_arcsec + (last.dec_arcsec - first.dec_arcsec) * share
            turned += (first.rotation_rad + last.rotation_rad) / 2
        return ra, dec, turned

    def _slow_error_there(self) -> SlowError:
        """When the mount had arrived."""
        arrival = self.mechanics.arrived_s, *self.mechanics.target_arcsec, self.began_utc
        if self._arrival != arrival:
            self._arrival, self._there = arrival, self._slow_error(self.mechanics.arrived_s)
        return self._there

    def alt_az_axes(self, times: Floats) -> AltAzAxes | None:
        """How the axes lie on the sky at ascending times; None of an equatorial mount."""
        if not self.setup.mount.alt_az:
            return None
        ra_arcsec, dec_arcsec = self.mechanics.target_arcsec
        hour_angle = self.hour_angle_deg(float(times[0]), ra_arcsec / 3600)
        hour_angles = hour_angle + (times - times[0]) * (SIDEREAL_ARCSEC_PER_S / 3600)
        return alt_az_axes(self.setup.site.lat_deg, hour_angles, dec_arcsec / 3600)

    def _slow_error(self, time_s: float) -> SlowError:
        ra_arcsec, dec_arcsec = self.mechanics.target_arcsec
        return slow_error(self.setup, self.hour_angle_deg(time_s, ra_arcsec / 3600), dec_arcsec / 3600)

    def _catch_up(self, now_s: float) -> None:
        """Let everything happen to the mount that should have by now."""
        if now_s <= self._caught_up_s:
            return
        mechanics = self.mechanics
        for when_s, on in self.faults.tracking_changes(self._caught_up_s, now_s):
            if not mechanics.slewing and not mechanics.parked:
                mechanics.track(max(when_s, mechanics.aim_ra.changed_s), on)
        limit = self.setup.mount.meridian_limit_deg
        if limit < 180 and mechanics.tracking and not mechanics.slewing and not mechanics.beyond_meridian:
            over_deg = self.hour_angle_deg(now_s, mechanics.target_arcsec[0] / 3600) - limit
            if over_deg > 0:
                stopped_s = now_s - over_deg * 3600 / SIDEREAL_ARCSEC_PER_S
                mechanics.track(max(stopped_s, mechanics.aim_ra.changed_s), False)
        self._caught_up_s = now_s

    def _sky_e_per_s_px(self, times: Floats) -> float:
        """The sky's mean light over ascending times."""
        sky = self.setup.sky
        if not sky.background_course:
            return self.sky_e_per_s_px
        at_s, mags = np.array([(moment.at_s, moment.mag_per_arcsec2) for moment in sky.background_course]).T
        brighter = 10 ** (0.4 * (sky.background_mag_per_arcsec2 - np.interp(times, at_s, mags)))
        return self.sky_e_per_s_px * float(brighter.mean())

    def _sigma_px(self, seeing_factor: float, time_s: float = 0.0) -> float:
        """Sigma of a star's core, without image motion, when the seeing is so many times the stated one."""
        variance = (self.tilt.variance_arcsec2 + self.high_tilt.variance_arcsec2) * seeing_factor ** (5 / 3)
        seeing = seeing_fwhm_arcsec(
            self.setup.air.seeing_fwhm_arcsec * seeing_factor, self.setup.optics.wavelength_nm, 1.0
        )
        telescope = self.setup.optics
        if telescope.focus_course:
            at_s, blurs = np.array([(moment.at_s, moment.blur_fwhm_arcsec) for moment in telescope.focus_course]).T
            telescope = replace(telescope, blur_fwhm_arcsec=float(np.interp(time_s, at_s, blurs)))
        return optics.sigma_arcsec(telescope, seeing, variance) / self.scale_arcsec_per_px

    def _transmission(self, times: Floats, mass: float) -> float:
        clear_mag = self.setup.air.extinction_mag_per_airmass * mass
        if self.night.clear and not self.faults.has("cloud"):
            return 10 ** (-0.4 * clear_mag)
        mag = self.night.cloud_mag(times) + self.faults.cloud_mag(times)
        return float(np.mean(10 ** (-0.4 * (mag + clear_mag))))

    def wcs(self, field: Field, binning: int, x_origin: int, y_origin: int) -> TangentWcs:
        """Of a frame; the origin is its ROI's, binned px."""
        x, y = (
            (centre + 0.5) / binning - 0.5 - origin
            for centre, origin in zip(self.centre_px, (x_origin, y_origin), strict=True)
        )
        (a, b), (c, d) = field.cd_deg_per_px.tolist()
        matrix = a * binning, b * binning, c * binning, d * binning
        return TangentWcs(field.ra_deg % 360.0, field.dec_deg, x, y, matrix)

    def truth(self, field: Field, binning: int, x_origin: int, y_origin: int) -> FrameTruth:
        """What the same frame would show without seeing and noise."""
        wcs = self.wcs(field, binning, x_origin, y_origin)
        a, b, c, d = wcs.cd
        ra_deg, dec_deg, determinant = field.ra_arcsec / 3600, field.dec_arcsec / 3600, a * d - b * c
        dx, dy = (b * dec_deg - d * ra_deg) / determinant, (c * ra_deg - a * dec_deg) / determinant
        return FrameTruth(dx, dy, field.ra_arcsec, field.dec_arcsec, wcs)

    def _stars(
        self, ra_deg: float, dec_deg: float, motion_px: float, px_per_deg: Floats, window: Window
    ) -> StarsOnChip:
        width, height = self.setup.sensor.width_px, self.setup.sensor.height_px
        margin = 50 + motion_px
        radius = (math.hypot(width, height) / 2 + margin) * self.scale_arcsec_per_px / 3600
        stars = self.sky.around(ra_deg, dec_deg, radius)
        if stars is not self._looked.stars:
            names = stars.ra_deg.view(np.uint64) ^ (stars.dec_deg.view(np.uint64) << np.uint64(1))
            flux_e_per_s = self.zero_mag_e_per_s * 10 ** (-0.4 * stars.mag)
            self._looked = _Looked(stars, unit_vectors(stars), flux_e_per_s, names)
        places, which = np.empty((2, len(stars.mag))), np.empty(len(stars.mag), np.int64)
        found = choose(
            self._looked.vectors, ra_deg, dec_deg, px_per_deg, *self.centre_px,
            window.x - margin, window.x + window.width + margin, window.y - margin, window.y + window.height + margin,
            places, which,
        )  # fmt: skip
        which = which[:found]
        return StarsOnChip(
            places[0, :found], places[1, :found], self._looked.flux_e_per_s[which], self._looked.names[which]
        )


def make_world(scenario: Scenario, seed: int, recording: Recording | None = None) -> World:
    """The world of a scenario; `ConfigError` for values that do not go together.

    A recording brings its night's seeing, noise and everything that the mount did wrong, so none of that is added; and
    it was taken out of the guiding as if pulses moved the axis at once, so there is no backlash and no stiction.
    """
    setup = scenario.setup
    if recording is not None:
        still = tuple(replace(layer, share=0.0) for layer in setup.air.layers)
        setup = replace(
            setup,
            air=replace(setup.air, layers=still, frame_jitter_arcsec=0.0, refraction=False),
            mount=replace(
                setup.mount,
                backlash_dec_arcsec=0.0,
                stiction_dec_arcsec=0.0,
                polar_azimuth_arcmin=0.0,
                polar_altitude_arcmin=0.0,
                flexure_arcsec=(0.0, 0.0),
            ),
        )
    try:
        return World(setup, seed, scenario.faults, recording)
    except ValueError as error:
        raise ConfigError(f"scenario {scenario.name!r}: {error}") from None
