"""Processors that say how long the next exposure should be."""

from .levelexptimeestimators import BackgroundExpTimeEstimator, PercentileExpTimeEstimator
from .starexptimeestimator import StarExpTimeEstimator

__all__ = ["BackgroundExpTimeEstimator", "PercentileExpTimeEstimator", "StarExpTimeEstimator"]
