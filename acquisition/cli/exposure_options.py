"""The options that say which exposure law sets exposure times, and within which limits.

In: a command. Out: the command with the options, and what they say as an `ExposureTable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from acquisition.cli.durations import Duration, parse_duration
from acquisition.errors import ConfigError

if TYPE_CHECKING:
    from acquisition.exposure.table import ExposureTable

F = TypeVar("F", bound=Callable[..., Any])

LAWS = ("star", "background", "percentile")


class _Durations(click.ParamType[tuple[float, ...]]):
    name = "durations"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(parse_duration(part) for part in str(value).split(","))
        except ValueError as error:
            self.fail(f"{error}; several, with commas: 1s,2s,5s", param, ctx)


_OPTIONS = (
    click.option("--law", type=click.Choice(LAWS), help="What is brought to its target [default: star]."),
    click.option("-p", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter of the law; repeatable."),
    click.option("--min", "min_s", type=Duration(), metavar="T", help="Shortest exposure [default: 1ms]."),
    click.option("--max", "max_s", type=Duration(), metavar="T", help="Longest exposure [default: 60s]."),
    click.option("--max-step", type=click.FloatRange(1.05), metavar="R", help="Largest ratio of two exposures."),
    click.option("--exposures", "darks_s", type=_Durations(), metavar="T,T,...", help="Only these exposures."),
    click.option("--bias", "bias_adu", type=click.FloatRange(0), metavar="ADU", help="Pixel value without light."),
    click.option("--saturation", "saturation_adu", type=click.FloatRange(0, min_open=True), metavar="ADU",
                 help="Where pixels are clipped, if frames do not say so."),
)  # fmt: skip


def law_options(command: F) -> F:
    """Add the options to a command, which gets them as keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_options(table: ExposureTable, parameters: tuple[str, ...] = (), **values: Any) -> ExposureTable:
    """A config's table with what the command line says; what it does not say stays as it is.

    Raises
    ------
    ConfigError
        If a parameter is not KEY=VALUE.
    """
    changed = {key: value for key, value in values.items() if value is not None}
    if parameters:
        kept = table.parameters if changed.get("law", table.law) == table.law else {}
        changed["parameters"] = {**kept, **dict(_parameter(text) for text in parameters)}
    elif changed.get("law", table.law) != table.law:
        changed["parameters"] = {}
    return table.model_copy(update=changed)


def _parameter(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    raise ConfigError(f"-p {text!r}; allowed: KEY=NUMBER, such as -p target=0.4")
