"""Star measurement against its acceptance figures: speed, accuracy over the Cramér-Rao bound, honesty of errors.

    python benchmarks/bench_stars.py speed              kernels and processor against one plain read of the frame
    python benchmarks/bench_stars.py fits [--trials N]  single stars: RMS over bound, residual over stated error
    python benchmarks/bench_stars.py many [--trials N]  3 to 20 stars combined: RMS over inverse-variance theory
    python benchmarks/bench_stars.py frames [--trials N] [--cell NAME] [--fast]   frame to offset: over sqrt(2) x bound
    python benchmarks/bench_stars.py peers [--trials N] [--pyobs PYTHON]   the same for other people's methods
    python benchmarks/bench_stars.py real               the HAT-P-32 sequence (STARLATCH_REALDATA)

Times are CPU times of this thread, 20th percentile, so that a busy machine distorts them little; the ratio to one read
is the median of pairs measured in turn, and for comparison that of both on their own (the frame then stays in the
cache for the read). Peers are measured
in the same run where they are installed (not dependencies): sep, photutils, donuts; pyobs-core in another interpreter
(--pyobs, or the environment variable STARLATCH_PYOBS).
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
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import star_peers

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from star_bounds import bound, field_bound, field_of_snr, flux_of_snr
from star_scene import Scene, scatter, stamp

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.kernels import columns as c
from acquisition.kernels.background import measure_background
from acquisition.kernels.combine import combine
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


def in_turn(call: Callable[[], object], floor: Callable[[], object], repeat: int) -> float:
    """How many times as long one call takes as another: median of pairs."""
    ratios = []
    for _ in range(repeat):
        start = time.thread_time()
        floor()
        middle = time.thread_time()
        call()
        if middle > start:  # the clock stands still now and then
            ratios.append((time.thread_time() - middle) / (middle - start))
    return float(np.median(ratios))


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
        one_read, found = partial(read, frame), partial(detect_and_centre, frame)
        floor, ours = cpu_ms(one_read, repeat), cpu_ms(found, repeat)
        reads = in_turn(found, one_read, 4 * repeat)
        line = f"{size}² {stars:3d} stars: read {floor:.3f} ms, found {ours:.3f} ms = {reads:.1f} reads"
        line += f" ({ours / floor:.1f} alone)"
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
        place, signal = field.predicted(), np.array(field.signal)
        x, y = place.real.copy(), place.imag.copy()
        image = Image.from_camera(frame, scene.facts)

        def call(processor: GuideStarOffsets = processor, image: Image = image) -> None:
            try:
                processor(image).send(None)
            except StopIteration:
                return

        def kernel(
            field: object = field, frame: np.ndarray = frame, x: np.ndarray = x, y: np.ndarray = y,
            signal: np.ndarray = signal,
        ) -> None:  # fmt: skip
            track(
                frame, NONE, x, y, signal, field.psf, search_px=3, adu_per_e=1.0,
                saturation=6e4, window_sigma_px=field.window_sigma_px, free_width_above=10.0,
            )  # fmt: skip

        name = "precise" if precise else "fast"
        print(f"{name}: tracking 10 stars {cpu_ms(kernel) * 1e3:.0f} µs, processor call {cpu_ms(call) * 1e3:.0f} µs")


# --- single stars ----------------------------------------------------------------------------------------------------


def fits(trials: int) -> None:
    for beta, profile in ((None, "gaussian"), (2.5, "moffat2.5")):
        for fwhm in (1.2, 1.6, 2.5, 4.0, 6.0):
            cells = [one_cell(beta, profile, fwhm, snr, trials) for snr in (5.0, 10.0, 30.0, 100.0, 500.0)]
            line = f"{profile} FWHM {fwhm}: RMS/bound (pull) at SNR 5 10 30 100 500: " + "  ".join(cells)
            print(f"{line}  +- {50 / math.sqrt(trials):.1f} %", flush=True)


def one_cell(beta: float | None, profile: str, fwhm: float, snr: float, trials: int) -> str:
    rng, psf = np.random.default_rng(1), Psf(fwhm, fwhm, profile)
    ratios, pulls = [], []
    for _ in range(trials):
        found = one_star(rng, beta, psf, snr)
        if found is not None:
            error, variance, limit = found
            ratios.append(error / limit)
            pulls.append(error / np.sqrt(variance))
    return f"{np.sqrt(np.mean(np.square(ratios))):.2f} ({np.std(pulls):.2f})"


def one_star(
    rng: np.random.Generator, beta: float | None, psf: Psf, snr: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Error of a fit of one star, its stated variance, the bound: [x, y] each; None if there is no fit."""
    variance, half = 209.0 + 1 / 12, psf.half_window_px + 4
    flux = flux_of_snr(snr, variance, psf.fwhm, beta)
    x, y = half + rng.uniform(-0.5, 0.5, 2)
    light = flux * stamp(x, y, 2 * half + 1, psf.fwhm, beta)
    patch = np.round(rng.poisson(light + 200) + rng.normal(100, 3, light.shape)).astype(np.float32)
    table, sky = np.empty((1, c.COLUMNS)), np.array([[300.0, 0.0, 0.0, 14.5]])
    guess = np.array([[x + rng.normal(0, 0.3)], [y + rng.normal(0, 0.3)]])
    fit_stars(
        patch[None], np.zeros((1, 2), np.int64), *guess, psf.fwhm_x, psf.fwhm_y, psf.weights, psf.scales,
        np.array([False]), 1.0, 65535.0, psf.half_window_px, max(2.0, psf.fwhm), sky, table,
    )  # fmt: skip
    row = table[0]
    if row[c.STATUS] != c.OK:
        return None
    limit = bound(flux, variance, psf.fwhm, beta, (round(x - round(x), 2), round(y - round(y), 2)))
    return row[[c.X, c.Y]] - (x, y), row[[c.VAR_X, c.VAR_Y]], np.array(limit[:2])


def many(trials: int) -> None:
    psf = Psf(2.5, 2.5, "moffat2.5")
    for n in (3, 5, 10, 20):
        rng = np.random.default_rng(n)
        ratios, pulls = [], []
        for _ in range(trials):
            stars = [one_star(rng, 2.5, psf, snr) for snr in log_uniform(rng, n)]
            error, variance, limit = (np.array(part) for part in zip(*filter(None, stars), strict=True))
            place = rng.uniform(-200, 200, (len(error), 2))
            weight = 1 / variance.sum(axis=1)
            place -= (weight[:, None] * place).sum(axis=0) / weight.sum()  # about the pivot, as the processor does
            motion = combine(error, variance, place, turn_err=3e-4)
            off = np.array([motion.dx, motion.dy])
            ratios.append(off / np.sqrt(1 / (1 / limit**2).sum(axis=0)))
            pulls.append(off / np.sqrt([motion.var_dx, motion.var_dy]))
        ratio, err = np.sqrt(np.mean(np.square(ratios))), 1 / math.sqrt(4 * trials)
        print(
            f"{n:2d} stars: RMS over theory {ratio:.3f} +- {ratio * err:.3f} (limit 1.10)"
            f"  residual/error {np.std(pulls):.2f}", flush=True,
        )  # fmt: skip


# --- frame to offset -------------------------------------------------------------------------------------------------


def hot(rng: np.random.Generator, scene: Scene) -> Scene:
    charge = np.exp(rng.uniform(np.log(300), np.log(30000), 100)).astype(int)
    return replace(scene, hot=np.column_stack([rng.integers(0, 512, 100), rng.integers(0, 512, 100), charge]))


def clipped(rng: np.random.Generator) -> Scene:
    """The brighter half of 20 stars reach the full well."""
    scene = field_of_snr(rng, log_uniform(rng, 20))
    return replace(scene, full_well=np.sort(scene.flux)[10] * stamp(20, 20, 41, 2.5, 2.5).max() * 0.9 + 200)


@dataclass
class Case:
    """Two frames' worth of stars: the second with all that happens between them."""

    first: Scene
    second: Scene | None = None  # None: as the first
    good: Scene | None = None  # the stars that an ideal measurement would use; None: all
    fade: float = 1.0
    turn: float = 0.0
    scale: float = 1.0


def wrong(rng: np.random.Generator, **how: float) -> Case:
    """Six of 20 stars are wrong: two moved on their own, two have got a neighbour, through two a satellite went."""
    scene = field_of_snr(rng, log_uniform(rng, 20))
    k = rng.permutation(20)
    x, y, flux = scene.x.copy(), scene.y.copy(), scene.flux.copy()
    x[k[:2]] += rng.uniform(0.5, 4.0, 2) * rng.choice([-1, 1], 2)
    extra_x = [x[i] + rng.uniform(1.5, 3.0) for i in k[2:4]]
    extra_y, extra_flux = (
        [y[i] + rng.uniform(-1.0, 1.0) for i in k[2:4]],
        [flux[i] * rng.uniform(0.3, 2.0) for i in k[2:4]],
    )
    for i in k[4:6]:
        along = np.arange(-12.0, 13.0, 1.0)
        slope = rng.uniform(-1, 1)
        extra_x += list(x[i] + along)
        extra_y += list(y[i] + 1.0 + slope * along)
        extra_flux += [0.15 * flux[i]] * len(along)
    second = replace(scene, x=np.append(x, extra_x), y=np.append(y, extra_y), flux=np.append(flux, extra_flux))
    good = replace(scene, x=scene.x[k[6:]], y=scene.y[k[6:]], flux=scene.flux[k[6:]])
    return Case(scene, second, good, **how)


def turned(rng: np.random.Generator) -> float:
    return math.radians(rng.uniform(-2.0, 2.0))


SLOPE = (1000 / 512, 0.0)  # five times the sky over the frame
CELLS: dict[str, tuple[float, Callable[[np.random.Generator], Case]]] = {
    "20 stars": (1.4, lambda r: Case(field_of_snr(r, log_uniform(r, 20)))),
    "1 star SNR 50": (1.4, lambda r: Case(field_of_snr(r, np.array([50.0])))),
    "3 stars": (1.4, lambda r: Case(field_of_snr(r, log_uniform(r, 3)))),
    "defocus 6 px": (1.4, lambda r: Case(field_of_snr(r, log_uniform(r, 20), fwhm=6.0))),
    "100 hot pixels": (1.4, lambda r: Case(hot(r, field_of_snr(r, log_uniform(r, 20))))),
    "gradient 5x sky": (1.4, lambda r: Case(replace(field_of_snr(r, log_uniform(r, 20)), slope=SLOPE))),
    "cloud x0.3": (1.4, lambda r: Case(field_of_snr(r, log_uniform(r, 20)), fade=0.3)),
    "faint SNR 5-12": (1.45, lambda r: Case(field_of_snr(r, r.uniform(5, 12, 20)))),
    "FWHM 1.2 px": (1.8, lambda r: Case(field_of_snr(r, log_uniform(r, 20), fwhm=1.2))),
    "hot+gradient+cloud": (
        4.0, lambda r: Case(replace(hot(r, field_of_snr(r, log_uniform(r, 20))), slope=SLOPE), fade=0.3)
    ),
    "half clipped": (2.0, lambda r: Case(clipped(r))),
    "turned up to 2 deg": (1.5, lambda r: Case(field_of_snr(r, log_uniform(r, 20)), turn=turned(r))),
    "scale 1.001": (1.5, lambda r: Case(field_of_snr(r, log_uniform(r, 20)), scale=1.001)),
    "30 % wrong": (1.5, wrong),
    "30 % bad, turned, scaled": (1.5, lambda r: wrong(r, turn=turned(r), scale=1.001)),
}  # fmt: skip


def frames(trials: int, only: str | None, precise: bool) -> None:
    for name, (limit, make) in CELLS.items():
        if only and only not in name:
            continue
        ratios, pulls, lost = [], [], 0
        for k in range(trials):
            rng = np.random.default_rng([1, k])
            case = make(rng)
            first, dx, dy = case.first, *rng.uniform(-2.5, 2.5, 2)
            how = {"fade": case.fade, "turn": case.turn, "scale": case.scale}
            processor = GuideStarOffsets(precise=precise)
            try:
                asyncio.run(processor(Image.from_camera(first.frame(rng), first.facts)))
                assert processor.field is not None
                pivot = processor.field.pivot
                moved = Image.from_camera((case.second or first).frame(rng, dx, dy, **how), first.facts)
                found = asyncio.run(processor(moved)).get_meta(PixelOffsets)
            except ImageError:
                lost += 1
                continue
            # the motion of the place whose way has the pivot as its middle
            spin = case.scale * complex(math.cos(case.turn), math.sin(case.turn)) - 1
            off_axis = pivot - complex((first.width - 1) / 2, (first.height - 1) / 2)
            truth = 2 * (complex(dx, dy) + spin * off_axis) / (2 + spin)
            good = case.good or first
            limits = np.hypot(field_bound(good), field_bound(good, case.fade, dx, dy))
            error = np.array([found.dx - truth.real, found.dy - truth.imag])
            ratios.append(error / limits)
            pulls.append(error / np.array([found.dx_err, found.dy_err]))
        ratio = np.sqrt(np.mean(np.square(ratios)))
        middle = np.median(np.abs(ratios)) / 0.6745
        print(
            f"{name:27s} {ratio:.2f} (limit {limit}; by the median {middle:.2f})  residual/error {np.std(pulls):.2f}"
            f"  lost {lost}/{trials}", flush=True,
        )  # fmt: skip


# --- other people's methods ------------------------------------------------------------------------------------------


def peers(trials: int, pyobs: str | None) -> None:
    """Frame to offset as above by sep, donuts, pyobs-core: medians over the bound, frames lost, ms a pair."""
    for name in ("20 stars", "3 stars", "100 hot pixels", "gradient 5x sky"):
        pairs, truth, limits = [], [], []
        for k in range(trials):
            rng = np.random.default_rng([1, k])
            scene = CELLS[name][1](rng).first
            dx, dy = rng.uniform(-2.5, 2.5, 2)
            pairs.append((scene.frame(rng), scene.frame(rng, dx, dy)))
            truth.append((dx, dy))
            limits.append(np.hypot(field_bound(scene), field_bound(scene, 1.0, dx, dy)))
        line = f"{name:16s}"
        for peer, (found, ms) in star_peers.all_of(pairs, pyobs).items():
            error = np.abs((np.array(found) - truth) / np.array(limits))
            lost = ~(error < 1e3).all(axis=1)  # more than a frame's own size, or nothing at all
            middle = np.median(error[~lost]) / 0.6745 if not lost.all() else math.nan
            line += f"  {peer} {middle:.2f} lost {lost.sum()}/{trials} {ms:.2f} ms;"
        print(line, flush=True)


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
    parser.add_argument("what", choices=["speed", "fits", "many", "frames", "peers", "real"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cell")
    parser.add_argument("--fast", action="store_true", help="windowed centroids, on which the limits are not binding")
    parser.add_argument("--pyobs", default=os.environ.get("STARLATCH_PYOBS"), help="interpreter with pyobs-core")
    given = parser.parse_args()
    if given.what == "speed":
        speed()
    elif given.what == "fits":
        fits(given.trials)
    elif given.what == "many":
        many(given.trials)
    elif given.what == "frames":
        frames(given.trials, given.cell, not given.fast)
    elif given.what == "peers":
        peers(given.trials, given.pyobs)
    else:
        real()
