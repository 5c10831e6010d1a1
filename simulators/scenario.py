"""Scenarios: a rig, a night and what goes wrong in it, as TOML; and the presets that they are made of.

In: a name from the library, or a file. Out: `Scenario`, or `ConfigError` that names the key, its value, and what is
allowed.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from acquisition.errors import ConfigError

from .faults import Fault
from .setup import MountSpec, OpticsSpec, SensorSpec, Setup

T = TypeVar("T")

PARTS = {"camera": ("sensor", SensorSpec), "telescope": ("optics", OpticsSpec), "mount": ("mount", MountSpec)}
"""Kind of preset -> the table of a scenario that it fills, and what it makes."""

SIGNED = frozenset(
    {
        "ra_deg", "dec_deg", "lat_deg", "lon_deg", "elev_m", "rotation_deg", "dark_temp_c", "ambient_temp_c",
        "drift_ra_arcsec_per_min", "drift_dec_arcsec_per_min", "polar_azimuth_arcmin", "polar_altitude_arcmin",
        "flexure_arcsec", "bump_arcsec", "bias_slope_adc", "faintest_mag", "background_mag_per_arcsec2",
    }
)  # fmt: skip
"""Numbers that may be negative."""

AT_LEAST_SOME = frozenset(
    {
        "focal_length_mm", "aperture_mm", "width_px", "height_px", "pixel_size_um", "adc_bits", "full_well_e",
        "egain_at_zero_e", "dark_doubling_c", "cooler_time_constant_s", "worm_period_s", "guide_rate_arcsec_per_s",
        "slew_rate_deg_per_s", "wind_m_per_s", "outer_scale_m", "period_s", "wander_rate_time_s",
        "harmonic_wander_time_s", "seeing_wander_time_s", "cloud_time_s", "wind_gust_time_s", "wind_resonance_hz",
        "wind_damping", "wavelength_nm", "bump_sigma_s", "glow_radius_px",
    }
)  # fmt: skip
"""Numbers that may not be 0."""

SHARES = frozenset(
    {"obstruction", "vignetting", "drop_share", "nonlinearity", "halo_share", "hot_share", "wind_damping"}
)
"""Numbers below 1."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a simulated night is made of.

    Attributes
    ----------
    name, summary : str
    setup : Setup
    faults : tuple of Fault
    """

    name: str = "default"
    summary: str = "a 60 mm guide scope on a mount with worm error, drift and backlash"
    setup: Setup = field(default_factory=Setup)
    faults: tuple[Fault, ...] = ()


DEFAULT = Scenario()


def scenario_names() -> list[str]:
    """The library, sorted."""
    folder = files("simulators") / "scenarios"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_scenario(name_or_file: str) -> Scenario:
    """A scenario of the library, or of a TOML file (a name with a slash or a dot is a file's).

    Raises
    ------
    ConfigError
        If there is none, it is not TOML, or has a wrong key or value.
    """
    is_file = "/" in name_or_file or "." in name_or_file
    if not is_file and name_or_file not in scenario_names():
        raise ConfigError(
            f"unknown scenario {name_or_file!r}; allowed: {', '.join(scenario_names())}, or a TOML file, such as "
            f"./{name_or_file}.toml"
        )
    place = Path(name_or_file).expanduser() if is_file else files("simulators") / "scenarios" / f"{name_or_file}.toml"
    try:
        return parse_scenario(tomllib.loads(place.read_text(encoding="utf-8")), name_or_file)
    except OSError as error:
        raise ConfigError(f"scenario {name_or_file!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"scenario {name_or_file!r} is not TOML: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"scenario {name_or_file!r}: {error}") from None


def parse_scenario(tables: Mapping[str, Any], name: str = "scenario") -> Scenario:
    """Check nested dicts, as TOML gives them, and make a `Scenario` of them; raises `ConfigError`.

    ``camera_preset``, ``telescope_preset`` and ``mount_preset`` name what to begin with; the tables ``[sensor]``,
    ``[optics]`` and ``[mount]`` change single values of it.
    """
    rest = dict(tables)
    summary = rest.pop("summary", "")
    faults = rest.pop("faults", [])
    start = Setup()
    for kind, (part, _) in PARTS.items():
        wanted = rest.pop(f"{kind}_preset", None)
        if wanted is not None:
            start = dataclasses.replace(start, **{part: preset(kind, wanted)})
    if not isinstance(summary, str):
        raise ConfigError(f"summary is {summary!r}; allowed: text")
    if not isinstance(faults, list) or not all(isinstance(fault, dict) for fault in faults):
        raise ConfigError("faults is no array of tables; write [[faults]]")
    known = [*(f.name for f in dataclasses.fields(Setup)), "summary", "faults", *(f"{kind}_preset" for kind in PARTS)]
    _check_keys(rest, known, "the scenario")
    setup = _changed(start, rest, "")
    _check_together(setup)
    schedule = tuple(_made(Fault, fault, f"faults[{number}]") for number, fault in enumerate(faults))
    return Scenario(name, summary, setup, schedule)


@cache
def presets(kind: str) -> dict[str, Any]:
    """The presets of a kind (camera, telescope, mount): name -> spec."""
    text = (files("simulators") / "presets" / f"{kind}s.toml").read_text(encoding="utf-8")
    _, spec = PARTS[kind]
    return {name: _made(spec, table, f"{kind} {name}") for name, table in tomllib.loads(text).items()}


def preset(kind: str, name: str) -> Any:
    """One preset; `ConfigError` that lists all if there is no such one."""
    known = presets(kind)
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{kind}_preset is {name!r}; allowed: {', '.join(known)}")
    return known[name]


def _made(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a table with its required keys."""
    required = [
        f.name
        for f in dataclasses.fields(kind)  # type: ignore[arg-type]  # all kinds are dataclasses
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    hints = typing.get_type_hints(kind)
    _check_keys(table, list(hints), where)
    for name in required:
        if name not in table:
            raise ConfigError(f"{where}: {name} is missing")
    return kind(**{key: _value(value, hints[key], f"{where}.{key}") for key, value in table.items()})


def _changed(value: T, table: Mapping[str, Any], where: str) -> T:
    """A frozen dataclass with what a table says replaced, tables within it in turn."""
    hints = typing.get_type_hints(type(value))
    _check_keys(table, list(hints), f"[{where}]")
    changes = {}
    for key, new in table.items():
        path = f"{where}.{key}" if where else key
        old = getattr(value, key)
        if dataclasses.is_dataclass(old):
            if not isinstance(new, dict):
                raise ConfigError(f"{path} is {new!r}; allowed: a table, [{path}]")
            changes[key] = _changed(old, new, path)
        else:
            changes[key] = _value(new, hints[key], path)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # only dataclasses come here


def _value(value: Any, hint: Any, where: str) -> Any:
    """A TOML value as what a field's type says, or `ConfigError`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, list):
            raise ConfigError(f"{where} is {value!r}; allowed: an array")
        if kinds[-1] is Ellipsis:
            return tuple(_value(item, kinds[0], f"{where}[{n}]") for n, item in enumerate(value))
        if len(value) != len(kinds):
            raise ConfigError(f"{where} has {len(value)} values; allowed: {len(kinds)}")
        return tuple(_value(item, kind, where) for item, kind in zip(value, kinds, strict=True))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}; allowed: a table")
        return _made(hint, value, where)  # type: ignore[arg-type]  # it is a class
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
        raise ConfigError(f"{where} is {value!r}; allowed: {names[hint]}")
    if hint in (float, int):
        _check_number(value, where)
    return value


def _check_number(value: float, where: str) -> None:
    name = where.rpartition(".")[2].partition("[")[0]
    if not math.isfinite(value):
        raise ConfigError(f"{where} is {value}; allowed: a finite number")
    if value < 0 and name not in SIGNED:
        raise ConfigError(f"{where} is {value:g}; allowed: 0 or above")
    if value == 0 and name in AT_LEAST_SOME:
        raise ConfigError(f"{where} is 0; allowed: above 0")
    if value >= 1 and name in SHARES:
        raise ConfigError(f"{where} is {value:g}; allowed: 0 to below 1")


def _check_keys(table: Mapping[str, Any], known: list[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r} in {where}; allowed: {', '.join(known)}")


def _check_together(setup: Setup) -> None:
    """What single values cannot show."""
    sensor, beta = setup.sensor, setup.optics.moffat_beta
    low, high = sensor.gain_range
    patterns = ("", "RGGB", "BGGR", "GRBG", "GBRG")
    checks = {
        f"dec_deg is {setup.dec_deg:g}; allowed: -90 to 90": abs(setup.dec_deg) <= 90,
        f"site.lat_deg is {setup.site.lat_deg:g}; allowed: -90 to 90": abs(setup.site.lat_deg) <= 90,
        f"sensor.default_gain is {sensor.default_gain:g}; allowed: {low:g} to {high:g}": (
            low <= sensor.default_gain <= high
        ),
        f"sensor.adc_bits is {sensor.adc_bits}; allowed: 8 to 16": 8 <= sensor.adc_bits <= 16,
        f"optics.moffat_beta is {beta:g}; allowed: 0 or above 1": beta == 0 or beta > 1,
        f"sensor.bayer_pattern is {sensor.bayer_pattern!r}; allowed: {', '.join(map(repr, patterns))}": (
            sensor.bayer_pattern in patterns
        ),
        f"sensor.binnings is {list(sensor.binnings)}; allowed: whole numbers above 0, 1 among them": (
            1 in sensor.binnings and min(sensor.binnings) >= 1
        ),
    }
    for problem, is_right in checks.items():
        if not is_right:
            raise ConfigError(problem)
