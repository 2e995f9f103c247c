"""What is remembered of idempotency keys: how long, how many, and what its end gives back."""

from passgate.ledger.operations import Operation, Operations, Remembering

SPEND = (("spend/daily/agent|i|a", 50), ("spend/total/agent|i|a", 50))


def names(operations: Operations) -> list[str]:
    return [operation.name for operation in operations.all()]


def test_an_operation_is_found_until_it_is_too_old() -> None:
    operations = Operations(Remembering(keep_s=60))
    made = operations.add("agent|i|a/k", "d", 1000, 1.0, SPEND)
    assert operations.find("agent|i|a/k", 60_999) is made
    assert operations.find("agent|i|a/k", 61_000) is None
    assert len(operations) == 0


def test_an_operation_with_an_open_request_is_never_too_old() -> None:
    operations = Operations(Remembering(keep_s=60))
    made = operations.add("agent|i|a/k", "d", 0, 0.0, SPEND)
    made.open = 1
    assert operations.find("agent|i|a/k", 10**9) is made
    made.open = 0
    assert operations.known("agent|i|a/k") is made
    assert operations.find("agent|i|a/k", 10**9) is None
    assert operations.known("agent|i|a/k") is None


def test_beyond_its_own_bound_a_subject_loses_its_oldest_and_no_other_does() -> None:
    operations = Operations(Remembering(per_subject=3, most=100))
    operations.add("agent|i|other/k", "d", 0, 0.0, ())
    for number in range(5):
        operations.add(f"agent|i|a/{number}", "d", number, 0.0, ())
    assert names(operations) == ["agent|i|other/k", "agent|i|a/2", "agent|i|a/3", "agent|i|a/4"]


def test_beyond_the_bound_of_all_the_oldest_goes_even_an_open_one() -> None:
    operations = Operations(Remembering(per_subject=10, most=3))
    for number in range(5):
        operations.add(f"agent|i|{number}/k", "d", number, 0.0, ()).open = 1
    assert names(operations) == ["agent|i|2/k", "agent|i|3/k", "agent|i|4/k"]


def test_new_ones_make_old_ones_go() -> None:
    """Nobody asks for what is over again, so it must not stay for that."""
    operations = Operations(Remembering(keep_s=60))
    for number in range(3):
        operations.add(f"agent|i|{number}/k", "d", number, 0.0, ())
    operations.add("agent|i|new/k", "d", 60_001, 0.0, ())
    assert names(operations) == ["agent|i|2/k", "agent|i|new/k"]


def test_forgetting_keeps_the_chain_of_a_subject_whole() -> None:
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 0, 3), (2, 1, 3, 0)):
        operations = Operations(Remembering(per_subject=4))
        made = [operations.add(f"agent|i|a/{n}", "d", n, 0.0, ()) for n in range(4)]
        for number in order:
            operations.forget(made[number])
            operations.forget(made[number])
        assert len(operations) == 0
        for number in range(6):  # the bound counts what is there, and not what was
            operations.add(f"agent|i|a/n{number}", "d", number, 0.0, ())
        assert names(operations) == [f"agent|i|a/n{number}" for number in range(2, 6)]


def test_a_name_that_comes_again_takes_the_place_of_the_one_before() -> None:
    operations = Operations(Remembering(per_subject=2))
    first = operations.add("agent|i|a/k", "d", 0, 0.0, ())
    second = operations.add("agent|i|a/k", "e", 1, 0.0, ())
    assert operations.all() == [second]
    operations.forget(first)
    assert operations.all() == [second]


def opened(count: int) -> Operation:
    operation = Operation("agent|i|a/k", "d", 0, 0.0, SPEND)
    operation.open = count
    return operation


def test_the_first_that_was_sent_settles_it_and_no_other() -> None:
    operation = opened(3)
    assert operation.end(True, 30) == (("spend/daily/agent|i|a", 20), ("spend/total/agent|i|a", 20))
    assert operation.end(True, 0) == ()
    assert operation.end(False, None) == ()


def test_what_was_sent_without_a_known_price_stays_whole() -> None:
    operation = opened(2)
    assert operation.end(True, None) == ()
    assert operation.end(True, 10) == ()


def test_all_comes_back_with_the_last_if_none_was_sent() -> None:
    operation = opened(2)
    assert operation.end(False, None) == ()
    assert operation.end(False, None) == SPEND


def test_one_that_was_sent_keeps_what_another_that_was_not_would_give_back() -> None:
    operation = opened(2)
    assert operation.end(False, None) == ()
    assert operation.end(True, -5) == SPEND  # a negative price is none
