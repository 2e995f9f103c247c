"""csp tokens as an issuer of passgate mints them."""

from typing import Any

import pytest

from passgate.authority.csp_minting import delegate_csp, mint_csp
from passgate.authority.keys import KeySigner
from passgate.core.formats.csp import NAMESPACE
from passgate.core.instant import Instant
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.passport import Passport
from passgate.core.presented import with_parents
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.testing import TestIssuer

NOW = 1_800_000_000.5
AT = Instant(NOW, 1_000.0)
ISSUER = TestIssuer("iss_lab")
ACCEPT = Acceptance(frozenset({"csp"}))
ABOUT: dict[str, Any] = {
    "person": "person-1",
    "agent": "alice",
    "model": "model-1",
    "audience": "gate_a",
    "scope": ["api:*"],
    "now": NOW,
}
CHILD: dict[str, Any] = {
    "agent": "bob",
    "model": "model-2",
    "audience": "gate_a",
    "scope": ["api:search"],
    "now": NOW,
}


def passport(text: str) -> Passport:
    trust = Trust({"iss_lab": ISSUER.trusted(AT, formats=frozenset({"csp"}))})
    found = verify(text, trust, ACCEPT)
    assert isinstance(found, Passport), found
    assert found.flaw is None
    return found


def test_a_root_says_what_it_was_asked_to() -> None:
    """Nothing that is not known is written, and the default life is short."""
    minted = mint_csp(ISSUER.signer, **ABOUT)
    whole = mint_csp(
        ISSUER.signer, **ABOUT, assurance={"ial": 2, "fal": 1}, acr="x", purpose="a flight"
    )

    assert minted.claims["exp"] - minted.claims["iat"] == 900
    assert not {"acr", "ial", "aal", "fal", NAMESPACE + "task_purpose"} & minted.claims.keys()
    found = passport(whole.token)
    assert found.id == whole.id
    assert found.principal is not None
    assert found.principal.assurance == (2, None, 1)
    assert found.claims[NAMESPACE + "task_purpose"] == "a flight"
    assert found.claims["acr"] == "x"


def test_children_are_of_their_parents_person() -> None:
    """Two generations, and each is taken with those above it alone."""
    root = mint_csp(ISSUER.signer, **ABOUT, assurance={"ial": 2}, acr="x").token
    child = delegate_csp(ISSUER.signer, root, **{**CHILD, "scope": ["api:*"]}).token
    grandchild = delegate_csp(
        ISSUER.signer, child, **{**CHILD, "agent": "carol"}, purpose="to search"
    ).token
    bare = mint_csp(ISSUER.signer, **ABOUT).token

    found = passport(with_parents(grandchild, f"{root},{child}"))
    assert [link.agent for link in found.lineage] == ["alice", "bob", "carol"]
    assert found.principal is not None
    assert found.principal.assurance == (2, None, None)
    passport(with_parents(delegate_csp(ISSUER.signer, bare, **CHILD).token, bare))


@pytest.mark.parametrize(
    "changes",
    [
        {"person": ""},
        {"agent": "a\n"},
        {"model": ""},
        {"audience": ""},
        {"scope": [""]},
        {"scope": ["x" * 257]},
        {"ttl_s": 0},
        {"assurance": {"ial": 4}},
        {"assurance": {"loa": 2}},
        {"acr": 7},
        {"purpose": 7},
    ],
    ids=repr,
)
def test_what_no_gate_would_read_is_not_minted(changes: dict[str, Any]) -> None:
    """Each is a `ValueError` with a sentence."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        mint_csp(ISSUER.signer, **{**ABOUT, **changes})


def test_too_large_a_scope_is_not_minted() -> None:
    """A gate compares each entry with each of a parent's."""
    with pytest.raises(UnsupportedError):
        mint_csp(ISSUER.signer, **{**ABOUT, "scope": ["a"] * 129})


def test_only_an_issuers_own_tokens_have_children() -> None:
    """And none has a wider scope than its parent."""
    root = mint_csp(ISSUER.signer, **ABOUT).token
    stranger = mint_csp(KeySigner.generate("iss_lab"), **ABOUT).token
    elsewhere = mint_csp(TestIssuer("iss_b").signer, **ABOUT).token

    for parent in (stranger, elsewhere):
        with pytest.raises(ValueError, match="not signed by this issuer"):
            delegate_csp(ISSUER.signer, parent, **CHILD)
    with pytest.raises(ValueError, match="does not imply"):
        delegate_csp(ISSUER.signer, root, **{**CHILD, "scope": ["*"]})
    with pytest.raises(ValueError, match="one token"):
        delegate_csp(ISSUER.signer, with_parents(root, root), **CHILD)
    with pytest.raises(MalformedError):
        delegate_csp(ISSUER.signer, "x", **CHILD)
