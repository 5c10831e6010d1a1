"""Order statistics of many numbers and tables looked up for many: what turns a frame into eight bits fast.

In: pixels. Out: exact order statistics, histograms, pixels replaced by a table's entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, in_place

_SAMPLES = 1 << 16


def order_statistics(values: NDArray[Any], ranks: tuple[int, ...]) -> list[Any]:
    """The elements that a sorted array would have at some ranks (0 is the smallest).

    Parameters
    ----------
    values : ndarray, 1-D
        Numbers without NaN.
    ranks : tuple of int
        From 0 to ``len(values) - 1``.

    Notes
    -----
    A sample tells between which two values an element must be; only those between them are partitioned (Floyd & Rivest
    1975, CACM 18, 165). Where the sample misleads, all are.
    """
    if values.size < 4 * _SAMPLES:
        ordered = np.partition(values, ranks)
        return [ordered[rank] for rank in ranks]
    return [_order_statistic(values, rank) for rank in ranks]


def _order_statistic(values: NDArray[Any], rank: int) -> Any:
    sample = np.sort(values[:: values.size // _SAMPLES])
    fraction = rank / values.size
    middle, margin = fraction * sample.size, 4 * np.sqrt(fraction * (1 - fraction) * sample.size) + 2
    low, high = (sample[int(np.clip(at, 0, sample.size - 1))] for at in (middle - margin, middle + margin))
    rank_between = rank - np.count_nonzero(values < low)
    between = values[(values >= low) & (values <= high)]
    if 0 <= rank_between < between.size:
        return np.partition(between, rank_between)[rank_between]
    return np.partition(values, rank)[rank]


@compiled
def histogram(codes: NDArray[np.uint16]) -> NDArray[np.int64]:
    """How often each of the 65536 values occurs in a 1-D array."""
    counts = np.zeros((4, 65536), np.int64)  # four, so that equal neighbours do not wait for each other
    whole = codes.size - codes.size % 4
    for i in range(0, whole, 4):
        counts[0, codes[i]] += 1
        counts[1, codes[i + 1]] += 1
        counts[2, codes[i + 2]] += 1
        counts[3, codes[i + 3]] += 1
    for i in range(whole, codes.size):
        counts[0, codes[i]] += 1
    total: NDArray[np.int64] = counts.sum(axis=0)
    return total


@in_place
def look_up(codes: NDArray[np.uint16], table: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
    """Write the entry of a table of 65536 for each element of a 2-D array into another of its shape."""
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            found[y, x] = table[codes[y, x]]
