"""Chains: which patterns lie within which, and what a passport below others carries."""

import pytest
from tests.craft import (
    NOW,
    OTHER_KEY,
    PARENT,
    SEED,
    THUMBPRINT,
    credential,
    delegated,
    issuer,
    key_set,
    revocations,
    trust,
)
from tests.pace import assert_quick
from tests.vectors.chains import below, bound, root

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.declared import with_presenter
from passgate.core.delegation import path_of, pattern_within, within
from passgate.core.facts import NO_FACTS
from passgate.core.instant import Instant
from passgate.core.passport import Holder, Passport, Permission
from passgate.core.permissions import covers
from passgate.core.reasons import Refusal
from passgate.core.status_list import StatusList
from passgate.core.verification import (
    Acceptance,
    check_revocation,
    check_times,
    verify,
)


def passport(text: str) -> Passport:
    made = verify(text, trust(), Acceptance())
    assert isinstance(made, Passport), made
    return made


def grandchild() -> Passport:
    top = root()
    second = below(top, permissions=["api:*"], **bound("a"))
    return passport(below(top, second, by="a", sub="agent-7/a/b", jti="pass_b"))


@pytest.mark.parametrize("wider", ["*", "a:*", "a:b:*", "a:b", "a", "b:*"])
@pytest.mark.parametrize("pattern", ["*", "a:*", "a:b:*", "a:b", "a", "ab:c", "a:b:c"])
def test_a_pattern_is_within_another_only_if_that_covers_all_of_it(
    pattern: str, wider: str
) -> None:
    """Compared with what they cover, of all that a few letters can spell."""
    actions = ["a", "b", "ab", "a:b", "a:c", "b:a", "ab:c", "a:b:c", "a:b:d", "a:bc:d", "b:a:c"]
    inside = all(covers(wider, action) for action in actions if covers(pattern, action))

    assert pattern_within(pattern, {wider}) == inside
    assert pattern_within(pattern, {"z:*", "a:b:c:*", wider}) == inside


def test_many_permissions_are_compared_in_no_more_time_than_they_are_long() -> None:
    """Whoever may delegate signs as many as there is room for, and anew each time."""

    def many(*patterns: str) -> list[Permission]:
        return [Permission(pattern, NO_CONSTRAINTS) for pattern in patterns]

    child = many(*(f"a:{number}" for number in range(4_000)))
    parent = many(*(f"b:{number}" for number in range(4_000)), "a:*")

    assert within(child, parent)
    assert_quick(lambda: within(child, parent), most=20)


def test_links_are_named_by_their_path_and_end_with_the_first() -> None:
    """Everyone above is in the lineage, root first."""
    made = grandchild()

    assert made.id == path_of(["pass_root", "pass_a", "pass_b"]) == "pass_root/pass_a/pass_b"
    assert [link.id for link in made.lineage] == [
        "pass_root",
        "pass_root/pass_a",
        "pass_root/pass_a/pass_b",
    ]
    assert [len(link.chain) for link in made.lineage] == [0, 1, 2]
    short = passport(below(root(exp=1_800_000_100)))
    assert short.expires_at == 1_800_000_100
    assert check_times(short, Instant(1_800_000_131, 0), 30, 90 * 86_400) is not None


def test_a_child_is_pinned_to_what_its_parent_is_pinned_to() -> None:
    """The terms that its parent agreed to are the child's."""
    pin = {"version": 3, "content_hash": "sha256:0"}

    made = passport(below(root(catalogs={"gate_a": pin})))

    assert made.pins["gate_a"].version == 3
    assert made.lineage[0].pins == made.pins


@pytest.mark.parametrize(
    "revoked",
    [
        {"passports": ["pass_root"]},
        {"passports": ["pass_root/pass_a"]},
        {"passports": ["pass_root/pass_a/pass_b"]},
        {"agents": ["agent-7"]},
        {"agents": ["agent-7/a"]},
        {"agents": ["agent-7/a/b"]},
        {"keys": ["key-1"]},
        {"keys": [root_key.thumbprint for root_key in [grandchild().chain[0].holder] if root_key]},
        {"keys": [link.key_id for link in grandchild().lineage[2:]]},
    ],
    ids=str,
)
def test_whatever_is_revoked_above_is_revoked_below(revoked: dict[str, list[str]]) -> None:
    """By passport, agent and key of every link."""
    known = issuer(keys=key_set(), revoked=revocations(**revoked))

    refusal = check_revocation(grandchild(), known, NOW)

    assert refusal is not None
    assert refusal.code == "passport_revoked"


def test_a_child_s_id_alone_revokes_nothing() -> None:
    """Ids of children are chosen by their parents: only the path names one."""
    known = issuer(keys=key_set(), revoked=revocations(passports=["pass_a", "pass_b"]))

    assert check_revocation(grandchild(), known, NOW) is None


def test_each_link_s_place_in_a_status_list_counts() -> None:
    """A suspended parent suspends all below; one of which the list says nothing is not known."""
    first, second = ({"status_list": {"idx": place, "uri": "s:1"}} for place in (0, 1))
    child = passport(below(root(status=first), status=second))

    def judged(statuses: int) -> str:
        revoked = revocations(statuses=StatusList("s:1", 4, bytes([statuses])))
        refusal = check_revocation(child, issuer(keys=key_set(), revoked=revoked), NOW)
        return "ok" if refusal is None else refusal.code

    assert [judged(statuses) for statuses in (0x00, 0x02, 0x10)] == [
        "ok", "passport_revoked", "passport_revoked",
    ]  # fmt: skip
    beyond = {"status_list": {"idx": 2, "uri": "s:1"}}
    for chain in (
        below(root(status=beyond), status=first),
        below(root(status=first), status=beyond),
        below(root(status=beyond)),
    ):
        child = passport(chain)
        assert judged(0) == "trust_stale"


def test_the_holder_s_own_key_can_be_revoked() -> None:
    """A stolen key takes the passports that are bound to it along, also those above no other."""
    known = issuer(keys=key_set(), revoked=revocations(keys=[THUMBPRINT]))

    refusal = check_revocation(passport(PARENT), known, NOW)

    assert refusal is not None


def test_a_bound_passport_knows_its_holder() -> None:
    """By the whole key, or by its thumbprint alone."""
    whole = passport(PARENT)
    named = passport(credential({"cnf": {"jkt": THUMBPRINT}}))

    assert whole.holder == Holder(THUMBPRINT, OTHER_KEY)
    assert named.holder == Holder(THUMBPRINT, None)


def test_what_is_recorded_of_a_child_holds_no_credential() -> None:
    """The parents in its chain are left out; each is recorded for itself."""
    made = passport(delegated())

    assert "chain" not in made.claims
    assert made.claims["sub"] == "agent-7/helper"
    assert made.chain[0].claims["jti"] == "pass_root"


@pytest.mark.parametrize(
    "text",
    [
        credential({"chain": "x"}),
        credential({"chain": {}}),
        credential({"chain": [7]}),
        credential({"chain": ["ä"]}),
        credential({"chain": ["a.b"]}),
        credential({"chain": [[PARENT]]}),
        credential({"chain": [PARENT, "x"]}),
    ],
    ids=range(7),
)
def test_a_chain_that_is_none_is_malformed(text: str) -> None:
    """Whatever stands in it is read as strictly as what is presented."""
    refusal = verify(text, trust(), Acceptance())

    assert isinstance(refusal, Refusal)
    assert refusal.code == "passport_malformed"


@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        [],
        "x",
        {"jwk": {}},
        {"jwk": "x"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AQ"}},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"jkt": 7},
        {"jkt": "x" * 42},
        {"jkt": "x" * 43},
        {"jkt": "x" * 42 + "="},
        {"kid": "key-1"},
        {"jkt": THUMBPRINT, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AQ"}},
        {"jkt": THUMBPRINT, "kid": "x"},
    ],
    ids=str,
)
def test_a_binding_that_is_none_is_malformed(cnf: object) -> None:
    """Weak keys, private keys, other keys, both members at once."""
    refusal = verify(credential({"cnf": cnf}), trust(), Acceptance())

    assert isinstance(refusal, Refusal)
    assert refusal.code == "passport_malformed"


def test_a_private_key_in_a_passport_is_refused() -> None:
    """It is no secret any more."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "AQ", "d": SEED.hex()}

    refusal = verify(credential({"cnf": {"jwk": jwk}}), trust(), Acceptance())

    assert isinstance(refusal, Refusal)
    assert SEED.hex() not in refusal.detail


def test_a_child_is_as_old_as_the_oldest_above_it_and_as_far_away() -> None:
    """Handing on makes no passport younger for a rule, and is counted."""
    top = root(iat=1_799_990_000)
    made = passport(below(top, permissions=["api:*"], **bound("a")))

    assert made.issued_at > made.oldest_at == 1_799_990_000
    assert made.chain[0].oldest_at == 1_799_990_000
    assert with_presenter(NO_FACTS, made).chain_length == 1
    assert with_presenter(NO_FACTS, made.chain[0]) is NO_FACTS
