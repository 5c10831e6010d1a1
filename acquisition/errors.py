"""Every exception of Starlatch, as a tree ordered by what the caller can do about it.

A message gives the fact, the value and the limit: ``brightest star 812 ADU, need 2000``. Wrong arguments stay
`ValueError`.
"""


class StarlatchError(Exception):
    """Anything that Starlatch itself raises; one line of it can be shown to a user as it is."""


class ConfigError(StarlatchError):
    """Mend the file or the option: names the key, the value, and what is allowed."""


class DeviceError(StarlatchError):
    """Something between us and a camera or mount."""


class DeviceNotFound(DeviceError):
    """No such device, or no driver for the URL; the message names what there is."""


class LibraryNotFound(DeviceError):
    """A driver's library is missing; the message names the package that brings it."""


class DevicePermissionDenied(DeviceError):
    """The device node may not be opened; the message says the udev step."""


class DeviceTimeout(DeviceError):
    """A call missed its deadline; trying again may help."""


class DeviceGone(DeviceError):
    """The device was unplugged or its driver hangs; it must be opened anew."""


class DeviceBusy(DeviceError):
    """Another exposure, slew or program holds the device."""


class ExposureFailed(DeviceError):
    """This exposure gave no frame; the next one may."""


class Unsupported(DeviceError):
    """The device cannot do this, now or ever."""


class ImageError(StarlatchError):
    """This frame cannot be used for what was asked; a pipeline's ``on_error`` decides what follows."""


class NoStars(ImageError):
    """Nothing in the frame passes as a star."""


class StarLost(ImageError):
    """Stars were chosen earlier, and none of them is usable in this frame."""


class Saturated(ImageError):
    """Every candidate is clipped by the detector."""


class OffsetTooLarge(ImageError):
    """The measured offset is beyond the limit that was set for it."""


class GuidingError(StarlatchError):
    """Guiding must stop and tell."""


class NotCalibrated(GuidingError):
    """The mount's response is not known; calibrate first."""


class CalibrationFailed(GuidingError):
    """The mount's response could not be measured; the message says why."""


class AcquisitionError(GuidingError):
    """The target could not be brought to its place."""
