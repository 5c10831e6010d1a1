"""Random processes in time that give the same value whenever, and however often, they are asked.

In: a seed and a rule that continues the process by some steps, or a power spectrum. Out: values at any times.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from acquisition.kernels.compiled import compiled, vectorised

from .streams import Subject, generator

Floats = NDArray[np.float64]
Advance = Callable[[np.random.Generator, Floats, int], tuple[Floats, Floats]]
"""(random numbers, state, steps) -> (one value, or one row of values, a step; new state)."""


class Grid(NamedTuple):
    """Part of a function of time that is linear between nodes on a grid: what kernels ask `between` of.

    Attributes
    ----------
    nodes : [m] or [m, k]
    origin : int
        The first one's number; number 0 is at 0 s.
    step_s : float
    """

    nodes: Floats
    origin: int
    step_s: float


NOTHING = Grid(np.zeros(2), 0, math.inf)
"""Is 0 at all times."""


class Gridded(ABC):
    """A function of time that is known on a grid from 0 s, made in chunks, and linear between the grid's nodes.

    Chunks are kept only while they are recent.
    """

    CHUNK = 4096
    KEPT = 8

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self._chunks: dict[int, Floats] = {}

    @abstractmethod
    def _make(self, index: int) -> Floats:
        """The values of chunk `index`, always the same: [CHUNK] or [CHUNK, k]."""

    def at(self, times_s: Floats) -> Floats:
        """Values at the given times (ascending, s since the world began; earlier ones count as 0): [n] or [n, k]."""
        grid = self.grid(times_s[0], times_s[-1])
        values = np.zeros((len(times_s), *grid.nodes.shape[1:]))
        for k in np.ndindex(values.shape[1:]):
            add(grid.nodes[:, *k], grid.origin, grid.step_s, times_s, 1.0, values[:, *k])
        return values

    def grid(self, first_s: float, last_s: float) -> Grid:
        """What is needed between two times."""
        begin = int(first_s / self.step_s) // self.CHUNK if first_s > 0 else 0
        end = int(last_s / self.step_s + 1) // self.CHUNK if last_s > 0 else 0
        nodes = self._chunk(begin)
        if end > begin:
            nodes = np.concatenate([nodes, *(self._chunk(index) for index in range(begin + 1, end + 1))])
        return Grid(nodes, begin * self.CHUNK, self.step_s)

    def _chunk(self, index: int) -> Floats:
        known = self._chunks.get(index)
        if known is not None:
            return known
        made = self._make(index)
        while len(self._chunks) >= self.KEPT:
            del self._chunks[next(iter(self._chunks))]
        self._chunks[index] = made
        return made


@compiled
def between(nodes: Floats, origin: int, step_s: float, time_s: float) -> float:
    """The value of a `Grid` of one column at a time; before 0 s that at 0 s."""
    place = max(time_s, 0.0) / step_s - origin
    before = int(place)
    return nodes[before] + (place - before) * (nodes[before + 1] - nodes[before])  # type: ignore[no-any-return]  # of an array


@compiled
def add(nodes: Floats, origin: int, step_s: float, times_s: Floats, factor: float, values: Floats) -> None:
    """Add a `Grid` of one column at some times, times a factor, to values."""
    for n in range(times_s.shape[0]):
        values[n] += factor * between(nodes, origin, step_s, times_s[n])


@vectorised
def cosine(turns: float) -> float:
    """Of an angle in turns, to 1e-8: Chebyshev's polynomial of half a turn's square, which runs on all lanes."""
    begun: float = np.floor(turns)
    x = turns - begun - 0.5
    u = x * x
    high = 85.45011342750767 + u * (-60.16742979194585 + u * (25.966884612550658 - u * 6.527705962902734))
    return -0.9999999889445765 + u * (19.739204466576158 + u * (-64.93911592834692 + u * high))


class Process(Gridded):
    """A random process that is continued from its state; the state at each chunk's beginning is kept for ever."""

    def __init__(self, seed: int, subject: Subject, step_s: float, start: Floats, advance: Advance) -> None:
        super().__init__(step_s)
        self._seed = seed
        self._subject = subject
        self._advance = advance
        self._states = [start]

    def _make(self, index: int) -> Floats:
        values = np.empty(0)
        for missing in range(min(len(self._states) - 1, index), index + 1):
            values, state = self._advance(
                generator(self._seed, self._subject, missing), self._states[missing], self.CHUNK
            )
            if missing + 1 == len(self._states):
                self._states.append(state)
        return values


class Coloured(Gridded):
    """Stationary Gaussian noise with a given power spectrum: white noise through a symmetric filter.

    Parameters
    ----------
    spectrum : callable
        Frequencies (Hz, > 0) to power densities, in any unit. What is above half the sampling frequency is folded
        back, as sampling a continuous process does; structure below 2/(CHUNK step) is smoothed.
    variance : float
        Of the values.
    """

    CHUNK = 8192
    FOLDS = 12

    def __init__(
        self,
        seed: int,
        subject: Subject,
        which: int,
        step_s: float,
        spectrum: Callable[[Floats], Floats],
        variance: float,
    ) -> None:
        super().__init__(step_s)
        self._seed, self._subject, self._which = seed, subject, which
        self._whites: dict[int, Floats] = {}  # of the last chunks: each serves for three
        self._gain = np.sqrt(variance) * _unit_filter(spectrum, step_s, self.CHUNK // 2, self.FOLDS)

    def _make(self, index: int) -> Floats:
        """A chunk, with half of the ones beside it on either side, of white noise after filtering."""
        half = self.CHUNK // 2
        before, here, after = (self._white(index + beside) for beside in (-1, 0, 1))
        white = np.concatenate([before[half:], here, after[:half]])
        values: Floats = fft.irfft(fft.rfft(white) * self._gain, len(white))[half:-half]
        return values

    def _white(self, index: int) -> Floats:
        if index not in self._whites:
            # a generator's sequence numbers are not negative
            made = generator(self._seed, self._subject, self._which, index + 1).standard_normal(self.CHUNK)
            self._whites = {near: white for near, white in self._whites.items() if abs(near - index) <= 2}
            self._whites[index] = made
        return self._whites[index]


def _unit_filter(spectrum: Callable[[Floats], Floats], step_s: float, reach: int, folds: int) -> Floats:
    """The filter's frequency response for four times its reach of samples; unit noise comes out with variance 1.

    The impulse response ends at its reach from the middle, so that those samples determine the inner half.
    """
    sampling_hz = 1 / step_s
    frequency = fft.rfftfreq(2 * reach, step_s)
    frequency[0] = frequency[1] / 4  # the mean density of the first bin, nearly
    power = np.zeros(len(frequency))
    for fold in range(folds):
        power += spectrum(frequency + fold * sampling_hz)
        power += spectrum((fold + 1) * sampling_hz - frequency)
    response = fft.irfft(np.sqrt(power), 2 * reach)  # symmetric about 0, wrapped
    response /= np.sqrt(np.sum(response**2))
    wrapped = np.zeros(4 * reach)
    wrapped[:reach], wrapped[1 - reach :] = response[:reach], response[reach + 1 :]
    transformed: Floats = fft.rfft(wrapped).real
    return transformed


def ornstein_uhlenbeck(decay: Floats, sigma: Floats) -> Advance:
    """Continue [k] first-order autoregressive processes of standard deviations `sigma`; gives [steps, k]."""
    kick = sigma * np.sqrt(1 - decay**2)

    def advance(random: np.random.Generator, state: Floats, steps: int) -> tuple[Floats, Floats]:
        values = autoregressive(state, decay, kick * random.standard_normal((steps, len(decay))))
        return values, values[-1]

    return advance


@compiled
def autoregressive(start: Floats, decay: Floats, kicks: Floats) -> Floats:
    """``x[n] = decay x[n - 1] + kicks[n]`` from `start`, column by column; [steps, k]."""
    values = np.empty_like(kicks)
    for column in range(kicks.shape[1]):
        value = start[column]
        for step in range(kicks.shape[0]):
            value = value * decay[column] + kicks[step, column]
            values[step, column] = value
    return values
