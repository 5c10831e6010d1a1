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
    """What an image knows of its frame; images share it as long as no header was handed out.

    Parameters
    ----------
    shape : tuple of int
        That the header's NAXIS cards state, or will.
    pristine : Header, optional
        One that nobody outside has seen or will see.
    facts : FrameFacts, optional
        What the camera says; without them those of that header, without which there are none.
    """

    __slots__ = ("_facts", "_header", "_pristine", "is_handed_out", "shape")

    def __init__(
        self, shape: tuple[int, ...] = (), pristine: Header | None = None, facts: FrameFacts | None = None
    ) -> None:
        self.shape = shape
        self._pristine = pristine
        self._facts = _NOTHING if pristine is None and facts is None else facts  # what the pristine header says
        self._header: Header | None = None  # the one that was handed out
        self.is_handed_out = False  # from then on, the header is the authority and `_facts` is history

    def of_shape(self, shape: tuple[int, ...]) -> Known:
        """The same of a frame of another shape; edits of the header of either never reach the other."""
        new = Known(shape, self._pristine, self._facts)
        if self.is_handed_out:
            new = new.with_header(None if self._header is None else _with_shape(self._header, shape))
        return new

    def with_header(self, header: Header | None) -> Known:
        """Another header is the authority now."""
        new = Known(self.shape, self._pristine, self._facts)
        new._header, new.is_handed_out = header, True
        return new

    def handed_out(self) -> Known:
        """With a header that may be seen and edited outside."""
        return self.with_header(_with_shape(self._pristine_header(), self.shape))

    @property
    def facts(self) -> FrameFacts:
        """See `Image.facts`."""
        if self._facts is None:
            from .header import HeaderFacts

            assert self._pristine is not None
            self._facts = HeaderFacts.of(self._pristine)
        if not self.is_handed_out:
            return self._facts
        if self._header is None:
            return FrameFacts(start_loop_s=self._facts.start_loop_s)
        from .header import facts_from_header

        return replace(facts_from_header(self._header), start_loop_s=self._facts.start_loop_s)

    @property
    def header(self) -> Header | None:
        """The FITS header that was handed out; None if there is none."""
        return self._header

    @property
    def readable_header(self) -> Header:
        """The header for reading only, without handing it out; empty when there is none."""
        if not self.is_handed_out:
            return self._pristine_header()
        if self._header is None:
            from astropy.io.fits import Header

            return Header()
        return self._header

    def _pristine_header(self) -> Header:
        if self._pristine is None:
            from .header import facts_to_header

            assert self._facts is not None
            self._pristine = facts_to_header(self._facts, self.shape)
        return self._pristine


def _with_shape(header: Header, shape: tuple[int, ...]) -> Header:
    from .cards import set_naxis

    header = header.copy()
    set_naxis(header, shape)
    return header
