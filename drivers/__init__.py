"""Drivers of real devices, one folder a device family; each registers itself through entry points."""
