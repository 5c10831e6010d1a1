"""ZWO ASI cameras, on the low-level module of the package pyzwoasi."""
