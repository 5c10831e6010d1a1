"""Laws on real nights: guide logs of PHD2 turned into the motion that there would have been without corrections.

In: the logs listed in `sections.csv`. Out: measured RMS of any law on each. The motion contains that night's seeing and
noise; where it was guided with pulses that the gears swallowed it is no disturbance, and the section is not marked.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.guidelog import GuidingSection, OpenLoop, open_loop, read_guide_log
from acquisition.guiding import replay as again
from acquisition.guiding.algorithms import Law

REALDATA = Path(os.environ.get("STARLATCH_REALDATA", Path(__file__).parents[2] / "shared" / "realdata"))


@dataclass(frozen=True)
class Replay:
    """One axis of one section; scale in arcsec/px."""

    name: str
    axis: str
    motion: OpenLoop
    exposure_s: float
    scale: float

    @property
    def motion_px(self) -> NDArray[np.float64]:
        return self.motion.ra_px if self.axis == "ra" else self.motion.dec_px


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
        section = sections[int(listed["guiding_section"])]  # sections.csv counts from 0
        name = f"{listed['log'].removesuffix('.txt')[-22:]} {int(listed['guiding_section']) + 1}"
        exposure_ms = section.setting("Exposure") or 1000 * float(listed["cadence_s"])
        replays.append(Replay(name, axis, open_loop(section), exposure_ms / 1000, float(listed["scale_arcsec_px"])))
    return replays


def replay(night: Replay, law: Law[Any]) -> float:
    """Measured RMS about the lock, arcsec: the first 30 frames left out, gain 1, every pulse exact."""
    motion = night.motion
    done = again.replay(law, motion.t_s, night.motion_px, motion.snr, motion.lost_s, night.exposure_s, night.scale)
    return done.rms_px * night.scale
