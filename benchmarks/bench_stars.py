"""Star measurement against its acceptance figures: speed, accuracy over the Cramér-Rao bound, honesty of errors.

    python benchmarks/bench_stars.py speed              kernels and processor against one plain read of the frame
    python benchmarks/bench_stars.py fits [--trials N]  single stars: RMS over bound, residual over stated error
    python benchmarks/bench_stars.py frames [--trials N] [--cell NAME]   frame to offset, ratio to sqrt(2) x bound
    python benchmarks/bench_stars.py real               the HAT-P-32 sequence (STARLATCH_REALDATA)

Times are CPU times of this thread, 20th percentile, so that a busy machine distorts them little. Peers are measured
in the same run where they are installed (not dependencies): sep, photutils, donuts.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from star_bounds import bound, field_bound, field_of_snr, flux_of_snr
from star_scene import Scene, scatter, stamp

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.kernels import columns as c
from acquisition.kernels.background import measure_background
from acquisition.kernels.detect import find_candidates
from acquisition.kernels.fit import fit_stars
from acquisition.kernels.patches import cut_patches
from acquisition.kernels.psf import Psf
from acquisition.kernels.track import track
from acquisition.kernels.window import window_stars

NONE = np.empty((0, 0), np.uint8)


def log_uniform(rng: np.random.Generator, n: int, low: float = 11.0, high: float = 100.0) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


# --- speed -----------------------------------------------------------------------------------------------------------


@numba.njit
def read(frame: np.ndarray) -> int:
    highest = frame[0, 0]
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            highest = max(highest, frame[y, x])
    return highest


def cpu_ms(call: Callable[[], object], repeat: int = 100) -> float:
    call()
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return float(np.percentile(times, 20)) * 1e3


def detect_and_centre(frame: np.ndarray) -> np.ndarray:
    """Full-frame detection with fast centroids of the best 50."""
    background = measure_background(frame, NONE)
    best = find_candidates(frame, NONE, background, most=50)
    x, y = best[:, 0].copy(), best[:, 1].copy()
    patches, corner = cut_patches(frame, NONE, x, y, 9)
    skies, table = background.skies_at(x, y), np.empty((len(best), c.COLUMNS))
    window_stars(patches, corner, x, y, 1.1, 1.0, 65535.0, 7, 3.0, skies, table)
    return table


def speed() -> None:
    rng = np.random.default_rng(0)
    for size, stars in ((1024, 40), (1024, 200), (2048, 60), (4096, 60)):
        scene = Scene(size, size, *scatter(rng, stars, size, (1500, 2e4), apart=20.0))
        frame = scene.frame(rng)
        repeat = 20 if size > 2000 else 100
        floor, ours = cpu_ms(partial(read, frame), repeat), cpu_ms(partial(detect_and_centre, frame), repeat)
        line = f"{size}² {stars:3d} stars: read {floor:.3f} ms, found {ours:.3f} ms = {ours / floor:.1f} reads"
        try:
            import sep

            def with_sep(frame: np.ndarray = frame) -> None:
                light = frame.astype(np.float32)
                sky = sep.Background(light)
                sep.extract(light - sky, 5.0, err=sky.globalrms)

            line += f"; sep {(peer := cpu_ms(with_sep, 3)):.0f} ms = {peer / ours:.0f} x ours"
        except ImportError:
            line += "; sep not installed"
        try:
            from astropy.stats import sigma_clipped_stats
            from photutils.detection import DAOStarFinder

            def with_dao(frame: np.ndarray = frame) -> None:
                _, median, sigma = sigma_clipped_stats(frame)
                DAOStarFinder(threshold=5 * sigma, fwhm=2.5)(frame - median)

            line += f"; DAOStarFinder {(peer := cpu_ms(with_dao, 2)):.0f} ms = {peer / ours:.0f} x ours"
        except ImportError:
            line += "; photutils not installed"
        print(line, flush=True)
    scene = field_of_snr(rng, log_uniform(rng, 10), size=1024)
    for precise in (True, False):
        processor = GuideStarOffsets(max_stars=10, precise=precise)
        asyncio.run(processor(Image.from_camera(scene.frame(rng), scene.facts)))
        field, frame = processor.field, scene.frame(rng, 0.3, 0.2)
        assert field is not None
        image = Image.from_camera(frame, scene.facts)

        def call(processor: GuideStarOffsets = processor, image: Image = image) -> None:
            try:
                processor(image).send(None)
            except StopIteration:
                return

        def kernel(field: object = field, frame: np.ndarray = frame) -> None:
            track(
                frame, NONE, field.x, field.y, field.signal, field.psf, search_px=3, adu_per_e=1.0,
                saturation=6e4, window_sigma_px=field.window_sigma_px, free_width_above=10.0,
            )  # fmt: skip

        name = "precise" if precise else "fast"
        print(f"{name}: tracking 10 stars {cpu_ms(kernel) * 1e3:.0f} µs, processor call {cpu_ms(call) * 1e3:.0f} µs")


# --- single stars ----------------------------------------------------------------------------------------------------


def fits(trials: int) -> None:
    for beta, profile in ((None, "gaussian"), (2.5, "moffat2.5")):
        for fwhm in (1.2, 1.6, 2.5, 4.0, 6.0):
            cells = [one_cell(beta, profile, fwhm, snr, trials) for snr in (5.0, 10.0, 30.0, 100.0, 500.0)]
            print(f"{profile} FWHM {fwhm}: RMS/bound (pull) at SNR 5 10 30 100 500: " + "  ".join(cells), flush=True)


def one_cell(beta: float | None, profile: str, fwhm: float, snr: float, trials: int) -> str:
    rng, psf, variance = np.random.default_rng(1), Psf(fwhm, fwhm, profile), 209.0 + 1 / 12
    half = psf.half_window_px + 4
    flux = flux_of_snr(snr, variance, fwhm, beta)
    ratios, pulls = [], []
    for _ in range(trials):
        x, y = half + rng.uniform(-0.5, 0.5, 2)
        light = flux * stamp(x, y, 2 * half + 1, fwhm, beta)
        patch = np.round(rng.poisson(light + 200) + rng.normal(100, 3, light.shape)).astype(np.float32)
        table, sky = np.empty((1, c.COLUMNS)), np.array([[300.0, 0.0, 0.0, 14.5]])
        guess = np.array([[x + rng.normal(0, 0.3)], [y + rng.normal(0, 0.3)]])
        fit_stars(
            patch[None], np.zeros((1, 2), np.int64), *guess, fwhm, fwhm, psf.weights, psf.scales, np.array([False]),
            1.0, 65535.0, psf.half_window_px, max(2.0, fwhm), sky, table,
        )  # fmt: skip
        row = table[0]
        if row[c.STATUS] == c.OK:
            errors = bound(flux, variance, fwhm, beta, (x - round(x), y - round(y)))
            ratios += [(row[c.X] - x) / errors[0], (row[c.Y] - y) / errors[1]]
            pulls += [(row[c.X] - x) / math.sqrt(row[c.VAR_X]), (row[c.Y] - y) / math.sqrt(row[c.VAR_Y])]
    return f"{np.sqrt(np.mean(np.square(ratios))):.2f} ({np.std(pulls):.2f})"


# --- frame to offset -------------------------------------------------------------------------------------------------


def hot(rng: np.random.Generator, scene: Scene) -> Scene:
    charge = np.exp(rng.uniform(np.log(300), np.log(30000), 100)).astype(int)
    return replace(scene, hot=np.column_stack([rng.integers(0, 512, 100), rng.integers(0, 512, 100), charge]))


def clipped(rng: np.random.Generator) -> Scene:
    """The brighter half of 20 stars reach the full well."""
    scene = field_of_snr(rng, log_uniform(rng, 20))
    return replace(scene, full_well=np.sort(scene.flux)[10] * stamp(20, 20, 41, 2.5, 2.5).max() * 0.9 + 200)


SLOPE = (1000 / 512, 0.0)  # five times the sky over the frame
CELLS: dict[str, tuple[float, Callable[[np.random.Generator], tuple[Scene, float]]]] = {
    # name: (limit, rng -> scene and fading)
    "20 stars": (1.4, lambda r: (field_of_snr(r, log_uniform(r, 20)), 1.0)),
    "1 star SNR 50": (1.4, lambda r: (field_of_snr(r, np.array([50.0])), 1.0)),
    "3 stars": (1.4, lambda r: (field_of_snr(r, log_uniform(r, 3)), 1.0)),
    "defocus 6 px": (1.4, lambda r: (field_of_snr(r, log_uniform(r, 20), fwhm=6.0), 1.0)),
    "100 hot pixels": (1.4, lambda r: (hot(r, field_of_snr(r, log_uniform(r, 20))), 1.0)),
    "gradient 5x sky": (1.4, lambda r: (replace(field_of_snr(r, log_uniform(r, 20)), slope=SLOPE), 1.0)),
    "cloud x0.3": (1.4, lambda r: (field_of_snr(r, log_uniform(r, 20)), 0.3)),
    "faint SNR 5-12": (1.45, lambda r: (field_of_snr(r, r.uniform(5, 12, 20)), 1.0)),
    "FWHM 1.2 px": (1.8, lambda r: (field_of_snr(r, log_uniform(r, 20), fwhm=1.2), 1.0)),
    "hot+gradient+cloud": (4.0, lambda r: (replace(hot(r, field_of_snr(r, log_uniform(r, 20))), slope=SLOPE), 0.3)),
    "half clipped": (2.0, lambda r: (clipped(r), 1.0)),
}


def frames(trials: int, only: str | None) -> None:
    for name, (limit, make) in CELLS.items():
        if only and only not in name:
            continue
        ratios, pulls, lost = [], [], 0
        for k in range(trials):
            rng = np.random.default_rng([1, k])
            scene, fade = make(rng)
            dx, dy = rng.uniform(-2.5, 2.5, 2)
            processor = GuideStarOffsets()
            try:
                asyncio.run(processor(Image.from_camera(scene.frame(rng), scene.facts)))
                moved = Image.from_camera(scene.frame(rng, dx, dy, fade=fade), scene.facts)
                found = asyncio.run(processor(moved)).get_meta(PixelOffsets)
            except ImageError:
                lost += 1
                continue
            limits = np.hypot(field_bound(scene), field_bound(scene, fade, dx, dy))
            error = np.array([found.dx - dx, found.dy - dy])
            ratios.append(error / limits)
            pulls.append(error / np.array([found.dx_err, found.dy_err]))
        ratio = np.sqrt(np.mean(np.square(ratios)))
        pull = np.std(pulls)
        print(f"{name:19s} {ratio:.2f} (limit {limit})  residual/error {pull:.2f}  lost {lost}/{trials}", flush=True)


# --- real frames -----------------------------------------------------------------------------------------------------


def real() -> None:
    folder = Path(os.environ.get("STARLATCH_REALDATA", Path(__file__).parents[2] / "shared" / "realdata")) / "hatp32"
    if not folder.is_dir():
        print(f"no real frames: {folder} is not there; set STARLATCH_REALDATA")
        return
    import acquisition.images.processors.offsets.starselection as module

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = [Image.from_file(path) for path in sorted(folder.glob("*.fits.fz"))]
    known = np.loadtxt(folder / "shifts.csv", delimiter=",", comments="#")[:, 1:3]
    choose = module.choose

    def steps(half: int | None) -> np.ndarray:
        if half is not None:
            module.choose = lambda stars, most, *how, **more: choose(stars, 2 * most, *how, **more)[half::2]
        found = []
        for before, after in pairwise(images):
            processor = GuideStarOffsets()
            asyncio.run(processor(before))
            offsets = asyncio.run(processor(after)).get_meta(PixelOffsets)
            found.append((offsets.dx, offsets.dy))
        module.choose = choose
        return np.array(found)

    def rms(values: np.ndarray) -> str:
        return " x ".join(f"{v:.4f}" for v in np.sqrt((values**2).mean(axis=0)))

    print(f"HAT-P-32, RMS per step in x and y, px: halves {rms(steps(0) - steps(1))} (limit 0.012), ", end="")
    print(f"whole against the known track {rms(steps(None) - known)} (limit 0.03 x 0.02)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "fits", "frames", "real"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cell")
    given = parser.parse_args()
    if given.what == "speed":
        speed()
    elif given.what == "fits":
        fits(given.trials)
    elif given.what == "frames":
        frames(given.trials, given.cell)
    else:
        real()
