"""An exposure law in a config file: what may stand in its table.

In: nested dicts, as TOML gives them. Out: `ExposureTable`, and the `ExposureRule` that it means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from acquisition.errors import ConfigError
from acquisition.exposure.laws import ExposureRule, exposure_rule
from acquisition.kernels.exposure import LAWS, GainRule, Limits

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GainTable(BaseModel):
    """Gain as the second variable, where the longest exposure is not enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lowest: float = Field(description="Camera units.")
    highest: float = Field(description="Camera units.")
    step: Positive = Field(60.0, description="Gain changes by whole steps of this, camera units.")
    decibel_per_unit: Positive = Field(0.1, description="How much a unit amplifies, dB; ZWO: 0.1.")
    return_share: float = Field(0.5, description="Gain falls again where this share of max_s is enough without it.")


class ExposureTable(BaseModel):
    """How exposure times are chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auto: bool = Field(False, description="`starlatch guide` sets the exposure time by this law.")
    law: str = Field("star", description=f"One of: {', '.join(LAWS)}.")
    parameters: dict[str, int | float | bool] = Field(default_factory=dict, description="Of the law.")
    min_s: Positive = Field(0.001, description="Shortest exposure, s.")
    max_s: Positive = Field(60.0, description="Longest exposure, s.")
    max_step: Annotated[float, Field(ge=1.05)] = Field(
        4.0, description="Largest ratio between one exposure and the next; inf: none. Clipped frames ignore it."
    )
    dead_band: float = Field(0.05, description="Relative changes below are not made.")
    darks_s: tuple[float, ...] = Field((), description="Exposures with dark frames: nothing else is asked for, s.")
    darks: Path | None = Field(None, description="The daemon finds darks_s in this folder of master darks.")
    bias_adu: float = Field(0.0, description="Pixel value without light.")
    saturation_adu: Positive | None = Field(None, description="Where pixels are clipped, if frames do not say so.")
    gain: GainTable | None = Field(None, description="Not given: the gain is left alone.")
    socket: Path | None = Field(None, description="Unix socket on which the daemon tells every frame, as JSON.")
    metrics: Path | None = Field(None, description="The daemon's Prometheus text file, for node_exporter.")
    frames_dir: Path | None = Field(None, description="The daemon saves every frame here.")

    def rule(self, key: str = "exposure", exposure_range_s: tuple[float, float] = (0.0, float("inf"))) -> ExposureRule:
        """The law with its parameters; `ConfigError` naming `key` when a name or value is not allowed.

        Limits beyond `exposure_range_s`, which is what the camera can do, are drawn in.
        """
        shortest_s, longest_s = exposure_range_s
        try:
            gain = None if self.gain is None else GainRule(**self.gain.model_dump())
            min_s, max_s = max(self.min_s, shortest_s), min(self.max_s, longest_s)
            limits = Limits(min_s, max_s, self.max_step, self.dead_band, self.darks_s, gain)
            return exposure_rule(
                self.law, self.parameters, limits, bias_adu=self.bias_adu, saturation_adu=self.saturation_adu
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(f"[{key}] {error}") from None
