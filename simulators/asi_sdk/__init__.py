"""A fake of ZWO's camera library, for the real driver to run on: one C file, compiled when it is first asked for."""

from .fake import FakeSdk, Fault, Stamp, read_stamp

__all__ = ["FakeSdk", "Fault", "Stamp", "read_stamp"]
