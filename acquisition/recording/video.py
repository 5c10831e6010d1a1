"""Records a camera's stream to a SER file, with a queue between them that is bounded and counts what it drops.

In: a camera and a writer. Out: frames on disk, and how it went, as often as somebody wants to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from acquisition.camera import Camera
from acquisition.images import Image
from acquisition.recording.ser import SerWriter

QUEUE_BYTES = 80 * 2**20
"""What may wait for the disk: less than a camera has buffers for (128 MiB)."""


@dataclass(slots=True)
class Recording:
    """How a recording goes.

    Attributes
    ----------
    written : int
        Frames in the file.
    dropped_by_camera, dropped_by_disk : int
        Frames lost before they reached us, and frames that the disk was too slow for.
    elapsed_s : float
    """

    written: int = 0
    dropped_by_camera: int = 0
    dropped_by_disk: int = 0
    elapsed_s: float = 0.0

    @property
    def fps(self) -> float:
        return self.written / self.elapsed_s if self.elapsed_s > 0 else 0.0


async def record(
    camera: Camera,
    writer: SerWriter,
    *,
    duration_s: float | None = None,
    n_frames: int | None = None,
    tell: Callable[[Recording], None] = lambda _: None,
) -> Recording:
    """Record until the duration has passed, or so many frames are in the queue, or the caller is cancelled.

    What is queued is written in any case.

    Parameters
    ----------
    camera : Camera
        Connected and configured.
    writer : SerWriter
        Open; stays open.
    duration_s, n_frames : optional
        The end; whichever comes first.
    tell : callable
        Called after every frame.

    Raises
    ------
    DeviceError
        If the camera fails.
    OSError
        If the disk does.
    """
    clock = asyncio.get_running_loop().time
    state, began_s = Recording(), clock()
    queue: asyncio.Queue[Image | None] = asyncio.Queue(max(QUEUE_BYTES // writer.header.frame_bytes, 2))
    writing = asyncio.ensure_future(_write(queue, writer, state))
    dropped_before: int | None = None
    taken = 0
    try:
        async with asyncio.timeout(duration_s), aclosing(camera.stream()) as frames:
            async for image in frames:
                state.elapsed_s = clock() - began_s
                dropped = image.facts.n_dropped or 0
                dropped_before = dropped if dropped_before is None else dropped_before
                state.dropped_by_camera = dropped - dropped_before
                if writing.done():
                    break
                if queue.full():
                    state.dropped_by_disk += 1
                else:
                    queue.put_nowait(image)
                    taken += 1
                del image
                tell(state)
                if taken == n_frames:
                    break
    except TimeoutError:
        pass
    finally:
        if not writing.done():
            await queue.put(None)
        await writing
        state.elapsed_s = clock() - began_s
    tell(state)
    return state


async def _write(queue: asyncio.Queue[Image | None], writer: SerWriter, state: Recording) -> None:
    while (image := await queue.get()) is not None:
        start_utc = image.facts.start_utc
        assert start_utc is not None
        await asyncio.to_thread(writer.write, image.data, start_utc)
        state.written += 1
        del image  # or its buffer would wait with us
