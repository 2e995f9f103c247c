"""A memory of few things: right whatever is kept, and never larger than it may be."""

from passgate.core.few import Few


def test_what_is_kept_is_found_under_its_key_alone() -> None:
    few: Few[str, int] = Few()
    assert (len(few), few.find("a")) == (0, None)

    few.keep("a", 1, 3)
    assert (len(few), few.find("a"), few.find("b")) == (1, 1, None)
    few.keep("a", 2, 3)
    assert (len(few), few.find("a")) == (1, 2)
    few.keep("b", 3, 3)
    few.keep("b", 4, 3)
    assert (len(few), few.find("a"), few.find("b"), few.find("c")) == (2, 2, 4, None)


def test_more_make_room_for_one_another() -> None:
    """The first stays, and the newest is always there."""
    few: Few[int, int] = Few()
    for number in range(1, 100):
        few.keep(number, -number, 3)
        assert len(few) <= 3
        assert (few.find(1), few.find(number)) == (-1, -number)
    few.keep(99, 7, 3)
    assert few.find(99) == 7


def test_what_comes_once_is_not_kept() -> None:
    """The first time only takes note, whatever it is; from then on everything is kept."""
    few: Few[str, int] = Few()
    few.keep_again("a", 1, 3)
    assert (len(few), few.find("a")) == (0, None)

    few.keep_again("b", 2, 3)
    few.keep_again("a", 3, 3)
    assert (len(few), few.find("a"), few.find("b")) == (2, 3, 2)
