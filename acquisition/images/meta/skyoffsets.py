from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes half a second to import
    from astropy.coordinates import Angle, BaseCoordinateFrame, SkyCoord


@dataclass
class SkyOffsets:
    """Two places on the sky: where the telescope points (`coord0`) and where it should (`coord1`)."""

    coord0: SkyCoord
    coord1: SkyCoord

    def separation(self, frame: BaseCoordinateFrame | str | None = None) -> Angle:
        """Angle between the two, in their own frame or (the same angle, but for aberration) in the given one."""
        coord0, coord1 = self._in(frame)
        return coord0.separation(coord1)

    def spherical_offsets(self, frame: BaseCoordinateFrame | str | None = None) -> tuple[Angle, Angle]:
        """(longitude, latitude) offsets that lead from `coord0` to `coord1`, in their own frame or the given one."""
        coord0, coord1 = self._in(frame)
        lon, lat = coord0.spherical_offsets_to(coord1)
        return lon, lat

    def _in(self, frame: BaseCoordinateFrame | str | None) -> tuple[SkyCoord, SkyCoord]:
        if frame is None:
            return self.coord0, self.coord1
        return self.coord0.transform_to(frame), self.coord1.transform_to(frame)
