"""A folder of master frames, and which of them suits an image.

In: a folder, and what is known of an image. Out: masters; the exposure times that there are darks of.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acquisition.errors import ConfigError
from acquisition.images import FrameFacts
from acquisition.images.header import facts_from_header

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".fit.gz")
DARK_WITH_BIAS = "DARKBIAS"
"""The card of a master dark that says whether its pixels still hold the bias."""

KINDS = ("bias", "dark", "flat")


@dataclass(frozen=True, slots=True)
class Master:
    """One master frame, as its header describes it.

    Attributes
    ----------
    path : Path
    kind : str
        bias, dark or flat.
    facts : FrameFacts
    shape : tuple of 2 int
        (height, width), px.
    has_bias : bool
        Of a dark: whether its pixels hold the bias, too. pyobs' do not; ours do.
    """

    path: Path
    kind: str
    facts: FrameFacts
    shape: tuple[int, int]
    has_bias: bool = False

    @property
    def exposure_s(self) -> float:
        """0 where it is not known (a bias)."""
        return self.facts.exposure_s or 0.0

    def window_for(self, facts: FrameFacts, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
        """The (rows, columns) of this master that an image (perhaps a ROI) covers; None if it reaches outside."""
        top = (facts.y_origin_px or 0) - (self.facts.y_origin_px or 0)
        left = (facts.x_origin_px or 0) - (self.facts.x_origin_px or 0)
        if top < 0 or left < 0 or top + shape[0] > self.shape[0] or left + shape[1] > self.shape[1]:
            return None
        return slice(top, top + shape[0]), slice(left, left + shape[1])

    def suits(self, facts: FrameFacts, max_temp_diff_c: float) -> bool:
        """Whether it is of the same camera, set in the same way; what one of both does not state does not matter."""
        mine = self.facts
        if mine.instrument != facts.instrument or _binning(mine) != _binning(facts):
            return False
        pairs: list[tuple[object, object]] = [
            (mine.camera_id, facts.camera_id),
            (mine.readout_mode, facts.readout_mode),
        ]
        if self.kind == "flat":
            if mine.filter_name != facts.filter_name:
                return False
        else:  # what a pixel without light says
            pairs += [(mine.gain, facts.gain), (mine.offset, facts.offset)]
            if _temp_diff_c(mine, facts) > max_temp_diff_c:
                return False
        return all(one is None or other is None or one == other for one, other in pairs)


class CalibrationLibrary:
    """The masters of a folder, as they are now.

    A master is a FITS file whose IMAGETYP names bias, dark or flat, and which states NCOMBINE or COMBMETH, or calls
    itself master. Other files do not matter.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    ConfigError
        If there is no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ConfigError(
                f"calibration library is {str(folder)!r}, which is no folder; build one: starlatch masters"
            )
        self.masters = tuple(_masters_in(self.folder))

    def find(
        self,
        kind: str,
        facts: FrameFacts,
        shape: tuple[int, ...],
        max_days: float | None = None,
        max_temp_diff_c: float = 3.0,
    ) -> list[Master]:
        """The masters that suit an image, nearest in temperature and then in time first.

        Parameters
        ----------
        kind : str
            bias, dark or flat.
        facts, shape
            Of the image.
        max_days : float, optional
            How far in time at the most; one of unknown time does not count then.
        max_temp_diff_c : float
            Of bias and dark, °C.
        """
        found = [
            (_temp_diff_c(master.facts, facts), _age_days(master.facts, facts), str(master.path), master)
            for master in self.masters
            if master.kind == kind
            and master.suits(facts, max_temp_diff_c)
            and master.window_for(facts, shape) is not None
        ]
        kept = [row for row in found if max_days is None or row[1] <= max_days]
        return [row[-1] for row in sorted(kept, key=lambda row: row[:3])]

    def dark_exposures_s(self, facts: FrameFacts, max_temp_diff_c: float = 3.0) -> tuple[float, ...]:
        """The exposure times that there are darks of, s, ascending: what an exposure time may snap to.

        Parameters
        ----------
        facts : FrameFacts
            What is known of the camera: instrument and binning; and, as far as they are to count, temperature, gain,
            offset, which camera it is.
        max_temp_diff_c : float
            Darks of a temperature further away do not count, °C.
        """
        darks = [master for master in self.masters if master.kind == "dark" and master.suits(facts, max_temp_diff_c)]
        return tuple(sorted({master.exposure_s for master in darks if master.exposure_s > 0}))


def kind_of(facts: FrameFacts) -> str | None:
    """bias, dark or flat; None for any other frame."""
    words = (facts.image_type or "").lower()
    if "flat" in words:
        return "flat"
    return next((kind for kind in ("bias", "dark") if kind in words), "bias" if words.strip() == "zero" else None)


def described(path: Path) -> tuple[FrameFacts, tuple[int, ...], dict[str, object]] | None:
    """Facts, shape and header of the first image in a FITS file, without its pixels; None if it has none."""
    from astropy.io import fits

    try:
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("ignore")  # of astropy, about cards of other programs
            for hdu in hdus:
                if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2:
                    header = hdu.header
                    shape = tuple(int(header[f"NAXIS{axis}"]) for axis in range(header["NAXIS"], 0, -1))
                    return (
                        facts_from_header(header),
                        shape,
                        {str(k): header[k] for k in header if k and k not in _PROSE},
                    )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def slug(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")


_PROSE = ("COMMENT", "HISTORY")


def _masters_in(folder: Path) -> Iterator[Master]:
    for path in sorted(folder.iterdir()):
        if not path.name.lower().endswith(SUFFIXES):
            continue
        found = described(path)
        if found is None:
            continue
        facts, shape, header = found
        kind = kind_of(facts)
        is_master = "NCOMBINE" in header or "COMBMETH" in header or "master" in (facts.image_type or "").lower()
        if kind is not None and is_master and len(shape) == 2:
            yield Master(path, kind, facts, (shape[0], shape[1]), header.get(DARK_WITH_BIAS) is True)


def _binning(facts: FrameFacts) -> tuple[int, int]:
    x, y = facts.x_binning, facts.y_binning
    return x or y or 1, y or x or 1


def _temp_c(facts: FrameFacts) -> float | None:
    return facts.ccd_temp_c if facts.ccd_temp_c is not None else facts.set_temp_c


def _temp_diff_c(one: FrameFacts, other: FrameFacts) -> float:
    a, b = _temp_c(one), _temp_c(other)
    return 0.0 if a is None or b is None else abs(a - b)


def _age_days(one: FrameFacts, other: FrameFacts) -> float:
    if one.start_utc is None or other.start_utc is None:
        return math.inf
    return abs((one.start_utc - other.start_utc).total_seconds()) / 86400
