"""How far off three Gaussians in a Moffat's stead put a bright star, and which three would do better.

    python benchmarks/fit_profiles.py [--search]

Prints, for the Gaussians in `acquisition.kernels.psf`, the error of a fit's place over its Cramér-Rao bound at a
signal-to-noise ratio of 500, the residuals over the noise, and the error of the flux, by FWHM in px; `--search` looks
for better ones from there (minutes). The place counts, the shape a twentieth of that; flux is made right afterwards.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.special import erf

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from star_bounds import bound, flux_of_snr
from star_scene import stamp

from acquisition.kernels.psf import Psf, half_window

BETA = {"moffat5": 5.0, "moffat3.5": 3.5, "moffat2.5": 2.5}
FWHMS = (1.2, 1.4, 1.6, 2.0, 2.5, 4.0)
PHASES = (0.08, 0.25, 0.42)
VARIANCE = 209.0  # of an empty pixel, e-²


@dataclass(frozen=True)
class Star:
    """A star as the sensor sees it, without noise."""

    fwhm: float
    x: float
    y: float
    light: np.ndarray
    flux: float
    limit: np.ndarray


def stars_of(beta: float) -> list[Star]:
    stars = []
    for fwhm in FWHMS:
        half, flux = half_window(fwhm), flux_of_snr(500.0, VARIANCE, fwhm, beta)
        for x in PHASES:
            for y in PHASES:
                light = stamp(half + x, half + y, 2 * half + 1, fwhm, beta)
                stars.append(Star(fwhm, x, y, light, flux, np.array(bound(flux, VARIANCE, fwhm, beta, (x, y))[:2])))
    return stars


def along(centre: float, sigma: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian integrated over pixels, and its derivative by the centre."""
    t = (np.arange(size + 1) - 0.5 - size // 2 - centre) / sigma
    return np.diff(erf(t / np.sqrt(2))) / 2, -np.diff(np.exp(-t * t / 2)) / np.sqrt(2 * np.pi) / sigma


def errors(star: Star, weights: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Of a weighted fit, to first order: place over bound, residuals over noise, flux over flux."""
    terms = np.zeros((4, *star.light.shape))
    for weight, scale in zip(weights, scales, strict=True):
        px, dx = along(star.x, scale * star.fwhm, len(star.light))
        py, dy = along(star.y, scale * star.fwhm, len(star.light))
        terms[:3] += weight * np.stack([star.flux * np.outer(py, dx), star.flux * np.outer(dy, px), np.outer(py, px)])
    terms[3] = 1.0
    jacobian, inverse = terms.reshape(4, -1), 1.0 / (star.flux * star.light + VARIANCE).ravel()
    residual = (star.flux * (star.light - terms[2])).ravel()
    step = np.linalg.solve((jacobian * inverse) @ jacobian.T, (jacobian * inverse) @ residual)
    left = residual - step @ jacobian
    return step[:2] / star.limit, float(np.sqrt(np.mean(inverse * left * left))), float(step[2] / star.flux)


def report(stars: list[Star], weights: np.ndarray, scales: np.ndarray) -> float:
    each = [errors(star, weights, scales) for star in stars]
    place, shape, flux = (np.array([one[k] for one in each]).reshape(len(FWHMS), -1) for k in range(3))
    print("  weights", *weights.round(5), " scales", *scales.round(5))
    for name, value in (("place", place), ("shape", shape), ("flux", flux)):
        print(
            f"  {name:6s}", *(f"{fwhm} px {np.sqrt(np.mean(v**2)):.3f}" for fwhm, v in zip(FWHMS, value, strict=True))
        )
    return float(flux.mean())


def search(stars: list[Star], weights: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = weights.sum()

    def unpacked(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = np.exp(np.r_[0.0, p[:2]])
        return total * share / share.sum(), np.exp(p[2:])

    def cost(p: np.ndarray) -> np.ndarray:
        each = [errors(star, *unpacked(p)) for star in stars]
        return np.concatenate([np.r_[place, 0.05 * shape] for place, shape, _ in each])

    best = least_squares(cost, np.r_[np.log(weights[1:] / weights[0]), np.log(scales)], max_nfev=60)
    return unpacked(best.x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true", help="look for better ones")
    looking = parser.parse_args().search
    for name, beta in BETA.items():
        stars, psf = stars_of(beta), Psf(1.0, 1.0, name)
        print(name)
        report(stars, psf.weights, psf.scales)
        if looking:
            weights, scales = search(stars, psf.weights, psf.scales)
            report(stars, weights * (1.0 + report(stars, weights, scales)), scales)


if __name__ == "__main__":
    main()
