"""One frame: light from the sky through optics and sensor to counts.

In: a `World`, camera settings, and the `Field` of the exposure. Out: pixels as the camera delivers them.

What does not depend on where the telescope looks, the `Backdrop`, is most of the work and can be made ahead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from acquisition.camera import CameraSettings, Roi

from . import sensor as chip
from .process import Floats
from .psf import psf_parts
from .render import (
    NO_MAP,
    Boxes,
    Counts,
    Electronics,
    Electrons,
    Ground,
    add_points,
    add_stars,
    digitise,
    even_ground,
    ground_table,
    spill,
    uneven_ground,
)
from .setup import SensorSpec
from .world import NO_STARS, Field, Window, World

_spare: deque[Electrons] = deque(maxlen=4)


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that a frame without stars depends on."""

    settings: CameraSettings
    sky_e_per_s_px: float
    temp_c: float
    noise_key: np.uint64


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A frame without stars, to put stars on once.

    Attributes
    ----------
    light : [y, x] float32
        Nothing yet but the electrons of hot pixels, cosmic rays ...
    counts : [y, x] uint16
        Of the ROI, not binned; they become the frame's.
    """

    conditions: Conditions
    ground: Ground
    electronics: Electronics
    light: Electrons
    counts: Counts


def backdrop(world: World, conditions: Conditions) -> Backdrop:
    """A frame without stars."""
    spec, structure, settings = world.setup.sensor, world.structure, conditions.settings
    exposure_s, gain = settings.exposure_s, settings.gain or 0.0
    part = window(spec, settings)
    warmth = chip.dark_factor(spec, conditions.temp_c)
    ground = Ground(
        sky_e=conditions.sky_e_per_s_px * exposure_s,
        flat=NO_MAP if structure.flat is None else structure.flat,
        dark_e=spec.dark_e_per_s * warmth * exposure_s,
        glow=NO_MAP if structure.glow is None else structure.glow,
        glow_s=exposure_s * warmth,
    )
    bias_adc = (settings.offset or 0.0) * spec.bias_adc_per_offset
    electronics = Electronics(
        read_noise_e=chip.read_noise_e(spec, gain),
        full_well_e=spec.full_well_e,
        bend=spec.nonlinearity / spec.full_well_e,
        e_per_adc=chip.egain_e_per_adc(spec, gain),
        rows_adc=chip.row_offsets_adc(spec, bias_adc, conditions.noise_key),
        columns_adc=structure.columns_adc,
        adc_max=2**spec.adc_bits - 1,
        shift=16 - spec.adc_bits if settings.bits == 16 else 0,
        noisy=spec.noise,
    )
    counts = np.empty((part.height, part.width), np.uint16)
    light = _dark(counts.shape)
    points = chip.points(spec, world.hot, structure, exposure_s, warmth, conditions.noise_key)
    boxes = add_points(light, ground.flat, part.x, part.y, *points)
    if structure.even and spec.noise:
        table = ground_table(
            ground.sky_e + ground.dark_e,
            electronics.read_noise_e,
            electronics.full_well_e,
            electronics.e_per_adc,
            bias_adc,
            electronics.adc_max,
        )
        even_ground(part.x, part.y, spec.width_px, conditions.noise_key, *table, electronics.shift, counts)
        digitise(light, boxes, ground, electronics, part.x, part.y, conditions.noise_key, counts)
    else:
        uneven_ground(light, ground, electronics, part.x, part.y, conditions.noise_key, counts)
    return Backdrop(conditions, ground, electronics, light, counts)


def render(
    world: World,
    settings: CameraSettings,
    field: Field,
    temp_c: float,
    noise_key: np.uint64,
    ready: Backdrop | None = None,
) -> chip.Pixels:
    """The frame that the sensor delivers for a field: [y, x], uint8 or uint16, the ROI only.

    It is the same with or without a backdrop that was made ahead, and whatever that was made for.
    """
    conditions = Conditions(settings, field.sky_e_per_s_px, temp_c, noise_key)
    behind = ready if ready is not None and ready.conditions == conditions else backdrop(world, conditions)
    spec, light, counts = world.setup.sensor, behind.light, behind.counts
    part = window(spec, settings)
    parts = psf_parts(world.setup.optics, field.sigma_px, world.scale_arcsec_per_px)
    flux_e = field.flux_e_per_s * settings.exposure_s
    boxes = [add_stars(light, part.x, part.y, field.x, field.y, flux_e, field.path, field.sigma_px, parts)]
    boxes += [_add_trail(light, part.x, part.y, trail, field.sigma_px) for trail in field.trails]
    if spec.blooming:
        spill(light, behind.ground, part.x, part.y, spec.full_well_e)
        boxes = [np.array([[0, part.width - 1, 0, part.height - 1]])]
    digitise(light, np.concatenate(boxes), behind.ground, behind.electronics, part.x, part.y, noise_key, counts)
    _spare.append(light.reshape(-1))
    if settings.bits == 8:
        return chip.bin_pixels((counts >> (spec.adc_bits - 8)).astype(np.uint8), settings.binning, spec.bins_sum)
    return chip.bin_pixels(counts, settings.binning, spec.bins_sum)


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


def _dark(shape: tuple[int, ...]) -> Electrons:
    """A map of nothing, in memory that was used before, where there is some: fresh pages cost more than the stars."""
    size = shape[0] * shape[1]
    try:
        memory = _spare.pop()
    except IndexError:  # none, or another thread was quicker
        memory = NO_MAP
    light: Electrons = (memory if memory.size >= size else np.empty(size, np.float32))[:size].reshape(shape)
    light.fill(0)
    return light


def _add_trail(light: Electrons, x0: int, y0: int, trail: Floats, sigma_px: float) -> Boxes:
    """A satellite's trail from (x, y) to (x, y) with so many electrons."""
    begin, end, e = trail[:2], trail[2:4], trail[4]
    n = max(2, int(np.hypot(*(end - begin)) / sigma_px) + 1)
    steps = (np.arange(n) + 0.5) / n
    path = np.zeros((n, 5))
    path[:, :2] = (end - begin) * steps[:, None]
    path[:, 2] = 1 / n
    star = np.array([[1.0, 1.0, 0.0, 0.0]])
    return add_stars(light, x0, y0, begin[:1].copy(), begin[1:].copy(), np.array([e]), path, sigma_px, star)
