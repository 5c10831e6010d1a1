"""Random streams: one independent stream per subject, so that a change to one never touches another.

In: the world's one seed. Out: numpy generators, and for kernels a key's numbers: numbered ones, from any of them on.
"""

from __future__ import annotations

import enum
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from acquisition.kernels.compiled import compiled, vectorised

NORMAL_BITS = 17
STRETCH = 1024
_quantiles = np.random.default_rng(0).permutation(ndtri((np.arange(2**NORMAL_BITS) + 0.5) / 2**NORMAL_BITS))
NORMALS = np.resize(_quantiles / _quantiles.std() / math.sqrt(2), 2**NORMAL_BITS + STRETCH).astype(np.float32)
"""Two entries drawn at random add up to a standard normal deviate, two stretches of entries to a row of them.

The table is shuffled, and goes on with its own beginning. Two rows have a stretch in common once in 2^15 times.
"""


class Subject(enum.IntEnum):
    """What is random; a number keeps its meaning for ever, or old seeds give new worlds."""

    SKY = 0
    WORM = 1
    WANDER_RA = 2
    WANDER_DEC = 3
    GUIDE_RATE = 4
    TILT_X = 5
    TILT_Y = 6
    PIXELS = 7  # what is fixed in the sensor
    NOISE = 8  # of each frame
    SCATTER = 9  # how this rig and night differ from what they are said to be
    HARMONICS = 10
    BUMP = 11
    WIND = 12
    GUST = 13
    SEEING = 14
    CLOUDS = 15
    WAVES = 16  # tilt of high layers
    JITTER = 17
    FLAT = 18
    HITS = 19  # cosmic rays and satellites
    DROPS = 20
    ROWS = 21


def generator(seed: int, subject: Subject, *which: int) -> np.random.Generator:
    """The generator of one subject, or of its part numbered `which`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(subject, *which))))


@lru_cache(maxsize=64)
def key(seed: int, subject: Subject, *which: int) -> np.uint64:
    """64 bits to key a counter-based generator with."""
    return np.uint64(np.random.SeedSequence(seed, spawn_key=(subject, *which)).generate_state(1, np.uint64)[0])


def key_of(key: np.uint64, number: int) -> np.uint64:
    """The key of one of a subject's numbered things, of which there are too many to derive each from the seed."""
    return np.uint64(numbered(key, number))


@compiled
def numbered(key: np.uint64, number: int) -> np.uint64:
    """A key's 64 random bits of this number (from 0): SplitMix64 (Steele et al. 2014)."""
    z = key + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def normal(normals: NDArray[np.float32], bits: np.uint64) -> float:
    """A standard normal deviate; `normals` is `NORMALS`."""
    mask = np.uint64(2**NORMAL_BITS - 1)
    return float(normals[bits & mask] + normals[(bits >> np.uint64(32)) & mask])


@compiled
def normal_row(normals: NDArray[np.float32], key: np.uint64, first: int, deviates: NDArray[np.float32]) -> None:
    """Standard normal deviates of a row's numbers from the first one on; `normals` is `NORMALS`."""
    mask, done = np.uint64(2**NORMAL_BITS - 1), 0
    while done < deviates.shape[0]:
        part, begin = divmod(first + done, STRETCH)
        until = min(deviates.shape[0], done + STRETCH - begin)
        bits = numbered(key, part)
        one, other = begin + np.int64(bits & mask), begin + np.int64((bits >> np.uint64(32)) & mask)
        n = until - done
        _add(normals[one : one + n], normals[other : other + n], deviates[done:until])
        done = until


@vectorised
def _add(one: NDArray[np.float32], other: NDArray[np.float32], total: NDArray[np.float32]) -> None:
    for i in range(total.shape[0]):
        total[i] = one[i] + other[i]


@compiled
def poisson(normals: NDArray[np.float32], mean: float, bits: np.uint64) -> float:
    """A Poisson deviate: by inversion below a mean of 8, above a rounded normal deviate with the right skewness.

    (Cornish & Fisher 1938. At 8 its cumulative distribution is within 0.002 of the exact one; a plain normal deviate
    at 30 is within 0.012.)
    """
    if mean >= 8.0:
        deviate = normal(normals, bits)
        return max(0.0, math.floor(mean + math.sqrt(mean - 5 / 36) * deviate + (deviate**2 - 1) / 6 + 0.5))
    uniform = float(bits >> np.uint64(11)) * 2.0**-53
    chance = math.exp(-mean)
    total = chance
    k = 0.0
    while uniform >= total and k < 100:
        k += 1
        chance *= mean / k
        total += chance
    return k
