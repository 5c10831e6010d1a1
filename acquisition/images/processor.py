"""`ImageProcessor`, one step of work on an image, and `Pipeline`, several of them one after the other.

In: an `Image`, which is never changed. Out: an `Image` derived from it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from acquisition.errors import ImageError

from .image import Image

log = logging.getLogger(__name__)


class ImageProcessor(ABC):
    """One step of work on images; may remember earlier ones until `reset`.

    Parameters
    ----------
    on_error : str
        What a `Pipeline` does when this step raises `ImageError`: ``raise`` it on; ``error``: go on with what
        `handle_error` returns; ``info``: log it and go on with the image as it was before the step; ``ignore``: the
        same without a word. Any other exception is always raised on.
    **kwargs
        Ignored, so that a subclass may pass on what it was given.

    Raises
    ------
    ValueError
        If `on_error` is none of these.
    """

    VALID_ERROR_MODES = frozenset({"raise", "error", "info", "ignore"})
    _on_error = "raise"

    def __init__(self, on_error: str = "raise", **kwargs: Any) -> None:
        if on_error not in self.VALID_ERROR_MODES:
            raise ValueError(f"on_error is {on_error!r}; allowed: {', '.join(sorted(self.VALID_ERROR_MODES))}")
        self._on_error = on_error

    @property
    def on_error(self) -> str:
        """What a pipeline does when this step raises `ImageError`."""
        return self._on_error

    @abstractmethod
    async def __call__(self, image: Image) -> Image:
        """Process an image.

        Parameters
        ----------
        image : Image
            Not changed; what is found goes into an image derived from it (`Image.derive`).

        Raises
        ------
        ImageError
            If this frame cannot be used for what was asked.
        """

    def handle_error(self, image: Image, error: ImageError) -> Image:
        """The image that a pipeline goes on with when this step failed and `on_error` is ``error``.

        By default the error is raised on.
        """
        raise error

    async def reset(self) -> None:  # noqa: B027  # most processors remember nothing
        """Forget all earlier images."""


class Pipeline(ImageProcessor):
    """Processors one after the other, each on the output of the one before; itself a processor.

    Each step is handed an image of its own (`Image.derive`), so that even one that assigns to its input changes
    neither the image given to the pipeline nor the one that goes on when the step fails.

    Parameters
    ----------
    steps : iterable of ImageProcessor
        None at all: the pipeline returns its input.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a step is not an `ImageProcessor`.
    """

    def __init__(self, steps: Iterable[ImageProcessor] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._steps = tuple(steps)
        for step in self._steps:
            if not isinstance(step, ImageProcessor):
                raise ValueError(f"pipeline step {step!r} is not an ImageProcessor")

    @property
    def steps(self) -> tuple[ImageProcessor, ...]:
        """The processors, in the order in which they run."""
        return self._steps

    async def __call__(self, image: Image) -> Image:
        return await self.run_pipeline(image)

    async def run_pipeline(self, image: Image) -> Image:
        """Run all steps.

        Raises
        ------
        ImageError
            Of a step, if its `on_error` says so.
        """
        for step in self._steps:
            try:
                image = await step(image.derive())
            except ImageError as error:
                if step.on_error == "raise":
                    raise
                if step.on_error == "error":
                    image = step.handle_error(image.derive(), error)
                elif step.on_error == "info":
                    log.info("%s: %s", type(step).__name__, error)
        return image

    async def reset(self) -> None:
        await self.reset_pipeline()

    async def reset_pipeline(self) -> None:
        """Let every step forget all earlier images."""
        for step in self._steps:
            await step.reset()
