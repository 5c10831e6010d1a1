"""FITS files: names, what appears on the disk, files of other programs, and damaged ones."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.images import Image


def again(image: Image) -> Image:
    return Image.from_bytes(image.to_bytes())


def small(**parts: Any) -> Image:
    return Image(np.arange(12, dtype=np.int16).reshape(3, 4), **parts)


# --- files --------------------------------------------------------------------------------------------------------


def test_file_names_and_file_objects(tmp_path: Path) -> None:
    small().writeto(tmp_path / "a.fits")
    small().writeto(str(tmp_path / "b.fits"))
    with open(tmp_path / "c.fits", "wb") as file:
        small().writeto(file)
    for name in "abc":
        np.testing.assert_array_equal(Image.from_file(str(tmp_path / f"{name}.fits")).data, small().data)


@pytest.mark.parametrize("ending", ["gz", "bz2"])
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.fits.{ending}"
    small().writeto(path)
    assert not path.read_bytes().startswith(b"SIMPLE")
    np.testing.assert_array_equal(Image.from_file(path).data, small().data)


def test_an_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"precious")
    with pytest.raises(OSError, match="exists already"):
        small().writeto(path)
    assert path.read_bytes() == b"precious"
    small().writeto(path, overwrite=True)
    np.testing.assert_array_equal(Image.from_file(path).data, small().data)
    small().writeto(path, "exception", True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.fits"]


def test_a_file_has_the_permissions_that_open_would_give(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    small().writeto(tmp_path / "a.fits")
    assert (tmp_path / "a.fits").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_followed_and_a_device_is_written_to(tmp_path: Path) -> None:
    small().writeto(tmp_path / "a.fits")
    (tmp_path / "link.fits").symlink_to(tmp_path / "a.fits")
    Image(np.ones((2, 2))).writeto(tmp_path / "link.fits", overwrite=True)
    assert (tmp_path / "link.fits").is_symlink()
    assert Image.from_file(tmp_path / "a.fits").data.shape == (2, 2)
    small().writeto(os.devnull, overwrite=True)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("fault", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, existing: bool
) -> None:
    path = tmp_path / "a.fits"
    if existing:
        path.write_bytes(b"precious")

    def fail(fd: int) -> None:
        assert path.exists() == existing
        raise fault

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(fault)):
        small().writeto(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == (["a.fits"] if existing else [])
    assert not existing or path.read_bytes() == b"precious"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        small().writeto(tmp_path / "nowhere" / "a.fits")
    with pytest.raises(IsADirectoryError):
        small().writeto(tmp_path, overwrite=True)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, stop = tmp_path / "a.fits", threading.Event()
    frames = [np.full((100, 100), value, np.int16) for value in range(20)]
    Image(frames[0]).writeto(path)
    torn: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                assert len(np.unique(np.frombuffer(path.read_bytes()[2880 : 2880 + 20000], ">i2"))) == 1
            except BaseException as error:
                torn.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for frame in frames:
        Image(frame).writeto(path, overwrite=True)
    stop.set()
    reader.join()
    assert torn == []


def test_a_catalog_alone(tmp_path: Path) -> None:
    small(catalog=Table({"x": [1.5]})).write_catalog(tmp_path / "c.fits")
    assert Table.read(tmp_path / "c.fits")["x"][0] == 1.5
    small().write_catalog(tmp_path / "none.fits")
    assert not (tmp_path / "none.fits").exists()


# --- files of other programs --------------------------------------------------------------------------------------


def stored(*hdus: Any, **kwargs: Any) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream, **kwargs)
    return stream.getvalue()


DATA = np.arange(400, dtype=np.int16).reshape(20, 20)


@pytest.mark.parametrize(
    "hdus",
    [
        lambda: [fits.PrimaryHDU(DATA), fits.ImageHDU(DATA + 1, name="SCI")],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA, name="SCI")],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA + 1, name="OTHER"), fits.ImageHDU(DATA, name="SCI")],
        lambda: [fits.PrimaryHDU(), fits.CompImageHDU(DATA)],
        lambda: [fits.PrimaryHDU(), fits.CompImageHDU(DATA + 1, name="MASK"), fits.CompImageHDU(DATA)],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA)],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA + 1, name="OTHER"), fits.ImageHDU(DATA)],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA), fits.ImageHDU(DATA + 1)],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA + 1), fits.ImageHDU(DATA, name="SCI")],
    ],
)
def test_which_hdu_is_the_science_image(hdus: Callable[[], list[Any]]) -> None:
    np.testing.assert_array_equal(Image.from_bytes(stored(*hdus())).data, DATA)


@pytest.mark.parametrize(
    "hdus",
    [
        lambda: [fits.PrimaryHDU()],
        lambda: [fits.PrimaryHDU(), fits.ImageHDU(DATA, name="OTHER")],
        lambda: [fits.PrimaryHDU(), fits.CompImageHDU(DATA, name="MASK")],
        lambda: [fits.PrimaryHDU(), fits.table_to_hdu(Table({"x": [1]}))],
    ],
)
def test_no_science_image(hdus: Callable[[], list[Any]]) -> None:
    with pytest.raises(ValueError, match="no HDU is a science image"):
        Image.from_bytes(stored(*hdus()))


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"])
def test_tile_compressed_files_are_written_as_plain_ones(algorithm: str) -> None:
    header = fits.Header({"OBJECT": "M31"})
    image = Image.from_bytes(
        stored(
            fits.PrimaryHDU(),
            fits.CompImageHDU(DATA, header, compression_type=algorithm),
            fits.CompImageHDU((DATA > 5).astype(np.uint8), name="MASK"),
        )
    )
    for back in (image, again(image)):
        np.testing.assert_array_equal(back.data, DATA)
        np.testing.assert_array_equal(back.mask, DATA > 5)
        assert back.header["OBJECT"] == "M31"
    assert not [key for key in again(image).header if key.startswith("Z")]


def test_scaled_pixels_of_other_programs() -> None:
    hdu = fits.PrimaryHDU(DATA.copy())
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 10.0
    raw = hdu.header.tostring().encode() + DATA.astype(">i2").tobytes()
    image = Image.from_bytes(raw + b"\0" * (-len(raw) % 2880))
    np.testing.assert_allclose(image.data, DATA * 0.5 + 10)
    np.testing.assert_allclose(again(image).data, DATA * 0.5 + 10)


def test_blank_pixels_of_other_programs() -> None:
    header = fits.PrimaryHDU(DATA).header
    header["BLANK"] = 7
    raw = header.tostring().encode() + DATA.astype(">i2").tobytes()
    image = Image.from_bytes(raw + b"\0" * (-len(raw) % 2880))
    back = again(image).data
    np.testing.assert_array_equal(back, image.data)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_bytes(compress: Callable[[bytes], bytes]) -> None:
    np.testing.assert_array_equal(Image.from_bytes(compress(small().to_bytes())).data, small().data)


def test_missing_padding_and_junk_at_the_end_are_harmless() -> None:
    whole = small().to_bytes()
    np.testing.assert_array_equal(Image.from_bytes(whole[: 2880 + 24]).data, small().data)
    np.testing.assert_array_equal(Image.from_bytes(whole + b"junk" * 100).data, small().data)


# --- damaged files ------------------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        Image.from_file(tmp_path / "missing.fits")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"SIMPLE", b"SIMPLE  =" + b" " * 100, b"\x1f\x8b", b"BZh", os.urandom(9000)]
)
def test_what_is_not_fits(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.fits").write_bytes(content)
    with pytest.raises(OSError, match=r"bad\.fits: "):
        Image.from_file(tmp_path / "bad.fits")
    with pytest.raises(OSError, match="FITS data: "):
        Image.from_bytes(content)


def whole_image() -> Image:
    return Image(DATA + 1, mask=DATA > 3, raw=DATA + 2, catalog=Table({"x": np.ones(500)}))


WHOLE = whole_image().to_bytes()
COMPRESSED = stored(
    fits.PrimaryHDU(), fits.CompImageHDU(np.random.default_rng(1).integers(1, 9999, (90, 90), np.int32))
)


@pytest.mark.parametrize("content", [WHOLE, COMPRESSED, gzip.compress(WHOLE)], ids=["plain", "tiles", "gzip"])
@given(st.data())
@settings(max_examples=80)
def test_a_cut_file_never_gives_pixels_that_were_not_in_it(content: bytes, data: st.DataObject) -> None:
    whole = Image.from_bytes(content)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    try:
        image = Image.from_bytes(cut)
    except OSError:
        pass
    except ValueError:
        assert len(cut) % 2880 == 0  # between two HDUs, nothing says that more should follow
    else:
        np.testing.assert_array_equal(image.data, whole.data)
        assert image.safe_mask is None or (image.mask == whole.mask).all()
        assert image.safe_raw is None or (image.raw == whole.raw).all()
        assert image.safe_catalog is None or len(image.catalog) == 500


@pytest.mark.parametrize(
    "cards", [{"NAXIS1": -5}, {"NAXIS1": 10**12}, {"NAXIS": 10**9}, {"BITPIX": "x"}, {"GCOUNT": -9}]
)
def test_impossible_sizes(cards: dict[str, Any]) -> None:
    header = fits.PrimaryHDU(DATA).header
    header.update(cards)
    with pytest.raises(OSError, match="FITS data"):
        Image.from_bytes(header.tostring().encode() + DATA.tobytes())


@pytest.mark.parametrize("content", [WHOLE, COMPRESSED], ids=["plain", "tiles"])
@given(st.data())
@settings(max_examples=80)
def test_a_damaged_file_is_an_os_error_or_an_image(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        block = data.draw(st.sampled_from([0, 0, 1, 2, 3])) * 2880
        place = block + data.draw(st.integers(0, 900))
        damaged[min(place, len(damaged) - 1)] = data.draw(st.integers(32, 126))
    with contextlib.suppress(OSError, ValueError):
        Image.from_bytes(bytes(damaged))
