import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from astropy.table import Table

from acquisition.errors import ImageError, StarlatchError
from acquisition.images import FrameFacts, Image, TangentWcs
from acquisition.images.filenames import FilenameFormatter
from acquisition.images.meta import (
    AltAzOffsets,
    ExpTime,
    GenericOffset,
    OnSkyDistance,
    PixelOffsets,
    RaDecOffsets,
    SkyOffsets,
)
from acquisition.images.processors.demands import header_number

PARTS = ["data", "mask", "uncertainty", "catalog", "raw", "frames"]
FACTS = FrameFacts(
    start_utc=datetime(2026, 3, 1, 20, 0, tzinfo=UTC),
    exposure_s=2.0,
    start_loop_s=17.5,
    instrument="ASI120MM Mini",
    x_binning=1,
    y_binning=1,
)


class Photo(Image):
    """What another program may make of an image."""


def pixels(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def full(**parts: Any) -> Image:
    given: dict[str, Any] = {
        "data": pixels(4, 6),
        "header": fits.Header({"OBJECT": "M31"}),
        "mask": np.zeros((4, 6), bool),
        "uncertainty": np.ones((4, 6), np.float32),
        "catalog": Table({"x": [1.0, 2.0]}),
        "raw": pixels(4, 6) + 1,
        "frames": Table({"DATE": ["a"]}),
        "meta": {"list": [1]},
    }
    return Image(**(given | parts))


# --- construction -------------------------------------------------------------------------------------------------


def test_an_empty_image_has_no_parts() -> None:
    image = Image()
    assert all(getattr(image, f"safe_{part}") is None for part in PARTS)
    assert image.header == fits.Header()
    assert len(image.header) == 0
    assert image.meta == {}
    assert image.facts == FrameFacts()


@pytest.mark.parametrize("part", [*PARTS, "header"])
def test_a_part_can_be_cleared_and_is_then_an_image_error(part: str) -> None:
    image = full()
    setattr(image, part, None)
    assert getattr(image, f"safe_{part}") is None
    with pytest.raises(ImageError, match=part):
        getattr(image, part)
    assert issubclass(ImageError, StarlatchError)


@pytest.mark.parametrize("part", PARTS)
def test_a_setter_takes_the_very_object(part: str) -> None:
    image, value = Image(), Table({"x": [1]}) if part in ("catalog", "frames") else pixels(2, 2)
    setattr(image, part, value)
    assert getattr(image, part) is value


def test_positional_order_and_unknown_arguments() -> None:
    table = Table({"x": [1]})
    arrays = [pixels(2, 3) + i for i in range(4)]
    image = Image(arrays[0], fits.Header({"A": 1}), arrays[1], arrays[2], table, arrays[3], {"k": 1}, colour="red")
    assert image.data is arrays[0]
    assert image.header["A"] == 1
    np.testing.assert_array_equal(image.mask, arrays[1])
    np.testing.assert_array_equal(image.uncertainty, arrays[2])
    assert image.catalog["x"][0] == 1
    np.testing.assert_array_equal(image.raw, arrays[3])
    assert image.meta == {"k": 1}


@pytest.mark.parametrize(
    ("shape", "naxis"),
    [((4, 6), {"NAXIS1": 6, "NAXIS2": 4}), ((3, 4, 6), {"NAXIS1": 6, "NAXIS2": 4, "NAXIS3": 3}), ((5,), {})],
)
def test_naxis_follows_the_data(shape: tuple[int, ...], naxis: dict[str, int]) -> None:
    assert dict(Image(np.zeros(shape)).header) == naxis
    camera = dict(Image.from_camera(np.zeros(shape), FrameFacts(object_name="x")).header)
    assert camera == naxis | {"OBJECT": "x"}


def test_stale_naxis_of_a_given_header_is_mended() -> None:
    header = fits.Header([("NAXIS", 3), ("NAXIS1", 9), ("NAXIS2", 9), ("NAXIS3", 9), ("A", 1)])
    assert dict(Image(pixels(4, 6), header).header) == {"NAXIS": 2, "NAXIS1": 6, "NAXIS2": 4, "A": 1}
    assert header["NAXIS1"] == 9


def test_setters_of_data_and_header_leave_naxis_alone() -> None:
    image = Image(pixels(4, 6))
    image.data = pixels(2, 2)
    assert image.header["NAXIS1"] == 6
    header = fits.Header({"A": 1})
    image.header = header
    assert image.header is header
    assert "NAXIS1" not in header


def test_what_is_given_is_copied_in_but_for_data() -> None:
    data, mask, header, table, meta = pixels(2, 2), pixels(2, 2), fits.Header({"A": 1}), Table({"x": [1]}), {"k": [1]}
    image = Image(data, header, mask=mask, uncertainty=mask, catalog=table, raw=mask, meta=meta)
    mask[:], header["A"], table["x"][0], _ = 9, 9, 9, meta["k"].append(2)
    assert image.data is data
    assert image.header["A"] == 1
    assert image.mask[0, 0] == image.uncertainty[0, 0] == image.raw[0, 0] == 0
    assert image.catalog["x"][0] == 1
    assert image.meta == {"k": [1]}
    image.header["A"] = 2
    assert header["A"] == 9


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i8", "u8", "f2", "f4", "f8", ">i2", ">f4", "c8"])
def test_any_type_is_kept_in_memory(dtype: str) -> None:
    data = np.zeros((2, 2), dtype)
    assert Image(data).data is data


# --- a camera's frame ---------------------------------------------------------------------------------------------


def test_a_camera_frame_shares_everything_and_cannot_be_written_to() -> None:
    data = pixels(4, 6)
    image = Photo.from_camera(data, FACTS)
    assert isinstance(image, Photo)
    assert image.data is data
    assert image.raw is data
    assert image.facts is FACTS
    assert not data.flags.writeable


def test_a_camera_that_plays_back_a_file_has_a_header_already() -> None:
    header = fits.Header({"INSTRUME": "ASI120MM Mini", "EXTRA": 1})
    image = Image.from_camera(pixels(4, 6), FACTS, header)
    assert image.facts is FACTS
    assert dict(image.header) == {"INSTRUME": "ASI120MM Mini", "EXTRA": 1, "NAXIS1": 6, "NAXIS2": 4}
    assert "NAXIS1" not in header


def test_header_is_built_from_the_facts_and_is_then_the_authority() -> None:
    image = Image.from_camera(pixels(4, 6), FACTS)
    assert image.header["INSTRUME"] == "ASI120MM Mini"
    assert (image.header["NAXIS1"], image.header["NAXIS2"]) == (6, 4)
    assert image.facts == FACTS  # the clock of the loop too, though it has no keyword
    image.header["EXPTIME"] = 5.0
    image.header["OBJECT"] = "M31"
    assert image.facts.exposure_s == 5.0
    assert image.facts.object_name == "M31"
    assert image.facts.start_loop_s == 17.5


def test_a_card_can_be_read_without_handing_out_the_header() -> None:
    image = full()
    assert (image.header_value("OBJECT"), image.header_value("NOTHING")) == ("M31", None)
    assert image.facts is image.facts
    image.header = None
    assert image.header_value("OBJECT") is None


def test_cards_that_are_no_fits_say_nothing() -> None:
    lines = ("CD1_1   = 1 2 3", "BUNIT   = two words", "CTYPE3  = FRAME", "CRPIX1  = 'open")
    image = Image(np.zeros((3, 4, 5)), fits.Header.fromstring("".join(line.ljust(80) for line in lines)))
    assert (image.pixel_scale, image.unit, image.is_color) == (None, "adu", True)
    with pytest.raises(ImageError, match="CRPIX1"):
        header_number(image, "CRPIX1")
    with pytest.raises(VerifyError):
        image.header["CRPIX1"]


def test_facts_once_asked_for_do_not_follow_the_header() -> None:
    image = full()
    facts = image.facts  # none of them read yet
    image.header["OBJECT"], image.header["EXPTIME"] = "M33", 2.0
    assert (facts.object_name, facts.exposure_s) == ("M31", None)
    assert (image.facts.object_name, image.facts.exposure_s) == ("M33", 2.0)


def test_facts_of_an_image_with_a_header_come_from_it() -> None:
    assert full().facts == FrameFacts(object_name="M31")
    image = full()
    image.header["OBJECT"] = "M33"
    assert image.facts.object_name == "M33"
    image.header = None
    assert image.facts == FrameFacts()


def test_reading_does_not_hand_out_the_header() -> None:
    image = Image.from_camera(pixels(4, 6), FACTS)
    assert image.unit == "adu"
    assert image.pixel_scale is None
    image.to_bytes()
    assert image.facts is FACTS


def test_import_is_light() -> None:
    code = (
        "import sys, numpy as np; from acquisition.images import FrameFacts, Image; import acquisition.images.meta;"
        "Image.from_camera(np.zeros((2, 2)), FrameFacts()).derive().facts;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'astropy', 'PIL', 'matplotlib', 'scipy', 'numba'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- derive, copy -------------------------------------------------------------------------------------------------


def test_a_derived_image_shares_arrays_and_tables() -> None:
    image = full()
    derived = image.derive()
    assert all(getattr(derived, part) is getattr(image, part) for part in PARTS)
    assert derived.header == image.header


@pytest.mark.parametrize("handed_out", [False, True])
@pytest.mark.parametrize("camera", [False, True])
def test_edits_of_one_never_reach_the_other(camera: bool, handed_out: bool) -> None:
    image = Image.from_camera(pixels(4, 6), FACTS) if camera else full()
    held = image.header if handed_out else None
    derived = image.derive()
    grandchild = derived.derive(data=pixels(2, 2))
    derived.header["OBJECT"] = "derived"
    if held is not None:
        held["OBJECT"] = "original"
    image.header["FILTER"] = "V"
    derived.set_meta(PixelOffsets(1, 2))
    derived.data = pixels(1, 1)
    derived.mask = None
    assert image.header.get("OBJECT") == ("original" if handed_out else None if camera else "M31")
    assert "FILTER" not in derived.header
    assert not image.has_meta(PixelOffsets)
    assert image.data.shape == (4, 6)
    assert image.safe_mask is None if camera else image.mask is not None
    assert grandchild.header.get("OBJECT") == (None if camera else "M31")
    assert (grandchild.header["NAXIS1"], image.header["NAXIS1"], derived.header["NAXIS1"]) == (2, 6, 6)


def test_derive_replaces_and_clears() -> None:
    image, mask, header = full(), pixels(4, 6), fits.Header({"A": 1})
    derived = image.derive(mask=mask, header=header, meta={"k": 1}, catalog=None, raw=None)
    assert derived.mask is mask
    assert derived.header is header
    assert derived.meta == {"k": 1}
    assert derived.safe_catalog is None
    assert derived.safe_raw is None
    assert image.safe_catalog is not None
    cleared = image.derive(data=None, header=None, uncertainty=None, meta=None, frames=None, mask=None)
    assert all(getattr(cleared, f"safe_{part}") is None for part in ("data", "header", "uncertainty", "frames", "mask"))
    assert cleared.meta == {}


def test_naxis_of_a_derived_image_follow_its_data() -> None:
    image = full()
    image.header["NAXIS"] = 2
    assert image.derive(data=pixels(3, 2, 5)).header["NAXIS3"] == 3
    assert image.derive(data=pixels(3, 2, 5)).header["NAXIS"] == 3
    assert Image.from_camera(pixels(4, 6), FACTS).derive(data=pixels(2, 3)).header["NAXIS1"] == 3


def test_a_copy_is_independent_but_for_the_pixels() -> None:
    image = full()
    twin = image.copy()
    assert twin.data is image.data
    twin.header["OBJECT"] = "M33"
    twin.mask[0, 0] = True
    twin.uncertainty[0, 0] = 7
    twin.raw[0, 0] = 7
    twin.catalog["x"][0] = 7
    twin.frames["DATE"][0] = "b"
    twin.meta["list"].append(2)
    twin.header["NEW"] = 1
    assert image.header["OBJECT"] == "M31"
    assert not image.mask[0, 0]
    assert image.uncertainty[0, 0] == image.raw[0, 0] == image.catalog["x"][0] == 1
    assert image.frames["DATE"][0] == "a"
    assert image.meta == {"list": [1]}


def test_a_copy_of_a_camera_frame_keeps_raw_and_data_one() -> None:
    image = Image.from_camera(pixels(4, 6), FACTS)
    assert image.copy().raw is image.copy().data is image.data
    image.data = image.raw = pixels(4, 6)  # which may be written to
    assert image.copy().raw is not image.data
    assert image.copy().facts is FACTS


@pytest.mark.parametrize("deepcopy", [copy.deepcopy, lambda image: image.__deepcopy__()])
def test_a_deep_copy_shares_nothing(deepcopy: Any) -> None:
    for image in (full(), Image.from_camera(pixels(4, 6), FACTS)):
        twin = deepcopy(image)
        for part in PARTS:
            if image.__dict__[f"_{part}"] is not None and part not in ("catalog", "frames"):
                assert not np.shares_memory(getattr(twin, part), getattr(image, part))
        assert not np.shares_memory(twin.raw, twin.data)
        twin.data[0, 0] = 99
        assert image.data[0, 0] == 0
        twin.header["OBJECT"] = "M33"
        assert image.header.get("OBJECT") != "M33"
        assert twin.facts.start_loop_s == image.facts.start_loop_s


def test_every_way_to_make_an_image_keeps_the_subclass() -> None:
    photo = Photo(np.ones((2, 2)))
    made = [photo.copy(), photo.derive(), photo / photo, copy.copy(photo), copy.deepcopy(photo), photo.trim()]
    made += [Photo.from_bytes(photo.to_bytes()), Photo.from_ccddata(photo.to_ccddata())]
    assert all(type(image) is Photo for image in made)


def test_an_image_can_be_pickled() -> None:
    twin = pickle.loads(pickle.dumps(full()))
    assert twin.header["OBJECT"] == "M31"
    np.testing.assert_array_equal(twin.data, full().data)


def test_division() -> None:
    image = full()
    ratio = image / Image(np.full((4, 6), 2, np.uint16))
    np.testing.assert_array_equal(ratio.data, pixels(4, 6) / 2)
    assert ratio.header["OBJECT"] == "M31"
    assert ratio.mask is not image.mask
    np.testing.assert_array_equal(image.data, pixels(4, 6))
    for wrong in ((Image(), image), (image, Image())):
        with pytest.raises(ValueError, match="no data"):
            wrong[0] / wrong[1]


# --- meta ---------------------------------------------------------------------------------------------------------


def test_meta_is_stored_under_its_exact_class() -> None:
    class Better(PixelOffsets):
        pass

    image, offsets = Image(), PixelOffsets(1, 2)
    image.set_meta(offsets)
    image.set_meta(2.5)
    assert image.get_meta(PixelOffsets) is offsets
    assert image.get_meta(float) == 2.5
    assert image.has_meta(PixelOffsets)
    assert not image.has_meta(ExpTime)
    with pytest.raises(ValueError, match="ExpTime"):
        image.get_meta(ExpTime)
    assert image.get_meta_safe(ExpTime) is None
    assert image.get_meta_safe(ExpTime, ExpTime(1.0)) == ExpTime(1.0)
    other = Image()
    other.set_meta(Better(1, 2))
    assert other.get_meta_safe(PixelOffsets) is None


def test_meta_of_the_wrong_type() -> None:
    image = Image()
    image.meta[ExpTime] = "soon"
    image.meta["x"] = 3
    with pytest.raises(ValueError, match="str"):
        image.get_meta(ExpTime)
    assert image.get_meta_safe(ExpTime) is None
    image.meta = None
    assert image.meta == {}


def test_meta_classes() -> None:
    assert PixelOffsets() == PixelOffsets(0, 0)
    assert RaDecOffsets() == RaDecOffsets(dra=0, ddec=0)
    assert AltAzOffsets() == AltAzOffsets(dalt=0, daz=0)
    assert GenericOffset(1, 2) == GenericOffset(dx=1, dy=2)
    assert ExpTime(2).exptime == 2
    assert OnSkyDistance(Angle(1, u.deg)).distance.deg == 1
    assert "dx=1" in repr(PixelOffsets(1, 2))


def test_sky_offsets() -> None:
    offsets = SkyOffsets(SkyCoord(10 * u.deg, 60 * u.deg), SkyCoord(11 * u.deg, 60 * u.deg))
    assert offsets.separation().deg == pytest.approx(0.49995, abs=1e-4)
    lon, lat = offsets.spherical_offsets()
    assert lon.deg == pytest.approx(0.49998, abs=1e-3)
    assert lat.deg == pytest.approx(0.0038, abs=1e-3)
    assert offsets.separation("galactic").deg == pytest.approx(offsets.separation().deg)
    assert offsets.spherical_offsets(frame="galactic")[0].deg != pytest.approx(lon.deg)


# --- the rest -----------------------------------------------------------------------------------------------------


def with_header(**cards: Any) -> Image:
    return Image(pixels(4, 6), fits.Header(cards))


def test_unit() -> None:
    assert Image().unit == "adu"
    assert with_header(BUNIT="Electron").unit == "electron"


def test_pixel_scale() -> None:
    assert with_header().pixel_scale is None
    assert with_header(CDELT1="?").pixel_scale is None
    assert with_header(CD1_1=True, CD2_1=None).pixel_scale is None
    assert with_header(CDELT1=-2 / 3600).pixel_scale == pytest.approx(2)
    assert with_header(CDELT1=-2 / 3600, CD1_1=-1 / 3600).pixel_scale == pytest.approx(1)
    for angle in np.radians([0, 30, 90, 200]):
        image = with_header(CD1_1=np.cos(angle) / 3600, CD2_1=np.sin(angle) / 3600)
        assert image.pixel_scale == pytest.approx(1)
        pc = {"PC1_1": np.cos(angle), "PC2_1": np.sin(angle), "PC1_2": -np.sin(angle), "PC2_2": np.cos(angle)}
        assert with_header(CDELT1=-1 / 3600, CDELT2=1 / 3600, **pc).pixel_scale == pytest.approx(1)
    wcs = TangentWcs(1, 2, 3, 4, (0.0, 2 / 3600, -2 / 3600, 0.0))
    assert Image.from_camera(pixels(2, 2), FrameFacts(wcs=wcs)).pixel_scale == pytest.approx(2)


def test_is_color() -> None:
    assert Image(np.zeros((3, 4, 5))).is_color
    assert not Image(np.zeros((4, 5))).is_color
    assert not Image(np.zeros((2, 4, 5))).is_color
    assert not Image(np.zeros((3, 4, 5)), fits.Header({"CTYPE3": "FRAME"})).is_color


def test_grayscale() -> None:
    data = np.full((3, 2, 5), 60000, np.uint16)
    data[1] = 0
    image = Image(data, mask=np.zeros((2, 5)))
    gray = image.to_grayscale()
    assert gray.data.dtype == np.float32
    assert gray.data.shape == (2, 5)
    np.testing.assert_allclose(gray.data, 60000 * (0.2126 + 0.0722), rtol=1e-6)
    np.testing.assert_allclose(image.to_grayscale(r=1, g=0, b=0).data, 60000)
    assert dict(gray.header) == {"NAXIS1": 5, "NAXIS2": 2}
    assert image.data is data
    mono = Image(pixels(2, 2))
    assert mono.to_grayscale() is mono


def test_from_ndarray() -> None:
    image = Photo.from_ndarray(pixels(4, 6), {"EXPTIME": 2.0, "DTYPE": "uint16"})
    assert dict(image.header) == {"EXPTIME": 2.0, "NAXIS1": 6, "NAXIS2": 4}


def test_format_filename_stores_the_name() -> None:
    image = with_header(OBJECT="M31")
    assert image.format_filename(FilenameFormatter("{OBJECT|lower}.fits")) == "m31.fits"
    assert image.header["FNAME"] == "m31.fits"
    image = Image.from_camera(pixels(2, 2), FrameFacts(object_name="α Cen"))
    assert image.format_filename(FilenameFormatter("{OBJECT}.fits")) == "α Cen.fits"
    assert image.header["FNAME"] == r"\u03b1 Cen.fits"


def test_from_ccddata() -> None:
    ccd = CCDData(pixels(2, 3), unit="electron", mask=np.eye(2, 3, dtype=bool), meta={"OBJECT": "M31"})
    image = Image.from_ccddata(ccd)
    assert image.data.dtype == np.float32
    assert image.unit == "electron"
    assert image.header["OBJECT"] == "M31"
    np.testing.assert_array_equal(image.mask, ccd.mask)
    assert image.safe_uncertainty is None
    assert Image.from_ccddata(CCDData(np.zeros((2, 2)), unit="adu")).data.dtype == np.float64
    assert Image.from_ccddata(CCDData(np.zeros((2, 2)), unit="adu")).safe_mask is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [(StdDevUncertainty, 3.0), (VarianceUncertainty, 9.0), (InverseVariance, 1 / 9), (UnknownUncertainty, 3.0)],
)
def test_from_ccddata_makes_standard_deviations(kind: Any, value: float) -> None:
    ccd = CCDData(np.ones((2, 2), np.float32), unit="adu", uncertainty=kind(np.full((2, 2), value, np.float32)))
    np.testing.assert_allclose(Image.from_ccddata(ccd).uncertainty, 3.0, rtol=1e-6)


def test_to_ccddata() -> None:
    image = full()
    ccd = image.to_ccddata()
    assert ccd.unit == u.adu
    assert ccd.meta["OBJECT"] == "M31"
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(ccd.mask, image.mask)
    bare = with_header(BUNIT="electron").to_ccddata()
    assert bare.unit == u.electron
    assert bare.mask is None
    assert bare.uncertainty is None
    assert with_header(BUNIT="ADU").to_ccddata().unit == u.adu


def test_trim() -> None:
    image = full(
        header=fits.Header({"TRIMSEC": "[2:5,3:4]", "DATASEC": "x", "BIASSEC": "y", "CRPIX1": 3.0, "CRPIX2": 2.5}),
        catalog=None,
    )
    trimmed = image.trim()
    np.testing.assert_array_equal(trimmed.data, image.data[2:4, 1:5])
    assert trimmed.mask.shape == trimmed.uncertainty.shape == (2, 4)
    assert dict(trimmed.header) == {"CRPIX1": 2.0, "CRPIX2": 0.5, "NAXIS1": 4, "NAXIS2": 2}
    assert image.header["TRIMSEC"] == "[2:5,3:4]"
    assert image.data.shape == (4, 6)
    facts = FrameFacts(bayer_pattern="RGGB", y_bayer_offset=1, x_origin_px=10)
    camera = Image.from_camera(pixels(4, 6), facts)
    camera.header.update({"TRIMSEC": "[2:5,4:4]", "CRPIX1": "?", "DET-CPX1": 3.5})
    trimmed = camera.trim()
    assert trimmed.facts == replace(facts, x_bayer_offset=1, y_bayer_offset=0, x_origin_px=11)
    assert (trimmed.header["CRPIX1"], trimmed.header["DET-CPX1"]) == ("?", 2.5)
    with pytest.raises(ValueError, match="section"):
        with_header(TRIMSEC="[all]").trim()
    with pytest.raises(ValueError, match="catalog"):
        full().trim()
    plain = with_header().trim()
    assert plain.data.shape == (4, 6)
