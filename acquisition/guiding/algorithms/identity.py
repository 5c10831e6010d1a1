"""PHD2's identity law: the displacement itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acquisition.guiding.algorithms.law import Input, Measured, Unit


@dataclass(frozen=True)
class Identity:
    """Corrects the whole displacement of every frame. It has no parameters, and its state is None."""

    name: ClassVar[str] = "identity"
    unit: ClassVar[Unit] = "px"

    def start(self) -> None:
        return None

    def step(self, state: None, given: Input) -> tuple[None, float]:
        return None, given.displacement if isinstance(given, Measured) else 0.0
