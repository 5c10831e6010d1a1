"""The handle on a loaded fake library: attach cameras, inject faults, look inside.

In: orders of a test or of the emulator. Out: calls of the ``fake_*`` functions of ``fake_asi_sdk.c``.
"""

from __future__ import annotations

import ctypes
import enum
import shutil
import struct
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .build import fake_library

MAGIC = 0x41A51F4B
STAMP = struct.Struct("<IIQQQ")
STAMP_BYTES = 64


class Fault(enum.IntEnum):
    """What can go wrong with a frame."""

    FAIL = 1  # the exposure fails at its end
    NEVER = 2  # it never ends; a video delivers nothing more
    LATE = 3  # it is ready so many (real) seconds late
    DROPPED = 4  # of a video: lost and counted by the SDK; of a snap: as FAIL
    DUPLICATE = 5  # the frame before is delivered again
    TORN = 6  # the lower part is of the frame before
    SHORT = 7  # the lower part is not written to the buffer
    EARLY = 8  # an old frame comes at once
    GOES_IDLE = 9  # the camera forgets that it exposes


class SceneFrame(ctypes.Structure):
    """What a scene is asked to render: the settings in the SDK's terms, and where the pixels go."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("camera", "width", "height", "bin", "x", "y", "bits")),
        *((name, ctypes.c_long) for name in ("gain", "offset", "number")),
        *((name, ctypes.c_double) for name in ("start_monotonic_s", "exposure_s", "temp_c")),
        ("pixels", ctypes.c_void_p),
    )


SCENE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(SceneFrame))
GUIDE_PORT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_int)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a frame of the test pattern says of itself."""

    number: int
    start_utc_ns: int
    whole: bool  # the checksum of the pixels is right


class FakeSdk:
    """A fake library of its own: every instance is another copy, with cameras and faults of its own."""

    def __init__(self) -> None:
        directory = tempfile.mkdtemp(prefix="starlatch-asi-")
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self.path = Path(directory, "libASICamera2.so")
        shutil.copy(fake_library(), self.path)  # the loader tells libraries apart by their files
        self._library = ctypes.CDLL(str(self.path))
        self._callbacks: list[object] = []  # kept alive as long as the library may call them
        for name, result, *arguments in _SIGNATURES:
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def attach(self, model: str, serial: str = "", flash_id: str = "") -> int:
        """Plug a camera in; its id. `serial` is hexadecimal, `flash_id` up to eight characters.

        Raises
        ------
        ValueError
            If there is no such model; names those there are.
        """
        number = bytes.fromhex(serial.rjust(16, "0"))
        camera = int(self._library.fake_attach(model.encode(), number, flash_id.encode().ljust(8, b"\0")))
        if camera < 0:
            raise ValueError(f"no emulated camera {model!r} or no room for it; there are: {', '.join(self.models())}")
        return camera

    def models(self) -> list[str]:
        """The names of the cameras that can be attached."""
        names: list[str] = []
        while name := self._library.fake_model(len(names)):
            names.append(name.decode())
        return names

    def plug(self, camera: int, plugged: bool) -> None:
        """Pull the cable out, or put it back: then the camera is as after power-up."""
        self._library.fake_plug(camera, plugged)

    def set_speed(self, factor: float) -> None:
        """How many times faster than real time exposures, readouts and the cooler go."""
        self._library.fake_set_speed(factor)

    def set_usbfs_mb(self, megabytes: float) -> None:
        """Frames that are larger fail, as they do when the kernel's limit is low; 0 for no limit."""
        self._library.fake_set_usbfs_mb(megabytes)

    def set_buffer(self, frames: int, *, keep_oldest: bool = False) -> None:
        """How many video frames wait for the program, and which go when there are more."""
        self._library.fake_set_buffer(frames, keep_oldest)

    def set_scene(self, render: Callable[[SceneFrame], bool], camera: int = 0) -> None:
        """Have frames rendered, called from whatever thread reads them; False means that the read fails."""
        self._library.fake_set_scene(camera, self._kept(SCENE(lambda frame: bool(render(frame.contents)))))

    def set_guide_port(self, tell: Callable[[int, bool], None], camera: int = 0) -> None:
        """Be told (pin, on) when a pin of the guide port changes."""
        self._library.fake_set_guide_port(camera, self._kept(GUIDE_PORT(lambda _, pin, on: tell(pin, bool(on)))))

    def inject(self, fault: Fault, count: int = 1, *, value: float = 0.0, camera: int = 0) -> None:
        """Give the next frames this fault."""
        self._library.fake_inject(camera, fault, count, value)

    def set_chance(self, chance: float, *faults: Fault, seed: int = 1, camera: int = 0) -> None:
        """Give every frame one of these faults with this chance."""
        self._library.fake_set_chance(camera, chance, sum(1 << fault for fault in faults), seed)

    def happened(self, fault: Fault, camera: int = 0) -> int:
        """How often a fault has come true."""
        return int(self._library.fake_happened(camera, fault))

    def hang(self, call: str) -> None:
        """Let the next call of this name block until `release`."""
        self._library.fake_hang(call.encode())

    def release(self) -> None:
        """Let hanging calls return."""
        self._library.fake_release()

    def refuse(self, call: str, code: int, count: int = 1) -> None:
        """Let the next calls of this name return an error code."""
        self._library.fake_refuse(call.encode(), code, count)

    def value(self, control_type: int, camera: int = 0) -> int:
        """A control as the camera has it."""
        return int(self._library.fake_value(camera, control_type))

    def is_open(self, camera: int = 0) -> bool:
        """Whether a program has the camera open."""
        return bool(self._library.fake_is_open(camera))

    def dark_subtraction(self, camera: int = 0) -> bool:
        """Whether dark subtraction is on."""
        return bool(self._library.fake_dark_subtract(camera))

    def guide_port_is_on(self, pin: int, camera: int = 0) -> bool:
        """Whether a pin of the guide port is closed (0 north, 1 south, 2 east, 3 west)."""
        return bool(self._library.fake_guide_port_is_on(camera, pin))

    def last_start_utc_ns(self, camera: int = 0) -> int:
        """When the exposure of the frame that was delivered last began."""
        return int(self._library.fake_last_start_ns(camera))

    @property
    def n_calls(self) -> int:
        """How many calls have been made."""
        return int(self._library.fake_calls())

    def _kept(self, callback: object) -> object:
        self._callbacks.append(callback)
        return callback


def read_stamp(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Stamp | None:
    """What a frame of the test pattern says of itself; None if it has no stamp."""
    data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
    if data.nbytes < 2 * STAMP_BYTES:
        return None
    magic, _, number, start_ns, checksum = STAMP.unpack(data[: STAMP.size].tobytes())
    if magic != MAGIC:
        return None
    body = data[STAMP_BYTES:]
    words = body[: body.nbytes // 8 * 8].view(np.uint64)
    return Stamp(number, start_ns, int(words.sum(dtype=np.uint64)) == checksum)


_int, _long, _double, _text = ctypes.c_int, ctypes.c_long, ctypes.c_double, ctypes.c_char_p
_SIGNATURES = (
    ("fake_attach", _int, _text, _text, _text),
    ("fake_model", _text, _int),
    ("fake_plug", None, _int, _int),
    ("fake_set_speed", None, _double),
    ("fake_set_usbfs_mb", None, _double),
    ("fake_set_buffer", None, _int, _int),
    ("fake_set_scene", None, _int, SCENE),
    ("fake_set_guide_port", None, _int, GUIDE_PORT),
    ("fake_inject", None, _int, _int, _int, _double),
    ("fake_set_chance", None, _int, _double, ctypes.c_uint, ctypes.c_ulong),
    ("fake_happened", _long, _int, _int),
    ("fake_hang", None, _text),
    ("fake_release", None),
    ("fake_refuse", None, _text, _int, _int),
    ("fake_guide_port_is_on", _int, _int, _int),
    ("fake_is_open", _int, _int),
    ("fake_dark_subtract", _int, _int),
    ("fake_value", _long, _int, _int),
    ("fake_calls", _long),
    ("fake_last_start_ns", ctypes.c_ulong, _int),
)
