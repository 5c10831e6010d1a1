"""``starlatch pipeline``: processors over FITS files.

In: a TOML file with the processors, and frames. Out: frames; exit code 1 if one failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acquisition.errors import StarlatchError

if TYPE_CHECKING:
    from acquisition.images import Pipeline


@click.group()
def command() -> None:
    """Run image processors over FITS files, or list those that there are.

    \b
    Examples:
      starlatch pipeline list
      starlatch pipeline run reduce.toml night/ -o reduced/
    """


@command.command("list")
def list_() -> None:
    """List the processors, each with what it does."""
    from acquisition.images.pipeline_file import built_in

    processors = built_in()
    width = max(map(len, processors))
    for name, kind in processors.items():
        line = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
        sentence, stop, _ = line.partition(". ")
        click.echo(f"{name:<{width}}  {sentence}{stop.strip()}")


@command.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("frames", nargs=-1, required=True, metavar="FRAME...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the results; made if need be.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def run(config: Path, frames: tuple[str, ...], output: Path | None, overwrite: bool) -> None:
    """Run the pipeline of CONFIG over all frames, in their order.

    CONFIG is a TOML file with a table [[pipeline]] for each step: class = "SoftBin" and the step's parameters; class is
    a name of `starlatch pipeline list` or that of a class of your own, with its module. A FRAME is a FITS file, or a
    folder. Results have the names of their frames. A frame that fails gets a line, and the others go on.
    """
    import asyncio

    from acquisition.cli.offsets import fits_files
    from acquisition.images.pipeline_file import load_pipeline

    pipeline = load_pipeline(config)
    files = fits_files(frames)
    targets: list[Path | None] = [None] * len(files)
    if output is not None:
        targets = _targets(files, output, overwrite)
        output.mkdir(parents=True, exist_ok=True)
    failures = asyncio.run(_run(pipeline, files, targets))
    for line in failures:
        click.echo(f"starlatch: {line}", err=True)
    click.echo(f"{len(files) - len(failures)} of {len(files)} frames done")
    if failures:
        sys.exit(1)


def _targets(files: list[Path], output: Path, overwrite: bool) -> list[Path | None]:
    """Where the results go.

    Raises
    ------
    StarlatchError
        If two frames have the same name, or a file is there already.
    """
    targets: list[Path | None] = []
    for path in files:
        name = path.name
        for suffix in (".gz", ".fz", ".bz2", ".xz"):
            name = name.removesuffix(suffix)
        target = output / name
        if target in targets:
            raise StarlatchError(f"{path}: another frame is named {name}, too; run them into another folder")
        if target.exists() and (not overwrite or target.samefile(path)):
            raise StarlatchError(f"{target} exists; choose another folder, or --overwrite")
        targets.append(target)
    return targets


async def _run(pipeline: Pipeline, files: list[Path], targets: list[Path | None]) -> list[str]:
    """One line for each frame that failed. One frame is in memory at a time."""
    import warnings

    from acquisition.cli.offsets import with_progress
    from acquisition.images import Image

    failures = []
    with with_progress(files) as paths:
        for path, target in zip(paths, targets, strict=True):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of astropy, about cards of other programs
                    image = await pipeline(Image.from_file(path))
                if target is not None:
                    image.writeto(target, overwrite=True)
            except (StarlatchError, OSError, ValueError) as error:
                text = " ".join(str(error).split()) or type(error).__name__
                failures.append(text if path.name in text else f"{path}: {text}")
    return failures
