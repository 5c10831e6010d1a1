"""What somebody outside wants of a running guider.

In: calls at any time. Out: values that the guider looks at before each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from acquisition.guiding.algorithms import Law


@dataclass(slots=True)
class Orders:
    """Standing orders.

    Attributes
    ----------
    pause : bool
        Measure, but send no pulses.
    dither : (float, bool) or None
        Amount in px, and whether on RA only; taken away when it begins.
    stop : str or None
        The reason to end; None: go on.
    ra_law, dec_law : Law or None
        To guide by from now on; taken away when that is done.
    """

    pause: bool = False
    dither: tuple[float, bool] | None = None
    stop: str | None = None
    ra_law: Law[Any] | None = None
    dec_law: Law[Any] | None = None
