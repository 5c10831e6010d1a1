"""What was learned of a mount's worm, kept for the next night.

In: a `StoredWorm`. Out: a JSON file that appears whole or not at all, and back.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from acquisition.errors import ConfigError
from acquisition.guiding.algorithms.worm import Worm
from acquisition.whole_file import write_whole

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoredWorm:
    """A worm's period and curve (arcsec, as at declination 0), whose it is, and when it was learned."""

    mount: str
    made_utc: datetime
    worm: Worm

    def misfit(self, mount: str) -> str | None:
        """Why it is not for this mount; None if it is."""
        return None if mount == self.mount else f"it was learned of mount {self.mount}, not {mount}"


def save_worm(stored: StoredWorm, path: Path) -> None:
    """Write what was learned, in place of what was known before; raises OSError."""
    values = {"format": _FORMAT, "mount": stored.mount, "made_utc": stored.made_utc.isoformat(), **asdict(stored.worm)}
    write_whole(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def load_worm(path: Path) -> StoredWorm:
    """Read what was learned.

    Raises
    ------
    FileNotFoundError
    ConfigError
        If it is not such a file, or one of its values is impossible; names file, key and what is wrong.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise ValueError(f"it is not a worm's curve of format {_FORMAT}")
        lines, cosines, sines = (_numbers(values, key) for key in ("lines_hz", "cosines", "sines"))
        if len(cosines) != len(sines):
            raise ValueError(f"there are {len(cosines)} cosines and {len(sines)} sines")
        (period_s,) = _numbers({"period_s": [values["period_s"]]}, "period_s")
        if period_s <= 0 or any(line <= 0 for line in lines):
            raise ValueError("period_s and lines_hz must be above 0")
        made = datetime.fromisoformat(values["made_utc"])
        return StoredWorm(str(values["mount"]), made, Worm(period_s, lines, cosines, sines))
    except FileNotFoundError:
        raise
    except KeyError as error:
        raise ConfigError(f"{path}: no key {error} in the worm's curve") from None
    except (ValueError, TypeError, OSError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ConfigError(f"{path}: not a usable worm's curve: {error}") from None


def _numbers(values: dict[str, Any], key: str) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values[key])
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{key} has a value that is not finite")
    return numbers
