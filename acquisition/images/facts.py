"""What a camera knows of a frame: typed, frozen, and cheap to make and to ask.

In: a camera's settings, clock and measurements. Out: `header.py` turns it into FITS cards and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class TangentWcs:
    """A gnomonic (TAN) projection, of one with distortion the linear part.

    Attributes
    ----------
    ra_deg, dec_deg : float
        ICRS coordinates of the reference pixel, degrees.
    x, y : float
        Reference pixel, 0-based px of the frame as delivered (FITS' CRPIX is one more).
    cd : tuple of 4 floats
        (CD1_1, CD1_2, CD2_1, CD2_2), degrees per pixel.
    is_distorted : bool
        Whether the header says more (SIP, PV): then astropy's WCS of the header is exact, and this is not.
    """

    ra_deg: float
    dec_deg: float
    x: float
    y: float
    cd: tuple[float, float, float, float]
    is_distorted: bool = False


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What is known of one frame; None where it is not known, never a guess.

    Units are in the names; ADU are those of the stored values, pixels those of the frame as delivered (binned),
    sites are geodetic degrees (east positive) and metres.
    """

    # time
    start_utc: datetime | None = None  # of the exposure, timezone-aware
    exposure_s: float | None = None
    start_uncertainty_s: float | None = None
    start_loop_s: float | None = None  # the event loop's clock at the start; not in the header
    # camera
    instrument: str | None = None
    camera_id: str | None = None
    detector: str | None = None
    x_binning: int | None = None
    y_binning: int | None = None
    x_pixel_size_um: float | None = None  # of a binned pixel
    y_pixel_size_um: float | None = None
    x_origin_px: int | None = None  # of the ROI, binned px
    y_origin_px: int | None = None
    gain: float | None = None  # camera units
    offset: float | None = None  # camera units
    egain_e_per_adu: float | None = None
    read_noise_e: float | None = None
    full_well_e: float | None = None  # of a pixel as delivered
    bit_depth: int | None = None
    data_max_adu: float | None = None
    ccd_temp_c: float | None = None
    set_temp_c: float | None = None
    cooler_power_percent: float | None = None
    bayer_pattern: str | None = None  # colour data only: RGGB, GRBG, GBRG, BGGR
    x_bayer_offset: int | None = None
    y_bayer_offset: int | None = None
    row_order: str | None = None  # TOP-DOWN or BOTTOM-UP
    readout_mode: str | None = None
    line_time_s: float | None = None  # rolling shutter: each row begins that much after the one before
    usb_limit: float | None = None
    frame_seq: int | None = None
    n_dropped: int | None = None
    # what it is
    image_type: str | None = None
    object_name: str | None = None
    filter_name: str | None = None
    observer: str | None = None
    telescope: str | None = None
    focal_length_mm: float | None = None
    aperture_mm: float | None = None
    rotator_deg: float | None = None  # by how much a rotator has turned the camera, from north towards east
    site_lat_deg: float | None = None
    site_lon_deg: float | None = None
    site_elev_m: float | None = None
    software: str | None = None
    # where it points
    ra_deg: float | None = None  # ICRS, of the field
    dec_deg: float | None = None
    tel_ra_deg: float | None = None  # what the telescope says
    tel_dec_deg: float | None = None
    airmass: float | None = None
    wcs: TangentWcs | None = None

    @property
    def mid_utc(self) -> datetime | None:
        """Middle of the exposure."""
        if self.start_utc is None or self.exposure_s is None:
            return None
        return self.start_utc + timedelta(seconds=self.exposure_s / 2)

    @property
    def saturation_adu(self) -> float | None:
        """The stored value at which a pixel is clipped: by the ADC's range or by the full well, whichever is lower.

        The pedestal of the stored values is not known; leaving it out calls a pixel saturated slightly too early.
        """
        limits = []
        if self.data_max_adu is not None:
            limits.append(self.data_max_adu)
        if self.full_well_e is not None and self.egain_e_per_adu:
            limits.append(self.full_well_e / self.egain_e_per_adu)
        return min(limits) if limits else None
