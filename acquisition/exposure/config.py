"""The config file's ``[exposure]``: which law sets exposure times, within which limits, and who is told.

In: a table as TOML gives it. Out: `ExposureTable`, and the `ExposureRule` that it means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from acquisition.errors import ConfigError
from acquisition.exposure.laws import ExposureRule, exposure_rule
from acquisition.kernels.exposure import LAWS, GainRule, Limits

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GainTable(_Table):
    """Gain as the second variable, where the exposure time is at a limit; not given: the gain is left alone."""

    lowest: float | None = Field(None, description="Camera units; lowest and highest are given together.")
    highest: float | None = Field(None, description="Camera units.")
    step: Positive = Field(60.0, description="Gain changes by whole steps of this, camera units.")
    decibel_per_unit: Positive = Field(0.1, description="What a unit amplifies; ZWO: 0.1.")
    return_share: Positive = Field(0.5, description="Lower again when this share of the longest exposure is enough.")

    def rule(self) -> GainRule | None:
        """As the laws take it; raises ValueError."""
        if self.lowest is None or self.highest is None:
            if self.lowest is not self.highest:
                raise ValueError("gain: lowest and highest are given together, or neither")
            return None
        return GainRule(self.lowest, self.highest, self.step, self.decibel_per_unit, self.return_share)


class ExposureTable(_Table):
    """How exposure times are set."""

    auto: bool = Field(False, description="`starlatch guide` sets the exposure time by this law.")
    law: str = Field("star", description=f"One of: {', '.join(LAWS)}.")
    parameters: dict[str, int | float | bool] = Field(default_factory=dict, description="Of the law.")
    min_s: Positive = Field(0.001, description="Shortest exposure.")
    max_s: Positive = Field(60.0, description="Longest exposure.")
    max_step: Annotated[float, Field(gt=1)] = Field(4.0, description="Largest ratio of one exposure to the next; inf.")
    dead_band: Annotated[float, Field(ge=0, le=1)] = Field(0.05, description="Smaller relative changes are not made.")
    darks_s: tuple[float, ...] = Field((), description="Only these exposures, for which there are dark frames.")
    gain: GainTable = GainTable()
    bias_adu: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(0.0, description="Pixel value without light.")
    saturation_adu: Positive | None = Field(None, description="Where the camera does not say it.")
    socket: Path | None = Field(None, description="Unix socket that tells every frame as a line of JSON.")
    metrics: Path | None = Field(None, description="Prometheus text file, for node_exporter.")
    frames_dir: Path | None = Field(None, description="Every frame is saved here.")

    def rule(self, exposure_range_s: tuple[float, float] = (0.0, float("inf"))) -> ExposureRule:
        """The law with its parameters and limits.

        Parameters
        ----------
        exposure_range_s : tuple of float
            What the camera can do; limits beyond are drawn in.

        Raises
        ------
        ConfigError
            Names the key, the value and what is allowed.
        """
        shortest_s, longest_s = exposure_range_s
        try:
            limits = Limits(
                max(self.min_s, shortest_s), min(self.max_s, longest_s), self.max_step, self.dead_band, self.darks_s,
                self.gain.rule(),
            )  # fmt: skip
            return exposure_rule(
                self.law, self.parameters, limits, bias_adu=self.bias_adu, saturation_adu=self.saturation_adu
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(f"exposure: {error}") from None

    def changed(self, **values: Any) -> ExposureTable:
        """With what the command line says; None leaves a value as it is."""
        return self.model_copy(update={key: value for key, value in values.items() if value is not None})
