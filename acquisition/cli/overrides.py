"""What the command line says in place of the config file.

In: a `Config` and options. Out: the `Config` that the run uses, or a usage error.
"""

from __future__ import annotations

import click

from acquisition.config import Config


def override(config: Config, camera_url: str | None, mount_url: str | None, exposure_s: float | None = None) -> Config:
    """The config with what the command line says."""
    camera = {"url": camera_url, "exposure_s": exposure_s}
    given = {key: value for key, value in camera.items() if value is not None}
    return config.model_copy(
        update={
            "camera": config.camera.model_copy(update=given),
            "mount": config.mount if mount_url is None else config.mount.model_copy(update={"url": mount_url}),
        }
    )


def check_virtual_time(config: Config) -> None:
    """Raise a usage error unless all devices can live in virtual time."""
    if not (config.camera.url.startswith(("sim:", "replay:")) and config.mount.url.startswith("sim:")):
        raise click.UsageError(
            f"--virtual-time is for simulated devices; camera is {config.camera.url}, mount is {config.mount.url}; "
            "allowed: sim:// and replay:// cameras, sim:// mounts"
        )
