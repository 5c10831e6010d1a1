"""The parts of an image as attributes: one that insists on its part, and one that makes do without.

In: an object with the part under its name with an underscore. Out: the part.
"""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar, overload

from acquisition.errors import ImageError

T = TypeVar("T")


class Part(Generic[T]):
    """A part that raises `ImageError` where it is absent; takes a value as it is, without copying, and None to clear.

    Parameters
    ----------
    doc : str
        What it is, in one line.
    called : str, optional
        In the message of the error; by default the attribute's name.
    """

    def __init__(self, doc: str, called: str = "") -> None:
        self.__doc__ = doc
        self._called = called

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot = f"_{name}"
        self._called = self._called or name

    @overload
    def __get__(self, image: None, owner: type) -> Self: ...
    @overload
    def __get__(self, image: object, owner: type) -> T: ...
    def __get__(self, image: object | None, owner: type) -> Self | T:
        if image is None:
            return self
        part: T | None = getattr(image, self._slot)
        if part is None:
            raise ImageError(f"image has no {self._called}")
        return part

    def __set__(self, image: object, value: T | None) -> None:
        setattr(image, self._slot, value)


class SafePart(Generic[T]):
    """The part of an attribute ``safe_...``, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot = f"_{name.removeprefix('safe_')}"

    @overload
    def __get__(self, image: None, owner: type) -> Self: ...
    @overload
    def __get__(self, image: object, owner: type) -> T | None: ...
    def __get__(self, image: object | None, owner: type) -> Any:
        return self if image is None else getattr(image, self._slot)

    def __set__(self, image: object, value: T | None) -> None:
        raise AttributeError(f"assign to {self._slot.removeprefix('_')} instead")
