"""The compiled code of laws and of the watch over the angle, made ready before guiding begins.

In: laws. Out: their kernels in memory, compiled on a new machine, which takes some ten seconds there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.guiding.algorithms.law import Law, Lost, Measured
from acquisition.guiding.algorithms.predictive import Predictive
from acquisition.guiding.calibration_angle import AngleWatch, angle_step


def warm_up(*laws: Law[Any]) -> None:
    """Let copies of the laws guide a few frames, and look for a worm in a made-up series where one will.

    May run in a thread: it holds the interpreter while compiling, but not afterwards.
    """
    for law in laws:
        state = law.start()
        for n in range(16):  # of which predictive PEC asks for ten
            state, _ = law.step(state, Measured(2.0 * n, 0.1 * n, None, 20.0, 2.0, 2.0 * n + 1.5))
        law.step(state, Lost(32.0, 2.0, 33.5))
        if isinstance(law, Predictive):
            _warm_up_search()
    watch = AngleWatch()
    for n in range(9):
        watch = angle_step(watch, 2.0 * n, 0.1 * n, 0.0, 0.0, 0.0)


def _warm_up_search() -> None:
    from acquisition.kernels.kalman_bank import new_bank, replay, update
    from acquisition.kernels.line_evidence import log_bayes_factors
    from acquisition.kernels.worm_period import search_period

    t_s = np.arange(0.0, 210.0, 3.0)
    z, one, none = np.sin(t_s / 30), np.ones(len(t_s)), np.zeros(0)
    search_period(t_s, z)
    bank = new_bank(np.array([[0.01, 1e-6]]), 0.0, 0.05, none, none, none)
    replay(bank, t_s, one, z, one, 200.0)
    update(bank, 3.0, 213.0, 1.0, one[:1], 1.0, 200.0)
    log_bayes_factors(bank, t_s, one, z, one, np.array([0.01]), 1.0)
