"""Frame buffers: lent, returned when the last view goes, never overwritten."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.frame_pool import FramePool, n_buffers_for


def test_lease_has_shape_and_type() -> None:
    frame = FramePool((4, 6), np.uint16, 1).lease()
    assert frame is not None
    assert frame.shape == (4, 6)
    assert frame.dtype == np.uint16
    assert frame.flags.c_contiguous
    assert frame.flags.writeable


@pytest.mark.parametrize(
    "view",
    [
        lambda frame: frame[1:, ::2],
        lambda frame: frame[1:][:, 1:][0],
        lambda frame: frame.reshape(-1),
        lambda frame: frame.T.view(np.uint8) if frame.T.flags.c_contiguous else frame.view(np.uint8)[:, 1:],
        lambda frame: np.frombuffer(frame, np.uint8),
        lambda frame: memoryview(frame)[1:],
        lambda frame: np.ma.MaskedArray(frame, copy=False),
        lambda frame: frame.view(np.recarray),
    ],
)
def test_buffer_returns_only_when_the_last_view_is_gone(view: Callable[[Any], Any]) -> None:
    pool = FramePool((4, 6), np.uint16, 1)
    frame = pool.lease()
    frame[...] = 7
    held = view(frame)
    del frame
    assert pool.n_free == 0
    assert pool.lease() is None
    del held
    assert pool.n_free == 1
    assert pool.lease() is not None


def test_exhausted_pool_refuses_and_counts() -> None:
    pool = FramePool((2, 2), np.uint8, 2)
    held = [pool.lease(), pool.lease()]
    assert [pool.lease(), pool.lease()] == [None, None]
    assert pool.n_dropped == 2
    held.pop()
    assert pool.lease() is not None
    assert pool.n_dropped == 2


def test_frame_marked_read_only_comes_back_writable() -> None:
    pool = FramePool((2, 2), np.uint8, 1)
    frame = pool.lease()
    frame.flags.writeable = False
    del frame
    assert pool.lease().flags.writeable


def test_frames_outlive_their_pool() -> None:
    pool = FramePool((2, 2), np.uint8, 1)
    frame = pool.lease()
    frame[...] = 9
    del pool
    assert (frame == 9).all()


@pytest.mark.parametrize(
    ("width", "height", "n_buffers"), [(640, 480, 16), (3096, 2080, 10), (9576, 6388, 3), (0, 0, 16)]
)
def test_number_follows_the_size_of_a_16_bit_frame(width: int, height: int, n_buffers: int) -> None:
    assert n_buffers_for(2 * width * height) == n_buffers


def test_filling_a_frame_costs_no_page_fault() -> None:
    pool = FramePool((1024, 1024), np.uint16, 2)
    pool.lease().fill(1)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for number in range(20):
        pool.lease().fill(number)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 20  # a fresh frame alone has 512 pages


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 5), max_size=60))
def test_frames_held_are_never_overwritten(actions: list[int]) -> None:
    """0 takes a frame and fills it with its own number; n lets the n-th frame held go."""
    pool = FramePool((3, 3), np.uint16, 4)
    held: list[tuple[int, np.ndarray]] = []
    refused = 0
    for number, action in enumerate(actions):
        if action == 0:
            frame = pool.lease()
            if frame is None:
                refused += 1
                assert len(held) == 4
            else:
                frame[...] = number
                held.append((number, frame))
            del frame
        elif action <= len(held):
            del held[action - 1]
        assert all((frame == number).all() for number, frame in held)
        assert pool.n_free == 4 - len(held)
    assert pool.n_dropped == refused


def test_threads_share_a_pool() -> None:
    pool = FramePool((8, 8), np.uint16, 3)
    wrong, refused = [], []

    def work(number: int) -> None:
        for _ in range(300):
            frame = pool.lease()
            if frame is None:
                refused.append(number)
                continue
            frame[...] = number
            if not (frame == number).all():
                wrong.append(number)
            del frame

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.n_dropped == len(refused)
    assert pool.n_free == 3
