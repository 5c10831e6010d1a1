"""The daemon's figures as a Prometheus text file, for node_exporter's textfile collector.

In: a `Status`. Out: a file that is whole at every moment, written at most once a second, off the event loop.

Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from acquisition.exposure.report import Status
from acquisition.whole_file import write_whole

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_LAST_S = 5.0


def metrics_text(status: Status) -> str:
    """The figures in Prometheus' text format."""
    labels = f'camera="{_escaped(status.camera)}",law="{_escaped(status.law)}"'
    lines = []
    for name, kind, meaning, value in _figures(status):
        full = f"starlatch_exposure_{name}"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} {kind}", f"{full}{{{labels}}} {_number(value)}"]
    return "\n".join(lines) + "\n"


class MetricsFile:
    """Keeps a file up to date; an async context manager, whose end writes the last figures.

    A disk that is full or slow costs figures, never the caller's time: the next write takes the latest ones.

    Parameters
    ----------
    path : Path
        node_exporter reads ``*.prom``.

    Attributes
    ----------
    failures : int
        Writes that failed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._changed = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._failing = False
        self.failures = 0

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        if self._changed.is_set():
            try:
                async with asyncio.timeout(_LAST_S):
                    await self._write()
            except TimeoutError:
                log.warning("%s: the last figures were not written within %g s", self._path, _LAST_S)

    def publish(self, status: Status) -> None:
        """The figures to write next; never waits."""
        self._text = metrics_text(status)
        self._changed.set()

    async def _write_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            await self._write()
            await asyncio.sleep(_PAUSE_S)

    async def _write(self) -> None:
        self._changed.clear()
        try:
            await asyncio.to_thread(write_whole, self._path, self._text, durable=False)
        except OSError as error:
            self.failures += 1
            if not self._failing:
                log.warning("%s cannot be written: %s", self._path, error)
            self._failing = True
        else:
            if self._failing:
                log.warning("%s is written again", self._path)
            self._failing = False


def _figures(status: Status) -> Iterator[tuple[str, str, str, float]]:
    """Name, kind, meaning, value."""
    last = status.last
    decision, measured = (None, None) if last is None else (last.decision, last.measured)
    nothing = math.nan
    yield "up", "gauge", "Whether the camera delivers frames.", float(status.state == "exposing")
    yield "seconds", "gauge", "Exposure time of the last frame.", nothing if measured is None else measured.exposure_s
    yield (
        "next_seconds",
        "gauge",
        "Exposure time of the next frame.",
        nothing if decision is None else decision.exposure_s,
    )
    gain = None if measured is None else measured.gain
    yield "gain", "gauge", "Gain of the last frame, camera units.", nothing if gain is None else gain
    yield "level", "gauge", "Level measured over target.", nothing if decision is None else decision.level
    yield "frames_total", "counter", "Frames measured.", status.frames
    yield "on_target_frames_total", "counter", "Frames within 15 per cent of the target.", status.on_target
    yield "clipped_frames_total", "counter", "Frames clipped where the law looks.", status.clipped
    yield "held_frames_total", "counter", "Frames without anything to go by.", status.held
    yield "failed_frames_total", "counter", "Frames that the camera did not deliver.", status.failures
    yield "camera_reopened_total", "counter", "How often the camera was opened anew.", status.reopened
    yield "saved_frames_total", "counter", "Frames saved.", status.saved
    yield "unsaved_frames_total", "counter", "Frames that could not be saved.", status.not_saved
    yield "reloads_total", "counter", "Configs taken over.", status.reloads
    yield "bad_reloads_total", "counter", "Configs refused.", status.bad_reloads
    seen = nothing if last is None else last.utc.timestamp()
    yield "last_frame_timestamp_seconds", "gauge", "When the last frame was there, Unix time.", seen


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
