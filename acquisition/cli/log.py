"""``starlatch log``: read guide logs, ours and PHD2's.

In: a log file. Out: a table, a plot, advice.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from acquisition.guidelog import CalibrationSection, GuidingSection
    from acquisition.guiding.summary import SectionSummary

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Read guide logs, ours and PHD2's: what happened, and what to improve.

    \b
    Examples:
      starlatch log show guidelog.txt
      starlatch log show PHD2_GuideLog_2026-07-30_223924.txt --section 2 --plot night.png
      starlatch log assistant guidelog.txt
    """


@command.command()
@_FILE
@click.option("--section", "number", type=click.IntRange(min=1), help="Only this guiding section, counted from 1.")
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Draw a guiding section [default: the longest]."
)
def show(file: Path, number: int | None, plot_file: Path | None) -> None:
    """Print the sections of FILE, a line each.

    \b
    Example:
      starlatch log show guidelog.txt --plot night.png
    """
    from acquisition.guidelog import CalibrationSection
    from acquisition.guiding.plot import check_plotting

    if plot_file is not None:
        check_plotting()
    sections = _read(file)
    guiding = _chosen(sections, number, file)
    if number is None:
        for section in sections:
            if isinstance(section, CalibrationSection):
                end = "complete" if section.complete else "not complete"
                click.echo(f"{section.begins}  calibration, {len(section.rows)} steps, {end}")
    click.echo(_HEAD)
    for i, section, summary in guiding:
        click.echo(_line(i, section, summary))
    if plot_file is not None:
        _, section, summary = max(guiding, key=lambda entry: entry[2].frames)
        _plot(section, summary, plot_file, f"{file.name}   {section.begins}")
        click.echo(f"plot    {plot_file}")


@command.command()
@_FILE
@click.option("--section", "number", type=click.IntRange(min=1), help="Only this guiding section, counted from 1.")
def assistant(file: Path, number: int | None) -> None:
    """Say what to improve: star, polar alignment, oscillation, lag, balance, exposure.

    \b
    Example:
      starlatch log assistant guidelog.txt
    """
    from acquisition.guiding.assistant import advise

    for i, section, summary in _chosen(_read(file), number, file):
        click.echo(f"section {i}, {section.begins}, {summary.frames} frames")
        for advice in advise(summary) or ["nothing to improve that a log can show"]:
            click.echo(f"  - {advice}")


@command.command()
@_FILE
@click.option("--law", "laws", multiple=True, help="A law to compare; several times [default: all].")
@click.option("--section", "number", type=click.IntRange(min=1), help="Only this guiding section, counted from 1.")
def replay(file: Path, laws: tuple[str, ...], number: int | None) -> None:
    """Guide the nights of FILE again with other laws, and compare what each would have left.

    The motion without corrections is worked out from the log; it holds that night's seeing. Measured RMS, the first 30
    frames left out; every correction is taken to be sent whole, so pulses that backlash swallowed make Dec look better
    than it can be.

    \b
    Example:
      starlatch log replay PHD2_GuideLog_2026-07-30_223924.txt --law predictive --law hysteresis
    """
    from acquisition.guidelog import open_loop
    from acquisition.guiding.algorithms import LAWS
    from acquisition.guiding.replay import LEFT_OUT
    from acquisition.guiding.replay import replay as replay_law

    for name in laws:
        if name not in LAWS:
            raise click.BadParameter(f"{name!r}; there are: {', '.join(LAWS)}", param_hint="--law")
    for i, section, summary in _chosen(_read(file), number, file):
        motion = open_loop(section)
        if len(motion.t_s) <= LEFT_OUT:
            click.echo(f"section {i}, {section.begins}: {len(motion.t_s)} frames, too few")
            continue
        scale, unit = (motion.scale_arcsec, '"') if motion.scale_arcsec else (1.0, "px")
        exposure_s = (section.setting("Exposure") or 1000 * summary.cadence_s) / 1000
        click.echo(f"section {i}, {section.begins}, {summary.frames} frames")
        click.echo(f"  {'law':16}{'RA':>9}{'Dec':>9}")
        click.echo(f"  {'as guided':16}{summary.ra.rms_px * scale:8.2f}{unit}{summary.dec.rms_px * scale:8.2f}{unit}")
        for name in laws or LAWS:
            rms = [
                replay_law(
                    LAWS[name](), motion.t_s, axis, motion.snr, motion.lost_s, exposure_s, motion.scale_arcsec or 1.0
                ).rms_px
                * scale
                for axis in (motion.ra_px, motion.dec_px)
            ]
            click.echo(f"  {name:16}{rms[0]:8.2f}{unit}{rms[1]:8.2f}{unit}")


_HEAD = "section  begins               minutes  frames  lost  every    SNR  dithers   RMS: RA    Dec  total    peak"


def _read(file: Path) -> list[GuidingSection | CalibrationSection]:
    from acquisition.errors import ConfigError
    from acquisition.guidelog import read_guide_log

    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return read_guide_log(lines)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def _chosen(
    sections: list[GuidingSection | CalibrationSection], number: int | None, file: Path
) -> list[tuple[int, GuidingSection, SectionSummary]]:
    """The guiding sections that have stars, with their numbers and figures."""
    from acquisition.errors import ConfigError
    from acquisition.guidelog import GuideRow, GuidingSection
    from acquisition.guiding.summary import summarise

    guiding = [section for section in sections if isinstance(section, GuidingSection)]
    if number is not None and number > len(guiding):
        raise click.BadParameter(f"{number}; {file} has {len(guiding)} guiding sections", param_hint="--section")
    found = [
        (i, section, summarise(section))
        for i, section in enumerate(guiding, start=1)
        if number in (None, i) and any(isinstance(row, GuideRow) for row in section.rows)
    ]
    if not found:
        raise ConfigError(f"{file}: no guiding section has a frame with a star")
    return found


def _line(i: int, section: GuidingSection, summary: SectionSummary) -> str:
    scale, unit = (summary.scale_arcsec, '"') if summary.scale_arcsec else (1.0, "px")
    ra, dec = summary.ra.rms_px * scale, summary.dec.rms_px * scale
    peak = max(summary.ra.peak_px, summary.dec.peak_px) * scale
    return (
        f"{i:7}  {section.begins}  {summary.duration_s / 60:7.1f}  {summary.frames:6}  {summary.lost:4}  "
        f"{summary.cadence_s:4.1f}s  {summary.median_snr:5.1f}  {summary.dithers:7}  "
        f"{ra:6.2f}{unit} {dec:5.2f}{unit} {(ra * ra + dec * dec) ** 0.5:5.2f}{unit}  {peak:5.1f}{unit}"
    )


def _plot(section: GuidingSection, summary: SectionSummary, path: Path, title: str) -> None:
    from acquisition.guidelog import GuideRow
    from acquisition.guiding.history import History, Point
    from acquisition.guiding.plot import plot_run
    from acquisition.guiding.run_summary import axis_lines, rms_lines
    from acquisition.guiding.statistics import Rms
    from acquisition.guiding.summary import settling_rows

    history = History()
    history.scale_arcsec = summary.scale_arcsec
    for row, settling in zip(section.rows, settling_rows(section), strict=True):
        if isinstance(row, GuideRow):
            ra_s = row.ra_ms / 1000 * (-1 if row.ra_direction == "E" else 1)
            dec_s = row.dec_ms / 1000 * (-1 if row.dec_direction == "N" else 1)
            history.points.append(Point(row.time_s, row.ra_raw, row.dec_raw, ra_s, dec_s, row.snr, settling))
        else:
            history.points.append(Point(row.time_s, None, None, 0.0, 0.0, None))
    for after, text in section.infos:
        if text.startswith("DITHER") and section.rows:
            history.dithers.append(section.rows[min(after, len(section.rows) - 1)].time_s)
    scale, unit = (summary.scale_arcsec, '"') if summary.scale_arcsec else (1.0, "px")
    rms = Rms(summary.ra.rms_px * scale, summary.dec.rms_px * scale)
    lines = [
        f"frames {summary.frames}, lost {summary.lost}, pulses {summary.ra.pulses + summary.dec.pulses}",
        *rms_lines([(f"RMS {unit}", rms)]),
        *axis_lines(summary.ra, summary.dec, summary.scale_arcsec, summary.duration_s),
    ]
    plot_run(history, lines, path, title)
