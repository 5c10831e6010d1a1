"""Saves every frame that passes through a chain, without holding it up.

In: images. Out: FITS files, written by a worker behind a bounded queue; what the queue cannot take is counted.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import StarShape

log = logging.getLogger(__name__)

_QUEUE = 4  # frames may live in buffers that the camera needs back
_DRAIN_S = 10.0


class RecordFrames(ImageProcessor):
    """A chain step that saves the frame as it comes and hands it on unchanged.

    Used as an async context manager around the run; leaving it writes what is still queued, within a deadline.

    Parameters
    ----------
    directory : Path
        Made if missing; files are named ``frame_000001.fits`` and so on, never overwriting.

    Attributes
    ----------
    saved, dropped : int
        Frames written, and frames that could not be.
    trouble : str or None
        Why the last frame was not saved; None: it was.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.saved = 0
        self.dropped = 0
        self._directory = directory
        self._queue: asyncio.Queue[tuple[Path, Image]] = asyncio.Queue(_QUEUE)
        self._number = 0
        self.trouble: str | None = None
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._worker = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._worker is not None
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self._queue.join()
        except TimeoutError:
            self.dropped += self._queue.qsize()
            log.warning("%s: %d frames were not saved in time", self._directory, self._queue.qsize())
        finally:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def __call__(self, image: Image) -> Image:
        try:
            self._queue.put_nowait((self._next_path(), image))
        except asyncio.QueueFull:
            self.dropped += 1
            if self.trouble is None:
                log.warning("%s: the disk is too slow, frames are not saved", self._directory)
            self.trouble = "the disk is too slow"
        return image

    def _next_path(self) -> Path:
        while True:
            self._number += 1
            path = self._directory / f"frame_{self._number:06d}.fits"
            if not path.exists():
                return path

    async def _write(self) -> None:
        while True:
            path, image = await self._queue.get()
            try:
                await asyncio.to_thread(image.writeto, path)
                self.saved += 1
                if self.trouble is not None:
                    log.warning("%s: frames are saved again, %d were not", self._directory, self.dropped)
                self.trouble = None
            except OSError as error:
                self.dropped += 1
                if self.trouble is None:
                    log.warning("%s cannot be saved: %s", path, error)
                self.trouble = str(error)
            finally:
                self._queue.task_done()


class Recorded(ImageProcessor):
    """A chain whose frames are saved as they came, measured or not, with the shape of their stars in the header.

    Parameters
    ----------
    chain : ImageProcessor
        What measures them.
    recorder : RecordFrames
        What saves them.
    """

    def __init__(self, chain: ImageProcessor, recorder: RecordFrames) -> None:
        super().__init__()
        self._chain = chain
        self._recorder = recorder

    async def __call__(self, image: Image) -> Image:
        """What the chain makes of a frame, or raises."""
        frame = image.derive()
        try:
            found = await self._chain(image)
            if (shape := found.get_meta_safe(StarShape)) is not None:
                frame.set_meta(shape)
        finally:
            await self._recorder(frame)
        return found

    async def reset(self) -> None:
        await self._chain.reset()
