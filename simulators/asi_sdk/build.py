"""Compiles the fake library once and keeps it in the user's cache.

In: ``fake_asi_sdk.c``. Out: the path of a shared library.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import platformdirs

from acquisition.errors import LibraryNotFound

FLAGS = ("-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden")
COMPILE_S = 60.0


def compiler() -> str | None:
    """The system's C compiler, or the one that the environment variable CC names; None where there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    return None


def fake_library() -> Path:
    """The compiled fake; compiles it unless that has been done.

    Raises
    ------
    LibraryNotFound
        If there is no C compiler, or it fails.
    """
    source = files(__package__).joinpath("fake_asi_sdk.c").read_bytes()
    version = hashlib.sha256(source + repr(FLAGS).encode() + os.uname().machine.encode()).hexdigest()[:16]
    target = platformdirs.user_cache_path("starlatch", appauthor=False) / "asi_sdk" / f"libfake_asi_sdk-{version}.so"
    if target.exists():
        return target
    cc = compiler()
    if cc is None:
        raise LibraryNotFound("the emulated ZWO camera needs a C compiler: apt install gcc libc6-dev")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        path = Path(directory, "fake_asi_sdk.c")
        path.write_bytes(source)
        made = path.with_suffix(".so")
        done = subprocess.run(
            [cc, *FLAGS, "-o", str(made), str(path), "-lm"],
            capture_output=True,
            text=True,
            timeout=COMPILE_S,
            check=False,
        )
        if done.returncode != 0:
            raise LibraryNotFound(f"{cc} could not compile the emulated ZWO camera: {done.stderr.strip()[:300]}")
        made.replace(target)  # whole or not at all, even if another process does the same
    return target
