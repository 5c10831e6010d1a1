"""Somebody's observing code: a series of frames, and a telescope that stays on them."""

from acquisition.camera import Camera, CameraSettings
from acquisition.errors import DeviceError
from acquisition.images import Image
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.mount import Mount


async def take_series(camera: Camera, n_frames: int, exposure_s: float, attempts: int = 5) -> list[Image]:
    """Frames one after the other; a camera that fails is opened anew."""
    settings = CameraSettings(exposure_s=exposure_s)
    await camera.configure(settings)
    frames: list[Image] = []
    failures = 0
    while len(frames) < n_frames:
        try:
            frames.append(await camera.expose())
        except DeviceError:
            failures += 1
            if failures > attempts:
                raise
            await reopen(camera, settings, attempts)
    return frames


async def reopen(camera: Camera, settings: CameraSettings, attempts: int) -> None:
    """Close and open until the camera answers."""
    import asyncio

    for attempt in range(attempts):
        await camera.close()
        await asyncio.sleep(2.0**attempt)
        try:
            await camera.connect()
            await camera.configure(settings)
            return
        except DeviceError:
            if attempt == attempts - 1:
                raise


async def drift_px(frames: list[Image]) -> float:
    """How far the stars moved from the first frame to the last, px."""
    offsets = GuideStarOffsets()
    measured = [await offsets(frame) for frame in frames]
    last = measured[-1].get_meta(PixelOffsets)
    return float((last.dx**2 + last.dy**2) ** 0.5)


async def recentre(camera: Camera, mount: Mount, ra_deg: float, dec_deg: float) -> Image:
    """Point the telescope, and prove it with a frame."""
    await mount.slew(ra_deg, dec_deg)
    return await camera.expose()
