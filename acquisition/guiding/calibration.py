"""Measures how the stars move on the detector when the mount is pulsed.

In: a way to measure where the stars are, and a way to pulse the mount. Out: `MountResponse` with error bars, or
`CalibrationFailed` with the reason, within a time limit.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import CalibrationFailed, DeviceError
from acquisition.geometry import MountAxis
from acquisition.mount import Direction

_N, _S, _E, _W = Direction.NORTH, Direction.SOUTH, Direction.EAST, Direction.WEST
_FIRST_ROUND = (_N, _E, _N, _E, _S, _W, _S, _W, _S, _E, _N)
"""After one West pulse: two North pulses take up the Dec backlash; all in all the mount ends where it began."""
_MORE_ROUNDS = (_E, _N, _W, _S, _W, _S, _E, _N)
_WALKS = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Variance of the drift's random walk per second over that of the white noise, 1/s³, to be tried."""


@dataclass(frozen=True, slots=True)
class CalibrationRule:
    """How to calibrate.

    Parameters
    ----------
    pulse_s : float
        First pulse; doubled or halved until the stars move a sensible way.
    min_move_px, max_move_px : float
        What a sensible way is.
    rounds : int
        The first is eleven moves, each further one eight.
    max_lost_frames : int
        So many frames running without stars end it.
    time_limit_s : float
    """

    pulse_s: float = 2.0
    min_move_px: float = 3.0
    max_move_px: float = 40.0
    rounds: int = 1
    max_lost_frames: int = 10
    time_limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where the stars are against the start of the calibration: px, at the middle of an exposure."""

    t_s: float
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class Move:
    """What was done before a position was measured; the first position has none."""

    direction: Direction | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The response found in a series of moves.

    Attributes
    ----------
    ra, dec : MountAxis
    backlash_s : float
        Dec pulse lost at a reversal, in seconds of pulse.
    drift_px_per_s : (float, float)
    rms_px : float
        Of the white part of the residuals, per coordinate.
    """

    ra: MountAxis
    dec: MountAxis
    backlash_s: float
    drift_px_per_s: tuple[float, float]
    rms_px: float


async def calibrate(
    rule: CalibrationRule,
    measure: Callable[[], Awaitable[Position | str]],
    pulse: Callable[[Direction, float], Awaitable[None]],
    progress: Callable[[int, int | None, Move, Position], None],
    max_pulse_s: float,
) -> Fit:
    """Move the mount to and fro and fit its response.

    The sequence: two frames that show how the stars move by themselves, West pulses until one moves them far enough,
    then rounds of moves to and fro on both axes that end where the first began.

    Parameters
    ----------
    rule : CalibrationRule
    measure : callable
        One frame: where the stars are, or why that is not known.
    pulse : callable
        (direction, seconds); returns when the pulse has ended.
    progress : callable
        (number, of how many or None, move, position) after each measured move.
    max_pulse_s : float
        The longest pulse that the mount takes.

    Raises
    ------
    CalibrationFailed
        When the stars are lost, do not move, move by themselves or the wrong way, do not fit, the mount fails, or the
        time is up; the message says which.
    """
    moves: list[Move] = []
    positions: list[Position] = []
    doing = ""

    async def measured() -> Position | str:
        nonlocal doing
        doing = f"waiting for a frame{f', after: {doing}' if doing else ''}"
        found = await measure()
        doing = found if isinstance(found, str) else ""
        return found

    async def step(direction: Direction | None, duration_s: float, of: int | None) -> None:
        if direction is not None:
            try:
                await pulse(direction, duration_s)
            except DeviceError as error:
                raise CalibrationFailed(f"the mount failed during calibration: {error}") from error
        moves.append(Move(direction, duration_s))
        positions.append(await _position(rule, measured))
        progress(len(moves) - 1, of, moves[-1], positions[-1])

    try:
        async with asyncio.timeout(rule.time_limit_s):
            await step(None, 0.0, None)
            await step(None, 0.0, None)
            pulse_s = await _sensible_pulse(rule, step, positions, max_pulse_s)
            plan = _FIRST_ROUND + _MORE_ROUNDS * (rule.rounds - 1)
            of = len(moves) - 1 + len(plan)
            for direction in plan:
                await step(direction, pulse_s, of)
    except TimeoutError:
        raise CalibrationFailed(
            f"calibration was not done after {rule.time_limit_s:g} s ({len(moves)} moves made{doing and f'; {doing}'})"
        ) from None
    check_moves(rule, moves, positions)
    return _checked(await asyncio.to_thread(fit_response, moves, positions), rule, pulse_s)


async def _position(rule: CalibrationRule, measure: Callable[[], Awaitable[Position | str]]) -> Position:
    for _ in range(rule.max_lost_frames):
        found = await measure()
        if isinstance(found, Position):
            return found
    raise CalibrationFailed(f"no position in {rule.max_lost_frames} frames running during calibration: {found}")


async def _sensible_pulse(
    rule: CalibrationRule,
    step: Callable[[Direction, float, None], Awaitable[None]],
    positions: Sequence[Position],
    max_pulse_s: float,
) -> float:
    pulse_s = min(rule.pulse_s, max_pulse_s)
    total_s = 0.0
    by_itself = _velocity(*positions)
    while True:
        await step(_W, pulse_s, None)
        total_s += pulse_s
        took_s = positions[-1].t_s - positions[-2].t_s
        velocity = _velocity(*positions[-2:])
        alone, pulsed = took_s * math.hypot(*by_itself), took_s * math.dist(velocity, by_itself)
        if alone > max(pulsed, rule.min_move_px):
            raise CalibrationFailed(
                f"the stars move by themselves: by {alone:.1f} px while a West pulse of {pulse_s:g} s moves them by "
                f"{pulsed:.1f} px; check that the mount tracks"
            )
        moved = took_s * math.hypot(*velocity)
        if moved > rule.max_move_px:
            return max(0.05, pulse_s * rule.max_move_px / moved / 2)
        if moved >= rule.min_move_px:
            return pulse_s
        if pulse_s >= max_pulse_s or total_s > 60:
            raise CalibrationFailed(
                f"the mount does not move: RA: the stars moved {moved:.1f} px in a West pulse of {pulse_s:g} s; need "
                f"{rule.min_move_px:g} px"
            )
        pulse_s = min(2 * pulse_s, max_pulse_s)


def _velocity(before: Position, after: Position) -> tuple[float, float]:
    seconds = after.t_s - before.t_s
    return (after.dx - before.dx) / seconds, (after.dy - before.dy) / seconds


def check_moves(rule: CalibrationRule, moves: Sequence[Move], positions: Sequence[Position]) -> None:
    """Object to motions that are not a response to pulses.

    Parameters
    ----------
    rule : CalibrationRule
    moves : sequence of Move
        Those of the last one's duration count.
    positions : sequence of Position
        After each move.

    Raises
    ------
    CalibrationFailed
        When the stars move by themselves, or both directions of an axis move them the same way.
    """
    steps: dict[Direction, list[tuple[float, float]]] = {direction: [] for direction in Direction}
    for move, before, after in zip(moves[1:], positions, positions[1:], strict=False):
        if move.direction is not None and move.duration_s == moves[-1].duration_s:
            steps[move.direction].append((after.dx - before.dx, after.dy - before.dy))
    north, south, east, west = (np.mean(steps[direction], axis=0) for direction in (_N, _S, _E, _W))
    ra_both, dec_both = (east + west) / 2, (north + south) / 2
    responses = {"RA": math.dist(east, west) / 2, "Dec": math.dist(north, south) / 2}
    alone, apart = math.hypot(*(ra_both + dec_both) / 2), math.dist(ra_both, dec_both)
    if alone > max(*responses.values(), apart, rule.min_move_px):
        raise CalibrationFailed(
            f"the stars move by themselves: by {alone:.1f} px from frame to frame, while pulses move them by "
            f"{max(responses.values()):.1f} px; check that the mount tracks"
        )
    for name, ways in (("RA", "East and West"), ("Dec", "North and South")):
        if apart > max(2 * responses[name], rule.min_move_px / 2):
            raise CalibrationFailed(
                f"{name} moves the wrong way: {ways} pulses move the stars the same way; check cable and mount"
            )


def fit_response(moves: Sequence[Move], positions: Sequence[Position]) -> Fit:
    """Generalised least squares of position on time, RA pulses and Dec pulses behind gears with play.

    What else moves the stars (periodic error, seeing) is a random walk of the velocity plus white noise. The share of
    the two, the backlash, and where in it the gears stood at the start are not known: results are averaged over a grid
    of them, each weighted by its restricted likelihood (Patterson & Thompson 1971), and the errors include how they
    differ. Noise along RA, where the worm is, and across it have each a size and a share of their own.
    Neglecting the random walk would fold a worm's curvature into the response and understate the errors.

    Parameters
    ----------
    moves : sequence of Move
        The first one without a direction.
    positions : sequence of Position
        After each move.

    Raises
    ------
    CalibrationFailed
        If the moves do not determine the response.
    """
    t = np.array([position.t_s for position in positions])
    ra = np.cumsum([_signed(move, _E) for move in moves])
    dec = np.cumsum([_signed(move, _N) for move in moves])
    freedom = len(positions) - 4
    gears = list(_gears(max(move.duration_s for move in moves)))
    designs = np.array([np.column_stack([np.ones_like(t), t - t.mean(), ra, _play(dec, *gear)]) for gear in gears])
    moved = np.linalg.matrix_rank(designs) == 4
    if freedom < 1 or not moved.any():
        raise CalibrationFailed(f"{len(positions)} positions do not determine the mount's response")
    turn_rad, along = _along_ra(designs[moved][0], positions)
    whiteners, log_dets = _whiteners(t)
    design = whiteners @ designs[moved][:, None]
    observed = whiteners @ along
    normal = design.mT @ design
    # axes: hypothesis of the gears, of the walk, (term of the model,) coordinate
    solutions = np.linalg.solve(normal, design.mT @ observed)
    white = np.maximum(np.sum((observed - design @ solutions) ** 2, axis=-2) / freedom, 1e-12)
    constant = log_dets + np.linalg.slogdet(normal).logabsdet
    likelihood = -0.5 * (freedom * np.log(white) + constant[..., None])
    shares = np.exp(likelihood - likelihood.max(axis=(0, 1)))
    of_gears = shares.sum(axis=1)
    weights = shares * of_gears[:, None, ::-1]  # both coordinates tell of the gears, each only of its own walk
    weights /= weights.sum(axis=(0, 1))
    mean = np.einsum("gwc,gwic->ic", weights, solutions)
    unit_variances = np.diagonal(np.linalg.inv(normal), axis1=-2, axis2=-1)
    variances = (solutions - mean) ** 2 + unit_variances[..., None] * white[:, :, None]
    errors = np.sqrt(np.einsum("gwc,gwic->ic", weights, variances))
    if not (np.hypot(*mean[2]) > 0 and np.hypot(*mean[3]) > 0):
        raise CalibrationFailed("the stars did not move at all during calibration")
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    return Fit(
        _turned(MountAxis.from_motion(*map(float, (*mean[2], *errors[2]))), turn_rad),
        _turned(MountAxis.from_motion(*map(float, (*mean[3], *errors[3]))), turn_rad),
        float(weights[..., 0].sum(axis=1) @ np.array(gears)[moved, 0]),
        (float(cos * mean[1, 0] - sin * mean[1, 1]), float(sin * mean[1, 0] + cos * mean[1, 1])),
        math.sqrt(np.sum(weights * white) / 2),
    )


def _along_ra(design: NDArray[np.float64], positions: Sequence[Position]) -> tuple[float, NDArray[np.float64]]:
    """Roughly the angle at which RA moves the stars, and their places along it and across.

    What the mount does by itself, most of it in RA, is told from the quieter Dec.
    """
    xy = np.array([(position.dx, position.dy) for position in positions])
    vx, vy = np.linalg.lstsq(design, xy)[0][2]
    angle = math.atan2(vy, vx)
    cos, sin = math.cos(angle), math.sin(angle)
    return angle, xy @ np.array([[cos, -sin], [sin, cos]])


def _turned(axis: MountAxis, angle_rad: float) -> MountAxis:
    return replace(axis, angle_deg=math.remainder(axis.angle_deg + math.degrees(angle_rad), 360.0))


def _gears(longest_s: float) -> Iterator[tuple[float, float]]:
    """Backlash (s of pulse) and where in it the gears stand at the start, to be tried."""
    for backlash in np.linspace(0, 2 * longest_s, 41):
        for share in (0.0, 0.25, 0.5, 0.75, 1.0) if backlash > 0 else (0.0,):
            yield float(backlash), -float(backlash) * share


def _whiteners(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse Cholesky factors and log determinants of the noise's covariance, in units of the white variance.

    A velocity that walks with variance `walk` per second has positions of covariance walk * a² (3 b - a) / 6 at times
    a <= b since the start.
    """
    since = t - t[0]
    a, b = np.minimum.outer(since, since), np.maximum.outer(since, since)
    factors = np.linalg.cholesky(np.eye(len(t)) + np.array(_WALKS)[:, None, None] * (a * a * (3 * b - a) / 6))
    return np.linalg.inv(factors), 2 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1)


def _checked(fit: Fit, rule: CalibrationRule, pulse_s: float) -> Fit:
    for name, axis in (("RA", fit.ra), ("Dec", fit.dec)):
        moved = axis.rate_px_per_s * pulse_s
        if moved < rule.min_move_px / 3 or axis.rate_px_per_s < 5 * axis.rate_err_px_per_s:
            raise CalibrationFailed(
                f"{name}: the stars moved {moved:.1f} ± {axis.rate_err_px_per_s * pulse_s:.1f} px in pulses of "
                f"{pulse_s:g} s; need {rule.min_move_px / 3:g} px and five standard errors"
            )
    if fit.backlash_s > 1.9 * pulse_s:
        raise CalibrationFailed(
            f"Dec: a backlash of {fit.backlash_s:.1f} s of pulse or more; pulses of {pulse_s:g} s allow up to "
            f"{1.9 * pulse_s:g} s (set a longer pulse_s)"
        )
    between = math.radians(fit.dec.angle_deg - fit.ra.angle_deg)
    if abs(math.sin(between)) < 0.5:
        raise CalibrationFailed(
            f"RA moves the stars towards {fit.ra.angle_deg:.0f} degrees and Dec towards {fit.dec.angle_deg:.0f}; "
            "need at least 30 degrees between them"
        )
    return fit


def _signed(move: Move, positive: Direction) -> float:
    if move.direction is positive:
        return move.duration_s
    return -move.duration_s if move.direction is positive.opposite else 0.0


def _play(motor: NDArray[np.float64], backlash: float, start: float) -> NDArray[np.float64]:
    """The output of gears with play: it follows the motor only at the ends of the gap."""
    out, position = np.empty_like(motor), start
    for i, u in enumerate(motor):
        position = min(max(position, u - backlash), u)
        out[i] = position
    return out
