"""The Cramér-Rao bound of a star's place (Winick 1986), and fields whose stars have given signal-to-noise ratios."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from star_scene import Scene, scatter, stamp

Array = NDArray[np.float64]


@cache
def _slopes(fwhm: float, beta: float | None, phase: tuple[float, float]) -> tuple[Array, Array, Array]:
    """A star of unit flux, and its derivatives by x and y."""
    half = int(np.ceil(4 * fwhm)) + 3
    size, h = 2 * half + 1, 1e-3
    x, y = half + phase[0], half + phase[1]
    dx = (stamp(x + h, y, size, fwhm, beta) - stamp(x - h, y, size, fwhm, beta)) / (2 * h)
    dy = (stamp(x, y + h, size, fwhm, beta) - stamp(x, y - h, size, fwhm, beta)) / (2 * h)
    return stamp(x, y, size, fwhm, beta), dx, dy


def bound(
    flux: float, variance: float, fwhm: float, beta: float | None, phase: tuple[float, float] = (0.0, 0.0)
) -> tuple[float, float, float]:
    """Standard errors of x, y and flux, with the background free; `variance` is that of an empty pixel, e-²."""
    p, dx, dy = _slopes(fwhm, beta, phase)
    jacobian = np.stack([flux * dx, flux * dy, p, np.ones_like(p)]).reshape(4, -1)
    covariance = np.linalg.inv((jacobian / (flux * p + variance).ravel()) @ jacobian.T)
    return tuple(np.sqrt(np.diag(covariance)[:3]))  # type: ignore[return-value]  # three


def flux_of_snr(snr: float, variance: float, fwhm: float, beta: float | None) -> float:
    """Flux, e-, at which flux over its bound is `snr`."""
    flux = snr * np.sqrt(variance) * 4 * fwhm
    for _ in range(20):
        flux *= snr / (flux / bound(flux, variance, fwhm, beta)[2])
    return float(flux)


def field_of_snr(
    rng: np.random.Generator, snr: Array, size: int = 512, fwhm: float = 2.5, beta: float | None = 2.5
) -> Scene:
    """A scene of stars with these signal-to-noise ratios in flat sky."""
    scene = Scene(size, size, *scatter(rng, len(snr), size, (1.0, 2.0), margin=40.0, apart=40.0), fwhm=fwhm, beta=beta)
    variance = scene.sky + scene.read_noise**2 + 1 / 12
    grid = np.geomspace(min(snr) * 0.99, max(snr) * 1.01, 12)
    fluxes = [flux_of_snr(s, variance, fwhm, beta) for s in grid]
    return replace(scene, flux=np.exp(np.interp(np.log(snr), np.log(grid), np.log(fluxes))))


def field_bound(scene: Scene, fade: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> tuple[float, float]:
    """Standard errors of the field's common shift: all stars together, each with its own sky."""
    information = np.zeros(2)
    for x, y, flux in zip(scene.x + dx, scene.y + dy, scene.flux * fade, strict=True):
        sky = scene.sky + scene.slope[0] * x + scene.slope[1] * y
        variance = sky + scene.read_noise**2 + scene.gain**2 / 12
        # to a tenth of a pixel, so that few are computed
        phase = (round(float(x % 1.0), 1), round(float(y % 1.0), 1))
        information += 1 / np.array(bound(flux, variance, scene.fwhm, scene.beta, phase)[:2]) ** 2
    return tuple(1 / np.sqrt(information))  # type: ignore[return-value]  # two
