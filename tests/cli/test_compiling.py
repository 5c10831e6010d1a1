"""The sentence that explains the first run's wait."""

from acquisition.cli.compiling import TEXT, announced


def test_it_is_said_once_and_only_when_something_is_compiled():
    from numba import njit

    @njit
    def double(x: float) -> float:
        return 2 * x

    said: list[str] = []
    with announced(said.append):
        assert said == []
        double(1.0)
        double(1)
    assert said == [TEXT]
    with announced(said.append):
        double(2.0)
    assert said == [TEXT]
