"""``starlatch image``: what a frame is, how it looks, and the same in another format.

In: FITS files. Out: text, a preview in the terminal, or files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from acquisition.errors import StarlatchError

if TYPE_CHECKING:
    import PIL.Image

    from acquisition.images import Image
    from acquisition.images.levels import Stretch

F = TypeVar("F", bound=Callable[..., Any])

_PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
_FITS = (".fits", ".fit", ".fts", ".fits.fz", ".fit.fz", ".fits.gz", ".fit.gz")


@click.group()
def command() -> None:
    """Say what a FITS file is, show it in the terminal, or convert it.

    \b
    Examples:
      starlatch image info frame.fits
      starlatch image show frame.fits --stars
      starlatch image convert night/*.fits -o pictures/
    """


def _how_it_looks(function: F) -> F:
    """The options of everything that makes a picture."""
    stretches = click.Choice(["asinh", "linear", "zscale"])
    for option in (
        click.option("--stars", is_flag=True, help="Ring the stars: green those that would guide, red the others."),
        click.option("--vmax", type=float, help="Pixel value that becomes white."),
        click.option("--vmin", type=float, help="Pixel value that becomes black."),
        click.option("--stretch", type=stretches, default="asinh", show_default=True, help="From pixels to grey."),
    ):
        function = option(function)
    return function


@command.command()
@click.argument("frame", metavar="FRAME")
@click.option("--header", is_flag=True, help="Print all cards of the header, too.")
@click.option("--json", "as_json", is_flag=True, help="Print an object, with null for what is not known.")
def info(frame: str, header: bool, as_json: bool) -> None:
    """Say what a FITS file is: its pixels, and what its header tells of camera, time and sky.

    The header is understood in the words of many programs; what is not known is left out.
    """
    from acquisition.cli.image_facts import described, facts_of

    image = _read(frame)
    if as_json:
        click.echo(json.dumps({"file": frame, **facts_of(image)}, indent=1, allow_nan=False))
        return
    click.echo(f"{frame}: {os.path.getsize(os.path.expanduser(frame)) / 1e6:.3g} MB")
    rows = described(image)
    for name, text in rows:
        click.echo(f"  {name:<{max(len(name) for name, _ in rows)}}  {text}")
    if header:
        click.echo("\n".join(card.image.rstrip() for card in image.header.cards))


@command.command()
@click.argument("frame", metavar="FRAME")
@click.option("--width", type=click.IntRange(8), help="Characters; by default as many as fit.")
@_how_it_looks
def show(frame: str, width: int | None, stretch: Stretch, vmin: float | None, vmax: float | None, stars: bool) -> None:
    """Show a FITS file in the terminal, row 0 at the bottom.

    Each character shows two pixels in true colour, or in five shades of grey where the terminal has no colours. Stars
    are kept when the frame is shrunk to fit.
    """
    from rich.console import Console

    from acquisition.cli.compiling import announced
    from acquisition.cli.preview import fitted, half_blocks, shrunk
    from acquisition.cli.rings import star_places, with_rings
    from acquisition.images.picture import draw

    console = Console()
    if not console.is_terminal:
        raise click.UsageError("standard output is no terminal; `starlatch image convert` writes a picture")
    image = _read(frame)
    data = _picture_data(image, frame)
    columns = width or console.width
    rows = columns if width else console.height - 2
    height_px, width_px = fitted(data.shape[-2], data.shape[-1], rows, columns)
    picture = draw(shrunk(data, height_px, width_px), vmin, vmax, stretch)
    if stars:
        with announced(lambda text: click.echo(text, err=True)):
            places = star_places(image)
        picture = with_rings(picture, places, data.shape[-1], 2.0, 1)
    for line in half_blocks(picture, in_colour=console.color_system is not None and not console.no_color):
        console.print(line, soft_wrap=True, end="\n")
    click.echo(f"{Path(frame).name}  {data.shape[-1]} x {data.shape[-2]} px")


@command.command()
@click.argument("frames", nargs=-1, required=True, metavar="FRAME...")
@click.option("-o", "--output", required=True, help="File, or a folder for several; a new folder ends in a slash.")
@click.option("--format", "suffix", default="png", show_default=True, help="In a folder: png, jpg, fits, fits.fz, ...")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@_how_it_looks
def convert(
    frames: tuple[str, ...],
    output: str,
    suffix: str,
    overwrite: bool,
    stretch: Stretch,
    vmin: float | None,
    vmax: float | None,
    stars: bool,
) -> None:
    """Convert FITS files to pictures (PNG, JPEG), or to FITS of another kind.

    The ending says what it becomes: .png, .jpg; .fits; .fits.fz is tile-compressed without loss, .fits.gz as a whole.
    Pictures have row 0 at the bottom.

    \b
    Examples:
      starlatch image convert frame.fits -o frame.png
      starlatch image convert frame.fits -o stars.jpg --stars
      starlatch image convert night/ -o small/ --format fits.fz
    """
    from acquisition.cli.compiling import announced
    from acquisition.cli.offsets import fits_files, with_progress

    files = fits_files(frames)
    if output.endswith("/") or os.path.isdir(output):
        targets = [Path(output) / f"{_stem(path)}.{suffix.removeprefix('.')}" for path in files]
    elif len(files) == 1:
        targets = [Path(output)]
    else:
        raise click.UsageError(
            f"{len(files)} frames cannot all become {output}; name a folder, with a slash at its end"
        )
    for target in targets:
        if not target.name.lower().endswith((*_PICTURES, *_FITS)):
            raise click.UsageError(f"output is {target}; allowed endings: {', '.join((*_PICTURES, *_FITS))}")
        if targets.count(target) > 1:
            raise StarlatchError(f"several frames would become {target}; convert them one by one")
        if target.exists() and not overwrite:
            raise StarlatchError(f"{target} exists; choose another name, or --overwrite")
    with announced(lambda text: click.echo(text, err=True)), with_progress(files) as paths:
        for path, target in zip(paths, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            image = _read(str(path))
            file_format = _PICTURES.get(target.suffix.lower())
            if file_format is None:
                image.writeto(target, overwrite=True)
            else:
                picture = _picture(image, str(path), stretch, vmin, vmax, stars)
                _write_picture(picture, file_format, target)
    click.echo(f"{len(files)} frame{'s' * (len(files) > 1)} converted: {targets[0] if len(files) == 1 else output}")


def _picture(
    image: Image, name: str, stretch: Stretch, vmin: float | None, vmax: float | None, stars: bool
) -> PIL.Image.Image:
    from acquisition.cli.rings import star_places, with_rings
    from acquisition.images.picture import draw

    data = _picture_data(image, name)
    picture = draw(data, vmin, vmax, stretch)
    if stars:
        size = max(data.shape[-2:])
        picture = with_rings(
            picture, star_places(image), data.shape[-1], max(6.0, size / 150), max(1, round(size / 1000))
        )
    return picture


def _write_picture(picture: PIL.Image.Image, file_format: Any, target: Path) -> None:
    from acquisition.images.picture import encode

    try:
        target.write_bytes(encode(picture, file_format))
    except ValueError as error:
        raise StarlatchError(f"{target}: {error}") from error


def _picture_data(image: Image, name: str) -> Any:
    data = image.data
    if data.ndim == 2 or image.is_color:
        return data
    raise StarlatchError(f"{name}: pixels have shape {data.shape}; a picture needs [y, x] or [3, y, x]")


def _read(frame: str) -> Image:
    import warnings

    from acquisition.images import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy, about cards of other programs
        try:
            return Image.from_file(frame)
        except ValueError as error:
            raise click.ClickException(str(error)) from error


def _stem(path: Path) -> str:
    name = path.name
    for ending in sorted(_FITS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem
