"""Time one simulated frame beside GalSim and photutils on identical scenes, on one core.

In: nothing. Out: a table of median milliseconds and ratios. The other two are not dependencies; install them with

    pip install galsim photutils

and run ``python benchmarks/bench_simulator.py`` (``--quick`` for fewer repeats). Every program gets the same stars
(Moffat, FWHM 2.5 px, index 3.5), sky, read noise, gain and bias, and returns whole ADU:

- GalSim draws each Moffat star by its default method (FFT) onto a stamp, adds the sky and applies ``CCDNoise``;
- photutils' ``make_model_image`` draws the same Moffat on stamps of the same size; numpy adds Poisson and normal noise.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

SKY_E, READ_E, GAIN, BIAS = 30.0, 3.0, 2.0, 64.0
FWHM_PX, BETA, STAMP = 2.5, 3.5, 25

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


def scene(size: int, n: int) -> Scene:
    """Places (px) and fluxes (e-) of stars, as many faint as the sky has."""
    random = np.random.default_rng(1)
    x, y = random.uniform(20, size - 20, (2, n))
    return x, y, 300 * 10 ** (random.exponential(0.6, n))


def starlatch(size: int, stars: Scene, moffat: bool = True) -> Callable[[int], np.ndarray]:
    from acquisition.camera import CameraSettings
    from simulators.frame import render
    from simulators.setup import AirSpec, OpticsSpec, SensorSpec, Setup, SkySpec
    from simulators.world import World

    optics = OpticsSpec(halo_share=0.0, moffat_beta=BETA if moffat else 0.0)
    sensor = SensorSpec(
        width_px=size, height_px=size, hot_share=0.0, dark_e_per_s=0.0, full_well_e=1e5, adc_bits=16,
        egain_at_zero_e=GAIN, read_noise_e=READ_E, read_noise_adc=0.0,
    )  # fmt: skip
    world = World(Setup(optics=optics, sensor=sensor, air=AirSpec(seeing_fwhm_arcsec=0.0), sky=SkySpec(4.5)), 1)
    world.sky_e_per_s_px = SKY_E
    x, y, flux = stars
    still = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    field = replace(world.field(0.0, 1.0), x=x, y=y, flux_e_per_s=flux, path=still, sigma_px=FWHM_PX / 2.3548)
    settings = CameraSettings(1.0, gain=0.0, offset=BIAS / sensor.bias_adc_per_offset)
    return lambda number: render(world, settings, field, 10.0, np.uint64(number))


def galsim(size: int, stars: Scene) -> Callable[[int], np.ndarray]:
    import galsim

    profile = galsim.Moffat(beta=BETA, fwhm=FWHM_PX, flux=1.0)

    def draw(number: int) -> np.ndarray:
        image = galsim.ImageF(size, size, scale=1.0)
        for x, y, flux in zip(*stars, strict=True):
            place = galsim.PositionD(x + 1, y + 1)
            stamp = profile.withFlux(flux).drawImage(nx=STAMP, ny=STAMP, scale=1.0, center=place)
            bounds = stamp.bounds & image.bounds
            image[bounds] += stamp[bounds]
        image += SKY_E
        image.addNoise(galsim.CCDNoise(galsim.BaseDeviate(number + 1), gain=1.0, read_noise=READ_E))
        return np.clip(image.array / GAIN + BIAS, 0, 65535).astype(np.uint16)

    return draw


def photutils(size: int, stars: Scene) -> Callable[[int], np.ndarray]:
    from astropy.modeling.functional_models import Moffat2D
    from astropy.table import QTable
    from photutils.datasets import make_model_image

    x, y, flux = stars
    width = FWHM_PX / (2 * np.sqrt(2 ** (1 / BETA) - 1))
    table = QTable({"x_0": x, "y_0": y, "amplitude": flux * (BETA - 1) / (np.pi * width**2)})
    model = Moffat2D(gamma=width, alpha=BETA)

    def draw(number: int) -> np.ndarray:
        image = make_model_image((size, size), model, table, model_shape=(STAMP, STAMP), x_name="x_0", y_name="y_0")
        random = np.random.default_rng(number)
        electrons = random.poisson(image + SKY_E) + random.normal(0, READ_E, image.shape)
        return np.clip(electrons / GAIN + BIAS, 0, 65535).astype(np.uint16)

    return draw


def cpu_ms(draw: Callable[[int], np.ndarray], repeats: int) -> float:
    """Median processor time of one frame on all threads, which other load disturbs less than the clock on the wall."""
    draw(0)
    times = []
    for number in range(1, repeats + 1):
        began = time.process_time()
        draw(number)
        times.append(time.process_time() - began)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    quick = parser.parse_args().quick
    print("processor time, ms a frame (median)")
    print(f"{'scene':<18}{'starlatch':>10}{'Gaussian':>10}{'GalSim':>10}{'ratio':>7}{'photutils':>11}{'ratio':>7}")
    for size, n in ((1024, 200), (1024, 2000), (4096, 200), (4096, 2000)):
        stars = scene(size, n)
        ours = cpu_ms(starlatch(size, stars), 9 if quick else 31)
        plain = cpu_ms(starlatch(size, stars, moffat=False), 9 if quick else 31)
        line = f"{f'{size}² {n} stars':<18}{ours:>10.1f}{plain:>10.1f}"
        for other in (galsim, photutils):
            if size == 4096 and quick:
                continue
            try:
                theirs = cpu_ms(other(size, stars), 2 if quick else 5)
            except ImportError:
                line += f"{'not installed':>18}"
                continue
            line += f"{theirs:>10.0f}{theirs / ours:>7.0f}x"
        print(line, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
