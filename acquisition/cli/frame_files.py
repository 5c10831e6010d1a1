"""Where a series of frames is saved: names made from headers, existing files kept.

In: a pattern such as ``night/{OBJECT}-{FRAMENUM|string:04d}.fits``, and frames. Out: files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from acquisition.images import Image

NUMBER = "{FRAMENUM|string:04d}"
DEFAULT_NAME = f"{{DATE-OBS|date:}}-{{DATE-OBS|time:}}-{NUMBER}.fits"


class FrameFiles:
    """Saves frames number 1 to `count`.

    Parameters
    ----------
    pattern : str
        Of the file names, as `FilenameFormatter` takes it, with the running number as FRAMENUM; a directory means
        the default name in it. Without placeholders, each of several frames gets its number at the end of its name.
    count : int
    overwrite : bool
        Replace files that were there before; frames of the same series never replace each other.

    Raises
    ------
    click.UsageError
        If something in braces is no placeholder, or a name that is known in advance exists.
    """

    def __init__(self, pattern: str, count: int, overwrite: bool) -> None:
        if pattern.endswith(("/", os.sep)) or os.path.isdir(pattern):
            pattern = os.path.join(pattern, DEFAULT_NAME)
        _check_placeholders(pattern)
        if "{" not in pattern:
            if count > 1:
                stem, suffix = _split(pattern)
                pattern = f"{stem}-{NUMBER}{suffix}"
            names = [_format(pattern, {}, {"FRAMENUM": number}) for number in range(1, count + 1)]
            existing = [name for name in names if os.path.exists(name)]
            if existing and not overwrite:
                raise click.UsageError(f"{existing[0]} exists; choose another name, or --overwrite")
        self.pattern = pattern
        self.overwrite = overwrite
        self.saved: list[Path] = []

    def save(self, image: Image) -> Path:
        """Save the next frame and say where; FNAME in its header is its name.

        A frame is never lost for its name: where the header lacks a key, it gets a plain name in the same directory;
        where a file exists, a number more.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        keys = {"FRAMENUM": len(self.saved) + 1}
        try:
            name = _format(self.pattern, image.header, keys)
        except (KeyError, ValueError) as error:
            # what is left of the directory when its placeholders are gone
            directory = os.path.dirname(self.pattern.partition("{")[0])
            name = os.path.join(directory, _format(f"frame-{NUMBER}.fits", {}, keys))
            click.echo(f"saving as {name}: {error.args[0]}", err=True)
        path = self._free(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.header["FNAME"] = path.name
        image.writeto(path, overwrite=self.overwrite)
        self.saved.append(path)
        return path

    def _free(self, name: str) -> Path:
        stem, suffix = _split(name)
        path, number = Path(name), 0
        while path in self.saved or (path.exists() and not self.overwrite):
            number += 1
            path = Path(f"{stem}-{number}{suffix}")
        return path


def _format(pattern: str, header: Mapping[str, Any], keys: Mapping[str, Any]) -> str:
    from acquisition.images.filenames import format_filename  # not before: it imports astropy

    return format_filename(header, pattern, keys)


class _AnyKey(Mapping[str, Any]):
    """A header that has whatever key it is asked for."""

    def __getitem__(self, key: str) -> str:
        return "0"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _check_placeholders(pattern: str) -> None:
    for part in re.findall(r"\{[^{}]*\}|[{}]", pattern):
        try:
            name = _format(part, _AnyKey(), {})
        except ValueError:
            continue  # a function that wants another value: the frame will tell
        except KeyError as error:
            raise click.UsageError(f"output is {pattern!r}: {error.args[0]}") from None
        if name == part:
            raise click.UsageError(
                f"output is {pattern!r}, where {part!r} is no placeholder; "
                "allowed: {KEY} and {KEY|function}, such as {OBJECT}, {DATE-OBS|date}, {FRAMENUM|string:04d}"
            )


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix, a compressed file's double suffix in one piece."""
    stem, suffix = os.path.splitext(name)
    if suffix in (".gz", ".fz", ".bz2"):
        stem, inner = os.path.splitext(stem)
        suffix = inner + suffix
    return stem, suffix
