"""Processors that say how long the next exposure should be."""

from .starexptimeestimator import StarExpTimeEstimator

__all__ = ["StarExpTimeEstimator"]
