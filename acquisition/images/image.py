"""`Image`: the pixels of a frame and everything known of them.

In: a camera's array and facts, a FITS file, or parts made by hand. Out: the parts, FITS, CCDData, JPEG. What makes it
cheap for a camera: nothing is copied, and no FITS header exists before somebody asks for one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError

from .facts import FrameFacts
from .known import Known
from .learned import Learned
from .parts import Part, SafePart

if TYPE_CHECKING:  # astropy takes half a second to import, and the camera path needs none of it
    from astropy.io.fits import Header
    from astropy.nddata import CCDData
    from astropy.table import Table

    from .filenames import FilenameFormatter
    from .fits import FitsParts
    from .levels import Stretch


class _Same:
    """Stands for an argument that was not given, where None means "clear it"."""


_SAME = _Same()


class Image(Learned):
    """The pixels of a frame, what is known of them, and what processors found in them.

    Parameters
    ----------
    data : array, optional
        Pixels, [y, x]; colour is [3, y, x]. Shared, not copied; any dtype.
    header : astropy.io.fits.Header, optional
        Copied.
    mask : array, optional
        Nonzero where a pixel must not be used. Copied.
    uncertainty : array, optional
        Standard deviation of each pixel, in the unit of `data`. Copied.
    catalog : astropy.table.Table, optional
        Sources; columns ``x``, ``y`` are 1-based. Copied.
    raw : array, optional
        The pixels before calibration. Copied.
    meta : dict, optional
        What processors learned, by class (see `set_meta`). Copied deeply; not written to FITS.
    frames : astropy.table.Table, optional
        For a cube of frames, one row a frame. Copied.
    *args, **kwargs
        Ignored, so that a subclass may pass on what it was given.

    Notes
    -----
    NAXIS1, NAXIS2 (and NAXIS3) of the header are set to the shape of `data` here and when an image is copied or
    derived; setting `data` or `header` later leaves them alone. Writing always writes the true ones.

    Every part has a property that raises `ImageError` when the part is absent, ``safe_...`` that is None then, and a
    setter that takes a value as it is, without copying; None clears it.
    """

    def __init__(
        self,
        data: NDArray[Any] | None = None,
        header: Header | None = None,
        mask: NDArray[Any] | None = None,
        uncertainty: NDArray[Any] | None = None,
        catalog: Table | None = None,
        raw: NDArray[Any] | None = None,
        meta: dict[Any, Any] | None = None,
        frames: Table | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._data = data
        self._mask = None if mask is None else mask.copy()
        self._uncertainty = None if uncertainty is None else uncertainty.copy()
        self._catalog = None if catalog is None else catalog.copy()
        self._raw = None if raw is None else raw.copy()
        self._frames = None if frames is None else frames.copy()
        self._meta: dict[Any, Any] = {} if meta is None else copy.deepcopy(meta)
        self._known = Known(_shape(data), None if header is None else header.copy())

    @classmethod
    def from_camera(cls, data: NDArray[Any], facts: FrameFacts, header: Header | None = None) -> Self:
        """A frame as a camera delivers it; costs microseconds.

        Parameters
        ----------
        data : array
            Pixels, [y, x]. Taken as it is and marked read-only: it is both `data` and `raw` of the image, so nothing
            may write to it. Whoever wants to change pixels assigns a new array to `data`.
        facts : FrameFacts
            What the camera knows; the header is made from them when somebody asks for it.
        header : Header, optional
            Given by a camera that has one already (it plays back a file): it states the facts and more. Copied.
        """
        image = cls.__new__(cls)
        Image.__init__(image)
        data.flags.writeable = False
        image._data = image._raw = data
        image._known = Known(data.shape, None if header is None else header.copy(), facts)
        return image

    # --- copies -----------------------------------------------------------------------------------------------------

    def derive(
        self,
        *,
        data: NDArray[Any] | _Same | None = _SAME,
        header: Header | _Same | None = _SAME,
        mask: NDArray[Any] | _Same | None = _SAME,
        uncertainty: NDArray[Any] | _Same | None = _SAME,
        catalog: Table | _Same | None = _SAME,
        raw: NDArray[Any] | _Same | None = _SAME,
        meta: dict[Any, Any] | _Same | None = _SAME,
        frames: Table | _Same | None = _SAME,
    ) -> Self:
        """A new image with some parts replaced, which shares all others: how a processor makes its output.

        A part that is given is taken as it is, without copying; None clears it. Assigning to a part of either image,
        setting its meta and editing its header never reach the other; writing into a shared array or table does.

        The header is copied at once if it was ever handed out (somebody may hold it and edit it), with NAXIS cards
        following `data`. Otherwise nobody can edit it, and both images share what it will be made from.
        """
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._meta = dict(self._meta)
        parts = {"_mask": mask, "_uncertainty": uncertainty, "_catalog": catalog, "_raw": raw, "_frames": frames}
        for name, part in parts.items():
            if not isinstance(part, _Same):
                setattr(new, name, part)
        if not isinstance(meta, _Same):
            new._meta = {} if meta is None else dict(meta)
        if not isinstance(data, _Same):
            new._data = data
        shape = _shape(new._data)
        if self._known.is_handed_out or shape != self._known.shape:
            new._known = self._known.of_shape(shape)
        if not isinstance(header, _Same):
            new.header = header
        return new

    def copy(self) -> Self:
        """An independent image, but for the pixels of `data`, which are shared.

        Header, mask, uncertainty, raw, catalog, frames and meta (deeply) are copied. Where `raw` is the very array
        `data` (a camera's frame, read-only), it stays that in the copy.
        """
        new = self.derive()
        new._mask = None if self._mask is None else self._mask.copy()
        new._uncertainty = None if self._uncertainty is None else self._uncertainty.copy()
        new._catalog = None if self._catalog is None else self._catalog.copy()
        new._frames = None if self._frames is None else self._frames.copy()
        new._meta = copy.deepcopy(self._meta)
        if self._raw is not None and (self._raw is not self._data or self._raw.flags.writeable):
            new._raw = self._raw.copy()
        return new

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """An image that shares nothing with this one, nor its `raw` with its `data`: every array may be written to."""
        memo = {} if memo is None else memo
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            if name == "_raw" and value is not None:
                value = value.copy()
            new.__dict__[name] = copy.deepcopy(value, memo)
        return new

    def __truediv__(self, other: Image) -> Self:
        """Divide the pixels; everything else is a copy of the dividend's.

        Raises
        ------
        ValueError
            If either image has no data.
        """
        if self._data is None or other._data is None:
            raise ValueError("one of the images to divide has no data")
        new = self.copy()
        new._data = np.true_divide(self._data, other._data)
        return new

    # --- other views --------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> str:
        """Unit of the pixels: BUNIT in lower case, or ``adu``."""
        unit = self.header_value("BUNIT")
        return "adu" if unit is None else str(unit).lower()

    @property
    def pixel_scale(self) -> float | None:
        """Arcseconds per pixel along rows, from the CD matrix, the PC matrix or CDELT1; None if the header has none."""
        from .header import pixel_scale_arcsec

        return pixel_scale_arcsec(self._known.readable_header)

    @property
    def is_color(self) -> bool:
        """Whether the data are [3, y, x] and no cube of three frames (CTYPE3 = FRAME)."""
        is_color = self.data.ndim == 3 and self.data.shape[0] == 3
        return is_color and self.header_value("CTYPE3") != "FRAME"

    def to_grayscale(self, r: float = 0.2126, g: float = 0.7152, b: float = 0.0722, **kwargs: Any) -> Self:
        """The weighted sum of the colours as float32, [y, x]; an image without colours is returned as it is.

        The default weights are those of luminance in ITU-R BT.709.
        """
        if not self.is_color:
            return self
        new = self.copy()
        red, green, blue = self.data
        gray = r * red + g * green + b * blue
        return new.derive(data=gray.astype(np.float32))

    def to_jpeg(self, vmin: float | None = None, vmax: float | None = None, stretch: Stretch = "linear") -> bytes:
        """A JPEG, row 0 at the bottom; in colour if `is_color`.

        Parameters
        ----------
        vmin, vmax : float, optional
            Pixel values that become black and white; each has a default of its own, see `stretch`.
        stretch : {'linear', 'asinh', 'zscale'}
            ``linear`` goes from the 5 % to the 95 % order statistic, ``asinh`` shows faint and bright stars alike,
            ``zscale`` takes IRAF's limits; see `acquisition.images.levels.to_8_bit`.

        Raises
        ------
        ValueError
            If there is no data, it is neither [y, x] nor colour, or too large for a JPEG (65500 px along a side).
        """
        from .picture import to_picture

        return to_picture(self._shown(), "jpeg", vmin, vmax, stretch)

    def to_png(self, vmin: float | None = None, vmax: float | None = None, stretch: Stretch = "linear") -> bytes:
        """A PNG of eight bits; otherwise like `to_jpeg`, but without its losses."""
        from .picture import to_picture

        return to_picture(self._shown(), "png", vmin, vmax, stretch)

    def _shown(self) -> NDArray[Any]:
        """The pixels, if they are a picture."""
        if self._data is None:
            raise ValueError("image has no data")
        if self._data.ndim == 3 and not self.is_color:
            raise ValueError(f"data of shape {self._data.shape} is a cube; a picture needs [y, x] or colour [3, y, x]")
        return self._data

    @classmethod
    def from_ccddata(cls, ccd: CCDData) -> Self:
        """An image with the data, header, mask and uncertainty of a CCDData.

        Integers become floats (float32 if that holds them), BUNIT states the unit, and an uncertainty of whatever kind
        becomes a standard deviation.
        """
        from .ccddata import parts_of_ccddata

        return cls(**parts_of_ccddata(ccd))

    def to_ccddata(self) -> CCDData:
        """A CCDData with the data (shared), header, mask and uncertainty, in the unit of BUNIT or in adu."""
        from .ccddata import ccddata_of

        return ccddata_of(self)

    @classmethod
    def from_ndarray(cls, data: NDArray[Any], meta: Mapping[str, Any]) -> Self:
        """An image of pixels and a dictionary of FITS keywords (pyobs' video stream; its DTYPE is left out)."""
        from astropy.io.fits import Header

        return cls(data, Header([(keyword, value) for keyword, value in meta.items() if keyword != "DTYPE"]))

    def trim(self) -> Self:
        """A copy that is cropped to TRIMSEC; without such a card, a plain copy.

        CRPIX1, CRPIX2, DET-CPX1, DET-CPX2, the ROI's origin and the phase of a Bayer pattern follow; TRIMSEC, DATASEC
        and BIASSEC go, since they mean nothing in the new frame; `raw` stays.

        Raises
        ------
        ValueError
            If TRIMSEC is malformed, or if there is a catalog, whose coordinates would be wrong.
        """
        from .trim import trimmed

        return trimmed(self)

    # --- files ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_file(cls, filename: Any) -> Self:
        """Read a FITS file, compressed or not; see `acquisition.images.fits` for what is where.

        The arrays are writable and do not depend on the file. Only where the file says that `raw` is `data` (a
        camera's frame) they are one read-only array, as they were when it was written.

        Raises
        ------
        FileNotFoundError
        OSError
            If it is not FITS, or damaged or incomplete; the message names the file and says what is wrong.
        ValueError
            If it is FITS but has no image.
        """
        from .fitsread import read_file

        return cls._from_parts(read_file(filename))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read FITS from memory; otherwise like `from_file`."""
        from .fitsread import read_bytes

        return cls._from_parts(read_bytes(data))

    @classmethod
    def _from_parts(cls, parts: FitsParts) -> Self:
        image = cls()
        image._data = parts.data
        image._mask = parts.mask
        image._uncertainty = parts.uncertainty
        image._catalog = parts.catalog
        image._raw = parts.raw
        image._frames = parts.frames
        image._known = Known(_shape(parts.data), parts.header)
        return image

    def writeto(self, f: Any, *args: Any, **kwargs: Any) -> None:
        """Write as FITS; of meta only the cards that one may have (`StarShape.cards`) go into the header.

        A file appears under its name only when it is complete and on the disk.

        Parameters
        ----------
        f : str, path or file object
            Names that end in .gz, .bz2 or .xz are compressed as a whole, those in .fz as by `compress`.
        *args, **kwargs
            output_verify, overwrite, checksum: as of `astropy.io.fits.HDUList.writeto`. compress: tile-compress the
            pixels without loss, RICE_1 for integers and GZIP_2 for others.

        Raises
        ------
        ImageError
            If there is no data.
        OSError
            If the file exists and `overwrite` is not set, or cannot be written.
        ValueError
            If FITS cannot hold a part (complex pixels, objects in a catalog).
        """
        from .fitswrite import write

        write(self._parts(), f, *args, **kwargs)

    def to_bytes(self, *, checksum: bool = False, compress: bool = False) -> bytes:
        """The image as FITS in memory; otherwise like `writeto`."""
        from .fitswrite import to_bytes

        return to_bytes(self._parts(), checksum, compress)

    def write_catalog(self, f: Any, *args: Any, **kwargs: Any) -> None:
        """Write the catalog alone as FITS (nothing without one); arguments as for `writeto`."""
        from .fitswrite import write_catalog

        if self._catalog is not None:
            write_catalog(self._catalog, f, *args, **kwargs)

    def _parts(self) -> FitsParts:
        from .fits import FitsParts, with_cards_of

        return FitsParts(
            data=self.data,
            header=with_cards_of(self._meta, self._known.readable_header),
            mask=self._mask,
            uncertainty=self._uncertainty,
            catalog=self._catalog,
            raw=self._raw,
            frames=self._frames,
        )

    def format_filename(self, formatter: FilenameFormatter) -> str:
        """Make a filename from the header, and store it there as FNAME."""
        from .text import to_ascii

        name = formatter(self.header)
        self.header["FNAME"] = to_ascii(name)
        return name

    # --- facts and header -------------------------------------------------------------------------------------------

    @property
    def facts(self) -> FrameFacts:
        """What is known of the frame, typed.

        As long as nobody has asked for the header, these are the camera's own facts (or, for an image that came with
        a header, that header's, each read when it is first asked for). Once it was handed out, the header is the
        authority and is read at every call; only what has no keyword (`start_loop_s`) stays as the camera said.
        """
        return self._known.facts

    @property
    def header(self) -> Header:
        """The FITS header, built from the facts when it is first asked for."""
        header = self.safe_header
        if header is None:
            raise ImageError("image has no header")
        return header

    @header.setter
    def header(self, value: Header | None) -> None:
        self._known = self._known.with_header(value)

    @property
    def safe_header(self) -> Header | None:
        if not self._known.is_handed_out:
            self._known = self._known.handed_out()
        return self._known.header

    def header_value(self, keyword: str) -> Any:
        """What a card says, None if there is none; unlike `header` it leaves the facts as cheap as they were."""
        from .header import card_value

        return card_value(self._known.readable_header, keyword)

    # --- parts ------------------------------------------------------------------------------------------------------

    data = Part["NDArray[Any]"]("Pixels, [y, x] or [3, y, x].")
    mask = Part["NDArray[Any]"]("Nonzero where a pixel must not be used.")
    uncertainty = Part["NDArray[Any]"]("Standard deviation of each pixel, in the unit of `data`.")
    catalog = Part["Table"]("Sources; columns ``x``, ``y`` are 1-based.")
    raw = Part["NDArray[Any]"]("The pixels before calibration; of a camera's frame the array `data`.", "raw data")
    frames = Part["Table"]("For a cube of frames, one row a frame.", "frames table")

    safe_data = SafePart["NDArray[Any]"]()
    safe_mask = SafePart["NDArray[Any]"]()
    safe_uncertainty = SafePart["NDArray[Any]"]()
    safe_catalog = SafePart["Table"]()
    safe_raw = SafePart["NDArray[Any]"]()
    safe_frames = SafePart["Table"]()


def _shape(data: NDArray[Any] | None) -> tuple[int, ...]:
    return () if data is None else data.shape
