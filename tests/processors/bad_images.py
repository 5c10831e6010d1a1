"""Images that nobody should hand to a processor, and what may come of it: an image, or ImageError with a message."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.io.fits import Card
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Table
from hypothesis import strategies as st

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor

_DTYPES = st.sampled_from(["u1", "<u2", ">u2", "i2", ">i4", "f4", ">f4", "f8", "?", "f2"])
_SHAPES = st.sampled_from([(1, 1), (1, 7), (2, 2), (9, 8), (40, 33), (3, 1, 1), (3, 12, 11), (4, 5, 5), (5,)])
_KEYWORDS = ("CRPIX1", "CRPIX2", "DET-CPX1", "DET-CPX2", "CD1_1", "CDELT1", "TRIMSEC", "EXPTIME", "DATE-OBS",
             "BAYERPAT", "XBINNING", "YBINNING", "INSTRUME", "CRVAL1", "CTYPE1", "TEL-RA", "TEL-DEC", "LATITUDE",
             "DISKRAD", "CTYPE3", "IMAGETYP")  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from(["", "x", "[1:4,1:4]", "[1:400,7:9]", "RGGB", "2026-03-01T20:15:00", "RA---TAN", "FRAME", True]),
    st.integers(-3, 70000),
    st.floats(-1e30, 1e30),
)
_CATALOGS = st.sampled_from(
    [
        None,
        Table(),
        Table({"x": [1.0], "y": [1.0]}),
        Table({"x": [], "y": [], "flux": [], "peak": []}),
        Table({"x": ["a"], "y": [2], "flux": [3.0]}),
        Table({"x": [np.nan, 3.0], "y": [2.0, 1e9], "flux": [np.nan, -1.0], "peak": [1.0, np.nan]}),
        Table({"x": [3.0, 5.0], "y": [2.0, 4.0], "flux": [5.0, 9.0], "peak": [60000.0, 10.0], "tnpix": [9, 9],
               "ellipticity": [0.1, np.nan], "background": [0.0, 10.0], "a": [1.0, 0.0], "b": [1.0, 0.0],
               "theta": [0.0, 10.0]}),
    ]
)  # fmt: skip


@st.composite
def bad_images(draw: st.DrawFn) -> Image:
    """No data, odd shapes and types, NaN, masks that cover all or do not fit, colour, strange catalogs and cards."""
    if draw(st.integers(0, 9)) == 0:
        return Image()
    shape, dtype = draw(_SHAPES), np.dtype(draw(_DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    data = (rng.random(shape) * draw(st.sampled_from([0, 1, 200]))).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        data.flat[:: draw(st.integers(1, 3))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    mask_shape = draw(st.sampled_from([None, shape, shape[-2:], (1, 1), (3, 3)]))
    mask = None if mask_shape is None else rng.random(mask_shape) < draw(st.sampled_from([0.0, 0.3, 2.0]))
    uncertainty = draw(st.sampled_from([None, np.ones(shape, np.float32), np.ones((2, 2))]))
    image = Image(data, mask=mask, uncertainty=uncertainty, catalog=draw(_CATALOGS))
    for keyword in draw(st.lists(st.sampled_from(_KEYWORDS), max_size=8, unique=True)):
        if draw(st.integers(0, 7)) == 0:
            image.header.append(Card.fromstring(f"{keyword:<8}= 1 2 3"))  # no FITS
        else:
            image.header[keyword] = draw(_VALUES)
    return image


def check_bad_image(processor: ImageProcessor, image: Image) -> None:
    """An image comes back, or ImageError with a message; never anything else, and the input stays as it was."""
    before = image.copy()
    pixels = None if image.safe_data is None else image.data.copy()
    for _ in range(2):  # some processors keep the first one as a reference
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VerifyWarning)  # of astropy, about cards that are no FITS
                result = virtual_time.run(processor(image.derive()))
        except ImageError as error:
            message = str(error)
        else:
            message = "fine"
            assert isinstance(result, Image)
        assert message
    check_unchanged(before, pixels, image)


def check_unchanged(before: Image, pixels: Any, image: Image) -> None:
    """The image is still what its copy and its pixels say."""
    for now, then in ((image.safe_data, pixels), (image.safe_mask, before.safe_mask),
                      (image.safe_uncertainty, before.safe_uncertainty)):  # fmt: skip
        assert (now is None) == (then is None)
        if now is not None:
            np.testing.assert_array_equal(now, then)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        assert image.header.tostring() == before.header.tostring()
    assert image.meta == before.meta
    if image.safe_catalog is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert image.catalog.colnames == before.catalog.colnames
            assert len(image.catalog) == len(before.catalog)
