"""``zwo://``: ZWO ASI cameras.

In: a URL that names one by model, serial number, flash ID or index. Out: a `Camera`.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from acquisition.camera import Camera
from acquisition.device_thread import DeviceThread
from acquisition.devices import DeviceContext, DeviceUrl, Driver, Listing, emulated
from acquisition.errors import ConfigError
from acquisition.images import FrameFacts
from acquisition.threaded_camera import Deadlines, ThreadedCamera
from drivers.st4.port import GuidePort, register

from .isolated import IsolatedZwoSensor
from .sdk import URL_CONTROLS, Control, Sdk, shared_sdk
from .sensor import Wanted, ZwoSensor

DEADLINES = Deadlines(open_s=20.0, stop_s=3.0, readout_s=5.0)
OPTIONS = ("serial", "id", "index", "sdk_library", "emulate", "ramp", "isolate")


def _open(url: DeviceUrl, context: DeviceContext) -> Camera:
    emulation = emulated(url, context)
    of_emulator = () if emulation is None else emulation.options
    url.check_options(*OPTIONS, *URL_CONTROLS, *of_emulator)
    if url.path.strip("/"):
        raise ConfigError(f"{url.text!r} has a path; write {DRIVER.example}")
    wanted = Wanted(
        model=url.name,
        serial=url.query.get("serial", ""),
        flash_id=url.query.get("id", ""),
        index=int(url.number("index", 0, 0, 127)) if "index" in url.query else None,
        controls=_controls(url),
        ramp_c_per_min=url.number("ramp", 5.0, 0.1, 60.0),
        speed=1.0 if emulation is None else url.number("speed", 1.0, 1e-3, 1e6),
    )

    library = url.query.get("sdk_library")
    sensor: ZwoSensor | IsolatedZwoSensor
    if url.truth("isolate"):
        if emulation is not None:
            raise ConfigError(
                f"{url.text!r}: an emulated camera lives in this process, with its sky; leave out isolate or emulate"
            )
        sensor = IsolatedZwoSensor(library, wanted, DEADLINES)
    else:

        def load_sdk() -> Sdk:
            return shared_sdk(library if emulation is None else emulation.address)  # which keeps what is emulated

        sensor = ZwoSensor(load_sdk, wanted, FrameFacts() if emulation is None else emulation.facts)
    thread = DeviceThread(str(wanted))
    camera = ThreadedCamera(
        sensor,
        str(wanted),
        thread=thread,
        deadlines=DEADLINES,
        remedies=(sensor.repeat, sensor.stop_and_restart, sensor.reopen, sensor.lower_bandwidth),
        truth=None if emulation is None else emulation.truth,
    )
    register(context, GuidePort(str(wanted), camera, thread, sensor.guide_on, sensor.guide_off))
    return camera


def _controls(url: DeviceUrl) -> dict[Control, int]:
    values = {}
    for name, control in URL_CONTROLS.items():
        if name in url.query:
            try:
                values[control] = int(url.query[name])
            except ValueError:
                raise ConfigError(f"{name} is {url.query[name]!r} in {url.text!r}; allowed: a whole number") from None
    return values


def _discover() -> Sequence[Listing]:
    cameras = shared_sdk(None).attached()
    names = [camera.name for camera in cameras]
    return [
        Listing(
            f"zwo://{quote(camera.name.removeprefix('ZWO '))}"
            + (f"?index={index}" if names.count(camera.name) > 1 else ""),
            f"{camera.name}, {camera.width_px}x{camera.height_px} px of {camera.pixel_size_um:g} µm, "
            f"{camera.bit_depth} bits, {'USB3' if camera.usb3 else 'USB2'}",
        )
        for index, camera in enumerate(cameras)
    ]


DRIVER: Driver[Camera] = Driver(
    summary="ZWO ASI cameras (?serial= ?id= ?index= ?sdk_library= ?isolate=true ?emulate=1 ?bandwidth= ...)",
    example="zwo://ASI120MM%20Mini",
    open=_open,
    discover=_discover,
)
