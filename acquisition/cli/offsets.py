"""``starlatch offsets``: the guiding chain over FITS files.

In: files or folders. Out: a line a frame, or JSON; exit code 1 if a file could not be read.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acquisition.errors import ImageError, StarlatchError

if TYPE_CHECKING:
    from acquisition.images import Image

SUFFIXES = (".fits", ".fit", ".fts", ".fits.fz", ".fit.fz", ".fits.gz", ".fit.gz")


@dataclass(frozen=True, slots=True)
class Row:
    """What is printed for a frame; None where there is none."""

    file: str
    dx: float | None = None  # px
    dy: float | None = None
    dx_err: float | None = None
    dy_err: float | None = None
    stars: int | None = None
    dra: float | None = None  # degrees
    ddec: float | None = None
    exptime: float | None = None  # s
    reason: str | None = None


@click.command()
@click.argument("frames", nargs=-1, required=True, metavar="FRAME...")
@click.option(
    "--reference",
    type=click.Choice(["first", "previous"]),
    default="first",
    show_default=True,
    help="Offsets against the first frame, or against the one before.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, with null for what is not known.")
def command(frames: tuple[str, ...], reference: str, as_json: bool) -> None:
    """Measure how the stars move over a series of FITS files.

    A FRAME is a FITS file, or a folder, whose FITS files are taken in the order of their names. For each frame:
    offset of the stars in pixels with standard errors, number of stars used, the offset on the sky in degrees if
    the file has a WCS (what must be added to the telescope's pointing), and the next exposure time in seconds.

    The first frame's offset is 0. A frame that cannot be read or measured gets a reason instead, and the others go
    on (with "previous", against the last frame that has stars); the exit code is 1 if a file could not be read.
    A frame of another size than the one before begins anew.

    \b
    Examples:
      starlatch offsets night/*.fits
      starlatch offsets night/ --reference previous
      starlatch offsets night/*.fits.fz --json > offsets.json
    """
    import asyncio

    from acquisition.cli.compiling import announced

    files = fits_files(frames)
    with announced(lambda text: click.echo(text, err=True)):
        rows, broken = asyncio.run(_measure(files, reference == "previous"))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1, allow_nan=False))
    elif len(broken) < len(rows):
        _print(rows)
    for line in broken:
        click.echo(f"starlatch: {line}", err=True)
    if broken:
        sys.exit(1)


def fits_files(frames: Sequence[str]) -> list[Path]:
    """The files named, folders replaced by their FITS files.

    Raises
    ------
    StarlatchError
        If a folder has none.
    """
    files: list[Path] = []
    for name in frames:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) and p.is_file())
            if not inside:
                raise StarlatchError(f"folder {name} has no FITS file; looked for {', '.join(SUFFIXES)}")
            files += inside
        else:
            files.append(path)
    return files


async def _measure(files: list[Path], against_previous: bool) -> tuple[list[Row], list[str]]:
    """Rows for all files, and one line for each file that could not be read."""
    import warnings

    from acquisition.images import Image, Pipeline
    from acquisition.images.processors.exptime import StarExpTimeEstimator
    from acquisition.images.processors.offsets import GuideStarOffsets, RaDecFromPixels

    guide_stars = GuideStarOffsets()
    rest = Pipeline([RaDecFromPixels(on_error="ignore"), StarExpTimeEstimator(on_error="ignore")])
    rows: list[Row] = []
    broken: list[str] = []
    shape: tuple[int, ...] | None = None
    with with_progress(files) as paths:
        for path in paths:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of astropy, about cards of other programs
                    image = Image.from_file(path)
            except (OSError, ValueError, StarlatchError) as error:
                line = _one_line(error, path)
                rows.append(Row(str(path), reason=line))
                broken.append(line)
                continue
            another = shape is not None and image.safe_data is not None and image.data.shape != shape
            if another:
                await guide_stars.reset()
            try:
                row = _row(path, await rest(await guide_stars(image)))
                rows.append(replace(row, reason="another size: new reference") if another else row)
                shape = image.data.shape
            except ImageError as error:
                rows.append(Row(str(path), reason=" ".join(str(error).split())))
            if against_previous:
                fresh = GuideStarOffsets()
                with contextlib.suppress(ImageError):
                    await fresh(image)
                    guide_stars = fresh
    return rows, broken


def with_progress(files: list[Path]) -> contextlib.AbstractContextManager[Iterable[Path]]:
    """The files, with a progress bar if somebody watches."""
    if not sys.stderr.isatty():
        return contextlib.nullcontext(files)
    return click.progressbar(files, label="frames", file=sys.stderr, show_pos=True)


def _row(path: Path, image: Image) -> Row:
    from acquisition.images.meta import ExpTime, GuideStars, PixelOffsets, RaDecOffsets

    offsets, stars = image.get_meta(PixelOffsets), image.get_meta(GuideStars)
    sky, exptime = image.get_meta_safe(RaDecOffsets), image.get_meta_safe(ExpTime)
    return Row(
        file=str(path),
        dx=_finite(offsets.dx),
        dy=_finite(offsets.dy),
        dx_err=_finite(offsets.dx_err),
        dy_err=_finite(offsets.dy_err),
        stars=len(stars.used),
        dra=None if sky is None else _finite(sky.dra),
        ddec=None if sky is None else _finite(sky.ddec),
        exptime=None if exptime is None else _finite(exptime.exptime),
    )


def _finite(value: float | None) -> float | None:
    return value + 0.0 if value is not None and math.isfinite(value) else None  # no -0


def _one_line(error: Exception, path: Path) -> str:
    known = error.strerror if isinstance(error, OSError) else None
    text = " ".join(str(known or error).split()) or type(error).__name__
    return text if path.name in text else f"{path}: {text}"


def _print(rows: list[Row]) -> None:
    """A table whose columns are as wide as they need be; the same into a pipe as on a terminal."""
    names = _short_names([row.file for row in rows])
    has_sky = any(row.dra is not None for row in rows)
    header = ["frame", "dx/px", "dy/px", "±dx", "±dy", "stars"] + ["dra/deg", "ddec/deg"] * has_sky + ["next/s", ""]
    lines = [header]
    for name, row in zip(names, rows, strict=True):
        cells = [_cell(row.dx, "+.3f"), _cell(row.dy, "+.3f"), _cell(row.dx_err, ".3f"), _cell(row.dy_err, ".3f")]
        cells.append(_cell(row.stars, "d"))
        if has_sky:
            cells += [_cell(row.dra, "+.6f"), _cell(row.ddec, "+.6f")]
        lines.append([name, *cells, _cell(row.exptime, ".4g"), row.reason or ""])
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [line[i].rjust(widths[i]) for i in range(1, len(widths))]
        click.echo("  ".join([*cells, line[-1]]).rstrip())


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _short_names(files: list[str]) -> list[str]:
    """The names without their folder, where that leaves them different."""
    names = [Path(file).name for file in files]
    return names if len(set(names)) == len(set(files)) else files
