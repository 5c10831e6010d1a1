"""Images without bias, dark current and uneven response.

In: an `Image` as the camera made it, and a library of masters. Out: the image calibrated, with `raw`, uncertainty and
mask.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import ImageError
from acquisition.images import FrameFacts, Image, ImageProcessor
from acquisition.images.header import state_data_max
from acquisition.images.processors.demands import masked, picture
from acquisition.images.text import to_ascii

from .arithmetic import Frame, calibrated, joined, pedestal
from .choice import Choice, Rules, choose
from .frames import loaded, part_of
from .library import CalibrationLibrary, Master

log = logging.getLogger(__name__)


class Calibration(ImageProcessor):
    """Subtract bias and dark current and divide by the flat field, with the masters that suit the image.

    They must be of the image's instrument, binning, gain and offset; bias and dark of its temperature, flats of its
    filter. Of several the nearest in temperature, then in time is taken; an image of a ROI gets its part of them. The
    dark is that of the image's exposure time. If there is none: below `dark_min_exptime` none is needed; else a longer
    one, of `dark_scale_exptime` at the most, is scaled down. Our masters of darks hold the bias, too: where such a dark
    has the right exposure time, no bias is needed.

    The result is float32. `raw` is the image as it was; the mask also has the masters' bad pixels; the uncertainty is
    shot noise, read noise and that of the masters (or the image's own and that of the masters). With a known gain the
    unit is electrons, otherwise ADU, without an uncertainty unless the image has one. TRIMSEC is cut out, the catalog
    goes. Header: BUNIT, RLEVEL = 1, L1RAW, L1BIAS, L1DARK, L1FLAT; gain and saturation follow the unit.

    Where a master that is required is missing, the image passes unchanged, with a warning; so does one without data.

    Parameters
    ----------
    archive : str, Path or CalibrationLibrary
        The masters, or their folder (which `starlatch masters build` makes). pyobs' archives are not supported.
    max_cache_size : int
        Masters kept in memory, >= 1.
    require_bias, require_dark, require_flat : bool
        Whether to do this step, for which a master must be there then.
    max_days_bias, max_days_dark, max_days_flat : float, optional
        Masters that are further in time from the image do not count, days.
    dark_exptime_tolerance : float
        Exposure times that differ by less than this, relatively, are the same.
    dark_scale_exptime : float, optional
        The longest dark that may be scaled down, s; None: none is.
    allow_unmatched_dark_scale : bool
        Whether, as the last resort, to scale whatever dark is nearest in exposure time, up or down.
    dark_min_exptime : float, optional
        Shorter exposures may do without a dark, s; None: none may.
    max_temp_diff_c : float
        How much the temperatures of bias and dark may differ from the image's, °C.
    electrons : bool
        Whether to multiply by the gain where it is known.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ConfigError
        If there is no such folder.
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        archive: str | Path | CalibrationLibrary,
        max_cache_size: int = 20,
        require_bias: bool = True,
        require_dark: bool = True,
        require_flat: bool = True,
        max_days_bias: float | None = None,
        max_days_dark: float | None = None,
        max_days_flat: float | None = None,
        dark_exptime_tolerance: float = 0.01,
        dark_scale_exptime: float | None = 600.0,
        allow_unmatched_dark_scale: bool = False,
        dark_min_exptime: float | None = 5.0,
        max_temp_diff_c: float = 3.0,
        electrons: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(archive, str | Path | CalibrationLibrary):
            raise ValueError(f"archive is {archive!r}; allowed: the folder of a calibration library, or such a library")
        if max_cache_size < 1 or not 0 <= dark_exptime_tolerance < 1 or not max_temp_diff_c >= 0:
            raise ValueError(
                f"max_cache_size is {max_cache_size}, dark_exptime_tolerance {dark_exptime_tolerance}, "
                f"max_temp_diff_c {max_temp_diff_c}; allowed: from 1, 0 up to 1, from 0"
            )
        self._library = archive if isinstance(archive, CalibrationLibrary) else CalibrationLibrary(archive)
        self._rules = Rules(
            required={"bias": require_bias, "dark": require_dark, "flat": require_flat},
            max_days={"bias": max_days_bias, "dark": max_days_dark, "flat": max_days_flat},
            max_temp_diff_c=max_temp_diff_c,
            same_exposure=dark_exptime_tolerance,
            scale_s=dark_scale_exptime,
            scale_any=allow_unmatched_dark_scale,
            no_dark_below_s=dark_min_exptime or 0.0,
        )
        self._electrons = electrons
        self._max_cache_size = max_cache_size
        self._loaded: OrderedDict[Path, Frame] = OrderedDict()

    async def reset(self) -> None:
        """Look into the folder again."""
        self._library = CalibrationLibrary(self._library.folder)
        self._loaded.clear()

    async def __call__(self, image: Image) -> Image:
        """Calibrate an image.

        Raises
        ------
        ImageError
            If the pixels are not [y, x], the header does not state the instrument, or the exposure time that a dark
            needs, TRIMSEC is malformed, the image is calibrated already, or a master cannot be read.
        """
        if image.safe_data is None:
            return image
        if picture(image).ndim != 2:
            raise ImageError("image is in colour; calibrate the raw frame, before Debayer")
        facts = image.facts
        if facts.instrument is None:
            raise ImageError("header has no INSTRUME; which masters suit is not known")
        level = image.header_value("RLEVEL")
        if level in (1, 2, 3):
            raise ImageError(f"image is calibrated already (RLEVEL = {level})")
        try:
            trimmed = image.derive(catalog=None).trim()
        except ValueError as error:
            raise ImageError(str(error)) from error
        choice = choose(self._library, self._rules, facts, picture(trimmed).shape)
        if isinstance(choice, str):
            log.warning("not calibrated: %s", choice)
            return image
        return await asyncio.to_thread(self._calibrated, trimmed, image, facts, choice)

    def _calibrated(self, image: Image, untrimmed: Image, facts: FrameFacts, choice: Choice) -> Image:
        bias, dark, flat = (self._frame(m, facts, image) for m in (choice.bias, choice.dark, choice.flat))
        uncertainty, mask = image.safe_uncertainty, masked(image)
        if uncertainty is not None and uncertainty.shape != image.data.shape:
            raise ImageError(f"uncertainty is of shape {uncertainty.shape}, the image {image.data.shape}")
        gain = facts.egain_e_per_adu if facts.egain_e_per_adu is not None and facts.egain_e_per_adu > 0 else None
        dark_has_bias = choice.dark is not None and choice.dark.has_bias
        with np.errstate(over="ignore", invalid="ignore"):
            level = pedestal(bias, dark, dark_has_bias, choice.dark_factor)
            value, deviation, bad = calibrated(image.data, level, flat, bias, gain, facts.read_noise_e, uncertainty)
            factor = gain if gain is not None and self._electrons else 1.0
            value *= np.float32(factor)
            if deviation is not None:
                deviation *= np.float32(factor)
        header = image.header.copy()
        header["BUNIT"] = "electron" if gain is not None and self._electrons else "adu"
        header["RLEVEL"] = (1, "reduction level: calibrated")
        for keyword, name, what in (
            ("L1RAW", _stem(header.get("ORIGNAME", header.get("FNAME"))), "the raw frame"),
            ("L1BIAS", None if choice.bias is None else _stem(choice.bias.path.name), "master bias"),
            ("L1DARK", None if choice.dark is None else _stem(choice.dark.path.name), "master dark"),
            ("L1FLAT", None if choice.flat is None else _stem(choice.flat.path.name), "master flat"),
        ):
            if name:
                header[keyword] = (to_ascii(name), what)
        if facts.data_max_adu is not None:
            lost = 0.0 if level is None else float(np.nanmedian(level.value))
            state_data_max(header, (facts.data_max_adu - lost) * factor)
        if factor != 1.0:
            for keyword in ("EGAIN", "DET-GAIN"):
                if keyword in header:
                    header[keyword] = (1.0, "[e-/unit] of the stored values")
        return image.derive(
            data=value,
            uncertainty=deviation,
            mask=joined(bad, mask),
            raw=untrimmed.data,
            header=header,
        )

    def _frame(self, master: Master | None, facts: FrameFacts, image: Image) -> Frame | None:
        """The part of a master that the image covers; masters stay in memory, the last used longest."""
        if master is None:
            return None
        if master.path not in self._loaded:
            self._loaded[master.path] = loaded(master)
            if len(self._loaded) > self._max_cache_size:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(master.path)
        return part_of(self._loaded[master.path], master, facts, image.data.shape)


def _stem(name: object) -> str:
    text = str(name or "")
    for suffix in (".gz", ".fz", ".fits", ".fit", ".fts"):
        text = text.removesuffix(suffix)
    return text
