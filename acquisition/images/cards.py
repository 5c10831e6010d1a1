"""Header cards as astropy does not make or read them by itself: exact numbers and texts, true NAXIS.

In: a header, or what a card should say. Out: the header mended, or the card.
"""

from __future__ import annotations

import re

from astropy.io.fits import Card, Header


def set_naxis(header: Header, shape: tuple[int, ...]) -> None:
    """Make the NAXIS cards state a shape of two or more axes; otherwise leave the header alone."""
    n_axes = len(shape)
    if n_axes < 2:
        return
    if "NAXIS" in header:
        header["NAXIS"] = n_axes
    for axis in range(1, n_axes + 1):
        header[f"NAXIS{axis}"] = shape[-axis]
    surplus = n_axes + 1
    while f"NAXIS{surplus}" in header:
        del header[f"NAXIS{surplus}"]
        surplus += 1


def exact_card(keyword: str, value: str | float | bool, comment: str) -> Card:
    """A card that states a number to the last bit and a text to the last character.

    Astropy cuts numbers after 20 characters, and breaks a long text within the two quotes that stand for one.
    """
    if isinstance(value, float) and len(repr(value)) > 20:
        name = f"{keyword:<8}" if len(keyword) <= 8 else f"HIERARCH {keyword} "
        statement = f"{name}= {repr(value).replace('e', 'E')}"
        if len(statement) <= 80:
            return Card.fromstring(f"{statement} / {comment}"[:80])
    if isinstance(value, str) and len(value) + value.count("'") > 68 and len(keyword) <= 8:
        pieces = [""]
        for character in value:
            quoted = "''" if character == "'" else character
            if len(pieces[-1]) + len(quoted) > 67:
                pieces.append("")
            pieces[-1] += quoted
        starts = [f"{keyword:<8}= ", *["CONTINUE  "] * (len(pieces) - 1)]
        ends = [*["&'"] * (len(pieces) - 1), f"' / {comment}"]
        lines = [f"{start}'{piece}{end}" for start, piece, end in zip(starts, pieces, ends, strict=True)]
        return Card.fromstring("".join(line[:80].ljust(80) for line in lines))
    return Card(keyword, value, comment)


def mend_long_texts(header: Header) -> None:
    """Read texts that are continued over several cards once more, since astropy misreads ``'/`` and ``&`` in them."""
    for index, card in enumerate(header.cards):
        image = card.image
        if len(image) <= 80 or "CONTINUE" not in image:
            continue
        lines = [image[start : start + 80] for start in range(0, len(image), 80)]
        lines[0] = lines[0].partition("=")[2]
        pieces = [match[1].replace("''", "'") for line in lines if (match := re.search(r"'((?:[^']|'')*)'", line))]
        if len(pieces) == len(lines):
            text = "".join(piece.removesuffix("&") for piece in pieces[:-1]) + pieces[-1].rstrip()
            if text != card.value:
                header[index] = text
