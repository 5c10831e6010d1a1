"""``starlatch masters``: master bias, dark and flat frames.

In: a night's calibration frames. Out: a folder of masters, which the processor `Calibration` and the exposure daemon
use; exit code 1 if one could not be made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Build master bias, dark and flat frames, or list those of a folder.

    \b
    Examples:
      starlatch masters build night/ -o masters/
      starlatch masters list masters/
    """


@command.command()
@click.argument("frames", nargs=-1, required=True, metavar="FRAME...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder; made if need be.")
@click.option("--hot-sigma", default=10.0, show_default=True, help="Pixels this far above the median dark are masked.")
@click.option("--overwrite", is_flag=True, help="Replace masters that are there already.")
def build(frames: tuple[str, ...], output: Path, hot_sigma: float, overwrite: bool) -> None:
    """Combine frames into masters, by camera, settings, exposure time, temperature and filter.

    A FRAME is a FITS file, or a folder; IMAGETYP says what it is (bias, dark, flat), and others do not matter. A master
    is the mean without outliers, with its uncertainty and its bad pixels as extensions UNCERT and MASK. Darks keep the
    bias; flats lose the dark or bias that suits them, and need one, of this call or in the folder. Maps of all bad
    pixels are written, too.
    """
    from acquisition.cli.offsets import fits_files
    from acquisition.images.processors.calibration.badpixels import write_bad_pixel_maps
    from acquisition.images.processors.calibration.build import build_masters, grouped

    if not hot_sigma > 0:
        raise click.UsageError(f"--hot-sigma is {hot_sigma}; allowed: above 0")
    groups, others = grouped(path for path in fits_files(frames) if path.resolve().parent != output.resolve())
    if others:
        click.echo(f"left out, being no bias, dark or flat: {len(others)} of the files", err=True)
    if not groups:
        raise click.UsageError("no bias, dark or flat frame (by IMAGETYP) among the files")
    failures = 0
    for built in build_masters(groups, output, hot_sigma, overwrite):
        if built.path is None:
            failures += 1
            click.echo(f"starlatch: {built.what}: {built.problem}", err=True)
        else:
            click.echo(f"{built.path}: {built.what}, {len(built.frames)} frames, {built.bad_pixels} bad pixels")
    for path, bad in write_bad_pixel_maps(output):
        click.echo(f"{path}: {bad} bad pixels, for AddMask")
    if failures:
        sys.exit(1)


@command.command("list")
@click.argument("folder", type=click.Path(path_type=Path))
def list_(folder: Path) -> None:
    """List the masters of FOLDER, and the exposure times that there are darks of."""
    from acquisition.images import FrameFacts
    from acquisition.images.processors.calibration.library import CalibrationLibrary

    library = CalibrationLibrary(folder)
    cameras = set()
    for master in library.masters:
        facts = master.facts
        binning = facts.x_binning or 1, facts.y_binning or 1
        details = [
            facts.instrument or "unknown camera",
            f"{binning[0]}x{binning[1]}",
            f"{master.shape[1]}x{master.shape[0]} px",
            "" if facts.gain is None else f"gain {facts.gain:g}",
            "" if facts.ccd_temp_c is None else f"{facts.ccd_temp_c:.1f} °C",
            f"{master.exposure_s:g} s" if master.kind == "dark" else "",
            f"filter {facts.filter_name}" if master.kind == "flat" and facts.filter_name else "",
        ]
        click.echo(f"{master.kind:<5} {master.path.name}: {', '.join(text for text in details if text)}")
        if facts.instrument is not None:
            cameras.add((facts.instrument, *binning))
    for instrument, x_binning, y_binning in sorted(cameras):
        camera = FrameFacts(instrument=instrument, x_binning=x_binning, y_binning=y_binning)
        exposures = library.dark_exposures_s(camera)
        if exposures:
            times = ", ".join(f"{s:g}" for s in exposures)
            click.echo(f"darks of {instrument} {x_binning}x{y_binning}: {times} s")
    if not library.masters:
        click.echo(f"no master in {folder}")
