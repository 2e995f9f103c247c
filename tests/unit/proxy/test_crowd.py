"""Every socket counts from accept to its end, in all and for its client."""

import pytest

from passgate.core.client_address import NO_PROXIES, TrustedProxies
from passgate.proxy.crowd import Crowd, Place, peer_of


def entered(crowd: Crowd, peer: str, *, limit: int = 10, per_client: int = 0) -> Place:
    place = crowd.enter(limit)
    assert place is not None
    crowd.name(place, peer, TrustedProxies(["10.0.0.0/8"]), per_client)
    return place


def test_no_more_than_the_limit_are_served() -> None:
    """One beyond it is told so, and a place that becomes free is the next one's."""
    crowd = Crowd()
    first, second = crowd.enter(2), crowd.enter(2)
    third = crowd.enter(2)
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.served, second.served, third.served) == (True, True, False)
    assert (crowd.sockets, crowd.served) == (3, 2)
    crowd.leave(first)
    fourth = crowd.enter(2)
    assert fourth is not None
    assert fourth.served
    for place in (second, third, fourth):
        crowd.leave(place)
    assert (crowd.sockets, crowd.served) == (0, 0)
    assert crowd.refused["connections"] == 1


def test_not_even_goodbyes_are_without_limit() -> None:
    """Beyond a thousand that are told there is no room, sockets are closed at once."""
    crowd = Crowd()
    places = [crowd.enter(1) for _ in range(1 + 1024)]
    assert None not in places
    assert crowd.enter(1) is None
    assert crowd.sockets == 1025
    assert crowd.refused["connections"] == 1025


@pytest.mark.parametrize(
    ("peers", "served"),
    [
        (["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"], [True, True, False, True]),
        (
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"],
            [True, True, False, True],
        ),
        (["10.0.0.1"] * 4, [True] * 4),
        (["unix"] * 4, [True] * 4),
    ],
    ids=["IPv4", "a /64", "a trusted proxy", "a Unix socket"],
)
def test_one_client_gets_no_more_than_its_share(peers: list[str], served: list[bool]) -> None:
    """Counted by address; those who carry many clients are not one."""
    crowd = Crowd()
    assert [entered(crowd, peer, per_client=2).served for peer in peers] == served
    assert crowd.refused["connections_per_client"] == served.count(False)
    assert crowd.served == served.count(True)


def test_a_share_comes_back() -> None:
    """However often it asked meanwhile; and nothing of a client is kept that is gone."""
    crowd = Crowd()
    one = entered(crowd, "192.0.2.1", per_client=1)
    told = [entered(crowd, "192.0.2.1", per_client=1) for _ in range(3)]
    assert [place.served for place in told] == [False] * 3
    crowd.leave(one)
    again = entered(crowd, "192.0.2.1", per_client=1)
    assert again.served
    for place in (*told, again):
        crowd.leave(place)
    assert (crowd.sockets, crowd.served) == (0, 0)
    assert crowd._clients == {}


def test_who_is_turned_away_by_all_takes_nothing_of_a_share() -> None:
    """Being told that the gate is full is no connection of one's own."""
    crowd = Crowd()
    others = entered(crowd, "192.0.2.2", limit=1)
    told = entered(crowd, "192.0.2.1", limit=1, per_client=1)
    assert not told.served
    crowd.leave(others)
    assert entered(crowd, "192.0.2.1", limit=1, per_client=1).served
    assert crowd.refused["connections_per_client"] == 0


def test_a_limit_that_comes_later_counts_those_who_are_there() -> None:
    """A reload may set it while connections are open."""
    crowd = Crowd()
    for _ in range(3):
        assert entered(crowd, "192.0.2.1").served
    assert not entered(crowd, "192.0.2.1", per_client=3).served


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("192.0.2.1", 4711), "192.0.2.1"),
        (("::ffff:192.0.2.1", 4711, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::1"),
        ("", "unix"),
        (None, "unix"),
    ],
)
def test_a_peer_has_one_spelling(address: object, peer: str) -> None:
    assert peer_of(address) == peer


def test_whoever_is_not_trusted_is_counted() -> None:
    crowd = Crowd()
    place = crowd.enter(5)
    assert place is not None
    crowd.name(place, "10.0.0.1", NO_PROXIES, 5)
    assert place.client == "10.0.0.1"
