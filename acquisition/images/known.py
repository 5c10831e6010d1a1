"""What is known of a frame: the camera's facts, or a header, whichever is the authority.

In: facts, a header, or both. Out: the other, when somebody asks. A header that nobody has seen is not built or copied;
one that was handed out is copied at once, because astropy's headers cannot tell that they were edited.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .facts import FrameFacts

if TYPE_CHECKING:  # astropy takes half a second to import, and the camera path needs none of it
    from astropy.io.fits import Header

_NOTHING = FrameFacts()


class Known:
    """What an image knows of its frame.

    Parameters
    ----------
    shape : tuple of int
        That the header's NAXIS cards will state.
    header : Header, optional
        That nobody outside has seen or will see.
    facts : FrameFacts, optional
        What the camera says; without them those of the header, without which there are none.
    """

    __slots__ = ("_facts", "_handed_out", "_header", "_pristine", "_shape")

    def __init__(
        self, shape: tuple[int, ...] = (), header: Header | None = None, facts: FrameFacts | None = None
    ) -> None:
        self._shape = shape
        self._pristine = header  # never changed, so shared
        self._facts = _NOTHING if header is None and facts is None else facts  # what the pristine header says
        self._header: Header | None = None  # the one that was handed out
        self._handed_out = False  # from then on, the header is the authority and `_facts` is history

    def derived(self, shape: tuple[int, ...]) -> Known:
        """The same of a frame of another shape; edits of the header of either never reach the other."""
        new = Known(shape, self._pristine, self._facts)
        new._handed_out = self._handed_out
        if self._header is not None:
            new._header = _with_shape(self._header, shape)
        return new

    @property
    def facts(self) -> FrameFacts:
        """See `Image.facts`."""
        if self._facts is None:
            from .header import HeaderFacts

            assert self._pristine is not None
            self._facts = HeaderFacts.of(self._pristine)
        if not self._handed_out:
            return self._facts
        if self._header is None:
            return FrameFacts(start_loop_s=self._facts.start_loop_s)
        from .header import facts_from_header

        return replace(facts_from_header(self._header), start_loop_s=self._facts.start_loop_s)

    @property
    def header(self) -> Header | None:
        """The FITS header, handed out."""
        if not self._handed_out:
            self.header = _with_shape(self._pristine_header(), self._shape)
        return self._header

    @header.setter
    def header(self, value: Header | None) -> None:
        self._header = value
        self._handed_out = True

    @property
    def readable_header(self) -> Header:
        """The header for reading only, without handing it out; empty when there is none."""
        if not self._handed_out:
            return self._pristine_header()
        if self._header is None:
            from astropy.io.fits import Header

            return Header()
        return self._header

    def _pristine_header(self) -> Header:
        if self._pristine is None:
            from .header import facts_to_header

            assert self._facts is not None
            self._pristine = facts_to_header(self._facts, self._shape)
        return self._pristine


def _with_shape(header: Header, shape: tuple[int, ...]) -> Header:
    from .cards import set_naxis

    header = header.copy()
    set_naxis(header, shape)
    return header
