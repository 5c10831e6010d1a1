"""Processors that combine a cube of frames into one."""

from .combinestack import CombineStack
from .stacks import MeanStack, MedianStack, SigmaClipStack, SumStack

__all__ = ["CombineStack", "MeanStack", "MedianStack", "SigmaClipStack", "SumStack"]
