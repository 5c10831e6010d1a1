"""How well the stars were kept while somebody exposed, and how much of the time the loop was closed.

In: offsets as they are measured. Out: header cards for those who asked, and a percentage.
"""

from __future__ import annotations

import math

from acquisition.images.meta import PixelOffsets, RaDecOffsets

_FEWEST = 3
"""Offsets that make a root mean square."""


class OffsetSessions:
    """Root mean squares between `begin` and `end`, for every client separately.

    A client is whoever exposes meanwhile; its cards are pyobs': ``GUIDING RMS1`` and ``RMS2`` in px along the
    detector's axes, ``GUIDING RMS`` in degrees on the sky.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[list[PixelOffsets], list[RaDecOffsets]]] = {}

    def begin(self, client: str) -> None:
        """Start to collect for a client, anew if it has begun before."""
        self._sessions[client] = [], []

    def add(self, pixels: PixelOffsets | None, sky: RaDecOffsets | None) -> None:
        """A measurement; what is not finite does not count."""
        for of_pixels, of_sky in self._sessions.values():
            if pixels is not None and math.isfinite(pixels.dx) and math.isfinite(pixels.dy):
                of_pixels.append(pixels)
            if sky is not None and math.isfinite(sky.dra) and math.isfinite(sky.ddec):
                of_sky.append(sky)

    def end(self, client: str) -> dict[str, tuple[float, str]]:
        """Header cards (keyword: value, comment) of a client's session, which is removed; none with < 3 offsets.

        Raises
        ------
        ValueError
            If the client has not begun.
        """
        if client not in self._sessions:
            raise ValueError(f"no session of {client!r}; there are: {', '.join(sorted(self._sessions)) or 'none'}")
        pixels, sky = self._sessions.pop(client)
        cards: dict[str, tuple[float, str]] = {}
        if len(pixels) >= _FEWEST:
            cards["HIERARCH GUIDING RMS1"] = _rms([p.dx for p in pixels]), "[px] guiding, along x"
            cards["HIERARCH GUIDING RMS2"] = _rms([p.dy for p in pixels]), "[px] guiding, along y"
        if len(sky) >= _FEWEST:
            cards["HIERARCH GUIDING RMS"] = _rms([math.hypot(s.dra, s.ddec) for s in sky]), "[deg] guiding, on the sky"
        return cards


def _rms(values: list[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))


class Uptime:
    """Which part of the time the loop was closed.

    Parameters
    ----------
    now_s : float
        The event loop's clock; the loop counts as open from here on.
    """

    def __init__(self, now_s: float) -> None:
        self._began_s = self._since_s = now_s
        self._closed = False
        self._closed_s = 0.0

    def note(self, now_s: float, closed: bool) -> None:
        """The loop is closed, or open, from now on."""
        if self._closed:
            self._closed_s += now_s - self._since_s
        self._since_s, self._closed = now_s, closed

    def percent(self, now_s: float) -> float:
        """Closed over total time, %; 0 before any has passed."""
        closed_s = self._closed_s + (now_s - self._since_s if self._closed else 0.0)
        total_s = now_s - self._began_s
        return 100 * closed_s / total_s if total_s > 0 else 0.0
