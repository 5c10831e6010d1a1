"""How the scene of one frame is displaced against that of another, whatever the scene: stars, a planet, a slit.

In: the pixels of two frames. Out: the displacement with standard errors, or None if nothing says.

The frames are cleaned of what does not move with the scene (sky, vignetting, column and row patterns, hot pixels),
their cross-correlation gives the displacement to a pixel or so, and least squares on the bright pixels the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_SMOOTH_PX = 1.0
_COARSE_PX = 1024  # longest side of what is correlated
_MAX_PIXELS = 100_000  # that the least squares take
_MIN_SNR = 7.0  # of the correlation's peak
_SAMPLE = 512  # rows or columns that a pattern is measured from


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame without what does not move with the scene.

    Attributes
    ----------
    pixels : ndarray of float32, [y, x]
        Smoothed, above the background.
    noise : float
        Of a smoothed pixel without light.
    spectrum : ndarray of complex64
        Of the coarse pixels.
    step : int
        Pixels along a coarse one.
    """

    pixels: Array
    noise: float
    spectrum: NDArray[np.complex64]
    step: int


@dataclass(frozen=True, slots=True)
class Displacement:
    """Displacement of one scene against another, px, with standard errors."""

    dx: float
    dy: float
    dx_err: float
    dy_err: float


def scene_of(frame: NDArray[Any], bad: NDArray[np.bool_]) -> Scene | None:
    """Clean a frame.

    Parameters
    ----------
    frame : ndarray, [y, x]
        Real numbers.
    bad : ndarray of bool, [y, x]
        Where a pixel must not be used; those that are not finite are not, either.

    Returns
    -------
    Scene or None
        None if the frame is smaller than 8 x 8 px, constant, or has no usable pixels.
    """
    import sep
    from scipy import fft
    from scipy.ndimage import gaussian_filter

    if min(frame.shape) < 8:
        return None
    with np.errstate(over="ignore"):
        pixels = np.array(frame, np.float32, order="C")
    bad = bad | ~(np.abs(pixels) < 1e15)  # squares must remain finite
    if bad.mean() > 0.9:
        return None
    pixels[bad] = 0.0
    background = sep.Background(pixels, mask=bad, bw=32, bh=32, fw=3, fh=3)
    background.subfrom(pixels)
    for axis in (0, 1):
        lines = pixels if axis == 0 else pixels.T
        sample = lines[:: -(-len(lines) // _SAMPLE)]
        lines -= np.median(sample, axis=0)  # a column's pattern; in place
    noise = 1.4826 * float(np.median(np.abs(pixels[~bad][:: max(1, pixels.size // 200_000)])))
    if not 0 < noise < math.inf:
        noise = float(np.std(pixels[~bad]))
    if not 0 < noise < math.inf:
        return None
    bad |= _hot(pixels, noise)
    pixels[bad] = 0.0
    pixels = gaussian_filter(pixels, _SMOOTH_PX)
    noise *= 1 / (2 * math.sqrt(math.pi) * _SMOOTH_PX)
    step = -(-max(pixels.shape) // _COARSE_PX)
    height, width = (length // step * step for length in pixels.shape)
    coarse = pixels[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3))
    limit = noise  # light counts, but no single star outweighs all
    coarse = np.sign(coarse) * np.log1p(np.maximum(np.abs(coarse) / limit - 2.0, 0.0))
    return Scene(pixels, noise, fft.rfft2(coarse - coarse.mean()), step)


def displacement(reference: Scene, scene: Scene) -> Displacement | None:
    """Where the scene is minus where it was in the reference; None if nothing in the frames says.

    Displacements of more than half the frame cannot be found.
    """
    if reference.pixels.shape != scene.pixels.shape:
        return None
    start = _coarse(reference, scene)
    return None if start is None else _refine(reference, scene, *start)


def _hot(pixels: Array, noise: float) -> NDArray[np.bool_]:
    """Pixels that stand out alone, or two together: more than stars can."""
    hot = np.zeros(pixels.shape, bool)
    inner = pixels[1:-1, 1:-1]
    rows, columns = np.nonzero(np.abs(inner) > 6.0 * noise)
    if len(rows) > pixels.size // 4:  # a bright scene, not defects
        return hot
    around = np.stack([pixels[rows + j, columns + i] for j in range(3) for i in range(3)])
    values = around[4]
    third = np.sort(np.sign(values) * around, axis=0)[-3]
    alone = np.abs(values) > 4.0 * np.maximum(third, 1.5 * noise)
    hot[rows[alone] + 1, columns[alone] + 1] = True
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        hot[edge] = np.abs(pixels[edge]) > 6.0 * noise
    return hot


def _coarse(reference: Scene, scene: Scene) -> tuple[float, float] | None:
    """The peak of the cross-correlation, px."""
    from scipy import fft

    height, width = (length // scene.step for length in scene.pixels.shape)
    correlation = fft.irfft2(scene.spectrum * reference.spectrum.conj(), s=(height, width))
    row, column = np.unravel_index(np.argmax(correlation), correlation.shape)
    spread = 1.4826 * float(np.median(np.abs(correlation - np.median(correlation))))
    if not float(correlation[row, column]) > _MIN_SNR * max(spread, 1e-6 * float(np.abs(correlation).max())):
        return None

    def vertex(before: float, peak: float, after: float) -> float:
        curvature = before - 2 * peak + after
        return 0.5 * (before - after) / curvature if curvature < 0 else 0.0

    r, c = int(row), int(column)
    y = r + vertex(correlation[r - 1, c], correlation[r, c], correlation[(r + 1) % height, c])
    x = c + vertex(correlation[r, c - 1], correlation[r, c], correlation[r, (c + 1) % width])
    x, y = x - width * (x > width / 2), y - height * (y > height / 2)
    return x * scene.step, y * scene.step


def _refine(reference: Scene, scene: Scene, dx: float, dy: float) -> Displacement | None:
    """Least squares: the scene is the reference displaced by (dx, dy), times a factor.

    Gauss-Newton with Cauchy's weights, so that what differs (a satellite, a defect) counts little. The gradient is the
    mean of both frames', so that noise does not draw the solution towards the grid.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    light = reference.pixels
    floor = 5.0 * reference.noise  # noise alone does not reach it
    if light.size > _MAX_PIXELS:
        floor = max(floor, float(np.partition(light.ravel(), -_MAX_PIXELS)[-_MAX_PIXELS]))
    rows, columns = np.nonzero(light >= floor)
    if len(rows) < 6:
        return None
    spline = spline_filter(scene.pixels, order=3, output=np.float32)
    height, width = light.shape
    gy_reference, gx_reference = _gradient(light, rows, columns)
    values = light[rows, columns].astype(np.float64)
    for _ in range(30):
        x, y = columns + dx, rows + dy
        inside = (x >= 2) & (x <= width - 3) & (y >= 2) & (y <= height - 3) & (rows >= 2) & (rows <= height - 3)
        inside &= (columns >= 2) & (columns <= width - 3)
        if inside.sum() < 6:
            return None
        x, y, old = x[inside], y[inside], values[inside]

        def sample(x: Any, y: Any) -> Any:
            return map_coordinates(spline, (y, x), order=3, prefilter=False, mode="nearest")

        new = sample(x, y).astype(np.float64)
        gx = (sample(x + 0.5, y) - sample(x - 0.5, y)).astype(np.float64)
        gy = (sample(x, y + 0.5) - sample(x, y - 0.5)).astype(np.float64)
        factor = float((new * old).sum() / (old * old).sum())
        if not factor > 0:
            return None
        gx, gy = 0.5 * (gx + factor * gx_reference[inside]), 0.5 * (gy + factor * gy_reference[inside])
        residual = factor * old - new
        variance = scene.noise**2 + (factor * reference.noise) ** 2
        variance = variance + (0.02 * old) ** 2  # scintillation, seeing: bright pixels are no better than this
        scale = max(1e-3, float(np.median(residual**2 / variance)) / 0.455)
        weight = 1.0 / variance / (1.0 + residual**2 / variance / scale / 6.0)
        design = np.stack((gx, gy, old))
        normal = (design * weight) @ design.T
        try:
            covariance = np.linalg.inv(normal)
        except np.linalg.LinAlgError:
            return None
        step = covariance @ (design * weight @ residual)
        length = math.hypot(step[0], step[1])
        if not math.isfinite(length):
            return None
        shorten = min(1.0, 1.0 / max(length, 1e-9))
        dx, dy = dx + shorten * step[0], dy + shorten * step[1]
        if length < 1e-3:
            break
    # what noise does to the last step; noise of the smoothed pixels, which neighbours share
    influence = covariance[:2] @ (design * weight * np.sqrt(variance * scale))
    errors = [_shared_noise(rows[inside], columns[inside], row) for row in influence]
    return Displacement(float(dx), float(dy), *errors)


def _shared_noise(rows: NDArray[Any], columns: NDArray[Any], influence: Any) -> float:
    """Standard deviation of a weighted sum of pixels whose noise of unit variance was white before the smoothing."""
    from scipy.ndimage import gaussian_filter

    top, left = rows.min(), columns.min()
    weights = np.zeros((rows.max() - top + 1, columns.max() - left + 1), np.float32)
    weights[rows - top, columns - left] = influence
    sigma = math.sqrt(2.0) * _SMOOTH_PX
    neighbours = gaussian_filter(weights, sigma, mode="constant") * (2 * math.pi * sigma**2)
    return math.sqrt(max(float((weights * neighbours).sum(dtype=np.float64)), 0.0))


def _gradient(pixels: Array, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Any, Any]:
    """Half the difference of the spline at half a pixel to both sides, as for the scene: (d/dy, d/dx)."""
    from scipy.ndimage import map_coordinates, spline_filter

    spline = spline_filter(pixels, order=3, output=np.float32)

    def sample(j: float, i: float) -> Any:
        return map_coordinates(spline, (rows + j, columns + i), order=3, prefilter=False, mode="nearest")

    gy, gx = sample(0.5, 0) - sample(-0.5, 0), sample(0, 0.5) - sample(0, -0.5)
    return gy.astype(np.float64), gx.astype(np.float64)
