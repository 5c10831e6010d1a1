"""Small star fields with known truth: pixel-integrated stars, shot noise, read noise, defects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acquisition.images import FrameFacts

Array = NDArray[np.float64]
BIAS_ADU = 100.0


def stamp(x: float, y: float, size: int, fwhm: float, beta: float | None) -> Array:
    """A star of unit flux integrated over pixels by subsampling; beta None: Gaussian."""
    sub = 5 if fwhm > 1.5 else 11
    fine = np.arange(size)[:, None] + (np.arange(sub) + 0.5) / sub - 0.5
    if beta is None:
        sigma = fwhm / 2.354820045
        px, py = (np.exp(-((fine - c) ** 2) / 2 / sigma**2).sum(1) / sub / sigma / np.sqrt(2 * np.pi) for c in (x, y))
        return py[:, None] * px[None, :]
    alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    g = fine.ravel()
    light = (beta - 1) / np.pi / alpha**2 * (1 + ((g[None, :] - x) ** 2 + (g[:, None] - y) ** 2) / alpha**2) ** -beta
    return light.reshape(size, sub, size, sub).mean((1, 3))


@dataclass
class Scene:
    """A star field; lengths in px, light in electrons."""

    height: int
    width: int
    x: Array
    y: Array
    flux: Array
    fwhm: float = 2.5
    beta: float | None = 2.5
    sky: float = 200.0
    read_noise: float = 3.0
    gain: float = 1.0  # e-/ADU
    full_well: float | None = None
    slope: tuple[float, float] = (0.0, 0.0)  # e- per px
    hot: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))  # x, y, e-

    def light(
        self, dx: float = 0.0, dy: float = 0.0, fade: float = 1.0, turn: float = 0.0, scale: float = 1.0
    ) -> Array:
        """Expected electrons with the stars moved by (dx, dy), after turning them about the middle."""
        yy, xx = np.mgrid[: self.height, : self.width]
        out = self.sky + self.slope[0] * xx + self.slope[1] * yy
        cx, cy = (self.width - 1) / 2, (self.height - 1) / 2
        half = int(np.ceil(6 * self.fwhm)) + 2
        cos, sin = scale * np.cos(turn), scale * np.sin(turn)
        for x, y, flux in zip(self.x, self.y, self.flux, strict=True):
            x, y = cx + cos * (x - cx) - sin * (y - cy) + dx, cy + sin * (x - cx) + cos * (y - cy) + dy
            left, top = int(np.floor(x)) - half, int(np.floor(y)) - half
            star = flux * fade * stamp(x - left, y - top, 2 * half + 1, self.fwhm, self.beta)
            x0, x1 = max(left, 0), min(left + 2 * half + 1, self.width)
            y0, y1 = max(top, 0), min(top + 2 * half + 1, self.height)
            if x1 > x0 and y1 > y0:
                out[y0:y1, x0:x1] += star[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    def frame(self, rng: np.random.Generator, dx: float = 0.0, dy: float = 0.0, **how: float) -> NDArray[np.uint16]:
        """A noisy frame as a 16-bit camera delivers it."""
        electrons = rng.poisson(self.light(dx, dy, **how)).astype(float)
        for x, y, charge in self.hot:
            electrons[y, x] += charge
        if self.full_well is not None:
            electrons = np.minimum(electrons, self.full_well)
        electrons += rng.normal(0.0, self.read_noise, electrons.shape)
        return np.clip(np.round(electrons / self.gain + BIAS_ADU), 0, 65535).astype(np.uint16)

    @property
    def facts(self) -> FrameFacts:
        full = None if self.full_well is None else self.full_well / self.gain + BIAS_ADU
        return FrameFacts(
            egain_e_per_adu=self.gain, read_noise_e=self.read_noise, data_max_adu=full or 65535.0, exposure_s=2.0
        )


def scatter(
    rng: np.random.Generator, n: int, size: int, flux: tuple[float, float], margin: float = 30.0, apart: float = 25.0
) -> tuple[Array, Array, Array]:
    """Places and log-uniform fluxes of n stars, apart from each other."""
    x, y = np.empty(0), np.empty(0)
    for _ in range(100000):
        if len(x) == n:
            break
        new = rng.uniform(margin, size - 1 - margin, 2)
        if (np.hypot(x - new[0], y - new[1]) > apart).all():
            x, y = np.append(x, new[0]), np.append(y, new[1])
    assert len(x) == n
    return x, y, np.exp(rng.uniform(*np.log(flux), n))
