"""``starlatch stars``: what a frame shows, and which stars would guide.

In: a FITS file. Out: a table or JSON, and a picture if asked.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from acquisition.images.processors.offsets.starselection import Survey
    from acquisition.images.processors.plane import Plane


@click.command()
@click.argument("frame", metavar="FRAME")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the frame with its stars as PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print an object with the frame's figures and its stars.")
@click.option("--max-stars", type=click.IntRange(1), default=20, show_default=True, help="Guide stars to choose.")
def command(frame: str, plot: Path | None, as_json: bool, max_stars: int) -> None:
    """List the stars of a FITS file, which of them would guide, and why the others would not.

    Places are 0-based pixels, the middle of the first pixel being (0, 0); widths are in pixels. Stars are in the
    order in which they would be chosen, then those that would not, the brightest first.

    \b
    Examples:
      starlatch stars frame.fits
      starlatch stars frame.fits --plot stars.png
      starlatch stars frame.fits --json | jq '.stars[0]'
    """
    import warnings

    from acquisition.images import Image
    from acquisition.images.processors.offsets.starselection import survey
    from acquisition.images.processors.plane import plane_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy, about cards of other programs
        try:
            image = Image.from_file(frame)
        except ValueError as error:
            raise click.ClickException(f"{frame}: {error}") from error
    plane = plane_of(image)
    seen = survey(plane, image.facts)
    rows = _rows(seen, plane, max_stars)
    figures = _figures(seen, plane)
    if as_json:
        click.echo(json.dumps({"file": frame, **figures, "stars": rows}, indent=1, allow_nan=False))
    else:
        _print(rows, figures)
    if plot is not None:
        _draw(plane, rows, plot, Path(frame).name)


def _figures(seen: Survey, plane: Plane) -> dict[str, Any]:
    background, psf = seen.stars.background, seen.stars.psf
    saturation = seen.detector.saturation
    return {
        "sky_adu": round(float(background.level.mean()), 3),
        "noise_adu": round(float(background.noise.mean()), 3),
        "fwhm_x_px": None if psf is None else round(psf.fwhm_x * plane.step, 3),
        "fwhm_y_px": None if psf is None else round(psf.fwhm_y * plane.step, 3),
        "profile": None if psf is None else psf.profile,
        "saturation_adu": saturation if math.isfinite(saturation) and saturation < 1e30 else None,
    }


def _rows(seen: Survey, plane: Plane, max_stars: int) -> list[dict[str, Any]]:
    from acquisition.kernels import columns as c

    stars, snr = seen.stars, seen.stars.snr
    chosen = seen.chosen(max_stars, plane.frame.shape)
    order = chosen + [k for k in range(len(stars.table)) if k not in chosen]
    rows = []
    for k in order:
        row = stars.table[k]
        reason = None if k in chosen else stars.reasons[k] or "others are better"
        rows.append(
            {
                "guide": k in chosen,
                "x": round(float(plane.to_image(row[c.X])), 3),
                "y": round(float(plane.to_image(row[c.Y])), 3),
                "err": round(math.sqrt((row[c.VAR_X] + row[c.VAR_Y]) / 2) * plane.step, 4),
                "flux": round(float(row[c.FLUX]) * plane.step**2, 1),
                "snr": round(float(snr[k]), 1),
                "hfd": round(float(row[c.HFD]) * plane.step, 2),
                "peak": round(float(row[c.PEAK]), 1),
                "reason": reason,
            }
        )
    return rows


def _print(rows: list[dict[str, Any]], figures: dict[str, Any]) -> None:
    count = sum(row["guide"] for row in rows)
    text = f"{len(rows)} stars, {count} would guide; sky {figures['sky_adu']:g} ADU, noise {figures['noise_adu']:g} ADU"
    if figures["profile"] is not None:
        text += f", FWHM {figures['fwhm_x_px']:.2f} x {figures['fwhm_y_px']:.2f} px ({figures['profile']})"
    click.echo(text)
    if not rows:
        click.echo("no stars: nothing in the frame stands out of the noise as a star does")
        return
    click.echo("      x        y     ±/px      flux     SNR    HFD    peak  guide")
    for row in rows:
        verdict = "yes" if row["guide"] else f"no: {row['reason']}"
        click.echo(
            f"{row['x']:8.2f} {row['y']:8.2f}  {row['err']:7.4f} {row['flux']:9.0f} {row['snr']:7.1f} "
            f"{row['hfd']:6.2f} {row['peak']:7.0f}  {verdict}"
        )


def _draw(plane: Plane, rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """The frame, guide stars circled in green, the others in red.

    Raises
    ------
    click.ClickException
        If matplotlib is not installed.
    """
    import numpy as np

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise click.ClickException("--plot needs matplotlib: pip install 'starlatch[plot]'") from None
    height, width = (n * plane.step for n in plane.frame.shape)
    low, high = np.nanpercentile(plane.frame, (5, 99.5))
    figure = Figure(figsize=(10, 10 * height / width + 0.5), dpi=120)
    axes = figure.add_subplot()
    axes.imshow(
        plane.frame, cmap="gray", vmin=low, vmax=max(high, low + 1), origin="lower",
        extent=(-0.5, width - 0.5, -0.5, height - 0.5),
    )  # fmt: skip
    for guide, colour, label in ((True, "lime", "would guide"), (False, "tomato", "would not")):
        places = [(row["x"], row["y"]) for row in rows if row["guide"] == guide]
        if places:
            x, y = zip(*places, strict=True)
            axes.scatter(x, y, s=120, facecolors="none", edgecolors=colour, linewidths=0.8, label=label)
    if rows:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=2, frameon=False)
    axes.set_title(f"{title}: {sum(row['guide'] for row in rows)} guide stars of {len(rows)}")
    axes.set_xlabel("x / px")
    axes.set_ylabel("y / px")
    figure.savefig(path, bbox_inches="tight")
