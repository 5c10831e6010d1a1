"""One frame: light from the sky through optics and sensor to counts.

In: a `World`, camera settings, and the `Field` of the exposure. Out: pixels as the camera delivers them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from acquisition.camera import CameraSettings, Roi

from . import sensor as chip
from .process import Floats
from .psf import psf_parts
from .render import (
    NO_MAP,
    Bits,
    Electronics,
    Ground,
    add_points,
    digitise,
    even_ground,
    ground_table,
    spill,
    uneven_ground,
)
from .setup import SensorSpec
from .starlight import Boxes, Electrons, add_stars
from .streams import NORMALS
from .world import NO_STARS, Field, Window, World

_spare: deque[Electrons] = deque(maxlen=4)


def render(world: World, settings: CameraSettings, field: Field, temp_c: float, noise_key: np.uint64) -> chip.Pixels:
    """The frame that the sensor delivers for a field: [y, x], uint8 or uint16, the ROI only."""
    spec, structure = world.setup.sensor, world.structure
    exposure_s = settings.exposure_s
    part = window(spec, settings)
    warmth = chip.dark_factor(spec, temp_c)
    ground = Ground(
        sky_e=field.sky_e_per_s_px * exposure_s,
        flat=NO_MAP if structure.flat is None else structure.flat,
        dark_e=spec.dark_e_per_s * warmth * exposure_s,
        glow=NO_MAP if structure.glow is None else structure.glow,
        glow_s=exposure_s * warmth,
    )
    electronics = _electronics(spec, structure, settings)
    light, counts = _dark_map((part.height, part.width)), np.empty((part.height, part.width), np.uint16)
    lit = [_add_pixels(light, part, ground, world.single_pixels, exposure_s * warmth, noise_key)]
    rays = chip.cosmic_rays(spec, exposure_s, noise_key) if spec.cosmic_rays_per_cm2_min else None
    if rays is not None:
        lit.append(_add_pixels(light, part, ground, rays, 1.0, noise_key))
    parts = psf_parts(world.setup.optics, field.sigma_px, world.scale_arcsec_per_px)
    flux_e = field.flux_e_per_s * exposure_s
    lit.append(add_stars(light, part.x, part.y, field.x, field.y, flux_e, field.path, field.sigma_px, parts))
    lit += [_add_trail(light, part, trail, field.sigma_px) for trail in field.trails]
    if spec.blooming:
        spill(light, ground, part.x, part.y, spec.full_well_e)
    if structure.even and spec.noise:
        even_ground(part.x, part.y, spec.width_px, noise_key, *_table(ground, electronics), electronics.shift, counts)
        digitise(light, np.concatenate(lit), ground, electronics, part.x, part.y, noise_key, counts)
        light.fill(0)
    else:
        uneven_ground(light, ground, electronics, part.x, part.y, noise_key, counts)
    _spare.append(light.reshape(-1))
    if settings.bits == 8:
        return chip.bin_pixels((counts >> (spec.adc_bits - 8)).astype(np.uint8), settings.binning, spec.bins_sum)
    return chip.bin_pixels(counts, settings.binning, spec.bins_sum)


def _electronics(spec: SensorSpec, structure: chip.Structure, settings: CameraSettings) -> Electronics:
    gain = settings.gain or 0.0
    return Electronics(
        read_noise_e=chip.read_noise_e(spec, gain),
        full_well_e=spec.full_well_e,
        bend=spec.nonlinearity / spec.full_well_e,
        e_per_adc=chip.egain_e_per_adc(spec, gain),
        bias_adc=(settings.offset or 0.0) * spec.bias_adc_per_offset,
        slope_adc_per_row=spec.bias_slope_adc / max(spec.height_px - 1, 1),
        row_noise_adc=spec.row_noise_adc,
        columns_adc=structure.columns_adc,
        adc_max=2**spec.adc_bits - 1,
        shift=16 - spec.adc_bits if settings.bits == 16 else 0,
        noisy=spec.noise,
        normals=NORMALS,
    )


def _table(ground: Ground, electronics: Electronics) -> tuple[Bits, Bits]:
    """What to draw pixels from that are all alike, rows' offsets too."""
    return ground_table(
        ground.sky_e + ground.dark_e,
        electronics.read_noise_e,
        electronics.full_well_e,
        electronics.e_per_adc,
        electronics.bias_adc,
        electronics.adc_max,
    )


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


def _dark_map(shape: tuple[int, int]) -> Electrons:
    """A dark map, in memory that was used before, where there is some: fresh pages cost more than the stars."""
    size = shape[0] * shape[1]
    try:
        memory = _spare.pop()
    except IndexError:  # none, or another thread was quicker
        memory = NO_MAP
    return (memory if memory.size >= size else np.zeros(size, np.float32))[:size].reshape(shape)


def _add_pixels(
    light: Electrons, part: Window, ground: Ground, pixels: chip.SinglePixels, seconds: float, noise_key: np.uint64
) -> Boxes:
    """Single pixels' electrons; of those that jump in this frame, too."""
    return add_points(
        light, ground.flat, part.x, part.y, pixels.x, pixels.y, pixels.e_per_s, pixels.jump_e, seconds, noise_key
    )


def _add_trail(light: Electrons, part: Window, trail: Floats, sigma_px: float) -> Boxes:
    """A satellite's trail from (x, y) to (x, y) with so many electrons."""
    begin, end, e = trail[:2], trail[2:4], trail[4]
    n = max(2, int(np.hypot(*(end - begin)) / sigma_px) + 1)
    steps = (np.arange(n) + 0.5) / n
    path = np.zeros((n, 5))
    path[:, :2] = (end - begin) * steps[:, None]
    path[:, 2] = 1 / n
    star = np.array([[1.0, 1.0, 0.0, 0.0]])
    return add_stars(light, part.x, part.y, begin[:1].copy(), begin[1:].copy(), np.array([e]), path, sigma_px, star)
