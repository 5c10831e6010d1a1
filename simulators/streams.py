"""Random streams: one independent stream per subject, so that a change to one never touches another.

In: the world's one seed. Out: numpy seed sequences and generators.
"""

from __future__ import annotations

import enum
import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

NORMAL_BITS = 12
_quantiles = ndtri((np.arange(2**NORMAL_BITS) + 0.5) / 2**NORMAL_BITS)
NORMALS = (_quantiles / _quantiles.std() / math.sqrt(2)).astype(np.float32)
"""Two entries drawn at random add up to a standard normal deviate."""


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
