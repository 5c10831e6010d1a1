"""A file's name from the image's header.

In: an `Image` and a format. Out: the name, which is put into FNAME, and its folder.
"""

from __future__ import annotations

from pathlib import Path

from acquisition.errors import ImageError
from acquisition.images import Image
from acquisition.images.filenames import FilenameFormatter


def filename_of(image: Image, fmt: str) -> str:
    """The name of an image, which it has in FNAME then.

    Raises
    ------
    ImageError
        If the header lacks what the format needs.
    """
    from astropy.io.fits.verify import VerifyError

    try:
        return image.format_filename(FilenameFormatter(fmt))
    except (KeyError, ValueError, VerifyError) as error:
        raise ImageError(str(error.args[0])) from error


def path_of(image: Image, fmt: str) -> Path:
    """Where an image is to be saved; the folder is made.

    Raises
    ------
    ImageError
        As of `filename_of`.
    OSError
        If the folder cannot be made.
    """
    path = Path(filename_of(image, fmt)).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
