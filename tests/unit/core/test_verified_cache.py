"""The memory of verified passports is bounded, and forgets the least lately used first."""

from tests.craft import credential, trust

from passgate.core.passport import Passport
from passgate.core.verification import Acceptance, verify
from passgate.core.verified_cache import VerifiedCache


def passport() -> Passport:
    verified = verify(credential(), trust(), Acceptance())
    assert isinstance(verified, Passport)
    return verified


def test_what_is_kept_is_found_and_nothing_else() -> None:
    """By the whole digest."""
    cache, kept = VerifiedCache(), passport()

    cache.keep(b"one", kept, "v1", 10)

    assert cache.find(b"one") == (kept, "v1", 10)
    assert cache.find(b"two") is None
    assert len(cache) == 1


def test_the_least_lately_used_goes_first() -> None:
    """Finding an entry keeps it from being the next to go."""
    cache, kept = VerifiedCache(max_entries=2), passport()
    cache.keep(b"one", kept, "v1", 10)
    cache.keep(b"two", kept, "v1", 10)
    cache.find(b"one")

    cache.keep(b"three", kept, "v1", 10)

    assert [cache.find(name) is not None for name in (b"one", b"two", b"three")] == [
        True,
        False,
        True,
    ]


def test_large_credentials_take_the_room_of_many() -> None:
    """The bytes of what is kept are bounded too, and are counted right when an entry is renewed."""
    cache, kept = VerifiedCache(max_bytes=100), passport()
    for _ in range(5):
        cache.keep(b"one", kept, "v1", 60)
    cache.keep(b"two", kept, "v1", 40)
    assert len(cache) == 2

    cache.keep(b"three", kept, "v1", 50)

    assert cache.find(b"one") is None
    assert len(cache) == 2
    cache.keep(b"four", kept, "v1", 101)
    assert len(cache) == 0
