"""Master frames from a night's bias, dark and flat frames.

In: FITS files of any order and mixture. Out: a folder of masters, each with its uncertainty and its bad pixels.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ConfigError, ImageError
from acquisition.images import FrameFacts, Image
from acquisition.images.processors.demands import picture
from acquisition.images.processors.stack import SigmaClipStack
from acquisition.images.text import to_ascii

from .arithmetic import Frame, pedestal
from .choice import Rules, choose
from .frames import loaded, part_of
from .library import DARK_WITH_BIAS, KINDS, CalibrationLibrary, Master, described, kind_of, slug

MIN_FRAMES = 3
"""A clipped mean of fewer keeps what a cosmic ray left."""
_SAME_TEMP_C = 2.0


@dataclass(frozen=True, slots=True)
class Built:
    """What became of some frames: a master, or the reason why there is none.

    Attributes
    ----------
    frames : tuple of Path
    what : str
        Such as ``dark 60 s ASI120MM 1x1 -10 °C``.
    path : Path or None
        The master.
    bad_pixels : int
        Masked in it.
    problem : str
        Why there is none; empty where there is one.
    """

    frames: tuple[Path, ...]
    what: str
    path: Path | None = None
    bad_pixels: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Frames that one master is made of."""

    kind: str
    facts: FrameFacts  # of the first; exposure time and temperature are means
    shape: tuple[int, ...]
    paths: tuple[Path, ...]

    @property
    def what(self) -> str:
        """In words."""
        facts = self.facts
        exposure = f" {facts.exposure_s:g} s" if self.kind == "dark" and facts.exposure_s is not None else ""
        light = f" {facts.filter_name}" if self.kind == "flat" and facts.filter_name else ""
        temp = "" if facts.ccd_temp_c is None else f" {facts.ccd_temp_c:.0f} °C"
        binning = f"{facts.x_binning or 1}x{facts.y_binning or 1}"
        return f"{self.kind}{exposure}{light} {facts.instrument or 'unknown camera'} {binning}{temp}"

    @property
    def stem(self) -> str:
        """The master's name without its ending."""
        facts = self.facts
        parts = [self.kind, slug(facts.instrument or "camera"), f"{facts.x_binning or 1}x{facts.y_binning or 1}"]
        if self.kind == "flat":
            parts.append(slug(facts.filter_name or ""))
        if self.kind == "dark" and facts.exposure_s is not None:
            parts.append(f"{facts.exposure_s:g}s")
        if self.kind != "flat":
            parts.append("" if facts.gain is None else f"g{facts.gain:g}")
            parts.append("" if facts.ccd_temp_c is None else f"{facts.ccd_temp_c:.0f}C")
        return "_".join(part for part in parts if part)


def grouped(paths: Iterable[Path]) -> tuple[list[Group], list[Path]]:
    """Frames by what they are and how they were taken: biases first, then darks, then flats; and all other files."""
    found: dict[tuple[Any, ...], list[tuple[FrameFacts, Path, tuple[int, ...]]]] = {}
    others = []
    for path in paths:
        entry = described(path)
        kind = None if entry is None else kind_of(entry[0])
        if entry is None or kind is None or "NCOMBINE" in entry[2]:
            others.append(path)
            continue
        facts, shape, _ = entry
        key: tuple[Any, ...] = (kind, facts.instrument, facts.camera_id, facts.x_binning, facts.y_binning,
                                facts.x_origin_px, facts.y_origin_px, facts.readout_mode, shape)  # fmt: skip
        if kind == "flat":
            key += (facts.filter_name,)
        else:
            key += (facts.gain, facts.offset)
        if kind == "dark":
            key += (None if facts.exposure_s is None else f"{facts.exposure_s:.3g}",)
        found.setdefault(key, []).append((facts, path, shape))
    groups = []
    for key, members in found.items():
        for alike in [members] if key[0] == "flat" else _by_temperature(members):
            facts = replace(
                alike[0][0],
                exposure_s=_mean([facts.exposure_s for facts, _, _ in alike]),
                ccd_temp_c=_mean([facts.ccd_temp_c for facts, _, _ in alike]),
            )
            groups.append(Group(key[0], facts, alike[0][2], tuple(path for _, path, _ in alike)))
    groups.sort(key=lambda group: (KINDS.index(group.kind), group.facts.exposure_s or 0.0, group.what))
    return groups, others


def build_masters(
    groups: Iterable[Group], folder: Path, hot_sigma: float = 10.0, overwrite: bool = False
) -> Iterator[Built]:
    """Make a master of each group, one after the other: the mean without outliers (3 standard deviations).

    A dark holds the bias, too, so that it suits frames of its exposure time as it is. Pixels of a bias or dark that are
    more than `hot_sigma` robust standard deviations above the median are masked, as are pixels of a flat below half and
    above twice its median. Flats lose the dark or bias that suits them among the masters of the folder, and each is
    scaled to a median of 1 before. Frames lie in a temporary file in the folder meanwhile, so that memory does not
    depend on their number. Blocks, and runs an event loop of its own: not to be called in one.

    Parameters
    ----------
    groups : iterable of Group
        As `grouped` orders them: flats after what they need.
    folder : Path
        Made if need be.
    hot_sigma : float
    overwrite : bool
        Whether to replace masters that are there.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for group in groups:
        path = folder / f"{group.stem}.fits"
        number = 1
        while path in written:  # alike in name, not in all else, such as the offset
            number += 1
            path = folder / f"{group.stem}-{number}.fits"
        if path.exists() and not overwrite:
            yield Built(group.paths, group.what, problem=f"{path} exists")
            continue
        if len(group.paths) < MIN_FRAMES:
            yield Built(group.paths, group.what, problem=f"{len(group.paths)} frames; need {MIN_FRAMES}")
            continue
        try:
            image = _master(group, folder, hot_sigma)
        except (ImageError, ConfigError, ValueError) as error:
            yield Built(group.paths, group.what, problem=str(error))
            continue
        image.header["FNAME"] = to_ascii(path.name)
        image.writeto(path, overwrite=True)
        written.add(path)
        yield Built(group.paths, group.what, path, int(np.count_nonzero(image.mask)))


def _master(group: Group, folder: Path, hot_sigma: float) -> Image:
    if len(group.shape) != 2:
        raise ImageError(f"pixels are of shape {group.shape}; masters are made of raw frames, [y, x]")
    level = _level_for(group, folder) if group.kind == "flat" else None
    with tempfile.TemporaryFile(dir=folder) as file:
        first = Image.from_file(group.paths[0])
        dtype = np.dtype(np.float32) if group.kind == "flat" else picture(first).dtype.newbyteorder("=")
        cube: NDArray[Any] = np.memmap(file, dtype, "w+", shape=(len(group.paths), *group.shape))
        for index, path in enumerate(group.paths):
            pixels = picture(Image.from_file(path))
            if pixels.shape != group.shape:
                raise ImageError(f"{path}: pixels are of shape {pixels.shape}, not {group.shape}")
            if level is not None:
                pixels = pixels - level
                median = float(np.nanmedian(pixels))
                if not median > 0:
                    raise ImageError(f"{path}: a median of {median:g} ADU above the dark; a flat needs light")
                pixels = pixels / median
            cube[index] = pixels
        header = first.header.copy()
        header["CTYPE3"] = "FRAME"
        stack = SigmaClipStack(uncertainty=True, mask=True)
        combined = asyncio.run(stack(Image().derive(data=cube, header=header)))
    header = combined.header
    header["IMAGETYP"] = f"master {group.kind}"
    header["NCOMBINE"] = (len(group.paths), "frames combined")
    if group.facts.exposure_s is not None:
        header["EXPTIME"] = group.facts.exposure_s
    if group.facts.ccd_temp_c is not None:
        header["CCD-TEMP"] = round(group.facts.ccd_temp_c, 2)
    if group.kind == "dark":
        header[DARK_WITH_BIAS] = (True, "pixels hold the bias, too")
    for keyword in ("CTYPE3", "BSCALE", "BZERO", "ORIGNAME", "TEXPTIME"):
        header.remove(keyword, ignore_missing=True)
    value = combined.data
    bad = bad_pixels(value, group.kind, hot_sigma) | (combined.mask != 0)
    return combined.derive(header=header, mask=bad.astype(np.uint8))


def bad_pixels(value: NDArray[Any], kind: str, hot_sigma: float = 10.0) -> NDArray[np.bool_]:
    """Where a master cannot be used: NaN, hot pixels of a bias or dark, dead and odd ones of a flat.

    Hot is more than `hot_sigma` times 1.4826 times the median absolute deviation (and at least that many ADU) above the
    median; dead or odd is less than half or more than twice the median.
    """
    finite = np.isfinite(value)
    if not finite.any():
        return np.ones(value.shape, bool)
    median = float(np.median(value[finite]))
    with np.errstate(invalid="ignore"):
        if kind == "flat":
            return ~((value >= 0.5 * median) & (value <= 2.0 * median))
        spread = 1.4826 * float(np.median(np.abs(value[finite] - median)))
        return ~(value <= median + hot_sigma * max(spread, 1.0))


def _level_for(group: Group, folder: Path) -> NDArray[Any]:
    """What flats have without light: the dark of their exposure time, or the bias."""
    rules = Rules({"bias": True, "dark": True, "flat": False}, dict.fromkeys(KINDS), 3.0, 0.01, 600.0, False, 5.0)
    choice = choose(CalibrationLibrary(folder), rules, group.facts, group.shape)
    if isinstance(choice, str):
        raise ImageError(choice)

    def part(master: Master | None) -> Frame | None:
        return None if master is None else part_of(loaded(master), master, group.facts, group.shape)

    dark_has_bias = choice.dark is not None and choice.dark.has_bias
    level = pedestal(part(choice.bias), part(choice.dark), dark_has_bias, choice.dark_factor)
    assert level is not None  # a bias is required
    return level.value


def _by_temperature(members: list[tuple[FrameFacts, Path, tuple[int, ...]]]) -> list[list[Any]]:
    """Those that are within 2 °C of their coldest, from the coldest on; those without a temperature together."""
    unknown = [member for member in members if member[0].ccd_temp_c is None]
    known = sorted((member for member in members if member[0].ccd_temp_c is not None), key=_temp)
    groups: list[list[Any]] = [unknown] if unknown else []
    start = len(groups)
    for member in known:
        if len(groups) == start or _temp(member) - _temp(groups[-1][0]) > _SAME_TEMP_C:
            groups.append([])
        groups[-1].append(member)
    return [sorted(group, key=lambda member: member[1]) for group in groups]


def _temp(member: tuple[FrameFacts, Path, tuple[int, ...]]) -> float:
    return member[0].ccd_temp_c if member[0].ccd_temp_c is not None else 0.0


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
