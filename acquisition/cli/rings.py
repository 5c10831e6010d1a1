"""Rings around the stars of a frame.

In: a frame, and a picture of it. Out: the picture in colour, with guide stars in green and the others in red.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import PIL.Image

    from acquisition.images import Image

_GUIDE, _OTHER = (0, 230, 90), (255, 90, 70)
MAX_GUIDE_STARS = 20


class Place(NamedTuple):
    """A star, 0-based px of the frame, and whether it would guide."""

    x: float
    y: float
    guides: bool


def star_places(image: Image) -> list[Place]:
    """The stars that `starlatch stars` finds."""
    from acquisition.images.processors.offsets.starselection import survey
    from acquisition.images.processors.plane import plane_of
    from acquisition.kernels import columns as c

    plane = plane_of(image)
    seen = survey(plane, image.facts)
    chosen = set(seen.chosen(MAX_GUIDE_STARS, plane.frame.shape))
    return [
        Place(float(plane.to_image(row[c.X])), float(plane.to_image(row[c.Y])), k in chosen)
        for k, row in enumerate(seen.stars.table)
    ]


def with_rings(
    picture: PIL.Image.Image, places: list[Place], frame_width: int, radius_px: float, line_px: int
) -> PIL.Image.Image:
    """The picture, which may be smaller than its frame, with rings; row 0 is at its bottom."""
    import PIL.ImageDraw

    picture = picture.convert("RGB")
    pen = PIL.ImageDraw.Draw(picture)
    scale = picture.width / frame_width
    for place in sorted(places, key=lambda place: place.guides):  # guide stars on top
        x, y = (place.x + 0.5) * scale - 0.5, picture.height - 1 - ((place.y + 0.5) * scale - 0.5)
        box = (x - radius_px, y - radius_px, x + radius_px, y + radius_px)
        pen.ellipse(box, outline=_GUIDE if place.guides else _OTHER, width=line_px)
    return picture
