"""What a frame is, in words and as an object.

In: an `Image`. Out: rows of text for a reader, or plain values for JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from acquisition.images import FrameFacts, Image


def facts_of(image: Image) -> dict[str, Any]:
    """Shape, type, figures of the pixels, parts, and what the header says; None where it says nothing."""
    facts = {name: _plain(value) for name, value in asdict(image.facts).items() if name != "start_loop_s"}
    return {
        "shape": list(image.data.shape),
        "type": image.data.dtype.name,
        "unit": image.unit,
        "pixel_scale_arcsec": _plain(image.pixel_scale),
        "pixels": _figures(image),
        "parts": _parts(image),
        **facts,
    }


def described(image: Image) -> list[tuple[str, str]]:
    """Rows of a name and a text; what is not known is left out."""
    facts, figures, parts = image.facts, _figures(image), _parts(image)
    size = " x ".join(str(n) for n in reversed(image.data.shape))
    rows = [
        (
            "pixels",
            f"{size}, {image.data.dtype.name}{', colour' if image.is_color else ''}"
            + f", in {image.unit}" * bool(image.unit),
        )
    ]
    if figures["median"] is not None:
        text = ", ".join(f"{name} {figures[name]:.7g}" for name in ("min", "p05", "median", "p95", "max"))
        rows.append(("values", text.replace("p05", "5 %").replace("p95", "95 %")))
    rows += [(name, text) for name, text in _rows(facts, None if facts.wcs is None else image.pixel_scale) if text]
    beyond = [f"{figures[name]} {word}" for name, word in (("saturated", "clipped"), ("not_finite", "not finite"))
              if figures[name]]  # fmt: skip
    if beyond:
        rows.append(("beware", f"pixels: {', '.join(beyond)}"))
    if parts:
        rows.append(("with", ", ".join(f"{name} ({text})" for name, text in parts.items())))
    return rows


def _rows(facts: FrameFacts, pixel_scale: float | None) -> list[tuple[str, str]]:
    f = facts
    pixel = _joined("{:g} x {:g} um", f.x_pixel_size_um, f.y_pixel_size_um)
    return [
        ("start", "" if f.start_utc is None else f"{f.start_utc:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"),
        ("exposure", _joined("{:g} s", f.exposure_s)),
        ("kind", f.image_type or ""),
        ("object", f.object_name or ""),
        ("filter", f.filter_name or ""),
        ("camera", ", ".join(dict.fromkeys(text for text in (f.instrument, f.camera_id, f.detector) if text))),
        ("pixel", ", ".join(t for t in (pixel, _joined("binned {}x{}", f.x_binning, f.y_binning),
                                        _joined('{:.4g}"', pixel_scale)) if t)),
        ("gain", ", ".join(t for t in (_joined("{:g}", f.gain), _joined("{:.4g} e-/ADU", f.egain_e_per_adu),
                                       _joined("offset {:g}", f.offset)) if t)),
        ("clips at", _joined("{:.6g} ADU", f.saturation_adu)),
        ("detector", _joined("{:g} degC", f.ccd_temp_c)),
        ("bayer", f.bayer_pattern or ""),
        ("telescope", ", ".join(t for t in (f.telescope or "", _joined("focal length {:g} mm", f.focal_length_mm),
                                            _joined("aperture {:g} mm", f.aperture_mm)) if t)),
        ("site", _joined("latitude {:.5f}, longitude {:.5f} deg", f.site_lat_deg, f.site_lon_deg)),
        ("points at", _joined("RA {:.5f}, Dec {:+.5f} deg", f.ra_deg, f.dec_deg)),
        ("solved", "" if f.wcs is None else f"RA {f.wcs.ra_deg:.5f}, Dec {f.wcs.dec_deg:+.5f} deg at "
                                            f"x {f.wcs.x:.1f}, y {f.wcs.y:.1f}"),
        ("observer", f.observer or ""),
        ("written by", f.software or ""),
    ]  # fmt: skip


def _figures(image: Image) -> dict[str, Any]:
    from acquisition.kernels.levels import order_statistics

    values = image.data.reshape(-1)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    names, fractions = ("min", "p05", "median", "p95", "max"), (0.0, 0.05, 0.5, 0.95, 1.0)
    figures: dict[str, Any] = dict.fromkeys(names)
    if finite.size:
        ranks = tuple(min(int(fraction * finite.size), finite.size - 1) for fraction in fractions)
        figures.update(zip(names, (value.item() for value in order_statistics(finite, ranks)), strict=True))
    limit = image.facts.saturation_adu
    figures["saturated"] = 0 if limit is None else int(np.count_nonzero(finite >= limit))
    figures["not_finite"] = values.size - finite.size
    return figures


def _parts(image: Image) -> dict[str, str]:
    parts = {}
    if image.safe_mask is not None:
        parts["mask"] = f"{np.count_nonzero(image.mask)} px masked"
    if image.safe_uncertainty is not None:
        parts["uncertainty"] = image.uncertainty.dtype.name
    if image.safe_catalog is not None:
        parts["catalog"] = f"{len(image.catalog)} sources"
    if image.safe_raw is not None:
        parts["raw"] = "the data themselves" if image.raw is image.data else image.raw.dtype.name
    if image.safe_frames is not None:
        parts["frames"] = f"{len(image.frames)} rows"
    return parts


def _joined(form: str, *values: float | None) -> str:
    return "" if None in values else form.format(*values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
