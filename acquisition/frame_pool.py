"""A bounded number of frame buffers, lent out as arrays and used again when nobody looks at them any more.

In: a frame's shape and type. Out: leased arrays; a lease ends by itself when the array and every view of it are gone.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque

import numpy as np
from numpy.typing import DTypeLike, NDArray

BUDGET_BYTES = 128 * 2**20


def n_buffers_for(frame_bytes: int) -> int:
    """As many as fit into the budget, but enough to read, process and write at the same time, and not too many."""
    return min(max(BUDGET_BYTES // max(frame_bytes, 1), 3), 16)


class FramePool:
    """Buffers for frames of one shape, made and touched once: filling one later costs no page fault.

    A frame that somebody holds is never overwritten: when all buffers are out, `lease` gives None and counts. Safe to
    use from any thread. Frames outlive their pool.

    Parameters
    ----------
    shape : tuple of int
        Of a frame, [y, x].
    dtype : dtype
    n_buffers : int, optional
        How many frames can be out at once; by default as many as fit into 128 MiB, but 3 to 16.

    Raises
    ------
    MemoryError
        If there is no memory for the buffers.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, n_buffers: int | None = None) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        n_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.n_buffers = n_buffers_for(n_bytes) if n_buffers is None else n_buffers
        self._free: deque[bytearray] = deque()
        for _ in range(self.n_buffers):
            buffer = bytearray(n_bytes)
            np.frombuffer(buffer, dtype=np.uint8).fill(0)  # touches every page
            self._free.append(buffer)
        self._n_dropped = 0
        self._counting = threading.Lock()

    def lease(self) -> NDArray[np.generic] | None:
        """An array whose content is whatever was there before, or None (and one more dropped) when all are out."""
        try:
            buffer = self._free.pop()
        except IndexError:
            with self._counting:
                self._n_dropped += 1
            return None
        # Over a bytearray this is the lowest array of all: views, and views of views, keep it alive as their base.
        frame: NDArray[np.generic] = np.ndarray(self.shape, self.dtype, buffer=buffer)
        # deque.append is atomic: the collector may run this at any point of any thread.
        weakref.finalize(frame, self._free.append, buffer).atexit = False
        return frame

    @property
    def n_dropped(self) -> int:
        """How often a lease was refused."""
        return self._n_dropped

    @property
    def n_free(self) -> int:
        """How many buffers are there to lease."""
        return len(self._free)
