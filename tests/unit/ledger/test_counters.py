"""The table of counters: names, bounds, and forgetting."""

import pytest

from passgate.core.constraints.base import Charge
from passgate.core.constraints.subjects import subject_of_address, subject_of_passport
from passgate.core.instant import Instant
from passgate.ledger.counters import Counters
from passgate.ledger.in_flight import InFlight
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Reservation, Shortfall, Taken, Unavailable


def rate(subject: str, limit: int = 5, window: int = 60) -> tuple[Charge, ...]:
    return (Charge(f"rate/{window}/{subject}", "rate", window, 1, limit, "k"),)


@pytest.mark.parametrize(
    "name",
    [
        *("rate/daily/x", "rate/0/x", "rate/-1/x", "rate/1.5/x", "rate/٣/x", "rate//x", "rate", ""),
        *("spend/yearly/x", "spend/now/x", "total/daily/x", "concurrent/60/x", "tokens/60/x"),
    ],
)
def test_a_name_that_no_constraint_makes_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no counter is called"):
        Counters().admit(name, 0, 0.0)


def test_what_is_in_flight_is_no_window() -> None:
    counters = Counters()
    with pytest.raises(ValueError, match="no window"):
        counters.window("concurrent/now/x", 0, 0.0)


def test_counters_of_passed_windows_are_forgotten_as_new_ones_come() -> None:
    """20,000 subjects, a new one every second: the table stays near the 61 that are live."""
    ledger = MemoryLedger()
    largest = 0
    for i in range(20_000):
        ledger.reserve(rate(f"passport|iss|p{i}"), Instant(1e9 + i, float(i)))
        largest = max(largest, len(ledger._by_name))
    assert largest < 250


def test_a_live_counter_is_never_forgotten() -> None:
    ledger = MemoryLedger()
    now = Instant(1e9, 0.0)
    for i in range(2_000):
        ledger.reserve(rate(f"passport|iss|p{i}", limit=1), now)
    for i in range(2_000):
        assert isinstance(ledger.reserve(rate(f"passport|iss|p{i}", limit=1), now), Shortfall)


def test_what_is_used_up_for_good_is_never_forgotten() -> None:
    ledger = MemoryLedger()
    once = (Charge("total/total/passport|iss|p", "total", "total", 1, 1, "k"),)
    ledger.reserve(once, Instant(1e9, 0.0))
    for i in range(1_000):
        ledger.reserve(rate(f"passport|iss|p{i}"), Instant(2e9 + 100 * i, 1e9))
    assert isinstance(ledger.reserve(once, Instant(3e9, 1e9)), Shortfall)


@pytest.mark.parametrize(
    "subject",
    [
        lambda i: subject_of_address(f"10.0.{i // 256}.{i % 256}"),
        lambda i: subject_of_address(f"10.0.{i // 256}.{i % 256}", "api:search"),
        lambda i: subject_of_passport(f"did:key:z6Mk{i}", "pass_1"),
        lambda i: subject_of_passport(f"self:{i:064x}", "pass_1"),
    ],
)
def test_subjects_that_anybody_can_invent_share_a_bounded_table(subject) -> None:  # type: ignore[no-untyped-def] # one of four lambdas
    """Attack: a flood of addresses or of self-issued passports, to eat memory or to push a live
    counter out and begin anew."""
    ledger = MemoryLedger(most_unvouched=100)
    now = Instant(1e9, 0.0)
    for i in range(100):
        assert isinstance(ledger.reserve(rate(subject(i), limit=1), now), Reservation)
    refused = ledger.reserve(rate(subject(100), limit=1), now)
    assert isinstance(refused, Shortfall)
    assert (refused.remaining, refused.retry_after_s) == (0, 60)
    assert len(ledger._by_name) == 100
    assert isinstance(ledger.reserve(rate(subject(7), limit=1), now), Shortfall)
    assert isinstance(ledger.reserve(rate(subject(7), limit=2), now), Reservation)
    assert isinstance(ledger.reserve(rate("passport|iss_lab|p"), now), Reservation)
    later = Instant(1e9 + 61, 61.0)
    assert isinstance(ledger.reserve(rate(subject(100), limit=1), later), Reservation)


def test_an_issuer_cannot_be_taken_for_an_address() -> None:
    """`address` as an issuer's id or an agent's stays what it is: only the first word decides."""
    ledger = MemoryLedger(most_unvouched=0)
    charges = rate(subject_of_passport("address", "address"))
    assert isinstance(ledger.reserve(charges, Instant(1e9, 0.0)), Reservation)


def test_names_keep_their_places_while_frozen() -> None:
    counters = Counters()
    for i in range(20):
        counters.window(f"rate/60/{i}", 0, 0.0).put(0, 0.0, 1)
    counters.freeze(frozen=True)
    names, _, _ = counters.rosters()
    before = list(names)
    for i in range(40):
        counters.window(f"rate/60/later{i}", 100_000, 100.0).put(100_000, 0.0, 1)
    assert names[:20] == before
    assert not any(name in counters.by_name for name in before)
    counters.freeze(frozen=False)
    for i in range(40):
        counters.window(f"rate/60/last{i}", 200_000, 200.0).put(200_000, 0.0, 1)
    assert not set(before) & set(names)


@pytest.mark.interpreted(reason="compiled, a whole number is no object that could be shared")
def test_the_makers_of_counters_are_shared() -> None:
    counters = Counters()
    one, two = (counters.window(f"rate/86400/{i}", 0, 0.0) for i in "ab")
    assert one.length_ms is two.length_ms  # type: ignore[union-attr] # a rate slides
    assert isinstance(counters.admit("concurrent/now/x", 0, 0.0), InFlight)


def test_proofs_share_a_bounded_table_of_their_own() -> None:
    """A holder makes one with each request; where it is full none passes and none is forgotten."""
    ledger = MemoryLedger(most_proofs=3)

    def burn(name: str, at: Instant) -> Taken:
        return ledger.reserve((Charge(f"replay/121/{name}", "replay", 121, 1, 1, "proof"),), at)

    for name in "abc":
        assert isinstance(burn(name, Instant(1e9, 0.0)), Reservation)
    assert isinstance(burn("d", Instant(1e9, 0.0)), Unavailable)
    assert isinstance(burn("a", Instant(1e9 + 120, 120.0)), Shortfall)
    assert isinstance(ledger.reserve(rate("passport|iss_lab|p"), Instant(1e9, 0.0)), Reservation)
    assert isinstance(burn("d", Instant(1e9 + 250, 250.0)), Reservation)


def test_delegates_of_one_root_share_a_bounded_table() -> None:
    """Attack: whoever may delegate makes children without end, each with a limit of its own that is
    never used up. Others have their places, and so has the root itself."""
    counters = Counters(most_delegated=4)

    def name(root: str, child: int, window: str = "total/total") -> str:
        return f"{window}/{subject_of_passport('iss', f'{root}/c{child}', delegated=True)}"

    def taken(made: str) -> bool:
        counter = counters.admit(made, 0, 0.0)
        return counter is not None and counter.take(0, 0.0, 1, 9)

    for child in range(2):
        assert taken(name("a", child))
        assert taken(f"{name('a', child)}|shop%3A*")
    assert not taken(name("a", 2))
    assert not taken(name("a", 2, "rate/60"))
    assert taken(name("b", 0))
    for subject in ("passport|iss|a", "passport|iss|a%2Fc9", "agent|iss|a%2Fc9"):
        assert taken(f"total/total/{subject}")

    counters.by_name[name("a", 0)].give_back(0, 0.0, 1)
    assert taken(name("a", 2))
    assert counters.any(name("a", 3), 0, 0.0).take(0, 0.0, 1, 9)
    assert not taken(name("a", 4))


def test_no_root_is_counted_that_has_nothing() -> None:
    """What is remembered of roots goes with their counters."""
    counters = Counters()
    for child in range(20):
        counters.any(f"rate/60/delegated|iss|root{child}%2Fc", 0, 0.0)
    for _ in range(20):
        counters.any("rate/60/passport|iss|p", 0, 0.0)
        counters.by_name.pop("rate/60/passport|iss|p")

    assert counters.by_name == {}
    assert counters._of_root == {}
