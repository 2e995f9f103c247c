"""csp tokens under attack: whatever is changed, swapped, dropped, repeated or added is refused."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.craft import UNSET
from tests.csp_craft import (
    ACCEPT,
    ALICE,
    BOB,
    CAROL,
    chain,
    claims_of,
    csp_trust,
    root,
    token,
)

from passgate.core.presented import BESIDE, with_parents
from passgate.core.reasons import REASONS, Refusal
from passgate.core.verification import verify
from passgate.core.verified_cache import VerifiedCache

TRUST = csp_trust()
HONEST = chain(ALICE, BOB, CAROL)
LEAF, _, _LISTED = HONEST.partition(BESIDE)
PARENTS = tuple(_LISTED.split(","))
EVE = claims_of("eve", ALICE, tool_scope=["api:*"])
POOL = (*PARENTS, LEAF, token(EVE), root(jti="jti-z"), root(agent_id="zoe", act={"sub": "zoe"}))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_., =\n\x1e\xe9"


def good(text: str, cache: VerifiedCache | None = None) -> bool:
    found = verify(text, TRUST, ACCEPT, cache)
    if isinstance(found, Refusal):
        assert found.code in REASONS
        return False
    return found.flaw is None


@given(st.integers(0, len(HONEST) - 1), st.sampled_from(ALPHABET))
def test_a_changed_character_is_never_let_through(place: int, character: str) -> None:
    """In the leaf, in a parent, or between them; nor does what is in the cache help."""
    cache = VerifiedCache()
    assert good(HONEST, cache)
    changed = HONEST[:place] + character + HONEST[place + 1 :]

    assert good(changed, cache) is (changed == HONEST)


@given(st.lists(st.sampled_from(POOL), max_size=6).map(tuple))
def test_only_the_parents_themselves_in_their_order_are_parents(parents: tuple[str, ...]) -> None:
    """All of these are tokens that the issuer has signed."""
    text = with_parents(LEAF, ",".join(parents)) if parents else LEAF

    assert good(text) is (parents == PARENTS)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.just(UNSET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.sampled_from([*CAROL, "cnf", "constraints"]), _values)
def test_whatever_an_issuer_signs_never_raises(claim: str, value: Any) -> None:
    """And where it passes, it passes with the scope and for the person of its parents."""
    claims = {name: v for name, v in {**CAROL, claim: value}.items() if v is not UNSET}
    claims = {name: _plain(v) for name, v in claims.items()}
    found = verify(with_parents(token(claims), ",".join(PARENTS)), TRUST, ACCEPT)

    if not isinstance(found, Refusal) and found.flaw is None:
        assert found.principal is not None
        assert found.principal.subject == "person-1"
        assert all(entry.pattern.startswith("api:") for entry in found.permissions)
        assert found.expires_at <= ALICE["exp"]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if value is UNSET else value


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_bytes_in_the_place_of_parents_never_raise(leaf: bytes, parents: bytes) -> None:
    """Headers bring any byte, as Latin-1."""
    assert not good(with_parents(leaf.decode("latin-1"), parents.decode("latin-1")))
    assert not good(with_parents(LEAF, parents.decode("latin-1")))
