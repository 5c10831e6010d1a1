"""What tests of emulated ZWO cameras share."""

from __future__ import annotations

import os

import pytest

from simulators.asi_sdk.build import compiler

if compiler() is None and os.environ.get("CI"):
    raise RuntimeError("no C compiler in CI: the tests of ZWO cameras would be skipped")

needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="no C compiler for the emulated ZWO camera: apt install gcc libc6-dev"
)
