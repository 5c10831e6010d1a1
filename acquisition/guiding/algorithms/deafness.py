"""Do pulses arrive at all? A cable that is not plugged in, a clutch that slips. A pure step.

In: where the star is, and what was sent since it was there last. Out: whether the mount is deaf.

No gap is as large, and no drift as fast, as that so many pulses one way leave the star where it is. A law that went on
learning would take them for a drift that they cancel, and throw the star when they arrive again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_HEARD = 2.0  # arcsec²


class Deafness(NamedTuple):
    """What is remembered; arcsec and s.

    Attributes
    ----------
    deaf : bool
    t_s, position : float
        Of the last frame; dithers do not change the position.
    missing : float
        What the star did not follow of the pulses since they last turned about, with their sign.
    evidence : float
        That pulses arrive again: 1 for a pulse of 1.4 arcsec that did, -1 for one that did not, never below 0; arcsec².
    """

    deaf: bool = False
    t_s: float = 0.0
    position: float = 0.0
    missing: float = 0.0
    evidence: float = 0.0

    def after(self, t_s: float, position: float, sent: float, gap: float, drift: float) -> Deafness:
        """After another frame.

        Parameters
        ----------
        t_s, position : float
            When, and where the star is.
        sent : float
            Pulses in all since the frame before.
        gap, drift : float
            Pulses of more than this gap and this drift (1/s) together should show.
        """
        followed = self.position - position
        if self.deaf:
            evidence = max(self.evidence + sent * (followed - sent / 2), 0.0)
            return Deafness(evidence < _HEARD, t_s, position, 0.0, evidence)
        missing = abs(self.missing) if sent * self.missing >= 0 else 0.0
        side = math.copysign(1.0, sent if sent != 0 else self.missing)
        missing += abs(sent) - max(side * followed, 0.0) - drift * (t_s - self.t_s)
        return Deafness(missing > gap, t_s, position, side * max(missing, 0.0))
