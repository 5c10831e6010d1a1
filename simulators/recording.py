"""Recorded nights: a guide log or a table becomes the open-loop motion of the simulated mount.

In: a file, ``?disturbance=FILE``. Out: a `Recording`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from acquisition.errors import ConfigError
from acquisition.guidelog import GuidingSection, open_loop, read_guide_log

from .disturbance import Recording
from .process import Floats

CSV_COLUMNS = ("t_s", "ra_arcsec", "dec_arcsec")


def read_recording(file: str, section: int, dec_deg: float) -> Recording:
    """The motion in a file.

    Parameters
    ----------
    file : str
        A PHD2 guide log, or a CSV with the columns of `CSV_COLUMNS` (arcsec on the sky, guider's signs).
    section : int
        Which of a log's guidings, counted from 1 as `starlatch log show` does.
    dec_deg : float
        Where the simulated telescope points: arcs on the sky there become arcs of hour angle.

    Raises
    ------
    ConfigError
        If the file is neither, or has no such section, or too little in it.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"disturbance {file!r} cannot be read: {error.strerror}") from None
    if text.lstrip().lower().startswith(CSV_COLUMNS[0]):
        if section != 1:
            raise ConfigError(f"section is {section}; allowed: 1, as {file!r} is a table")
        times_s, ra, dec = _from_csv(file, text)
    else:
        times_s, ra, dec = _from_log(file, text, section)
    if len(times_s) < 2 or not np.all(np.diff(times_s) > 0) or not np.isfinite([times_s, ra, dec]).all():
        raise ConfigError(f"disturbance {file!r}: times must ascend, with finite numbers and two rows or more")
    return Recording(times_s, ra / math.cos(math.radians(min(abs(dec_deg), 89.0))), dec)


def _from_log(file: str, text: str, section: int) -> tuple[Floats, Floats, Floats]:
    try:
        guidings = [part for part in read_guide_log(text.splitlines()) if isinstance(part, GuidingSection)]
        if not 1 <= section <= len(guidings):
            raise ConfigError(f"section is {section}; allowed: 1 to {len(guidings)}")
        motion = open_loop(guidings[section - 1])
    except ConfigError as error:
        raise ConfigError(f"disturbance {file!r}: {error}") from None
    if motion.scale_arcsec is None:
        raise ConfigError(f"disturbance {file!r}: the log's header has no pixel scale")
    return motion.t_s, motion.ra_px * motion.scale_arcsec, motion.dec_px * motion.scale_arcsec


def _from_csv(file: str, text: str) -> tuple[Floats, Floats, Floats]:
    rows = list(csv.reader(text.splitlines()))
    if tuple(cell.strip() for cell in rows[0]) != CSV_COLUMNS:
        raise ConfigError(f"disturbance {file!r}: columns are {', '.join(rows[0])}; allowed: {', '.join(CSV_COLUMNS)}")
    try:
        numbers = np.array([[float(cell) for cell in row] for row in rows[1:] if row]).reshape(-1, 3)
    except ValueError as error:
        raise ConfigError(f"disturbance {file!r}: {error}") from None
    return numbers[:, 0], numbers[:, 1], numbers[:, 2]
