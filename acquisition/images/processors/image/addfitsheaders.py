"""Cards added to the header.

In: an `Image`. Out: the image with more header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from acquisition.images import Image, ImageProcessor
from acquisition.images.cards import exact_card
from acquisition.images.text import to_ascii

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Keyword:
    """A card to be added.

    Attributes
    ----------
    key : str
    value : str, int, float or bool
    comment : str
    overwrite : bool
        Whether a card that is there already is replaced, if `AddFitsHeaders` replaces any.
    """

    key: str
    value: Value
    comment: str = ""
    overwrite: bool = True


class AddFitsHeaders(ImageProcessor):
    """Add cards to the header. Values are written as they are; nothing in them is evaluated.

    Parameters
    ----------
    headers : dict, or list of dict or `Keyword`
        Values by keyword; or a list of the attributes of `Keyword`.
    overwrite : bool
        Whether cards that are there already are replaced: False, and none is, whatever the list says, as in pyobs.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If a card cannot be written, or a dictionary has other keys than `Keyword` has attributes.
    """

    def __init__(
        self,
        headers: Mapping[str, Value] | Iterable[Mapping[str, Any] | Keyword],
        overwrite: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(headers, Mapping):
            self._keywords = [Keyword(key, value) for key, value in headers.items()]
        else:
            self._keywords = [_keyword(entry) for entry in headers]
        self._cards = [(_card(keyword), keyword.overwrite and overwrite) for keyword in self._keywords]

    async def __call__(self, image: Image) -> Image:
        """Add the cards."""
        header = image.header.copy()
        for card, overwrite in self._cards:
            if card.keyword not in header:
                header.append(card)
            elif overwrite:
                index = header.index(card.keyword)
                del header[index]
                header.insert(index, card)
        return image.derive(header=header)


def _keyword(entry: Mapping[str, Any] | Keyword) -> Keyword:
    if isinstance(entry, Keyword):
        return entry
    allowed = {field.name for field in fields(Keyword)}
    if not {"key", "value"} <= set(entry) <= allowed:
        raise ValueError(f"header entry is {dict(entry)}; need key and value, allowed: comment, overwrite")
    return Keyword(**entry)


def _card(keyword: Keyword) -> Any:
    if not keyword.key.isprintable() or not keyword.key.isascii():
        raise ValueError(f"keyword is {keyword.key!r}; allowed: printable ASCII")
    value: Any = to_ascii(keyword.value) if isinstance(keyword.value, str) else keyword.value
    try:
        card = exact_card(keyword.key.upper(), value, to_ascii(keyword.comment))
        _ = card.image
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"card {keyword.key} = {keyword.value!r} cannot be written: {error}") from error
    return card
