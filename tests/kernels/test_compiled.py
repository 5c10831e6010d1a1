"""What was compiled is used for as long as no kernel changes."""

from __future__ import annotations

import os
from pathlib import Path

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
