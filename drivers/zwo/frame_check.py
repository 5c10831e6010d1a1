"""Notices frames that are not what they should be: delivered twice, torn, or not written to the end.

In: the buffer before and after the library filled it. Out: a verdict. Costs microseconds: some rows are compared with
those of the frame before, which the detector's noise never repeats.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 9
COLUMNS = 512
LIVELY = 0.25  # share of neighbours that differ; with less noise, equal rows prove nothing
MARK = bytes(range(0xA1, 0xA1 + 64))
ENOUGH = 10


class Verdict(enum.Enum):
    """What a frame turned out to be."""

    GOOD = "good"
    DUPLICATE = "delivered twice"
    TORN = "torn: a part of it is of the frame before"
    SHORT = "not written to its end"


class FrameCheck:
    """Looks at one frame after the other of one shape.

    After ten bad verdicts running it stops judging, as then it is more likely wrong than the camera.
    """

    def __init__(self) -> None:
        self._before: NDArray[Any] | None = None
        self._running = 0  # bad verdicts

    @property
    def gave_up(self) -> bool:
        return self._running >= ENOUGH

    def prepare(self, frame: NDArray[Any]) -> None:
        """Mark the end of the buffer."""
        tail = _bytes(frame)[-len(MARK) :]
        tail[:] = np.frombuffer(MARK, np.uint8)[: tail.size]

    def judge(self, frame: NDArray[Any]) -> Verdict:
        """Look at the filled buffer."""
        verdict = self._verdict(frame)
        if verdict is Verdict.GOOD:
            self._running = 0
            return verdict
        self._running += 1
        return Verdict.GOOD if self.gave_up else verdict

    def _verdict(self, frame: NDArray[Any]) -> Verdict:
        if frame.nbytes >= 4 * len(MARK) and _bytes(frame)[-len(MARK) :].tobytes() == MARK:
            return Verdict.SHORT
        rows = _rows(frame)
        before = self._before
        if before is None or before.shape != rows.shape or before.dtype != rows.dtype:
            self._before = rows.copy()
            return Verdict.GOOD
        lively = np.count_nonzero(rows[:, 1:] != rows[:, :-1], axis=1) >= LIVELY * (rows.shape[1] - 1)
        if np.count_nonzero(lively) < 2:
            before[:] = rows
            return Verdict.GOOD
        same = (rows == before).all(axis=1)[lively]
        if same.all():
            return Verdict.DUPLICATE
        if same.any():
            return Verdict.TORN
        before[:] = rows
        return Verdict.GOOD


def _rows(frame: NDArray[Any]) -> NDArray[Any]:
    """Some rows, spread over the frame, the last one among them: a view."""
    height = frame.shape[0]
    step = max((height - 1) // (ROWS - 1), 1)
    return frame[(height - 1) % step :: step, -COLUMNS:]


def _bytes(frame: NDArray[Any]) -> NDArray[np.uint8]:
    return frame.reshape(-1).view(np.uint8)
