"""Which world the URLs of a run mean: simulated devices that name the same one share it.

In: a URL and the run's `DeviceContext`. Out: the `World`, made on first use.
"""

from __future__ import annotations

from dataclasses import dataclass

from acquisition.devices import DeviceContext, DeviceUrl
from acquisition.errors import ConfigError

from .recording import read_recording
from .scenario import DEFAULT, load_scenario
from .world import World, make_world

DEFAULT_SEED = 1
WORLD_OPTIONS = ("seed", "world", "scenario", "disturbance", "section")
"""Of a URL, that say which world is meant."""


def shared_world(url: DeviceUrl, context: DeviceContext) -> World:
    """The world that a URL means: one for each ``?world=`` of a context, made on first use.

    Raises
    ------
    ConfigError
        If the seeds or the scenarios of the context, the URL and the world differ, or the scenario is not to be had.
    """
    asked = whole_number(url, "seed")
    if asked is not None and context.seed is not None and asked != context.seed:
        raise ConfigError(f"seed is {asked} in {url.text!r} and {context.seed} for the whole run; give it once")
    seed = asked if asked is not None else context.seed
    wanted = url.query.get("scenario", context.scenario)
    if context.scenario is not None and wanted != context.scenario:
        raise ConfigError(
            f"scenario is {wanted!r} in {url.text!r} and {context.scenario!r} for the whole run; give it once"
        )
    section = whole_number(url, "section")
    recorded = url.query.get("disturbance"), 1 if section is None else section
    if recorded[0] is None and "section" in url.query:
        raise ConfigError(f"section in {url.text!r} is of a disturbance; give both")
    name = url.query.get("world", "")
    place = f"simulators.world:{name}"
    if place not in context.shared:
        scenario = load_scenario(wanted) if wanted is not None else DEFAULT
        recording = None
        if recorded[0] is not None:
            recording = read_recording(recorded[0], recorded[1], scenario.setup.dec_deg)
        world = make_world(scenario, DEFAULT_SEED if seed is None else seed, recording)
        context.shared[place] = _Shared(world, wanted, recorded)
    shared = context.shared[place]
    assert isinstance(shared, _Shared)
    if seed is not None and seed != shared.world.seed:
        raise ConfigError(
            f"seed is {seed} in {url.text!r}, but world {name!r} has seed {shared.world.seed}; "
            "give every device of a world the same one"
        )
    if wanted is not None and wanted != shared.scenario:
        raise ConfigError(
            f"scenario is {wanted!r} in {url.text!r}, but world {name!r} was made of "
            f"{'the default one' if shared.scenario is None else repr(shared.scenario)}; "
            "give it to the first device of a world"
        )
    if recorded[0] is not None and recorded != shared.recorded:
        raise ConfigError(
            f"disturbance is {recorded[0]!r} in {url.text!r}, but world {name!r} was made of "
            f"{shared.recorded[0] or 'none'}; give it to the first device of a world"
        )
    return shared.world


@dataclass(frozen=True, slots=True)
class _Shared:
    """A world of a context, and the scenario and recording (file, section) that it was asked for with."""

    world: World
    scenario: str | None
    recorded: tuple[str | None, int]


def whole_number(url: DeviceUrl, key: str) -> int | None:
    """An option of a URL as a number >= 0, None when it is not given; `ConfigError` when it is something else."""
    text = url.query.get(key)
    if text is not None and not (text.isascii() and text.isdecimal()):
        raise ConfigError(f"{key} is {text!r} in {url.text!r}; allowed: a whole number, 0 or above")
    return None if text is None else int(text)
