"""Offsets instead of pulses: science frames that keep their stars, and targets that come to their place."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import AcquisitionError, ImageError, NoStars, OffsetTooLarge, Unsupported
from acquisition.guiding.acquisition import AcquisitionRule, acquire
from acquisition.guiding.offset_pulses import OffsetPulses
from acquisition.guiding.offset_statistics import OffsetSessions, Uptime
from acquisition.guiding.pointing_offsets import OffsetLimits, Verdict, apply_offsets, shift
from acquisition.guiding.science import ScienceGuiding
from acquisition.guiding.science_gate import GateRule, Passage, ScienceGate
from acquisition.images import FrameFacts, Image, ImageProcessor, Pipeline
from acquisition.images.meta import ExpTime, PixelOffsets, RaDecOffsets
from acquisition.images.processors.offsets import GuideStarOffsets, RaDecFromPixels, TargetOffsets
from acquisition.mount import Direction

SETTINGS = CameraSettings(exposure_s=5.0, roi=Roi(320, 240, 640, 480))
ARCSEC = 1 / 3600


class Offset(ImageProcessor):
    """Says what the test says, one thing after the other."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.resets = 0

    async def __call__(self, image):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        image = image.derive()
        if answer is not None:
            image.set_meta(answer)
        return image

    async def reset(self):
        self.resets += 1


class Recorder:
    """A mount that takes offsets, and remembers them."""

    def __init__(self, mount):
        self.mount, self.offsets = mount, []

    def __getattr__(self, name):
        return getattr(self.mount, name)

    async def offset(self, dra_deg, ddec_deg):
        self.offsets.append((dra_deg * 3600, ddec_deg * 3600))
        await self.mount.offset(dra_deg, ddec_deg)


def with_rig(body, url="sim://?seed=3"):
    async def main():
        context = DeviceContext()
        async with open_camera(url, context) as camera, open_mount(url, context) as mount:
            await camera.configure(SETTINGS)
            return await body(camera, Recorder(mount))

    return virtual_time.run(main())


def an_image(offsets=None, **facts):
    image = Image.from_camera(np.zeros((8, 8), np.uint16), FrameFacts(**facts))
    if offsets is not None:
        image.set_meta(offsets)
    return image


# ---- applying


@pytest.mark.parametrize(
    ("dra", "ddec", "verdict"),
    [
        (3.0, -4.0, Verdict.APPLIED),
        (0.3, 0.3, Verdict.TOO_SMALL),
        (30.1, 0.0, Verdict.TOO_LARGE),
        (math.nan, 0.0, Verdict.NOT_FINITE),
        (0.0, -math.inf, Verdict.NOT_FINITE),
    ],
)
def test_only_what_makes_sense_is_applied(dra, ddec, verdict):
    async def body(camera, mount):
        applied = await apply_offsets(an_image(RaDecOffsets(dra * ARCSEC, ddec * ARCSEC)), mount, OffsetLimits())
        assert applied.verdict is verdict
        expected = [pytest.approx((dra, ddec))] if verdict is Verdict.APPLIED else []
        assert mount.offsets == expected

    with_rig(body)


def test_pixels_go_through_the_wcs_unless_the_sky_is_known():
    async def body(camera, mount):
        image = await camera.expose()
        image.set_meta(PixelOffsets(2.0, -1.0))
        await apply_offsets(image, mount, OffsetLimits())
        sky = (await RaDecFromPixels()(image)).get_meta(RaDecOffsets)
        image.set_meta(RaDecOffsets(2 * ARCSEC, 0.0))
        await apply_offsets(image, mount, OffsetLimits())
        assert mount.offsets == [
            pytest.approx((sky.dra * 3600, sky.ddec * 3600)), pytest.approx((2.0, 0.0)),
        ]  # fmt: skip
        with pytest.raises(ValueError, match="no offsets"):
            await apply_offsets(an_image(), mount, OffsetLimits())
        with pytest.raises(ImageError, match="WCS"):
            await apply_offsets(an_image(PixelOffsets(1.0, 1.0)), mount, OffsetLimits())

    with_rig(body)


def test_an_arc_on_the_sky_is_that_arc_at_any_declination():
    async def body(camera, mount):
        await mount.slew(120.0, 70.0)
        before = await camera.expose()
        await shift(mount, 40 * ARCSEC, -30 * ARCSEC)
        after = await camera.expose()
        east = (after.facts.ra_deg - before.facts.ra_deg) * math.cos(math.radians(70.0)) * 3600
        north = (after.facts.dec_deg - before.facts.dec_deg) * 3600
        assert (east, north) == pytest.approx((40.0, -30.0), abs=2.0)  # the mount has its own errors meanwhile
        said = await mount.state()
        assert (said.ra_deg, said.dec_deg) == pytest.approx((120.0, 70.0))

    with_rig(body)


def test_a_mount_without_offsets_is_pulsed_or_slewed():
    async def body(camera, mount):
        pulses, slews = [], []

        class Plain(Recorder):
            @property
            def info(self):
                return replace(self.mount.info, can_offset=False, max_pulse_s=1.0)

            async def pulse_guide(self, direction, duration_s):
                pulses.append((direction, duration_s))

            async def slew(self, ra_deg, dec_deg):
                slews.append((ra_deg, dec_deg))

        plain = Plain(mount)
        state = await mount.state()
        rate, cos_dec = state.ra_guide_rate_arcsec_per_s, math.cos(math.radians(state.dec_deg))
        await shift(plain, -10 * ARCSEC, 5 * ARCSEC)
        west = sum(duration for direction, duration in pulses if direction is Direction.WEST)
        north = sum(duration for direction, duration in pulses if direction is Direction.NORTH)
        assert (west * rate * cos_dec, north * rate) == pytest.approx((10.0, 5.0), rel=0.01)
        assert max(duration for _, duration in pulses) <= 1.0
        await shift(plain, 0.0, 200 * ARCSEC)
        assert slews == [pytest.approx((state.ra_deg, state.dec_deg + 200 * ARCSEC))]
        with pytest.raises(ValueError, match="finite"):
            await shift(plain, math.nan, 0.0)

    with_rig(body)


def test_pulses_made_of_offsets():
    async def body(camera, mount):
        by_offsets = OffsetPulses(mount)
        dec = math.radians((await mount.state()).dec_deg)
        await by_offsets.pulse_guide(Direction.WEST, 2.0)
        await by_offsets.pulse_guide(Direction.NORTH, 0.4)
        assert mount.offsets == [pytest.approx((-15.0 * math.cos(dec), 0.0)), pytest.approx((0.0, 3.0))]
        with pytest.raises(ValueError, match="allowed"):
            await by_offsets.pulse_guide(Direction.NORTH, math.nan)

    with_rig(body)

    async def refused():
        context = DeviceContext()
        async with open_camera("sim://?seed=3", context):
            with pytest.raises(Unsupported, match="guide it by pulses"):
                await OffsetPulses(open_mount("sim://?seed=3&port=guide", context)).connect()

    virtual_time.run(refused())


# ---- science frames


def test_science_frames_keep_their_stars():
    async def body(camera, mount):
        guiding = ScienceGuiding(Pipeline([GuideStarOffsets(), RaDecFromPixels()]), mount)
        guiding.sessions.begin("exposure 1")
        first = await camera.expose()
        assert (await guiding.take(first)).passage is Passage.REFERENCE
        await mount.offset(8 * ARCSEC, -6 * ARCSEC)  # a gust
        mount.offsets.clear()
        taken = await guiding.take(await camera.expose())
        assert taken.applied.verdict is Verdict.APPLIED
        assert mount.offsets[0] == pytest.approx((-8.0, 6.0), abs=2.0)
        for _ in range(3):
            taken = await guiding.take(await camera.expose())
        assert taken.applied.length_arcsec < 2.0
        cards = guiding.sessions.end("exposure 1")
        assert set(cards) == {"HIERARCH GUIDING RMS1", "HIERARCH GUIDING RMS2", "HIERARCH GUIDING RMS"}
        assert guiding.uptime_percent > 50

    with_rig(body)


def test_a_frame_or_a_mount_that_fails_costs_a_correction():
    async def body(camera, mount):
        answers = [PixelOffsets(), NoStars("cloud"), RaDecOffsets(ARCSEC, 0.0), RaDecOffsets(math.nan, 0.0)]
        guiding = ScienceGuiding(Pipeline([Offset(*answers, None)]), mount)
        outcomes = [await guiding.take(an_image()) for _ in range(4)]
        assert [o.reason for o in outcomes] == ["first frame", "cloud", "", "not finite"]
        assert len(mount.offsets) == 1
        await mount.park()
        guiding = ScienceGuiding(Pipeline([Offset(PixelOffsets(), RaDecOffsets(ARCSEC, 0.0))]), mount)
        await guiding.take(an_image())
        assert "parked" in (await guiding.take(an_image())).reason

    with_rig(body)


NIGHT = datetime(2026, 3, 1, 20, tzinfo=UTC)


def at(seconds, **facts):
    given = {"image_type": "object", "tel_ra_deg": 120.0, "tel_dec_deg": 60.0, "filter_name": "V", "exposure_s": 30.0}
    focus = facts.pop("focus", 1.0)
    image = an_image(start_utc=NIGHT + timedelta(seconds=seconds), **(given | facts))
    image.header["TEL-FOCU"] = focus
    return image


@pytest.mark.parametrize(
    ("then", "passage", "reason"),
    [
        ({}, Passage.GUIDE, ""),
        ({"tel_ra_deg": 120.0 + 100 / 3600}, Passage.GUIDE, ""),  # 50 arcsec, an arc
        ({"tel_dec_deg": 60.0 + 130 / 3600}, Passage.REFERENCE, "pointed 130 arcsec"),
        ({"filter_name": "R"}, Passage.REFERENCE, "filter R instead of V"),
        ({"focus": 1.1}, Passage.REFERENCE, "focus moved by 0.1"),
        ({"seconds": 700}, Passage.REFERENCE, "700 s after the last"),
        ({"seconds": -50}, Passage.REFERENCE, "-50 s after the last"),  # somebody set the clock
        ({"seconds": 5}, Passage.IGNORE, "5 s after the last, of at least 10"),
        ({"image_type": "flat"}, Passage.IGNORE, "IMAGETYP is flat"),
        ({"exposure_s": 900.0}, Passage.OPEN, "exposed 900 s, more than 600"),
    ],
)
def test_which_frames_guide(then, passage, reason):
    gate = ScienceGate(GateRule(min_interval_s=10.0, max_exposure_s=600.0))
    assert gate.judge(at(0)) == (Passage.REFERENCE, "first frame")
    assert gate.judge(at(60))[0] is Passage.GUIDE
    then = dict(then)
    seconds = then.pop("seconds", 60)
    judged, why = gate.judge(at(60 + seconds, **then))
    assert judged is passage
    assert reason in why
    if passage is Passage.REFERENCE and seconds > 0:
        assert gate.judge(at(120 + seconds, **then))[0] is Passage.GUIDE


def test_root_mean_squares_are_a_clients_own():
    sessions = OffsetSessions()
    sessions.begin("a")
    sessions.add(PixelOffsets(3.0, 0.0), RaDecOffsets(3.0, 4.0))
    sessions.begin("b")
    for dx in (0.0, 4.0, math.nan):
        sessions.add(PixelOffsets(dx, 1.0), None)
    cards = sessions.end("a")
    assert cards["HIERARCH GUIDING RMS1"][0] == pytest.approx(math.sqrt((9 + 0 + 16) / 3))
    assert cards["HIERARCH GUIDING RMS2"][0] == pytest.approx(math.sqrt(2 / 3))
    assert "HIERARCH GUIDING RMS" not in cards  # one only
    assert sessions.end("b") == {}
    with pytest.raises(ValueError, match="'a'"):
        sessions.end("a")


def test_uptime_counts_fractions_of_a_second():
    uptime = Uptime(10.0)
    assert uptime.percent(10.0) == 0
    uptime.note(10.25, closed=True)
    assert uptime.percent(10.5) == pytest.approx(50)
    uptime.note(11.0, closed=False)
    assert uptime.percent(12.0) == pytest.approx(37.5)


# ---- acquisition


def test_a_target_comes_to_its_place():
    async def body(camera, mount):
        state = await mount.state()
        ra, dec = state.ra_deg + 0.02, state.dec_deg - 0.015
        chain = Pipeline([TargetOffsets(ra, dec, 200.0, 300.0), RaDecFromPixels()])
        attempts = []
        last = await acquire(camera, mount, chain, AcquisitionRule(max_offset_arcsec=3000), attempts.append)
        assert last.distance_arcsec < 1.0
        assert [attempt.moved for attempt in attempts] == [True] * (len(attempts) - 1) + [False]
        wcs = (await camera.expose()).facts.wcs
        scale_deg = math.sqrt(abs(wcs.cd[0] * wcs.cd[3] - wcs.cd[1] * wcs.cd[2]))
        measured = (await TargetOffsets(ra, dec, 200.0, 300.0)(await camera.expose())).get_meta(PixelOffsets)
        assert math.hypot(measured.dx, measured.dy) * scale_deg * 3600 < 6  # the worm goes on meanwhile

    with_rig(body)


def test_the_brightest_star_comes_to_the_middle():
    async def body(camera, mount):
        chain = Pipeline([TargetOffsets(), RaDecFromPixels()])
        last = await acquire(camera, mount, chain, AcquisitionRule(8, 2.0, 3000), lambda attempt: None)
        assert last.distance_arcsec < 2.0

    with_rig(body)


def test_acquisition_gives_up_in_order():
    async def body(camera, mount):
        async def outcome(*answers, attempts=3):
            told = []
            chain = Pipeline([Offset(*answers)])
            try:
                await acquire(camera, mount, chain, AcquisitionRule(attempts, 1.0, 60.0), told.append)
            except (AcquisitionError, OffsetTooLarge) as error:
                return str(error), told
            return "there", told

        far = RaDecOffsets(10 * ARCSEC, 0.0)
        assert (await outcome(NoStars("cloud"), far, RaDecOffsets()))[0] == "there"
        mount.offsets.clear()
        said, told = await outcome(far, far, far)
        assert said == "target not within 1 arcsec after 3 attempts; last: 10.0 arcsec off"
        assert len(told) == len(mount.offsets) == 3
        mount.offsets.clear()
        said, _ = await outcome(RaDecOffsets(0.0, 61 * ARCSEC))
        assert "61.0 arcsec off, at most 60 is moved" in said
        said, told = await outcome(RaDecOffsets(math.nan, 0.0), None, NoStars("cloud"))
        assert said.endswith("last: cloud")
        assert [attempt.failure[:12] for attempt in told] == ["the measured", "the image ha", "cloud"]
        assert mount.offsets == []

    with_rig(body)


def test_acquisition_follows_the_exposure_that_the_chain_asks_for():
    async def body(camera, mount):
        class Longer(ImageProcessor):
            async def __call__(self, image):
                image = image.derive()
                image.set_meta(ExpTime(7.5))
                return image

        chain = Pipeline([Offset(RaDecOffsets(10 * ARCSEC, 0.0), RaDecOffsets()), Longer()])
        await acquire(camera, mount, chain, AcquisitionRule(), lambda attempt: None)
        assert camera.settings.exposure_s == 7.5

    with_rig(body)


@pytest.mark.parametrize(
    "arguments", [{"ra_deg": 1.0}, {"x": 3.0}, {"ra_deg": 0.0, "dec_deg": 91.0}, {"x": math.nan, "y": 0.0}]
)
def test_a_target_is_two_numbers(arguments):
    with pytest.raises(ValueError, match="allowed"):
        TargetOffsets(**arguments)


@pytest.mark.parametrize("image", [Image(np.zeros((1, 1), np.uint16)), Image(np.full((32, 32), np.nan, np.float32))])
def test_no_target_is_an_image_error(image):
    with pytest.raises(ImageError):
        asyncio.run(TargetOffsets()(image))
    with pytest.raises(ImageError, match="WCS"):
        asyncio.run(TargetOffsets(1.0, 2.0)(image))
