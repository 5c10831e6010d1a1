"""From a URL to a device: ``sim://``, ``zwo://ASI120MM%20Mini?serial=...``, ``replay:///nights/*.fits``.

In: a URL and the entry points ``starlatch.cameras`` and ``starlatch.mounts``. Out: a `Camera` or `Mount`, not yet
connected. A driver arrives as an entry point that names a `Driver`; ours are registered like anybody else's. What a
driver opens instead of hardware for ``?emulate=1`` arrives through ``starlatch.emulators``.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from acquisition.camera import Camera, FrameTruth
from acquisition.errors import ConfigError, DeviceNotFound, LibraryNotFound
from acquisition.images import FrameFacts, Image
from acquisition.mount import Mount

D = TypeVar("D")

CAMERAS = "starlatch.cameras"
MOUNTS = "starlatch.mounts"
EMULATORS = "starlatch.emulators"


@dataclass(frozen=True, slots=True)
class DeviceUrl:
    """A device's URL, taken apart: ``scheme://name/path?query``, with ``%20`` and the like decoded."""

    text: str
    scheme: str
    name: str
    path: str
    query: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> DeviceUrl:
        """Take a URL apart.

        Raises
        ------
        ConfigError
            If it is no URL, has no scheme, or names an option twice.
        """
        try:
            parts = urlsplit(text, allow_fragments=False)  # a file's name may have a #
        except ValueError as error:
            raise ConfigError(f"device {text!r} is not a URL: {error}") from None
        if not parts.scheme or "://" not in text:
            raise ConfigError(f"device {text!r} is not a URL; write scheme://..., such as sim://")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = dict(pairs)
        if len(query) != len(pairs):
            raise ConfigError(f"device {text!r} names an option twice")
        return cls(text, parts.scheme, unquote(parts.netloc), unquote(parts.path), query)

    def check_options(self, *known: str) -> None:
        """Raise `ConfigError` for an option that is not among the known ones, and name those."""
        for key in self.query:
            if key not in known:
                allowed = ", ".join(sorted(known)) or "none"
                raise ConfigError(f"unknown option {key!r} in {self.text!r}; allowed: {allowed}")

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """The option as a number within [low, high], or the default; `ConfigError` otherwise."""
        if key not in self.query:
            return default
        try:
            value = float(self.query[key])
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ConfigError(f"{key} is {self.query[key]!r} in {self.text!r}; allowed: {low:g} to {high:g}")
        return value

    def truth(self, key: str) -> bool:
        """Whether the option is switched on (``true``, ``1``); off when it is not there; `ConfigError` otherwise."""
        value = self.query.get(key, "false").lower()
        if value not in ("true", "1", "false", "0"):
            raise ConfigError(f"{key} is {self.query[key]!r} in {self.text!r}; allowed: true, false")
        return value in ("true", "1")


@dataclass(slots=True)
class DeviceContext:
    """What the devices of one run share.

    Attributes
    ----------
    seed : int or None
    scenario : str or None
        As asked for by whoever runs; a simulator's choice when None.
    shared : dict
        What drivers put there: simulated devices their one world, two URLs of one physical device its one handle.
    handles : dict
        What was opened, by kind and URL: the same URL gives the same object.
    """

    seed: int | None = None
    scenario: str | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    handles: dict[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """A device that a driver can see."""

    url: str
    description: str


@dataclass(frozen=True, slots=True)
class Driver(Generic[D]):
    """What an entry point names.

    Attributes
    ----------
    summary : str
        One line for ``starlatch devices``.
    example : str
        A URL.
    open : callable
        (url, context) -> device, not yet connected; raises `ConfigError` for a bad option, `LibraryNotFound` when
        something must be installed first.
    discover : callable
        What is there now, or None when there is no way to look; quick, never raises for "nothing there",
        `LibraryNotFound` as above.
    """

    summary: str
    example: str
    open: Callable[[DeviceUrl, DeviceContext], D]
    discover: Callable[[], Sequence[Listing] | None]


@dataclass(frozen=True, slots=True)
class Emulated:
    """What an emulator gives a driver in place of hardware.

    Attributes
    ----------
    address : str
        What the driver opens: the file of a library, the name of a terminal.
    options : frozenset of str
        The URL's options that are the emulator's.
    truth : callable, optional
        As `Camera.truth`.
    facts : FrameFacts
        What is known of what the device is mounted on, such as the focal length; a real device does not know it.
    keep : object, optional
        The driver holds on to it as long as it uses the address.
    """

    address: str
    options: frozenset[str]
    truth: Callable[[Image], FrameTruth | None] | None = None
    facts: FrameFacts = FrameFacts()
    keep: object = None


def emulated(url: DeviceUrl, context: DeviceContext) -> Emulated | None:
    """What to open instead of hardware if the URL says ``emulate=1``, else None.

    An emulator is an entry point of the group ``starlatch.emulators`` under the driver's scheme, which names a
    callable (url, context) -> `Emulated`.

    Raises
    ------
    DeviceNotFound
        If nothing emulates such a device.
    LibraryNotFound
        If the emulator needs something that is not installed.
    """
    if url.number("emulate", 0, 0, 1) != 1:
        return None
    points = drivers(EMULATORS)
    if url.scheme not in points:
        raise DeviceNotFound(f"nothing emulates {url.scheme}:// devices; there are: {', '.join(points) or 'none'}")
    result = points[url.scheme].load()(url, context)
    assert isinstance(result, Emulated)
    return result


def open_camera(url: str, context: DeviceContext | None = None) -> Camera:
    """The camera behind a URL, to be used as ``async with open_camera(url) as camera``.

    Within one context the same URL gives the same object, however often it is opened.

    Parameters
    ----------
    url : str
        ``scheme://...``; ``starlatch devices`` lists the schemes.
    context : DeviceContext, optional
        What the devices of one run share; by default everything opened on one event loop shares one context.

    Raises
    ------
    DeviceNotFound
        If no driver has the scheme; names those there are.
    ConfigError
        If the URL or one of its options is wrong.
    LibraryNotFound
        If the driver needs something that is not installed.
    """
    return _open(url, CAMERAS, "camera", context)  # type: ignore[no-any-return]  # entry points are untyped


def open_mount(url: str, context: DeviceContext | None = None) -> Mount:
    """The mount behind a URL; otherwise like `open_camera`."""
    return _open(url, MOUNTS, "mount", context)  # type: ignore[no-any-return]  # entry points are untyped


def drivers(group: str) -> dict[str, EntryPoint]:
    """The registered schemes of a group (`CAMERAS`, `MOUNTS` or `EMULATORS`), sorted; nothing is imported yet."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def load_driver(point: EntryPoint) -> Driver[Any]:
    """Import a driver.

    Raises
    ------
    LibraryNotFound
        If a package that it needs is not installed; names the package and what to install.
    """
    try:
        driver = point.load()
    except ModuleNotFoundError as error:
        package = point.dist.name if point.dist is not None else ""
        extras = point.dist.metadata.get_all("Provides-Extra", []) if point.dist is not None else []
        remedy = f"'{package}[{point.name}]'" if point.name in extras else error.name
        raise LibraryNotFound(
            f"{point.name}:// needs the Python package {error.name}, which is not installed: pip install {remedy}"
        ) from error
    if not isinstance(driver, Driver):
        raise ConfigError(f"entry point {point.group}:{point.name} names {driver!r}, which is not a Driver")
    return driver


def context_of_loop() -> DeviceContext:
    """The context shared by everything that was opened on the running event loop without one of its own."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("open a device inside a coroutine, or pass it a DeviceContext") from None
    return _contexts.setdefault(loop, DeviceContext())


_contexts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, DeviceContext] = weakref.WeakKeyDictionary()


def _open(url: str, group: str, kind: str, context: DeviceContext | None) -> Any:
    parsed = DeviceUrl.parse(url)
    known = drivers(group)
    if parsed.scheme not in known:
        raise DeviceNotFound(
            f"unknown {kind} scheme {parsed.scheme!r} in {url!r}; known: {', '.join(known) or 'none'}; "
            f"to add one, pip install the package that brings it (its entry point is in {group})"
        )
    context = context_of_loop() if context is None else context
    if (group, url) not in context.handles:
        context.handles[group, url] = load_driver(known[parsed.scheme]).open(parsed, context)
    return context.handles[group, url]
