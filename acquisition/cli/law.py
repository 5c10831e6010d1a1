"""``starlatch law``: a guide law as a filter, so that any plant in any language can close the loop around it.

In: a line for everything that happens. Out: a line for every line, with the correction or ``ok``, flushed.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from acquisition.errors import ConfigError

if TYPE_CHECKING:
    from acquisition.guiding.algorithms import Law


@click.command()
@click.argument("name")
@click.option("-p", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter of the law; may be repeated.")
@click.option("--unit", type=click.Choice(["px", "arcsec"]), help="Of the lines, when not the law's own; with --scale.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), help="Pixel scale, arcsec/px.")
@click.option(
    "--latency", type=click.FloatRange(0), default=0.0, show_default=True,
    help="From the end of an exposure to the correction, s.",
)  # fmt: skip
def command(name: str, parameters: tuple[str, ...], unit: str | None, scale: float | None, latency: float) -> None:
    """Run the guide law NAME between standard input and standard output.

    PHD2's laws: hysteresis, lowpass, lowpass2, resist-switch, z-filter, predictive-pec, identity. Ours: predictive
    (for RA), backlash-aware (for Dec).

    Each line read is one of

    \b
      t,displacement[,snr[,exposure]]  a frame: middle of the exposure s, star minus lock, exposure s
      lost,t                           a frame without the star
      dither,amount                    the lock has moved by so much
      settled                          the dither is over
      reset                            begin anew
      sent,amount                      what was really sent for the last correction, when not all of it

    and each is answered by one line: the correction, or "ok". Lengths are px for PHD2's laws and arcsec for ours,
    unless --unit says otherwise. A correction has the displacement's sign and is to be subtracted. A displacement that
    is not a number counts as a lost star.

    \b
    Examples:
      printf '0,0.5\\n2,0.4\\n' | starlatch law hysteresis -p aggression=0.8
      my_mount_model | starlatch law predictive --unit px --scale 1.5
    """
    from acquisition.guiding.algorithms import LAWS, LawRunner

    if name not in LAWS:
        raise ConfigError(f"no law {name!r}; there are: {', '.join(LAWS)}")
    law = make_law(LAWS[name], parameters)
    factor = 1.0
    if unit is not None and unit != law.unit:
        if scale is None:
            raise ConfigError(f"law {name} works in {law.unit}; for lines in {unit} give --scale, arcsec/px")
        factor = scale if law.unit == "arcsec" else 1 / scale
    talk = Conversation(LawRunner(law), factor, latency)
    for number, line in enumerate(sys.stdin, 1):
        try:
            answer = talk.answer(line)
        except ValueError as error:
            raise ConfigError(f"line {number}, {line.strip()!r}: {error}") from None
        try:
            sys.stdout.write(answer + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            sys.stderr.close()  # nobody reads any more; Python would complain when it closes standard output
            return


def make_law(kind: type[Law[Any]], parameters: tuple[str, ...]) -> Law[Any]:
    """A law with parameters given as ``key=value``.

    Raises
    ------
    ConfigError
        Names a parameter that is not known or a value that is not allowed.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # laws are dataclasses
    values: dict[str, Any] = {}
    for text in parameters:
        key, _, value = text.partition("=")
        if key not in fields:
            known = ", ".join(fields) or "none"
            raise ConfigError(f"-p {text}: {kind.name} has no parameter {key!r}; it knows: {known}")
        values[key] = _parsed(text, value, fields[key].default)
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _parsed(text: str, value: str, default: Any) -> bool | int | float:
    """A value of the default's type."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[value.lower()] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError):
        allowed = "true or false" if isinstance(default, bool) else f"a number, such as {default}"
        raise ConfigError(f"-p {text}: {value!r} is not {allowed}") from None


class Conversation:
    """Lines to inputs, corrections to lines.

    Parameters
    ----------
    runner : LawRunner
    factor : float
        The law's unit in units of the lines.
    latency_s : float
    """

    def __init__(self, runner: Any, factor: float, latency_s: float) -> None:
        self._runner = runner
        self._factor = factor
        self._latency_s = latency_s
        self._exposure_s = 0.0

    def answer(self, line: str) -> str:
        """What to say to a line; raises ValueError when it says nothing known."""
        from acquisition.guiding.algorithms import Dithered, Lost, Measured, Sent, Settled

        word, *rest = (cell.strip() for cell in line.split(","))
        match word:
            case "lost":
                t_s = _number(rest, 0, "t")
                return self._correct(Lost(t_s, self._exposure_s, t_s + self._exposure_s / 2 + self._latency_s))
            case "dither":
                return self._tell(Dithered(_number(rest, 0, "amount") * self._factor))
            case "sent":
                return self._tell(Sent(_number(rest, 0, "amount") * self._factor))
            case "settled":
                return self._tell(Settled())
            case "reset":
                self._runner.restart()
                return "ok"
        t_s = _number([word], 0, "t")
        displacement = float(rest[0]) if rest else _number(rest, 0, "displacement")
        snr = _number(rest, 1, "snr") if len(rest) > 1 and rest[1] else None
        if len(rest) > 2:
            self._exposure_s = _number(rest, 2, "exposure")
        if len(rest) > 3 or self._exposure_s < 0:
            raise ValueError("a frame is t,displacement[,snr[,exposure]], exposure 0 or more")
        now_s = t_s + self._exposure_s / 2 + self._latency_s
        if not math.isfinite(displacement):
            return self._correct(Lost(t_s, self._exposure_s, now_s))
        return self._correct(Measured(t_s, displacement * self._factor, None, snr, self._exposure_s, now_s))

    def _correct(self, given: Any) -> str:
        return f"{self._runner.step(given) / self._factor:.9g}"

    def _tell(self, given: Any) -> str:
        self._runner.step(given)
        return "ok"


def _number(cells: list[str], place: int, what: str) -> float:
    if place >= len(cells):
        raise ValueError(f"{what} is missing")
    try:
        number = float(cells[place])
    except ValueError:
        raise ValueError(
            f"{what} is {cells[place]!r}; a line is t,displacement[,snr[,exposure]] or begins with a word"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{what} is {cells[place]}; it must be a number")
    return number
