"""One guiding run: opens the devices, ties chain, guider, log and report together, and closes everything.

In: a `Config` and how to run it. Out: files in a folder, and the report as a dict.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.camera import Accepted, Camera, CameraInfo, CameraSettings
from acquisition.config import Config
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError, GuidingError, StarlatchError
from acquisition.geometry import MountResponse
from acquisition.guidelog import GuideLogWriter
from acquisition.guiding.algorithms.warm import warm_up as warm_up_laws
from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.calibration_file import StoredCalibration, load_calibration, save_calibration
from acquisition.guiding.events import Calibrated, Event, Listener, WormLearned
from acquisition.guiding.frame_table import FrameTable
from acquisition.guiding.guider import Guider
from acquisition.guiding.history import History
from acquisition.guiding.log import GuideLog
from acquisition.guiding.offset_pulses import OffsetPulses
from acquisition.guiding.report import report
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.statistics import GuidingStatistics
from acquisition.guiding.worm_file import StoredWorm, load_worm, save_worm
from acquisition.images import Pipeline
from acquisition.images.processors.exptime import StarExpTimeEstimator
from acquisition.images.processors.offsets import GuideStarOffsets, RaDecFromPixels
from acquisition.kernels.warm import warm_up as warm_up_stars
from acquisition.mount import Mount, MountInfo
from acquisition.recording.frames import Recorded, RecordFrames
from acquisition.virtual_time import VirtualTimeLoop, utc_now
from acquisition.whole_file import write_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuideOptions:
    """How to run, beside the config.

    Parameters
    ----------
    directory : Path
        Gets ``guidelog.txt`` and ``frames.csv``; made if missing.
    duration_s : float or None
        Of guiding, after the calibration; None: until cancelled.
    seed : int
        Of everything random: dithers, and the simulator where there is one.
    scenario : str or None
        The simulator's night, a name or a file.
    corrections : bool
        False: calibrate and measure, but send no guide pulses.
    frames_directory : Path or None
        Where to save every frame.
    """

    directory: Path
    duration_s: float | None = None
    seed: int = 0
    scenario: str | None = None
    corrections: bool = True
    frames_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class GuideOutcome:
    """How a run went: the report, what a graph needs, and the error that ended it early, if one did."""

    report: dict[str, Any]
    history: History
    statistics: GuidingStatistics
    error: StarlatchError | None = None


async def guide(
    config: Config, options: GuideOptions, listen: Listener, ready: Callable[[Guider], None] = lambda _: None,
    statistics: GuidingStatistics | None = None,
) -> GuideOutcome:  # fmt: skip
    """Run the guider to its end; cancelling ends it in order and still gives the outcome.

    Parameters
    ----------
    config : Config
    options : GuideOptions
    listen : callable
        Gets every event of the guider.
    ready : callable
        Gets the guider before it begins, for whoever wants to dither, pause, or change laws.
    statistics : GuidingStatistics, optional
        Those of this run, for whoever wants to see them before it ends; empty.

    Raises
    ------
    StarlatchError
        When the devices cannot be opened or set up. (What ends guiding later is in the outcome.)
    """
    settings = config.guider_settings(corrections=options.corrections)
    context = DeviceContext(seed=options.seed, scenario=options.scenario)
    statistics, history = GuidingStatistics() if statistics is None else statistics, History()
    wall_began_s = time.perf_counter()
    error: StarlatchError | None = None
    ended = "duration reached"
    async with contextlib.AsyncExitStack() as stack:
        camera, mount, accepted = await _open(config, context, stack)
        if settings.overlapped and not mount.info.pulses_while_exposing:
            raise ConfigError(
                f"guiding.overlapped is true, but {mount.info.name} must not be moved during an exposure"
                f"{'; guide_by = pulses in [mount] may help' if config.mount.guide_by == 'offsets' else ''}"
            )
        # the first run on a machine compiles for seconds: now, not while stars wait for their first correction
        await asyncio.to_thread(_warm_up, settings, camera.info, accepted.settings)
        recorder = None
        if options.frames_directory is not None:
            recorder = await stack.enter_async_context(RecordFrames(options.frames_directory))
        options.directory.mkdir(parents=True, exist_ok=True)
        stream = stack.enter_context((options.directory / "guidelog.txt").open("w", encoding="utf-8"))
        writer = GuideLogWriter(stream, version("starlatch"), utc_now())
        log = GuideLog(writer, camera.info, accepted.settings, mount.info.name, settings)
        stack.callback(_end_log, writer)
        table = FrameTable(stack.enter_context((options.directory / "frames.csv").open("w", encoding="utf-8")))
        began_s = asyncio.get_running_loop().time()

        listeners = {
            "statistics": statistics.listen,
            "history": history.listen,
            "guide log": log.listen,
            "frames.csv": table.listen,
            "view": listen,
        }

        def tell(event: Event) -> None:
            for name, listener in list(listeners.items()):
                try:
                    listener(event)
                except OSError as failure:  # a full disk or a closed terminal must not cost the night
                    del listeners[name]
                    logger.warning("%s: %s; guiding goes on without it", name, failure)

        path, response = config.calibration.file, None
        if path is not None:
            response = known_calibration(path, camera.info, mount.info)
            listeners["calibration file"] = CalibrationKeeper(path, camera.info, mount.info).listen
        worm = None
        if config.mount.worm_file is not None:
            worm = known_worm(config.mount.worm_file, mount.info.name)
            listeners["worm file"] = WormKeeper(config.mount.worm_file, mount.info.name).listen
        guider = Guider(camera, mount, guiding_chain(config, recorder), settings, tell, options.seed, worm)
        ready(guider)
        try:
            await guider.run(options.duration_s, response)
        except asyncio.CancelledError:
            ended = "interrupted"
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # this was the order to end, and it is obeyed
        except GuidingError as failure:
            ended, error = str(failure), failure
        simulated_s = asyncio.get_running_loop().time() - began_s
    virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    result = {
        "starlatch": version("starlatch"),
        "camera": config.camera.url,
        "mount": config.mount.url,
        "seed": options.seed,
        "scenario": options.scenario,
        "corrections": options.corrections,
        "ra_law": guider.settings.ra_law.name,
        "dec_law": guider.settings.dec_law.name,
        "exposure_s": accepted.settings.exposure_s,
        "ended": ended,
        **report(statistics, guider.response),
        "frames_not_saved": None if recorder is None else recorder.dropped,
        "virtual_time": virtual,
        "simulated_s": round(simulated_s, 6),
        "wall_s": round(time.perf_counter() - wall_began_s, 3),
    }
    return GuideOutcome(result, history, statistics, error)


async def calibrate(
    config: Config, *, seed: int, scenario: str | None, directory: Path, listen: Listener
) -> MountResponse | None:
    """Measure the mount's response, keep it in the config's calibration file, if there is one; no guiding.

    Parameters
    ----------
    config : Config
    seed, scenario
        Of the simulator.
    directory : Path
        Gets ``calibration.json``.
    listen : callable
        Gets every event.

    Raises
    ------
    CalibrationFailed
    StarlatchError
        When the devices cannot be opened or set up.
    """
    async with contextlib.AsyncExitStack() as stack:
        camera, mount, _ = await _open(config, DeviceContext(seed=seed, scenario=scenario), stack)
        paths = {directory / "calibration.json", config.calibration.file or directory / "calibration.json"}
        keepers = [CalibrationKeeper(path, camera.info, mount.info) for path in sorted(paths)]

        def tell(event: Event) -> None:
            for keeper in keepers:
                keeper.listen(event)
            listen(event)

        return await Guider(camera, mount, guiding_chain(config), config.guider_settings(), tell, seed).calibrate()


class CalibrationKeeper:
    """Listens to a guider and writes what calibration finds to a file."""

    def __init__(self, path: Path, camera: CameraInfo, mount: MountInfo) -> None:
        self._path, self._camera, self._mount = path, camera, mount

    def listen(self, event: Event) -> None:
        if isinstance(event, Calibrated):
            names = self._camera.name, self._camera.camera_id, self._mount.name
            save_calibration(StoredCalibration(*names, utc_now(), event.response, event.backlash_s), self._path)


def known_calibration(path: Path, camera: CameraInfo, mount: MountInfo) -> MountResponse | None:
    """What an earlier night found with these devices; None where there is nothing, and why is logged.

    Raises
    ------
    ConfigError
        If the file is there but is no calibration.
    """
    try:
        stored = load_calibration(path)
    except FileNotFoundError:
        return None
    misfit = stored.misfit(camera, mount)
    if misfit is not None:
        logger.warning("%s is not used: %s", path, misfit)
        return None
    return stored.response


class WormKeeper:
    """Listens to a guider and writes what it learns of the worm to a file."""

    def __init__(self, path: Path, mount: str) -> None:
        self._path, self._mount = path, mount

    def listen(self, event: Event) -> None:
        if isinstance(event, WormLearned):
            save_worm(StoredWorm(self._mount, utc_now(), event.worm), self._path)


def known_worm(path: Path, mount: str) -> Worm | None:
    """What another night taught of this mount's worm; None where there is nothing, and why is logged.

    Raises
    ------
    ConfigError
        If the file is there but says nothing of a worm.
    """
    try:
        stored = load_worm(path)
    except FileNotFoundError:
        return None
    misfit = stored.misfit(mount)
    if misfit is not None:
        logger.warning("%s is not used: %s", path, misfit)
        return None
    return stored.worm


def reload_laws(guider: Guider, read: Callable[[], Config]) -> str:
    """Guide by the laws that the config says now; what is wrong with it changes nothing.

    Returns
    -------
    str
        What came of it, for the user.
    """
    try:
        settings = read().guider_settings()
    except ConfigError as error:
        return f"config not taken over: {error}"
    now = guider.settings
    ra = settings.ra_law if settings.ra_law != now.ra_law else None
    dec = settings.dec_law if settings.dec_law != now.dec_law else None
    guider.change_laws(ra=ra, dec=dec)
    changed = [f"{axis} {law.name}" for axis, law in (("RA", ra), ("Dec", dec)) if law is not None]
    return f"config read anew: {', '.join(changed) or 'no change of laws'}; all else waits for the next run"


async def _open(
    config: Config, context: DeviceContext, stack: contextlib.AsyncExitStack
) -> tuple[Camera, Mount, Accepted]:
    """Camera and mount, connected and set up, until the stack is left."""
    camera = await stack.enter_async_context(open_camera(config.camera.url, context))
    mount = open_mount(config.mount.url, context)
    if config.mount.guide_by == "offsets":
        mount = OffsetPulses(mount)
    mount = await stack.enter_async_context(mount)
    try:
        return camera, mount, await camera.configure(config.camera.settings())
    except ValueError as impossible:
        raise ConfigError(str(impossible)) from None


def _warm_up(settings: GuiderSettings, camera: CameraInfo, frames: CameraSettings) -> None:
    """Have all compiled code ready that measuring such frames and guiding so will need."""
    if camera.bayer_pattern is not None and frames.binning == 1:
        warm_up_stars(np.float32)
    else:
        warm_up_stars(np.uint8 if frames.bits == 8 else np.uint16)
    warm_up_laws(settings.ra_law, settings.dec_law)


def _end_log(writer: GuideLogWriter) -> None:
    try:
        writer.end(utc_now())
    except OSError as failure:
        logger.warning("guide log: %s", failure)


def guiding_chain(config: Config, recorder: RecordFrames | None = None) -> Pipeline:
    """The processors of a guiding run: star offsets, offsets on the sky, next exposure time."""
    chain = Pipeline(
        steps=[
            GuideStarOffsets(max_stars=config.guiding.max_stars),
            RaDecFromPixels(distance=False, on_error="ignore"),  # nobody asks for the distance: start sooner
            StarExpTimeEstimator(on_error="ignore"),
        ]
    )
    return chain if recorder is None else Pipeline([Recorded(chain, recorder)])


def new_run_directory() -> Path:
    """A folder for a run that nobody else has: below the user's folder for logs, named by the time (UTC)."""
    import platformdirs

    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    parent = platformdirs.user_log_path("starlatch", appauthor=False) / "guide"
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        directory = parent / f"{stamp}{suffix}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    raise FileExistsError(f"{parent}: no free name for a run at {stamp}")


def write_report(values: dict[str, Any], path: Path) -> None:
    """Write a report as JSON; the file appears whole or not at all."""
    write_whole(path, json.dumps(values, indent=2, allow_nan=False) + "\n")
