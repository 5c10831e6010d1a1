"""What was compiled is used for as long as no kernel changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acquisition.kernels.compiled import forget_stale


def test_compiled_code_is_kept_until_a_source_changes(tmp_path: Path) -> None:
    source, code = tmp_path / "sums.py", tmp_path / "__pycache__" / "sums.add-1.py311.1.nbc"
    source.write_text("one")
    forget_stale(tmp_path)

    def kept() -> bool:
        forget_stale.cache_clear()
        forget_stale(tmp_path)
        return code.exists()

    code.write_text("compiled")
    assert kept()
    assert kept()
    os.utime(source, ns=(1, 1))
    assert not kept()
    code.write_text("compiled")
    assert kept()


def test_a_folder_that_cannot_be_written_to_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("not a folder")
    forget_stale(tmp_path)


@pytest.mark.slow
def test_a_night_is_the_same_with_kernels_just_compiled(tmp_path: Path) -> None:
    """A continuous integration's first run, and every run after it.

    What is called by several kernels exists several times in machine code, each sum in its own order; which of them a
    process uses must not depend on what it compiled and what it loaded.
    """
    starlatch = [sys.executable, "-c", "from acquisition.cli.main import main; main()"]
    tables = []
    for folder in (tmp_path / "compiled", tmp_path / "loaded"):
        subprocess.run(
            [*starlatch, "guide", "--duration", "2m", "--virtual-time", "--output", str(folder)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}, check=True, timeout=600,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        tables.append([path.read_text() for path in sorted(folder.rglob("*.csv"))])
    assert tables[0]
    assert tables[0] == tables[1]
