"""Text files that appear whole or not at all, and that replace an earlier one at one stroke."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file; its folder is made if missing.

    Parameters
    ----------
    path : Path
    text : str
    durable : bool
        Whether it must be on the disk on return, so that it outlives a power cut.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is still there then, and nothing else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
