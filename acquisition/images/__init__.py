"""`Image`, its meta and its processors: the names and meanings of `pyobs.images`."""

from .facts import FrameFacts, TangentWcs
from .image import Image
from .processor import ImageProcessor, Pipeline

__all__ = ["FrameFacts", "Image", "ImageProcessor", "Pipeline", "TangentWcs"]
