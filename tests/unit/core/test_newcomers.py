"""The second time is told from the first, and no flood makes that more than was agreed."""

from passgate.core.newcomers import Newcomers


def test_the_second_time_is_told_from_the_first() -> None:
    """By the key itself, and for good while it keeps coming."""
    newcomers = Newcomers()

    assert [newcomers.came(key) for key in ("a", "b", "a", "b", "a")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_what_came_lately_is_known() -> None:
    """One that comes again among as many others as are remembered was never forgotten between."""
    newcomers = Newcomers(100)
    for number in range(100):
        newcomers.came(number)

    assert all(newcomers.came(number) for number in range(100))
    assert not any(newcomers.came(number) for number in range(100, 200))
    assert all(newcomers.came(number) for number in range(150, 200))


def test_what_came_long_ago_is_new_again() -> None:
    """A flood fills two generations, and those who came before it are forgotten."""
    newcomers = Newcomers(100)
    newcomers.came(-5)
    for number in range(1_000):
        assert not newcomers.came(number)
        assert len(newcomers._young) <= 100
        assert len(newcomers._old) <= 100

    assert not newcomers.came(-5)
