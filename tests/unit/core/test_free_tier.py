"""Free calls: one charge before the others, and the two things that they can come to."""

from passgate.core.constraints import refusal_for
from passgate.core.constraints.base import Charge
from passgate.core.free_tier import FREE, choices, free_charge, is_free, with_free
from passgate.core.instant import Instant
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Shortfall

RATE = Charge("rate/60/agent|i|a", "rate", 60, 1, 5, "core:rate:max_per_minute")
SPEND = Charge("spend/daily/agent|i|a", "spend", "daily", 7, 100, "core:cost:max_cumulative")
FREE_CALL = free_charge("catalog|i|a|api%3Asearch", 3)


def test_a_free_call_is_counted_for_all_time() -> None:
    assert FREE_CALL.counter == "free/total/catalog|i|a|api%3Asearch"
    assert (FREE_CALL.kind, FREE_CALL.amount, FREE_CALL.limit) == (FREE, 1, 3)
    assert FREE_CALL.constraint == "core:pricing:free_tier_calls"


def test_a_free_call_that_cannot_be_counted_is_refused() -> None:
    """Where nobody vouches for the agent, and the table of such counters is full."""
    ledger = MemoryLedger(most_unvouched=0)
    self_issued = free_charge("catalog|self%3Aab|a|api%3Asearch", 3)
    short = ledger.reserve(with_free((), self_issued), Instant(0.0, 0.0))
    assert isinstance(short, Shortfall)
    assert short.charge.kind == FREE
    assert refusal_for(short.charge, short.retry_after_s).code == "rate_limited"


def test_a_free_call_stands_before_what_is_charged() -> None:
    offered = with_free((RATE, SPEND), FREE_CALL)
    assert offered == (FREE_CALL, RATE, SPEND)
    assert is_free(offered)
    assert not is_free((RATE, SPEND))
    assert not is_free(())


def test_a_free_call_spends_nothing_and_counts_all_the_same() -> None:
    """Rates always count; the other choice is the very tuple that it was made of."""
    offered = with_free((RATE, SPEND), FREE_CALL)
    gratis, priced = choices(offered)
    assert [(c.counter, c.amount) for c in gratis] == [
        (FREE_CALL.counter, 1),
        (RATE.counter, 1),
        (SPEND.counter, 0),
    ]
    assert priced == (RATE, SPEND)


def test_the_same_charges_come_to_the_same_tuples() -> None:
    """So whoever compares them by identity, as the log's lines do, finds them again."""
    charges = (RATE, SPEND)
    offered = with_free(charges, FREE_CALL)
    assert with_free(charges, free_charge("catalog|i|a|api%3Asearch", 3)) is offered
    assert choices(offered)[0] is choices(offered)[0]
    assert choices(offered)[1] is charges
    elsewhere = (FREE_CALL, SPEND)  # not made here, and understood all the same
    assert choices(elsewhere)[1] == (SPEND,)
    assert choices(elsewhere)[1] is choices(elsewhere)[1]


def test_agents_who_owe_nothing_else_have_free_calls_of_their_own() -> None:
    """All of them have the one empty tuple of charges."""
    mine = with_free((), FREE_CALL)
    yours = with_free((), free_charge("catalog|i|b|api%3Asearch", 3))
    other_limit = with_free((), free_charge("catalog|i|a|api%3Asearch", 4))
    assert (mine, yours) == ((FREE_CALL,), (free_charge("catalog|i|b|api%3Asearch", 3),))
    assert other_limit[0].limit == 4
