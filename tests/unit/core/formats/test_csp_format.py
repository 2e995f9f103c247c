"""What a csp token says, each claim of its exact type."""

from typing import Any

import pytest
from tests.craft import UNSET, b64, compact_json, credential, raw_credential, sign_parts
from tests.csp_craft import (
    ALICE,
    BOB,
    CAROL,
    HEADER,
    chain,
    claims_of,
    named,
    root,
    token,
)

from passgate.core.formats import read
from passgate.core.formats.base import ChainError, Unverified
from passgate.core.formats.csp import MAX_PATTERNS, MAX_SCOPES, NAMESPACE, is_csp, read_csp
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.presented import with_parents

BOTH = frozenset({"jwt", "csp"})


def read_root(**changes: Any) -> Unverified:
    return read(root(**changes).encode(), BOTH)


def test_a_root_says_who_acts_for_whom() -> None:
    """`sub` is the person, the agent is the one that acts, and nothing is left out."""
    said = read_root(task_purpose="to book a flight")

    assert (said.format, said.issuer, said.agent, said.id) == (
        "csp",
        "iss_lab",
        "alice",
        "jti-alice",
    )
    assert said.principal is not None
    assert (said.principal.subject, said.principal.assurance) == ("person-1", (2, 2, 2))
    assert said.principal.levels == "ial=2,aal=2,fal=2"
    assert said.model == "model-1"
    assert said.audience == ("gate_a",)
    assert [(entry.pattern, entry.grammar) for entry in said.permissions] == [
        ("api:*", "glob"),
        ("shop:*", "glob"),
    ]
    assert (said.flaw, said.parents, said.holder) == (None, (), None)


def test_what_may_be_absent_is_absent() -> None:
    """No scope is no authority, and no level is none."""
    said = read_root(tool_scope=UNSET, acr=UNSET, ial=UNSET, aal=UNSET, fal=1)

    assert said.permissions == ()
    assert said.principal is not None
    assert said.principal.assurance == (None, None, 1)
    assert said.principal.levels == "fal=1"


def test_parents_stand_root_first_and_their_audience_is_not_ours() -> None:
    """A parent was for whoever its agent called."""
    said = read(chain(ALICE, {**BOB, "aud": "elsewhere"}, CAROL).encode(), BOTH)

    assert [link.agent for link in (*said.parents, said)] == ["alice", "bob", "carol"]
    assert [link.audience for link in said.parents] == [(), ()]
    assert said.flaw is None


def test_without_parents_a_delegated_token_has_a_flaw() -> None:
    """So has a root that says it acts for another agent."""
    alone = read(token(CAROL).encode(), BOTH)
    acting = read_root(act={"sub": "alice", "act": {"sub": "mallory"}})

    assert alone.flaw is not None
    assert alone.flaw.code == "chain_invalid"
    assert acting.flaw is not None
    assert acting.flaw.code == "chain_invalid"


NOT_NAMES: list[Any] = [UNSET, None, "", 1, True, ["x"], {}, "a\n", "a\x00", "x" * 257]
NOT_TIMES: list[Any] = [UNSET, None, "1", True, -1, 1.0, 1.5, 2**53, [], 10**30]
NOT_LEVELS: list[Any] = [None, "2", 2.0, True, 0, 4, 2.5, [2]]


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "jti", "agent_id", "agent_model"])
@pytest.mark.parametrize("value", NOT_NAMES, ids=repr)
def test_names_are_names(claim: str, value: Any) -> None:
    """None is missing, of another type, too long or unprintable."""
    with pytest.raises(MalformedError):
        read_root(**{claim: value})


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", NOT_TIMES, ids=repr)
def test_times_are_whole_seconds(claim: str, value: Any) -> None:
    """`nbf` is compulsory too, as in csp."""
    with pytest.raises(MalformedError):
        read_root(**{claim: value})


@pytest.mark.parametrize("claim", ["ial", "aal", "fal"])
@pytest.mark.parametrize("value", NOT_LEVELS, ids=repr)
def test_levels_are_whole_numbers_from_1_to_3(claim: str, value: Any) -> None:
    """csp's verifier would read 2 in a text, and a lone true as 1."""
    with pytest.raises(MalformedError):
        read_root(**{claim: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"act": UNSET},
        {"act": None},
        {"act": "alice"},
        {"act": {}},
        {"act": {"sub": 7}},
        {"act": {"sub": "alice", "act": None}},
        {"act": {"sub": "alice", "act": {"act": {"sub": "x"}}}},
        {"act": {"sub": "mallory"}},
        {"acr": None},
        {"acr": 2},
        {"task_purpose": None},
        {"task_purpose": ["x"]},
        {"parent_jti": None},
        {"parent_jti": 1},
        {"parent_jti": "x" * 257},
        {"tool_scope": None},
        {"tool_scope": "api:*"},
        {"tool_scope": ["api:*", 1]},
        {"tool_scope": [None]},
        {"tool_scope": [""]},
        {"tool_scope": ["a\n"]},
        {"tool_scope": ["x" * 257]},
    ],
    ids=repr,
)
def test_malformed_claims_are_named(changes: dict[str, Any]) -> None:
    """Each is a typed refusal; none is read as absent."""
    with pytest.raises(MalformedError):
        read_root(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"permissions": ["*"]},
        {"constraints": {}},
        {"cnf": {"jkt": "x"}},
        {"chain": []},
        {"scope": "api:*"},
        {NAMESPACE + "txn_constraints": {"max_amount_minor": 1}},
        {"act": {"sub": "alice", "iss": "x"}},
        {"tool_scope": ["a"] * (MAX_SCOPES + 1)},
        {"tool_scope": ["a*"] * (MAX_PATTERNS + 1)},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_what_nobody_enforces_is_unsupported(changes: dict[str, Any]) -> None:
    """A limit that a later version of csp may write is never read over."""
    with pytest.raises(UnsupportedError):
        read_root(**changes)
    assert read_root(tool_scope=["a"] * MAX_SCOPES).permissions
    assert read_root(tool_scope=["a*"] * MAX_PATTERNS).permissions


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"alg": "none"}, UnsupportedError),
        ({"alg": "HS256"}, UnsupportedError),
        ({"alg": "Ed25519"}, UnsupportedError),
        ({"alg": UNSET}, MalformedError),
        ({"kid": UNSET}, MalformedError),
        ({"kid": ""}, MalformedError),
        ({"jwk": {}}, UnsupportedError),
        ({"crit": ["x"]}, UnsupportedError),
        ({"typ": "passport+jwt"}, MalformedError),
        ({"typ": "revocations+jwt"}, MalformedError),
    ],
    ids=repr,
)
def test_the_header_is_that_of_csp(header: dict[str, Any], error: type[Exception]) -> None:
    """`typ` may be left out, and is nothing but JWT."""
    with pytest.raises(error):
        read(token(ALICE, header).encode(), BOTH)
    assert read(token(ALICE, {"typ": UNSET}).encode(), BOTH).agent == "alice"


def test_the_namespace_tells_the_format() -> None:
    """A native passport may speak of it, and a token without any of its claims is none."""
    mention = credential({"metadata": {"see": NAMESPACE}})

    assert not is_csp(mention.encode())
    assert read(mention.encode(), BOTH).format == "jwt"
    assert not is_csp(b"e30.bm8.AA")
    assert not is_csp(raw_credential(b"{}", compact_json([NAMESPACE])).encode())
    assert not is_csp(raw_credential(b"{}", b'{"' + NAMESPACE.encode() + b'a":').encode())
    assert not is_csp(b"a.=.c")
    assert is_csp(root().encode())


def test_a_token_is_unsupported_where_the_format_is_off() -> None:
    """Whatever it is signed by, the answer names the format and not the token's shape."""
    with pytest.raises(UnsupportedError, match="format"):
        read(root().encode(), frozenset({"jwt"}))
    rs256 = sign_parts(
        b64(compact_json({**HEADER, "alg": "RS256"})), b64(compact_json(named(ALICE)))
    )
    with pytest.raises(UnsupportedError, match="format"):
        read(rs256.encode(), frozenset({"jwt"}))


def test_a_native_passport_has_no_parents_beside_it() -> None:
    """It carries its own."""
    with pytest.raises(UnsupportedError, match="header"):
        read(with_parents(credential(), root()).encode(), BOTH)


@pytest.mark.parametrize("parents", ["", ",", "x", "a.b.c,", f"{root()},"])
def test_parents_that_are_none_are_malformed(parents: str) -> None:
    """An empty list of them too: it is not the same as no list."""
    with pytest.raises(MalformedError):
        read(with_parents(token(CAROL), parents).encode(), BOTH)


def test_a_native_parent_is_none_of_a_token() -> None:
    """Links of one chain are in one format."""
    with pytest.raises((MalformedError, UnsupportedError)):
        read(with_parents(token(CAROL), credential()).encode(), BOTH)


def test_more_than_five_parents_are_not_read() -> None:
    """They would be read before anything of them is believed."""
    with pytest.raises(ChainError) as error:
        read_csp(with_parents(token(CAROL), ",".join(["x"] * 6)).encode())
    assert error.value.code == "chain_too_deep"


def test_claims_of_is_what_its_name_says() -> None:
    """The craft itself: a child's `act` holds its parent's."""
    assert claims_of("bob", ALICE)["act"] == {"sub": "bob", "act": {"sub": "alice"}}
