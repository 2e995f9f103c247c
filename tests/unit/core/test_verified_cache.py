"""The memory of verified passports is bounded, and forgets the least lately used first."""

from dataclasses import replace
from typing import Any

from tests.craft import credential, trust

from passgate.core.passport import _BY_VERIFICATION, Passport
from passgate.core.verification import Acceptance, verify
from passgate.core.verified_cache import VerifiedCache


def passport(number: int, size: int = 0) -> Passport:
    """A passport of its own, whose payload has this many bytes if that is more than it needs."""
    claims = {"jti": f"pass_{number:026d}", "agent_name": ""}
    need = len(_verified(claims).payload)
    return _verified(claims | {"agent_name": "x" * max(0, size - need)})


def _verified(claims: dict[str, Any]) -> Passport:
    verified = verify(credential(claims), trust(), Acceptance())
    assert isinstance(verified, Passport)
    return verified


ONE, TWO, THREE = passport(1), passport(2), passport(3)


def test_what_is_kept_is_found_and_nothing_else() -> None:
    """By the whole digest."""
    cache = VerifiedCache()

    cache.keep(ONE)

    assert cache.find(ONE.digest) is ONE
    assert cache.find(TWO.digest) is None
    assert len(cache) == 1


def test_the_least_lately_used_goes_first() -> None:
    """Finding an entry keeps it from being the next to go."""
    cache = VerifiedCache(max_entries=2)
    cache.keep(ONE)
    cache.keep(TWO)
    cache.find(ONE.digest)

    cache.keep(THREE)

    assert [cache.find(kept.digest) is kept for kept in (ONE, TWO, THREE)] == [True, False, True]


def test_large_credentials_take_the_room_of_many() -> None:
    """The bytes of what is kept are bounded too, and are counted right when an entry is renewed."""
    cache = VerifiedCache(max_bytes=1000)
    large, small = passport(1, 600), passport(2, 400)
    for _ in range(5):
        cache.keep(large)
    cache.keep(small)
    assert len(cache) == 2

    cache.keep(passport(3, 500))

    assert cache.find(large.digest) is None
    assert len(cache) == 2
    cache.keep(passport(4, 1001))
    assert len(cache) == 0


def test_all_that_is_kept_of_a_passport_counts() -> None:
    """Its ancestors, which a child brings along each time, and its grants, which take much room."""
    child = replace(ONE, seal=_BY_VERIFICATION, chain=(passport(4, 600),))
    granted = _verified({"grants": [{"resource": "a"}] * 20})

    for kept, weight in (
        (child, len(child.payload) + 600),
        (granted, len(granted.payload) + 20 * 48),
    ):
        for room, entries in ((weight, 1), (weight - 1, 0)):
            cache = VerifiedCache(max_bytes=room)
            cache.keep(kept)
            assert len(cache) == entries


def test_an_agents_passports_are_found_by_its_name() -> None:
    """All that are kept, and no other agent's."""
    cache = VerifiedCache()
    for kept in (ONE, TWO, _verified({"sub": "agent-8"})):
        cache.keep(kept)

    assert cache.of_agent("agent-7") == [ONE, TWO]
    assert cache.of_agent("agent-9") == []
