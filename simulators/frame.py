"""One frame: light from the sky through optics and sensor to counts.

In: a `World`, camera settings, and the `Field` of the exposure. Out: pixels as the camera delivers them.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from acquisition.camera import CameraSettings, Roi

from . import sensor as chip
from .process import Floats
from .psf import psf_parts
from .render import (
    NORMALS,
    Electrons,
    add_stars,
    background_table,
    digitise,
    digitise_uneven,
    expect,
    spill,
)
from .setup import SensorSpec
from .streams import Subject
from .world import NO_STARS, Field, Window, World

NO_MAP = np.empty((0, 0), np.float32)
_buffers = threading.local()


def render(world: World, settings: CameraSettings, field: Field, temp_c: float, noise_key: np.uint64) -> chip.Pixels:
    """The frame that the sensor delivers for a field: [y, x], uint8 or uint16, the ROI only."""
    spec, structure, exposure_s = world.setup.sensor, world.structure, settings.exposure_s
    roi, binning, gain = whole(spec, settings), settings.binning, settings.gain or 0.0
    x0, y0 = roi.x * binning, roi.y * binning
    part = np.s_[y0 : y0 + roi.height * binning, x0 : x0 + roi.width * binning]
    light = _dark((roi.height * binning, roi.width * binning))
    parts = psf_parts(world.setup.optics, field.sigma_px, world.scale_arcsec_per_px)
    add_stars(light, x0, y0, field.x, field.y, field.flux_e_per_s * exposure_s, field.path, field.sigma_px, parts)
    for trail in field.trails:
        _add_trail(light, x0, y0, trail, field.sigma_px)
    warmth = chip.dark_factor(spec, temp_c)
    sky_e, dark_e = field.sky_e_per_s_px * exposure_s, spec.dark_e_per_s * warmth * exposure_s
    noise_e, e_per_adc = chip.read_noise_e(spec, gain), chip.egain_e_per_adc(spec, gain)
    bias_adc, adc_max = (settings.offset or 0.0) * spec.bias_adc_per_offset, 2**spec.adc_bits - 1
    if structure.even:
        _add_points(light, x0, y0, world.hot.x, world.hot.y, world.hot.e_per_s * (exposure_s * warmth))
        numbers = (sky_e + dark_e, noise_e, spec.full_well_e, e_per_adc, bias_adc, adc_max)
        if spec.noise:
            counts = np.empty(light.shape, np.uint16)
            table = background_table(*numbers)
            digitise(light, x0, y0, spec.width_px, *numbers, noise_key, table, NORMALS, counts)
        else:
            expected = np.minimum(light + (sky_e + dark_e), spec.full_well_e) / e_per_adc + bias_adc
            counts = np.clip(expected, 0, adc_max).astype(np.uint16)
    else:
        flat = NO_MAP if structure.flat is None else structure.flat[part]
        glow = NO_MAP if structure.glow is None else structure.glow[part]
        bend = spec.nonlinearity / spec.full_well_e
        seconds = exposure_s * warmth
        expect(light, sky_e, flat, dark_e, glow, seconds, bend)
        _add_points(light, x0, y0, world.hot.x, world.hot.y, world.hot.e_per_s * seconds)
        random = chip.frame_random(noise_key, Subject.HITS)
        _add_points(light, x0, y0, *chip.telegraph(spec, structure, random))
        _add_points(light, x0, y0, *chip.cosmic_rays(spec, exposure_s, random))
        if spec.blooming:
            spill(light, spec.full_well_e)
        offsets = bias_adc + chip.row_offsets_adc(spec, noise_key)[part[0]]
        counts = np.empty(light.shape, np.uint16)
        digitise_uneven(
            light,
            x0,
            y0,
            spec.width_px,
            noise_e,
            spec.full_well_e,
            e_per_adc,
            offsets,
            structure.columns_adc[part[1]],
            adc_max,
            noise_key,
            NORMALS,
            spec.noise,
            counts,
        )
    if settings.bits == 8:
        return chip.bin_pixels((counts >> (spec.adc_bits - 8)).astype(np.uint8), binning, spec.bins_sum)
    if spec.adc_bits < 16:
        counts <<= 16 - spec.adc_bits
    return chip.bin_pixels(counts, binning, spec.bins_sum)


def warm_up(world: World) -> None:
    """Have everything compiled that `render` needs."""
    nowhere = replace(world.field(0.0, 0.0), x=NO_STARS.x, y=NO_STARS.y, flux_e_per_s=NO_STARS.flux_e_per_s)
    render(world, CameraSettings(roi=Roi(0, 0, 1, 1)), nowhere, 0.0, np.uint64(0))


def whole(spec: SensorSpec, settings: CameraSettings) -> Roi:
    """The ROI, or the whole detector as one; binned px."""
    return settings.roi or Roi(0, 0, spec.width_px // settings.binning, spec.height_px // settings.binning)


def window(spec: SensorSpec, settings: CameraSettings) -> Window:
    """The pixels that these settings read out."""
    roi, binning = whole(spec, settings), settings.binning
    return Window(roi.x * binning, roi.y * binning, roi.width * binning, roi.height * binning)


def _dark(shape: tuple[int, int]) -> Electrons:
    """An empty frame in memory that this thread uses again and again: fresh pages cost more than the stars."""
    size = shape[0] * shape[1]
    if getattr(_buffers, "light", NO_MAP).size < size:
        _buffers.light = np.empty(size, np.float32)
    light: Electrons = _buffers.light[:size].reshape(shape)
    light.fill(0)
    return light


def _add_points(light: Electrons, x0: int, y0: int, x: chip.Places, y: chip.Places, e: Floats) -> None:
    """Add electrons to single pixels; several may fall onto one."""
    column, row = x - x0, y - y0
    inside = (column >= 0) & (column < light.shape[1]) & (row >= 0) & (row < light.shape[0])
    np.add.at(light, (row[inside], column[inside]), e[inside].astype(np.float32))


def _add_trail(light: Electrons, x0: int, y0: int, trail: Floats, sigma_px: float) -> None:
    """A satellite's trail from (x, y) to (x, y) with so many electrons."""
    begin, end, e = trail[:2], trail[2:4], trail[4]
    n = max(2, int(np.hypot(*(end - begin)) / sigma_px) + 1)
    steps = (np.arange(n) + 0.5) / n
    path = np.zeros((n, 5))
    path[:, :2] = (end - begin) * steps[:, None]
    path[:, 2] = 1 / n
    star = np.array([[1.0, 1.0, 0.0, 0.0]])
    add_stars(light, x0, y0, begin[:1].copy(), begin[1:].copy(), np.array([e]), path, sigma_px, star)
