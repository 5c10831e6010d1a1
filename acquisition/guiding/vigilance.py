"""Watches what corrections do, and says when something is wrong.

In: measured frames and what was sent between them. Out: which axis may not be corrected, and alarms.
"""

from __future__ import annotations

from acquisition.guiding.announcer import Announcer
from acquisition.guiding.calibration_angle import AngleWatch, angle_step
from acquisition.guiding.events import AlarmKind
from acquisition.guiding.runaway import Watch, star_lost, watch_step

_NAMES = "RA", "Dec"


class Vigilance:
    """Runaway of either axis, whether it hears its pulses, and the calibration's angle."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._axes = [Watch(), Watch()]
        self._angle = AngleWatch()
        self._sent_px = 0.0, 0.0
        self._deaf = False, False

    @property
    def held(self) -> tuple[bool, bool]:
        """Whether RA and Dec must not be corrected."""
        return self._axes[0].held, self._axes[1].held

    @property
    def wobble_px(self) -> float:
        """How far the star should be from the lock on RA in the next frame, to find out about the angle."""
        return self._angle.wobble_px

    def sent(self, ra_px: float, dec_px: float) -> None:
        """Something was sent."""
        self._sent_px = self._sent_px[0] + ra_px, self._sent_px[1] + dec_px

    def measured(
        self, t_s: float, position_px: tuple[float, float], displacement_px: tuple[float, float], guided: bool
    ) -> None:
        """A frame: places on the axes against the first lock and against the present one.

        The angle shows in what guiding leaves over: where an axis is not `guided`, the watch over it begins anew.
        """
        for i, before in enumerate(self._axes):
            now = watch_step(before, t_s, position_px[i], displacement_px[i], self._sent_px[i])
            self._axes[i] = now
            if now.gain is not None and before.gain is None:
                self._announcer.alarm(AlarmKind.RUNAWAY, _runaway(_NAMES[i], now.gain))
        if not guided or any(self.held):
            last = self._angle
            self._angle = AngleWatch(alarmed=last.alarmed, wobbles=last.wobbles, wobbled_s=last.wobbled_s)
        before_angle, self._angle = self._angle, angle_step(self._angle, t_s, *position_px, *self._sent_px)
        if self._angle.alarmed and not before_angle.alarmed:
            self._announcer.alarm(
                AlarmKind.CALIBRATION_ANGLE,
                f"the camera is {_turned(self._angle)}; guiding goes on, "
                "but suffers: calibrate again (starlatch calibrate)",
            )
        if self._angle.wobble_px and not before_angle.wobble_px:
            self._announcer.notice(
                f"the camera may be {_turned(self._angle)}: RA wobbles by "
                f"{self._angle.amplitude_px:.2f} px for some frames, to make sure"
            )
        self._sent_px = 0.0, 0.0

    def heard(self, ra_deaf: bool, dec_deaf: bool) -> None:
        """What the laws say of their axes: pulses move nothing."""
        for name, before, now in zip(_NAMES, self._deaf, (ra_deaf, dec_deaf), strict=True):
            if now and not before:
                self._announcer.alarm(
                    AlarmKind.DEAF,
                    f"{name}: pulses do not move the star: look at the guide cable, the clutch, and whether the mount "
                    "tracks; guiding goes on, and learns anew when they arrive again",
                )
            if before and not now:
                self._announcer.notice(f"{name}: pulses move the star again")
        self._deaf = ra_deaf, dec_deaf

    def lost(self) -> None:
        """A frame without a measurement."""
        self._axes = [star_lost(watch) for watch in self._axes]

    def resumed(self) -> None:
        """Somebody has looked after it: stopped axes get another chance."""
        self._axes = [Watch(), Watch()]


def _runaway(name: str, gain: float) -> str:
    remedy = "calibrate again, or if the telescope has changed sides, check pulses_know_pier in [mount]"
    return (
        f"{name}: corrections made it worse (they moved the star {-gain:.1f} times as far the wrong way): the axis is "
        f"stopped; {remedy if name == 'Dec' else 'calibrate again'}"
    )


def _turned(watch: AngleWatch) -> str:
    return f"turned by {abs(watch.angle_deg):.0f} ± {watch.angle_err_deg:.0f} degrees against the calibration"
