"""An exposure law and how frames are measured for it, from names and numbers.

In: what a config file or a command line says. Out: `ExposureRule`, or ValueError that names what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from acquisition.images import Image
from acquisition.images.processors.exptime.measure import MeasureRule, measure
from acquisition.kernels.exposure import LAWS, AnyLaw, Decision, Limits, Measurement, PercentileLaw


@dataclass(frozen=True, slots=True)
class ExposureRule:
    """A law and what it has to be told: all that somebody needs who sets exposure times.

    Parameters
    ----------
    law : ExposureLaw
    measure : MeasureRule
    """

    law: AnyLaw
    measure: MeasureRule

    def start(self) -> Any:
        """The law's state before the first frame."""
        return self.law.start()

    def decide(
        self, state: Any, image: Image, start_s: float, moved_px: tuple[float, float] | None = None
    ) -> tuple[Any, Measurement, Decision]:
        """Measure a frame and ask the law: the next state, what was measured, and what to do before the next frame.

        Parameters
        ----------
        state
            Of this law; `start()` before the first frame.
        image, start_s, moved_px
            As for `measure`.
        """
        measured = measure(image, self.measure, start_s, moved_px)
        state, decision = self.law.step(state, measured)
        return state, measured, decision


def exposure_rule(
    law: str,
    parameters: Mapping[str, Any],
    limits: Limits,
    *,
    bias_adu: float = 0.0,
    saturation_adu: float | None = None,
) -> ExposureRule:
    """The rule that a name and parameters mean.

    Parameters
    ----------
    law : str
        One of `LAWS`.
    parameters : mapping
        Of the law; what is left out has its default.
    limits : Limits
    bias_adu, saturation_adu
        As of `MeasureRule`.

    Raises
    ------
    ValueError
        If there is no such law or parameter, or a value is out of range; names what is allowed.
    """
    if law not in LAWS:
        raise ValueError(f"exposure law is {law!r}; allowed: {', '.join(LAWS)}")
    kind: type[Any] = LAWS[law]
    known = [one.name for one in fields(kind) if one.name != "limits"]
    for name in parameters:
        if name not in known:
            raise ValueError(f"exposure law {law!r} has no parameter {name!r}; allowed: {', '.join(known)}")
    for one in fields(kind):
        if one.type == "int" and not isinstance(parameters.get(one.name, 1), int):
            raise ValueError(f"{one.name} is {parameters[one.name]}; allowed: a whole number")
    made = kind(**parameters, limits=limits)
    percentile = made.percentile if isinstance(made, PercentileLaw) else None
    stars = law in ("star", "guiding")
    return ExposureRule(made, MeasureRule(stars, percentile, bias_adu, saturation_adu))
