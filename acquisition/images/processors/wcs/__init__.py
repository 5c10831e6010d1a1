"""Processors that state where on the sky the pixels are."""

from .solarhelioprojective import SolarHelioprojective

__all__ = ["SolarHelioprojective"]
