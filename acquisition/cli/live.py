"""What a user sees while guiding: a live view in a terminal, a line every few seconds elsewhere.

In: the guider's events. Out: the screen, or lines on standard output.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from acquisition.cli.durations import format_duration
from acquisition.cli.graph import braille_graph
from acquisition.guiding.events import (
    Alarm,
    AxisStep,
    Calibrated,
    CalibrationStep,
    DitherBegan,
    Dropped,
    Event,
    GuidingBegan,
    LawChanged,
    Notice,
    Settling,
    State,
    StateChanged,
    Step,
)
from acquisition.guiding.history import History
from acquisition.guiding.statistics import GuidingStatistics

RA_STYLE, DEC_STYLE = "bright_blue", "bright_red"
_STATE_STYLES = {State.GUIDING: "bold green", State.LOST_LOCK: "bold red", State.PAUSED: "bold yellow"}
_LINE_EVERY_S = 5.0
_REFRESH_EVERY_S = 0.2


class View(Protocol):
    """Shows a run as it goes; a context manager around it."""

    def listen(self, event: Event) -> None: ...

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """A line for everything that happens once, and one every few seconds while guiding; `statistics` are the run's."""

    def __init__(self, statistics: GuidingStatistics) -> None:
        self._statistics = statistics
        self._spoke_s = 0.0
        self._began_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def listen(self, event: Event) -> None:
        text = describe(event)
        if text is None and isinstance(event, Step | Dropped) and time.monotonic() - self._spoke_s >= _LINE_EVERY_S:
            self._spoke_s = time.monotonic()
            text = self._progress(event)
        if self._began_s is None:
            self._began_s = event.t_s
        if text is not None:
            click.echo(f"{event.t_s - self._began_s:9.1f} s  {text}")

    def say(self, text: str) -> None:
        click.echo(text)

    def _progress(self, event: Step | Dropped) -> str:
        if isinstance(event, Dropped):
            return f"frame {event.frame}  lost: {event.reason}"
        statistics = self._statistics
        rms, unit = (statistics.rms_arcsec, '"') if statistics.scale_arcsec else (statistics.rms_px, " px")
        words = [
            f"frame {event.frame}",
            f"RA {event.ra.displacement_px:+.2f}",
            f"Dec {event.dec.displacement_px:+.2f} px",
        ]
        if rms is not None:
            words.append(f"RMS {rms.ra:.2f} {rms.dec:.2f} total {rms.total:.2f}{unit}")
        words.append(f"{sum(star.used for star in event.stars)} stars")
        words += [f"lost {self._statistics.lost_frames}"] if self._statistics.lost_frames else []
        return "  ".join(words)


class Screen:
    """A view that redraws itself: graph, figures, pulses, state, and the last things that happened."""

    def __init__(self, console: Console, title: str, duration_s: float | None, statistics: GuidingStatistics) -> None:
        self._title = title
        self._duration_s = duration_s
        self._statistics = statistics  # the run's
        self._history = History(400)
        self._state, self._reason = State.STOPPED, "starting"
        self._news: deque[str] = deque(maxlen=4)
        self._calibration: CalibrationStep | None = None
        self._began_s: float | None = None
        self._now_s = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn_s = 0.0
        self._console = console

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw()
        self._live.__exit__(kind, error, trace)

    def listen(self, event: Event) -> None:
        self._history.listen(event)
        self._now_s = event.t_s
        match event:
            case StateChanged(state=state, reason=reason):
                self._state, self._reason = state, reason
            case CalibrationStep():
                self._calibration = event
            case GuidingBegan():
                self._began_s = event.t_s
            case _:
                pass
        text = describe(event)
        if text is not None and not isinstance(event, CalibrationStep):
            self._news.append(text)
        if time.monotonic() - self._drawn_s >= _REFRESH_EVERY_S or not isinstance(event, Step | Dropped):
            self._draw()

    def say(self, text: str) -> None:
        self._news.append(text)
        self._draw()

    def show_graph(self) -> None:
        """Leave the last view on the screen."""
        self._console.print(self._render())

    def _draw(self) -> None:
        self._drawn_s = time.monotonic()
        self._live.update(self._render(), refresh=True)

    def _render(self) -> Panel:
        width = min(self._console.width, 110)
        lines: list[Text | Table] = [self._headline()]
        scale, unit = (self._history.scale_arcsec, '"') if self._history.scale_arcsec else (1.0, "px")
        points = list(self._history.points)
        if points:
            ra = [None if point.ra_px is None else point.ra_px * scale for point in points]
            dec = [None if point.dec_px is None else point.dec_px * scale for point in points]
            recent = [abs(value) for value in (*ra[-200:], *dec[-200:]) if value is not None]
            reach = next((r for r in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0) if r >= max(recent, default=1.0)), 64.0)
            lines += braille_graph([(ra, RA_STYLE), (dec, DEC_STYLE)], width - 4, 11, reach, unit)
            lines.append(self._figures())
        elif self._calibration is not None:
            lines.append(self._calibration_line())
        lines += [Text(news, style="dim") for news in self._news]
        return Panel(Group(*lines), title=self._title, width=width, border_style="dim")

    def _headline(self) -> Text:
        line = Text(self._state.value, style=_STATE_STYLES.get(self._state, "bold cyan"))
        line.append(f"  {self._reason}", style="default")
        if self._began_s is not None:
            line.append(f"   {format_duration(self._now_s - self._began_s)}", style="bold")
            if self._duration_s is not None:
                line.append(f" of {format_duration(self._duration_s)}", style="dim")
        return line

    def _calibration_line(self) -> Text:
        step = self._calibration
        assert step is not None
        of = f" of {step.of}" if step.of else ""
        where = step.direction.name.capitalize() if step.direction else "start"
        return Text(f"move {step.number}{of}  {where} {step.pulse_s:g} s: stars at {step.dx:+.1f}, {step.dy:+.1f} px")

    def _figures(self) -> Table:
        table = Table.grid(padding=(0, 3))
        statistics = self._statistics
        step, true = statistics.last, statistics.true_rms_arcsec
        rms, unit = (statistics.rms_arcsec, '"') if statistics.scale_arcsec else (statistics.rms_px, " px")
        if step is None or rms is None:
            return table
        best = max((star for star in step.stars if star.used), key=lambda star: star.snr, default=None)
        used = sum(star.used for star in step.stars)
        table.add_row(
            Text(f"RA  RMS {rms.ra:.2f}{unit}  {_pulse(step.ra)}", style=RA_STYLE),
            Text(f"Dec RMS {rms.dec:.2f}{unit}  {_pulse(step.dec)}", style=DEC_STYLE),
            Text(f"total {rms.total:.2f}{unit}" + (f" (true {true.total:.2f})" if true else ""), style="bold"),
        )
        star = f"SNR {best.snr:.0f}  HFD {best.hfd:.1f} px" if best else ""
        table.add_row(
            f"{used} of {len(step.stars)} stars",
            star,
            f"frame {step.frame}, lost {self._statistics.lost_frames}",
        )
        return table


def describe(event: Event) -> str | None:
    """One line for what happens once; None for what happens at every frame."""
    match event:
        case StateChanged(state=state, reason=reason):
            return f"{state.value}: {reason}"
        case CalibrationStep(number=number, of=of, direction=direction, pulse_s=pulse_s):
            where = f"{direction.name.capitalize()} {pulse_s:g} s" if direction else "start"
            return f"calibration {number}{f'/{of}' if of else ''}: {where} -> {event.dx:+.2f}, {event.dy:+.2f} px"
        case Calibrated(response=response):
            ra, dec = response.ra, response.dec
            return (
                f"calibrated: RA {ra.angle_deg:.1f} ± {ra.angle_err_deg:.1f} deg, {ra.rate_px_per_s:.2f} px/s; "
                f"Dec {dec.angle_deg:.1f} ± {dec.angle_err_deg:.1f} deg, {dec.rate_px_per_s:.2f} px/s"
            )
        case DitherBegan(ra_px=ra_px, dec_px=dec_px):
            return f"dither by {ra_px:+.1f}, {dec_px:+.1f} px"
        case Settling(done=done, reason=reason):
            return None if done is None else "settled" if done else f"not settled: {reason}"
        case LawChanged(axis=axis, law=law):
            return f"{axis} is guided by {law.name} from now on"
        case Alarm(text=text):
            return f"ALARM: {text}"
        case Notice(text=text):
            return text
        case _:
            return None


def _pulse(axis: AxisStep) -> str:
    return f"{axis.direction.value} {axis.pulse_s * 1000:4.0f} ms" if axis.direction else "   -   "
