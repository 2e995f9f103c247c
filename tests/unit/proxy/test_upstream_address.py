"""An address that fails is out for a growing, bounded time; requests go where they are served."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.proxy.settings import Endpoint, UpstreamHealth
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_balance import Balance

HEALTH = UpstreamHealth(failures=3, ejection=1.0, max_ejection=30.0)


def address(
    name: str = "192.0.2.1",
    health: UpstreamHealth = HEALTH,
    randomness: Callable[[], float] = lambda: 0.0,
) -> Address:
    return Address(Endpoint(name, 80), "", health, randomness)


def out_at(one: Address, now: float) -> Address:
    while not one.out:
        one.failed(now, "refused")
    return one


def idle(one: Address, count: int = 1) -> Address:
    """Gives it connections that carry nothing; a rule of balancing only counts them."""
    one.idle += cast("list[Any]", [object()] * count)
    one.total += count
    return one


def busy(one: Address, count: int) -> Address:
    one.total += count
    return one


class TestHealth:
    """What becomes of one address."""

    def test_it_takes_several_failures_in_a_row(self) -> None:
        """One answer in between, and counting begins anew."""
        one = address()
        for _ in range(10):
            assert not one.failed(100.0, "refused")
            assert not one.failed(100.0, "refused")
            assert not one.proved(100.0)
        assert one.state == "up"
        one.failed(101.0, "refused")
        one.failed(101.0, "refused")
        assert one.failed(101.0, "no answer")
        assert (one.state, one.error, one.until) == ("out", "no answer", 102.0)

    def test_each_failed_trial_doubles_the_time_up_to_the_longest(self) -> None:
        """1, 2, 4, 8, 16 and then 30 seconds for ever."""
        one = out_at(address(), 100.0)
        lengths = [one.until - 100.0]
        for _ in range(100):
            now = one.until
            assert one.failed(now, "refused")
            lengths.append(one.until - now)
        assert lengths[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
        assert set(lengths[6:]) == {30.0}

    def test_many_failures_at_once_are_one(self) -> None:
        """Requests that were under way when it failed do not keep it out for longer."""
        one = out_at(address(), 100.0)
        for _ in range(50):
            assert not one.failed(100.5, "refused")
        assert (one.until, one.rounds) == (101.0, 1)

    @given(st.floats(0, 1, exclude_max=True), st.integers(1, 40))
    def test_jitter_never_makes_it_longer_than_the_longest(self, luck: float, rounds: int) -> None:
        """And never shorter than three quarters."""
        one = address(randomness=lambda: luck)
        now = 1000.0
        out_at(one, now)
        for _ in range(rounds):
            now = one.until
            one.failed(now, "refused")
        full = min(30.0, 2.0 ** min(rounds, 10))
        assert 0.75 * full <= one.until - now + 1e-6
        assert one.until - now <= full + 1e-6

    def test_what_fails_again_soon_is_out_for_longer(self) -> None:
        """Coming back is not being well: only a while without failures forgets what was."""
        one = out_at(address(), 100.0)
        assert one.proved(101.0)
        assert one.state == "up"
        out_at(one, 110.0)
        assert one.until - 110.0 == 2.0
        assert one.proved(112.0)
        out_at(one, 112.0 + 31.0)
        assert one.until - 143.0 == 1.0

    def test_the_beginning_of_an_answer_brings_it_back_for_one_failure(self) -> None:
        """A stream may last for hours; should it break off, the address is out again at once."""
        one = out_at(address(), 100.0)
        assert one.answers(101.0)
        assert one.state == "up"
        assert one.failed(102.0, "closed")
        assert one.state == "out"

    def test_a_connection_that_nobody_needed_waits_again(self) -> None:
        """Without requests an address that is out is tried once in its time, not all the time."""
        one = out_at(address(), 100.0)
        one.wait_again(105.0)
        assert one.until == 106.0

    def test_reached_again_it_is_on_trial(self) -> None:
        """With a connection, or a request over one, it still has to prove itself."""
        one = out_at(address(), 100.0)
        assert idle(one).state == "trial"
        one.idle.clear()
        assert one.state == "out"
        one.trial = object()
        assert one.state == "trial"
        one.failed(101.0, "refused")
        assert one.state == "out"


class TestBalance:
    """Whose turn it is."""

    def balance(self, rule: str, *addresses: Address) -> Balance:
        made = Balance(rule)
        made.addresses = addresses
        return made

    @pytest.mark.parametrize("rule", ["round_robin", "least_connections"])
    def test_equals_take_turns(self, rule: str) -> None:
        """Also by the fewest connections, where all have as many."""
        one, two, three = (address(f"192.0.2.{n}") for n in range(3))
        balance = self.balance(rule, one, two, three)
        assert [balance.next() for _ in range(6)] == [one, two, three] * 2

    def test_fewest_connections_means_requests_under_way(self) -> None:
        """Idle connections count for nothing."""
        one, two = busy(address("192.0.2.1"), 3), idle(busy(address("192.0.2.2"), 2), 5)
        balance = self.balance("least_connections", one, two)
        assert [balance.next() for _ in range(3)] == [two] * 3

    def test_round_robin_does_not_look_at_connections(self) -> None:
        """In turn is in turn."""
        one, two = busy(address("192.0.2.1"), 3), address("192.0.2.2")
        balance = self.balance("round_robin", one, two)
        assert [balance.next() for _ in range(4)] == [one, two, one, two]

    @pytest.mark.parametrize("rule", ["round_robin", "least_connections"])
    def test_what_is_out_is_passed_over_and_its_share_is_shared(self, rule: str) -> None:
        """The one after it does not get twice as much."""
        one, two, three = (address(f"192.0.2.{n}") for n in range(3))
        out_at(one, 100.0)
        balance = self.balance(rule, one, two, three)
        assert [balance.next() for _ in range(4)] == [two, three, two, three]

    @pytest.mark.parametrize("rule", ["round_robin", "least_connections"])
    def test_where_all_are_out_the_failure_longest_ago_is_tried(self, rule: str) -> None:
        """An outage that is over must not last until somebody dares."""
        one, two, three = (address(f"192.0.2.{n}") for n in range(3))
        for at, each in ((105.0, one), (103.0, two), (104.0, three)):
            out_at(each, at)
        balance = self.balance(rule, one, two, three)
        assert balance.next() is two
        two.failed(106.0, "refused")
        assert balance.next() is three

    def test_what_was_tried_is_not_tried_again(self) -> None:
        """Not even where all are out; and then there is nothing left."""
        one, two = address("192.0.2.1"), out_at(address("192.0.2.2"), 100.0)
        balance = self.balance("round_robin", one, two)
        assert balance.next([one]) is two
        assert balance.next([one, two]) is None
        assert self.balance("round_robin").next() is None

    def test_one_request_at_a_time_is_a_trial(self) -> None:
        """Of an address that was out for its time and is reached again."""
        one = out_at(address(), 100.0)
        balance = self.balance("round_robin", one)
        assert balance.on_trial(200.0) is None
        idle(one, 2)
        assert balance.on_trial(100.5) is None
        assert balance.on_trial(101.0) is one
        one.trial = object()
        assert balance.on_trial(101.0) is None
