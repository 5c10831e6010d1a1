"""Where pyobs-core 2.19.1 is wrong and Starlatch right: what pyobs was seen to do, and the test that would see it.

The numbers are those of the list of pyobs' behaviours. Each was tried in an environment with pyobs-core 2.19.1.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
IMAGE, FITS, PICTURE = "images/test_image.py", "images/test_image_fits.py", "images/test_picture.py"
OFFSETS, SEP = "processors/test_offsets_processors.py", "processors/test_sep_detection.py"
DAO, PIXELS = "processors/test_daophot_and_disk.py", "processors/test_image_processors.py"

DIFFERENCES = [
    # number, what pyobs 2.19.1 does, file of the test, test
    (17, "masks of 256, 512 and NaN come back as 0", FITS, "test_what_is_masked_stays_masked"),
    (19, "a masked catalog entry is NaN; unit, description, meta gone", "images/test_catalog_fits.py",
     "test_units_descriptions_masks_and_text"),
    (27, "unnamed extension: ValueError; a compressed MASK is read as science", "images/test_fits_files.py",
     "test_which_hdu_is_the_science_image"),
    (31, "copy, / and from_ccddata of a subclass give Image", IMAGE,
     "test_every_way_to_make_an_image_keeps_the_subclass"),
    (34, "scale 0.0 for a CD matrix turned by 90 degrees", IMAGE, "test_pixel_scale"),
    (36, "copy.deepcopy: TypeError", IMAGE, "test_a_deep_copy_shares_nothing"),
    (38, "electron becomes adu, float64 float32, a variance of 9 a deviation of 9", IMAGE,
     "test_from_ccddata_makes_standard_deviations"),
    (39, "adu whatever BUNIT says", IMAGE, "test_to_ccddata"),
    (42, "vmin alone changes nothing", PICTURE, "test_one_limit_alone_is_respected"),
    (44, "colour: TypeError", PICTURE, "test_colour"),
    (44, "limits beyond uint8: OverflowError", PICTURE, "test_limits_beyond_the_range_of_the_type"),
    (44, "NaN are sorted among the pixels", PICTURE, "test_nan_is_ignored_and_black"),
    (53, "equal offsets are not equal; repr is an address", IMAGE, "test_meta_classes"),
    (54, "arcsec", OFFSETS, "test_guiding_on_the_brightest_star_in_degrees"),
    (67, "{F|string:4.1f} stays as it is", "images/test_filenames.py", "test_formats"),
    (70, "0.2 to 3 px off; 128 px raises; a constant frame gets an offset", OFFSETS,
     "test_projected_offsets_are_right_within_their_errors"),
    (70, "a constant frame gets an offset", OFFSETS, "test_frames_that_say_nothing_pass"),
    (72, "no site: KeyError", OFFSETS, "test_guiding_needs_neither_site_nor_wcs"),
    (72, "jumps by 80 px to a star of 0.1 % more flux, and to one of flux NaN", OFFSETS,
     "test_the_star_stays_the_same_among_equals"),
    (77, "needs NAXIS0; empty catalog: ValueError; saturated: 35 times longer; sets the input's meta", SEP,
     "test_exposure_time_from_a_catalog"),
    (79, "SEP: NaN raises", SEP, "test_masked_and_nan_pixels_are_not_detected"),
    (79, "DAO: nothing found fails; NaN are not masked", DAO, "test_no_star_gives_an_empty_catalog"),
    (80, "CRPIX 50.5 becomes 25.25, CD stays, mask stays large, odd sizes: ValueError", PIXELS,
     "test_bins_are_means_and_the_header_follows"),
    (81, "the mask does not flip", PIXELS, "test_mask_uncertainty_raw_and_catalog_flip_along"),
    (82, "5 and 30 between limits 10 and 20 become 129 and 254", PIXELS,
     "test_normalize_spans_minimum_to_maximum_and_clips_at_given_limits"),
    (83, "CRPIX1 is taken for the row", "processors/test_misc_processors.py",
     "test_circle_is_around_column_crpix1_and_row_crpix2"),
]  # fmt: skip


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d[0]} {d[3]}")
def test_every_difference_has_its_test(difference: tuple[int, str, str, str]) -> None:
    _, _, file, name = difference
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE)
