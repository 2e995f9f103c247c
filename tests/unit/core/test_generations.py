"""What came lately is remembered, and no flood makes it more than was agreed."""

from passgate.core.generations import Generations


def test_kept_under_its_own_key() -> None:
    """A key finds what was kept last under exactly this key."""
    memory: Generations[bytes, str] = Generations(10)
    memory.keep(b"a", "one")
    memory.keep(b"b", "two")
    memory.keep(b"a", "three")

    assert (memory.find(b"a"), memory.find(b"b"), memory.find(b"A")) == ("three", "two", None)


def test_a_flood_fills_two_generations() -> None:
    """However many keys come, two generations are all that is kept."""
    memory: Generations[int, str] = Generations(100)
    for number in range(1_000):
        memory.keep(number, "")
        assert len(memory) <= 200


def test_a_flood_of_large_ones_too() -> None:
    """Large values end a generation before their number does."""
    memory: Generations[int, str] = Generations(100, size=1_000)
    for number in range(1_000):
        memory.keep(number, "", 100)
        assert len(memory) <= 20


def test_what_is_in_use_stays() -> None:
    """A value that is asked for now and then outlives any number of others."""
    memory: Generations[int, str] = Generations(100)
    memory.keep(-1, "used")
    memory.keep(-2, "unused")
    for number in range(1_000):
        memory.keep(number, "")
        if not number % 50:
            assert memory.find(-1) == "used"
    assert memory.find(-2) is None


class Kept:
    """Counts how many of its kind are alive."""

    alive = 0

    def __init__(self) -> None:
        Kept.alive += 1

    def __del__(self) -> None:
        Kept.alive -= 1


def test_a_generation_goes_bit_by_bit() -> None:
    """No call lets go of more than two, and never is there more than two generations."""
    memory: Generations[int, Kept] = Generations(100)
    for number in range(1_000):
        before = Kept.alive
        memory.keep(number, Kept())
        assert before - 1 <= Kept.alive <= 202


def test_what_is_still_going_ends_with_the_next() -> None:
    """Where generations end by their size, no third one stays."""
    memory: Generations[int, Kept] = Generations(100, size=1_000)
    for number in range(150):
        memory.keep(number, Kept())
    for number in range(150, 400):
        memory.keep(number, Kept(), 100)
    assert Kept.alive <= 31
    del memory
    assert Kept.alive == 0
