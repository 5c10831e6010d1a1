"""A growing table that old states can keep: appending copies nothing, and changes nothing that was there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Table:
    """Rows of numbers, appended one at a time; every older `Table` keeps its own length.

    Parameters
    ----------
    columns : int
    """

    def __init__(self, columns: int) -> None:
        self._buffer: NDArray[np.float64] = np.empty((256, columns))
        self._used = [0]  # shared by all tables on this buffer: how much of it anybody has written
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def rows(self) -> NDArray[np.float64]:
        """Array (n, columns), not to be changed."""
        return self._buffer[: self._length]

    def append(self, *row: float) -> Table:
        """A table with one row more."""
        longer = object.__new__(Table)
        longer._buffer, longer._used, longer._length = self._buffer, self._used, self._length + 1
        if self._used[0] != self._length or self._length == len(self._buffer):
            longer._buffer = np.empty((2 * len(self._buffer), self._buffer.shape[1]))
            longer._buffer[: self._length] = self.rows
            longer._used = [self._length]
        longer._buffer[self._length] = row
        longer._used[0] = longer._length
        return longer

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Table) and np.array_equal(self.rows, other.rows)

    __hash__ = None  # type: ignore[assignment]  # a value that is an array has no hash
