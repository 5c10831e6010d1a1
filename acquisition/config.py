"""The config file (TOML) as typed, frozen objects.

In: a file. Out: `Config`, or `ConfigError` that names the key, its value, and what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acquisition.camera import CameraSettings, Roi
from acquisition.errors import ConfigError
from acquisition.exposure.table import ExposureTable
from acquisition.guiding.algorithms import LAWS, Law
from acquisition.guiding.apply import AxisLimits, Mode
from acquisition.guiding.calibration import CalibrationRule
from acquisition.guiding.dither import DitherRule, Pattern
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.settle import SettleRule

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-360, le=360)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraTable(_Table):
    """The guide camera."""

    url: str = Field("sim://", description="Which camera; `starlatch devices` lists the schemes.")
    exposure_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(2.0, description="Exposure time, s.")
    gain: float | None = Field(None, description="Camera units; left as it is if not given.")
    offset: float | None = Field(None, description="Camera units; left as it is if not given.")
    binning: Annotated[int, Field(ge=1)] = 1
    roi: tuple[int, int, int, int] | None = Field(None, description="[x, y, width, height] in binned px.")
    bits: int = Field(16, description="Per stored pixel: 8 or 16.")
    target_temp_c: float | None = Field(None, description="Switches the cooler on.")

    def settings(self) -> CameraSettings:
        """What the camera is asked for."""
        return CameraSettings(
            exposure_s=self.exposure_s, gain=self.gain, offset=self.offset, binning=self.binning,
            roi=None if self.roi is None else Roi(*self.roi), bits=self.bits, target_temp_c=self.target_temp_c,
            cooler_on=None if self.target_temp_c is None else True,
        )  # fmt: skip


class MountTable(_Table):
    """The mount."""

    url: str = Field("sim://", description="Which mount; `starlatch devices` lists the schemes.")
    worm_file: Path | None = Field(None, description="What was learned of the worm, kept from night to night.")
    pulses_know_pier: bool = Field(True, description="A North pulse moves north on either side of the pier.")
    alt_az_site: tuple[Latitude, Longitude] | None = Field(
        None, description="[latitude, longitude] of an alt-azimuth mount whose pulses go along RA and Dec."
    )
    guide_by: Literal["pulses", "offsets"] = Field(
        "pulses", description="Guide pulses, or shifts of the pointing where the mount takes those."
    )


class TelescopeTable(_Table):
    """The telescope that the guide camera looks through."""

    focal_length_mm: Positive | None = Field(None, description="For arcsec, where the camera does not state it.")


class AxisTable(_Table):
    """How one axis is guided."""

    law: str = Field(description=f"One of: {', '.join(LAWS)}.")
    parameters: dict[str, float | bool] = Field(
        default_factory=dict, description="Of the law; PHD2's have PHD2's defaults."
    )
    max_pulse_s: Positive = Field(2.5, le=10, description="Longest pulse, s.")
    min_pulse_s: Annotated[float, Field(ge=0, le=10)] = Field(0.0, description="Shorter ones are not sent, s.")
    max_net_pulse_s: Positive = Field(600.0, description="Pulses one way, less those the other, add up to no more, s.")
    mode: Mode = Field("auto", description="auto, off, or the one direction that is allowed.")

    def build_law(self, key: str) -> Law[Any]:
        """The law with its parameters; `ConfigError` naming `key` when there is no such law or parameter."""
        if self.law not in LAWS:
            raise ConfigError(f"{key}.law is {self.law!r}; allowed: {', '.join(LAWS)}")
        try:
            return LAWS[self.law](**self.parameters)
        except TypeError:
            known = ", ".join(LAWS[self.law].__dataclass_fields__)  # type: ignore[attr-defined]  # laws are dataclasses
            raise ConfigError(f"{key}.parameters are {self.parameters}; {self.law} knows: {known}") from None
        except ValueError as error:
            raise ConfigError(f"{key}.parameters: {error}") from None

    def limits(self, key: str) -> AxisLimits:
        """What may be sent; `ConfigError` naming `key` when the numbers contradict each other."""
        try:
            return AxisLimits(self.max_pulse_s, self.mode, self.min_pulse_s, self.max_net_pulse_s)
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from None


class GuidingTable(_Table):
    """The guider."""

    ra: AxisTable = Field(default_factory=lambda: AxisTable(law="predictive"))
    dec: AxisTable = Field(default_factory=lambda: AxisTable(law="backlash-aware"))
    max_stars: Annotated[int, Field(ge=1, le=100)] = Field(12, description="Guide stars to use.")
    after_pulse_s: Annotated[float, Field(ge=0, le=60)] = Field(0.0, description="Wait after a pulse, s.")
    overlapped: bool = Field(False, description="Expose while pulses run, and correct between frames, too.")
    lost_limit_s: Positive | None = Field(None, description="End after so long without a star; not given: never.")


class CalibrationTable(_Table):
    """How the mount's response is measured."""

    pulse_s: Positive = Field(2.0, le=10, description="First pulse, s; doubled until the stars move.")
    rounds: Annotated[int, Field(ge=1, le=10)] = Field(1, description="Of eight moves each.")
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    time_limit_s: Positive = 300.0
    file: Path | None = Field(None, description="Kept from night to night: used if it fits, made if it is missing.")


class DitherTable(_Table):
    """Steps of the lock."""

    every_s: Positive | None = Field(None, description="Not given: no dithers.")
    amount_px: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3.0
    ra_only: bool = False
    pattern: Pattern = Field("random", description="random, or spiral: a square one, amount_px from place to place.")
    recentre: bool = Field(True, description="Send a pulse for the dither at once.")


class SettleTable(_Table):
    """When a dither is over."""

    pixels: Positive = 1.5
    time_s: Positive = 6.0
    timeout_s: Positive = 60.0
    exposure_s: Positive | None = Field(None, description="Exposures meanwhile, where they are shorter than usual.")


class Config(_Table):
    """Everything; every key has a default, so an empty file guides a simulated telescope."""

    camera: CameraTable = CameraTable()
    mount: MountTable = MountTable()
    telescope: TelescopeTable = TelescopeTable()
    guiding: GuidingTable = GuidingTable()
    calibration: CalibrationTable = CalibrationTable()
    dither: DitherTable = DitherTable()
    settle: SettleTable = SettleTable()
    exposure: ExposureTable = ExposureTable()

    def guider_settings(self, *, corrections: bool = True) -> GuiderSettings:
        """What the guider is asked for."""
        if self.guiding.overlapped and self.guiding.after_pulse_s > 0:
            raise ConfigError(
                f"guiding.after_pulse_s is {self.guiding.after_pulse_s:g}, but with guiding.overlapped nothing waits; "
                "allowed: 0"
            )
        return GuiderSettings(
            ra_law=self.guiding.ra.build_law("guiding.ra"),
            dec_law=self.guiding.dec.build_law("guiding.dec"),
            ra_limits=self.guiding.ra.limits("guiding.ra"),
            dec_limits=self.guiding.dec.limits("guiding.dec"),
            calibration=CalibrationRule(
                pulse_s=self.calibration.pulse_s,
                rounds=self.calibration.rounds,
                time_limit_s=self.calibration.time_limit_s,
            ),
            calibration_attempts=self.calibration.attempts,
            dither=DitherRule(**self.dither.model_dump()),
            settle=SettleRule(**self.settle.model_dump()),
            corrections=corrections,
            focal_length_mm=self.telescope.focal_length_mm,
            after_pulse_s=self.guiding.after_pulse_s,
            overlapped=self.guiding.overlapped,
            lost_limit_s=self.guiding.lost_limit_s,
            pulses_know_pier=self.mount.pulses_know_pier,
            alt_az_site=self.mount.alt_az_site,
            exposure=self.exposure.rule() if self.exposure.auto else None,
        )


def load_config(path: Path | str) -> Config:
    """Read a config file.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, or has a wrong key or value; names file, key, value, and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config file {str(path)!r} is not text: {error}") from error
    try:
        return parse_config(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(tables: Mapping[str, Any]) -> Config:
    """Check nested dicts, as TOML gives them, and make a `Config` of them; raises `ConfigError`."""
    try:
        config = Config.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(problem) for problem in error.errors())) from None
    config.guider_settings()  # the laws' own checks
    config.exposure.rule()
    return config


def schema() -> dict[str, Any]:
    """The JSON schema of the config file."""
    return Config.model_json_schema()


def _explain(problem: Any) -> str:
    """One of pydantic's errors in our words."""
    *parents, last = problem["loc"]
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        where = f"[{'.'.join(map(str, parents))}]" if parents else "the file"
        return f"unknown key {str(last)!r} in {where}; known: {', '.join(_known_keys(parents))}"
    wrong = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key} is {problem['input']!r}: {wrong}"


def _known_keys(parents: list[str | int]) -> list[str]:
    table: type[BaseModel] = Config
    for name in parents:
        kind = table.model_fields[str(name)].annotation
        tables = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)]
        table = tables[0]  # only tables have unknown keys; one that may be left out is a union with None
    return list(table.model_fields)
