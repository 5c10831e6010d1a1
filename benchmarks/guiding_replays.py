"""Laws on real nights: guide logs of PHD2 turned into the motion that there would have been without corrections.

In: the logs listed in `sections.csv`. Out: measured RMS of any law on each. The motion contains that night's seeing and
noise; where it was guided with pulses that the gears swallowed it is no disturbance, and the section is not marked.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.guidelog import GuideRow, GuidingSection, read_guide_log
from acquisition.guiding.algorithms import Law, LawRunner, Lost, Measured

FloatArray = NDArray[np.float64]

LATENCY_S = 0.3
LEFT_OUT = 30
REALDATA = Path(os.environ.get("STARLATCH_REALDATA", Path(__file__).parents[2] / "shared" / "realdata"))


@dataclass(frozen=True)
class Replay:
    """One axis of one section.

    Attributes
    ----------
    t_s : array (n,)
        When each frame had been measured.
    motion : array (n,)
        Without corrections, px; NaN where the star was lost.
    snr : array (n,)
    exposure_s, scale : float
        Scale in arcsec/px.
    """

    name: str
    axis: str
    t_s: FloatArray
    motion: FloatArray
    snr: FloatArray
    exposure_s: float
    scale: float


def load(axis: str) -> list[Replay]:
    """The sections that are usable on an axis (ra or dec); empty when the data are not there."""
    folder = REALDATA / "guidelogs"
    if not (folder / "sections.csv").exists():
        return []
    replays = []
    for listed in csv.DictReader((folder / "sections.csv").read_text().splitlines()):
        if listed[f"replay_{axis}"] != "1":
            continue
        with (folder / listed["log"]).open(errors="replace") as lines:
            sections = [section for section in read_guide_log(lines) if isinstance(section, GuidingSection)]
        section = sections[int(listed["guiding_section"])]
        name = f"{listed['log'].removesuffix('.txt')[-22:]} {listed['guiding_section']}"
        replays.append(_replay(section, name, axis, float(listed["scale_arcsec_px"])))
    return replays


def _replay(section: GuidingSection, name: str, axis: str, scale: float) -> Replay:
    header = "\n".join(section.header)
    rate = float(re.findall(rf"{'x' if axis == 'ra' else 'y'}Rate = ([\d.]+)", header)[0])
    exposure_s = float(re.findall(r"Exposure = (\d+) ms", header)[0]) / 1000
    dithers = [
        (row, float(numbers[0 if axis == "ra" else 1]))
        for row, text in section.infos
        if (numbers := re.findall(r"-?\d+\.\d+", text)) and text.startswith("DITHER by")
    ]
    corrected = lock = 0.0
    t_s, motion, snr = [], [], []
    for i, row in enumerate(section.rows):
        while dithers and dithers[0][0] <= i:
            lock += dithers.pop(0)[1]
        t_s.append(row.time_s)
        snr.append(row.snr)
        if not isinstance(row, GuideRow):
            motion.append(np.nan)
            continue
        motion.append((row.ra_raw if axis == "ra" else row.dec_raw) + lock + corrected)
        ms, direction = (row.ra_ms, row.ra_direction) if axis == "ra" else (row.dec_ms, row.dec_direction)
        corrected += ms / 1000 * rate * (1 if direction in "WS" else -1)
    return Replay(name, axis, np.array(t_s), np.array(motion), np.array(snr), exposure_s, scale)


def replay(night: Replay, law: Law[Any]) -> float:
    """Measured RMS about the lock, arcsec: the first 30 frames left out, gain 1, every pulse exact."""
    runner = LawRunner(law)
    unit = night.scale if law.unit == "arcsec" else 1.0
    corrected, seen = 0.0, []
    for i, (t_s, motion) in enumerate(zip(night.t_s, night.motion, strict=True)):
        if np.isnan(motion):
            corrected += runner.step(Lost(t_s, night.exposure_s, t_s)) / unit
            continue
        displacement = motion - night.motion[np.isfinite(night.motion)][0] - corrected
        middle_s = t_s - LATENCY_S - night.exposure_s / 2
        given = Measured(middle_s, displacement * unit, None, float(night.snr[i]), night.exposure_s, t_s)
        corrected += runner.step(given) / unit
        if i >= LEFT_OUT:
            seen.append(displacement * night.scale)
    return float(np.sqrt(np.mean(np.square(seen))))
