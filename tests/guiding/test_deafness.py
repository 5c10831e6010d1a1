"""Do pulses arrive?"""

from acquisition.guiding.algorithms.deafness import Deafness


def watched(pulses: list[float], gain: float, gap: float = 0.0, drift: float = 0.0) -> list[bool]:
    """Frame by frame, of a mount that is at the end of its gap whenever it turns about."""
    watch, told, place, way, left = Deafness(), [], 0.0, 0.0, 0.0
    for n, sent in enumerate(pulses):
        if sent * way < 0:
            left = gap
        way, inside = sent or way, min(abs(sent), left)
        left -= inside
        place += 2.0 * drift - gain * (abs(sent) - inside) * (1 if sent > 0 else -1)
        watch = watch.after(2.0 * n, place, sent, 30.0, 0.3)
        told.append(watch.deaf)
    return told


def test_pulses_that_go_nowhere_are_noticed():
    told = watched([3.0] * 20, gain=0.0)
    assert told[-1]
    assert not any(told[:10]), "it could be a gap"


def test_nothing_that_guides_is_deaf():
    assert not any(watched([20.0, -20.0, 25.0, -25.0] * 10, gain=1.0, gap=25.0))
    assert not any(watched([0.4] * 200, gain=0.5, drift=0.1))
    assert not any(watched([0.5, -0.5] * 100, gain=0.0))


def test_pulses_that_arrive_again_are_noticed():
    deaf = Deafness(deaf=True)
    for n in range(5):
        deaf = deaf.after(2.0 * n, 2.0, 2.0, 30.0, 0.3)
        assert deaf.deaf
    place = 2.0
    for n in range(5, 20):
        place -= 1.0
        deaf = deaf.after(2.0 * n, place, 1.0, 30.0, 0.3)
    assert not deaf.deaf
