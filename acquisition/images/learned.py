"""What processors learned of an image: objects under their class.

In: an object, from one processor. Out: the same, for the next one.
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

T = TypeVar("T")


class Learned:
    """The meta of an `Image`."""

    _meta: dict[Any, Any]

    @property
    def meta(self) -> dict[Any, Any]:
        """What processors learned: objects under their class; other keys are free to use."""
        return self._meta

    @meta.setter
    def meta(self, value: dict[Any, Any] | None) -> None:
        self._meta = {} if value is None else value

    def set_meta(self, meta: Any) -> None:
        """Store an object under its class, in place of an earlier one."""
        self._meta[meta.__class__] = meta

    def has_meta(self, meta_class: type[Any]) -> bool:
        """Whether something is stored under exactly this class."""
        return meta_class in self._meta

    def get_meta(self, meta_class: type[T]) -> T:
        """The object stored under exactly this class.

        Raises
        ------
        ValueError
            If there is none, or what is stored there is of another class.
        """
        if meta_class not in self._meta:
            raise ValueError(f"image has no {meta_class.__name__}")
        value = self._meta[meta_class]
        if not isinstance(value, meta_class):
            raise ValueError(f"what is stored under {meta_class.__name__} is a {type(value).__name__}")
        return value

    @overload
    def get_meta_safe(self, meta_class: type[T], default: T) -> T: ...
    @overload
    def get_meta_safe(self, meta_class: type[T], default: None = None) -> T | None: ...
    def get_meta_safe(self, meta_class: type[T], default: T | None = None) -> T | None:
        """Like `get_meta`, with a default instead of an exception."""
        value = self._meta.get(meta_class)
        return value if isinstance(value, meta_class) else default
