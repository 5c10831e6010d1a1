"""Random processes in time that give the same value whenever, and however often, they are asked.

In: a seed and a rule that continues the process by some steps. Out: values at any times.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled

from .streams import Subject, generator

Floats = NDArray[np.float64]
Advance = Callable[[np.random.Generator, Floats, int], tuple[Floats, Floats]]
"""(random numbers, state, steps) -> (one value a step, new state)."""


class Process:
    """A random process on a fixed time grid from 0 s, linear between the grid's nodes.

    It is made in chunks, each with random numbers of its own; the state at each chunk's beginning is kept for ever
    (a few numbers), the chunks themselves only while they are recent.
    """

    CHUNK = 4096
    KEPT = 8

    def __init__(self, seed: int, subject: Subject, step_s: float, start: Floats, advance: Advance) -> None:
        self.step_s = step_s
        self._seed = seed
        self._subject = subject
        self._advance = advance
        self._states = [start]
        self._chunks: dict[int, Floats] = {}

    def at(self, times_s: Floats) -> Floats:
        """Values at the given times (ascending, s since the world began; earlier ones count as 0)."""
        places = np.maximum(times_s, 0.0) / self.step_s
        first = int(places[0])
        nodes = self._nodes(first, int(places[-1]) + 2)
        return np.interp(places, np.arange(first, first + len(nodes)), nodes)

    def _nodes(self, first: int, end: int) -> Floats:
        chunks = range(first // self.CHUNK, (end - 1) // self.CHUNK + 1)
        values = np.concatenate([self._chunk(index) for index in chunks])
        origin = chunks.start * self.CHUNK
        return values[first - origin : end - origin]

    def _chunk(self, index: int) -> Floats:
        for missing in range(len(self._states) - 1, index):
            self._make(missing)
        return self._chunks[index] if index in self._chunks else self._make(index)

    def _make(self, index: int) -> Floats:
        random = generator(self._seed, self._subject, index)
        values, state = self._advance(random, self._states[index], self.CHUNK)
        if index + 1 == len(self._states):
            self._states.append(state)
        while len(self._chunks) >= self.KEPT:
            del self._chunks[next(iter(self._chunks))]
        self._chunks[index] = values
        return values


@compiled
def relax(state: Floats, decay: Floats, kick: Floats, normals: Floats) -> Floats:
    """Step a bank of first-order autoregressive processes (`state`, in place) and return their sum, step by step.

    Shapes: `state`, `decay`, `kick` [k]; `normals` [steps, k]; returns [steps].
    """
    sums = np.empty(normals.shape[0])
    for step in range(normals.shape[0]):
        total = 0.0
        for k in range(state.shape[0]):
            state[k] = state[k] * decay[k] + kick[k] * normals[step, k]
            total += state[k]
        sums[step] = total
    return sums
