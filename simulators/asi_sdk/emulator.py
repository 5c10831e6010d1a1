"""Emulated ZWO cameras: a fake library whose cameras look at the simulated world, or show a test pattern.

In: a ``zwo://...?emulate=1`` URL. Out: the library's file for the driver, and the truth about its frames. An ASI120MM
Mini has the simulated world's sensor and sees its sky; the other models show the test pattern. The pins of the guide
port move the world's mount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acquisition.devices import DeviceContext, DeviceUrl, Emulated
from acquisition.errors import ConfigError

from .fake import FakeSdk

if TYPE_CHECKING:
    from .sky_view import SkyView

SEES_THE_SKY = "ZWO ASI120MM Mini"
OPTIONS = frozenset({"world", "seed", "scenario", "speed", "pattern"})


class EmulatedBus:
    """The emulated cameras of one run."""

    def __init__(self) -> None:
        self.sdk = FakeSdk()
        self.attached: dict[str, SkyView | None] = {}  # by what the URL says


def emulated_bus(context: DeviceContext) -> EmulatedBus:
    """The emulated cameras of a run, made on first use."""
    bus = context.shared.setdefault("simulators.asi_sdk", None) or EmulatedBus()
    context.shared["simulators.asi_sdk"] = bus
    return bus


def emulate(url: DeviceUrl, context: DeviceContext) -> Emulated:
    """Attach the camera that a URL asks for, unless it is there.

    Raises
    ------
    ConfigError
        If there is no such model.
    LibraryNotFound
        If there is no C compiler.
    """
    bus = emulated_bus(context)
    model = url.name or SEES_THE_SKY
    model = model if model.startswith("ZWO ") else f"ZWO {model}"
    name = f"{model} {url.query.get('serial', '')} {url.query.get('id', '')}"
    sky = model == SEES_THE_SKY and url.number("pattern", 0, 0, 1) == 0
    if name not in bus.attached:
        serial = url.query.get("serial", f"{len(bus.attached) + 1:016x}")
        try:
            camera = bus.sdk.attach(model, serial, url.query.get("id", ""))
        except ValueError as error:
            raise ConfigError(f"{error} (in {url.text!r})") from None
        bus.sdk.set_speed(url.number("speed", 1.0, 1e-3, 1e6))
        view = bus.attached[name] = _sky_view(url, context) if sky else None
        if view is not None:
            bus.sdk.set_scene(view.render, camera)
            bus.sdk.set_guide_port(view.guide, camera)
    view = bus.attached[name]
    address = str(bus.sdk.path)
    if view is None:
        return Emulated(address, OPTIONS, keep=bus)
    return Emulated(address, OPTIONS, view.truth, view.facts, keep=bus)


def _sky_view(url: DeviceUrl, context: DeviceContext) -> SkyView:
    from simulators.shared_world import shared_world  # the test pattern needs none of the sky

    from .sky_view import SkyView

    return SkyView(shared_world(url, context))
