"""Every contract test runs on every implementation, and with ``--hardware URL`` on what is attached."""

from __future__ import annotations

import implementations
import pytest

from acquisition.devices import CAMERAS, MOUNTS, DeviceUrl, drivers
from acquisition.errors import ConfigError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    hardware = metafunc.config.getoption("--hardware")
    for url in hardware:
        known = sorted({*drivers(CAMERAS), *drivers(MOUNTS)})
        try:
            scheme = DeviceUrl.parse(url).scheme
        except ConfigError as error:
            raise pytest.UsageError(f"--hardware: {error}") from None
        if scheme not in known:
            raise pytest.UsageError(f"--hardware {url}: no driver for {scheme!r}; there are {', '.join(known)}")
    for fixture, registry in (("camera_case", implementations.cameras), ("mount_case", implementations.mounts)):
        if fixture in metafunc.fixturenames:
            cases = [pytest.param(case, id=case.name, marks=case.marks) for case in registry(hardware)]
            metafunc.parametrize(fixture, cases)
