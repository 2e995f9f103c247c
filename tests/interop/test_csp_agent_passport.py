"""The real csp-agent-passport 0.2.1: its tokens at the gate, and the gate's with its verifier.

The package mints and delegates, mutations are signed anew with the issuer's key, and of each the
package's verifier and the gate say what is wrong with it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from csp_agent_passport.keys import InMemoryKeyStore
from joserfc.jwk import OKPKey
from tests.craft import NOW, UNSET, b64, compact_json, key_set
from tests.support.csp_package import (
    ISSUER,
    Package,
    Tokens,
    changed,
    claims_in,
    minutes,
    sign,
)
from tests.support.decisions import Scene, verdict

from passgate.authority.csp_minting import delegate_csp, mint_csp
from passgate.core.constraints import parse_constraints
from passgate.core.formats.csp import NAMESPACE
from passgate.core.jwks import parse_jwks
from passgate.core.trust import KeySet
from passgate.testing import TestIssuer

Fault = Callable[[Package, Tokens], Tokens]
AT = int(NOW.wall)
CSP = frozenset({"jwt", "csp"})


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(NOW.wall)


@pytest.fixture(scope="module")
def honest(package: Package) -> Tokens:
    """alice, bob below her, carol below him."""
    root = package.root(("api:*", "shop:buy"))
    return package.below(package.below(root, "bob", ("api:*",)), "carol", ("api:search",))


def at_the_gate(package: Package, tokens: Tokens, **issuer: Any) -> str:
    """`allow`, or the reason code of the gate for `api:search`."""
    headers = [(b"X-Agent-Passport", tokens.leaf.encode())]
    if tokens.parents:
        headers.append((b"X-Agent-Passport-Chain", ", ".join(tokens.parents).encode()))
    entry: dict[str, Any] = {
        "id": ISSUER,
        "formats": CSP,
        "keys": KeySet(parse_jwks(compact_json(package.jwks)), "1", NOW),
        **issuer,
    }
    scene = Scene(presents=False, formats=CSP).but(headers=tuple(headers), issuer=entry)
    return verdict(scene.judge())


def test_what_the_package_mints_and_delegates_passes(package: Package, honest: Tokens) -> None:
    """Roots, chains, a child that outlives its parent, people of whom no level is known."""
    bare = Package(NOW.wall, acr=None)
    root = package.root(ttl=minutes(1))
    below = package.below(root, "bob", ttl=minutes(9))
    deep = package.root()
    for agent in "bcdef":
        deep = package.below(deep, agent)

    for maker, tokens in (
        (package, package.root()),
        (package, package.root(task_purpose="to find something")),
        (package, package.below(package.root(("*",)), "bob", ("api:search",))),
        (package, package.below(package.root(), "alice")),
        (package, below),
        (package, honest),
        (package, deep),
        (bare, bare.below(bare.root(), "bob")),
    ):
        assert maker.judged(tokens) == "ok"
        assert at_the_gate(maker, tokens) == "allow"


def leaf(**changes: Any) -> Fault:
    """The fault of a leaf with these claims."""
    return lambda package, honest: Tokens(changed(package, honest.leaf, **changes), honest.parents)


def parent(place: int, **changes: Any) -> Fault:
    """The fault of a parent with these claims."""

    def fault(package: Package, honest: Tokens) -> Tokens:
        parents = list(honest.parents)
        parents[place] = changed(package, parents[place], **changes)
        return Tokens(honest.leaf, tuple(parents))

    return fault


def header(**changes: Any) -> Fault:
    return lambda package, honest: Tokens(
        package.signed(claims_in(honest.leaf), changes), honest.parents
    )


def text(change: Callable[[str], str]) -> Fault:
    return lambda package, honest: Tokens(change(honest.leaf), honest.parents)


def order(*places: int) -> Fault:
    """The parents in another order, dropped or repeated."""
    return lambda package, honest: Tokens(
        honest.leaf, tuple(honest.parents[place] for place in places)
    )


def _added(package: Package, honest: Tokens) -> Tokens:
    return Tokens(honest.leaf, (*honest.parents, package.root(agent="zoe").leaf))


def _parents_of_a_root(package: Package, honest: Tokens) -> Tokens:
    return Tokens(package.root().leaf, honest.parents)


def _forged(package: Package, honest: Tokens) -> Tokens:
    head = {"typ": "JWT", "alg": "RS256", "kid": package.kid}
    return Tokens(sign(claims_in(honest.leaf), head, "stranger"), honest.parents)


def _forged_parent(package: Package, honest: Tokens) -> Tokens:
    head = {"typ": "JWT", "alg": "RS256", "kid": package.kid}
    forged = sign(claims_in(honest.parents[0]), head, "stranger")
    return Tokens(honest.leaf, (forged, *honest.parents[1:]))


def _payload(package: Package, honest: Tokens) -> Tokens:
    head, _, tail = honest.leaf.split(".")
    wider = claims_in(honest.leaf) | {NAMESPACE + "tool_scope": ["api:*"]}
    return Tokens(f"{head}.{b64(compact_json(wider))}.{tail}", honest.parents)


FAULTS: dict[str, tuple[str, str, Fault]] = {
    "no dots": ("InvalidToken", "passport_malformed", text(lambda token: token.replace(".", "-"))),
    "a header that is no JSON": (
        "InvalidToken", "passport_malformed", text(lambda token: "e30x" + token[4:]),
    ),
    "no algorithm": ("AlgorithmNotAllowed", "passport_malformed", header(alg=UNSET)),
    "alg none": ("AlgorithmNotAllowed", "passport_unsupported", header(alg="none")),
    "alg HS256": ("AlgorithmNotAllowed", "passport_unsupported", header(alg="HS256")),
    "alg PS256": ("AlgorithmNotAllowed", "passport_unsupported", header(alg="PS256")),
    "no kid": ("InvalidToken", "passport_malformed", header(kid=UNSET)),
    "an empty kid": ("InvalidToken", "passport_malformed", header(kid="")),
    "a kid that is no text": ("InvalidToken", "passport_malformed", header(kid=7)),
    "an unknown crit": (
        "InvalidToken", "passport_unsupported", header(crit=["x"], x="y"),
    ),
    "a header member that nobody knows": ("InvalidToken", "passport_unsupported", header(x="y")),
    "a key that nobody has": ("KeyNotFound", "key_unknown", header(kid="key-9")),
    "a forged signature": ("InvalidSignature", "signature_invalid", _forged),
    "another payload under the signature": ("InvalidSignature", "signature_invalid", _payload),
    "a cut signature": (
        "InvalidSignature",
        "passport_malformed",
        text(lambda token: token.rpartition(".")[0] + ".AAAA"),
    ),
    **{
        f"without {claim}": ("MalformedClaims", "passport_malformed", leaf(**{claim: UNSET}))
        for claim in ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "act")
    },
    "without agent_id": ("MalformedClaims", "passport_malformed", leaf(agent_id=UNSET)),
    "without agent_model": ("MalformedClaims", "passport_malformed", leaf(agent_model=UNSET)),
    "an audience that is a list": ("MalformedClaims", "passport_malformed", leaf(aud=["gate_a"])),
    "a scope that is a text": ("MalformedClaims", "passport_malformed", leaf(tool_scope="api:*")),
    "a scope that is null": ("MalformedClaims", "passport_malformed", leaf(tool_scope=None)),
    "a scope of numbers": ("MalformedClaims", "passport_malformed", leaf(tool_scope=[1])),
    "exp as text": ("MalformedClaims", "passport_malformed", leaf(exp="1")),
    "IAL 0": ("MalformedClaims", "passport_malformed", leaf(ial=0)),
    "AAL 4": ("MalformedClaims", "passport_malformed", leaf(aal=4)),
    "FAL 2.5": ("MalformedClaims", "passport_malformed", leaf(fal=2.5)),
    "act as text": ("MalformedClaims", "passport_malformed", leaf(act="carol")),
    "act without sub": ("MalformedClaims", "passport_malformed", leaf(act={})),
    "an unknown issuer": ("UntrustedIssuer", "issuer_unknown", leaf(iss="https://z.example")),
    "expired": ("Expired", "passport_expired", leaf(exp=AT - 31)),
    "not valid yet": ("NotYetValid", "passport_not_yet_valid", leaf(nbf=AT + 31)),
    "another audience": ("AudienceMismatch", "audience_mismatch", leaf(aud="gate_b")),
    "no scope": ("ScopeViolation", "permission_denied", leaf(tool_scope=UNSET)),
    "another scope": ("ScopeViolation", "permission_denied", leaf(tool_scope=["api:x"])),
    "a leaf without its parents": (
        "ChainBroken", "chain_invalid", lambda _, honest: Tokens(honest.leaf),
    ),
    "parents of a root": ("ChainBroken", "chain_invalid", _parents_of_a_root),
    "an empty parent's id": ("ChainBroken", "chain_invalid", leaf(parent_jti="")),
    "another parent's id": ("ChainBroken", "chain_invalid", leaf(parent_jti="x")),
    "swapped parents": ("ChainBroken", "chain_invalid", order(1, 0)),
    "a dropped root": ("ChainBroken", "chain_invalid", order(1)),
    "a dropped parent": ("ChainBroken", "chain_invalid", order(0)),
    "a repeated root": ("ChainBroken", "chain_invalid", order(0, 0, 1)),
    "a repeated parent": ("ChainBroken", "chain_invalid", order(0, 1, 1)),
    "an added parent": ("ChainBroken", "chain_invalid", _added),
    "a root that was delegated": ("ChainBroken", "chain_invalid", parent(0, parent_jti="x")),
    "wider than the parent": (
        "ChainBroken", "chain_widened", leaf(tool_scope=["api:search", "shop:buy"]),
    ),
    "a narrower pattern": ("ChainBroken", "chain_widened", leaf(tool_scope=["api:s*"])),
    "a narrowed parent": ("ChainBroken", "chain_widened", parent(1, tool_scope=["api:x"])),
    "IAL that rises": ("ChainBroken", "chain_invalid", leaf(ial=3)),
    "AAL that rises": ("ChainBroken", "chain_invalid", leaf(aal=3)),
    "FAL that appears": ("ChainBroken", "chain_invalid", parent(1, fal=UNSET)),
    "an expired root": ("Expired", "passport_expired", parent(0, exp=AT - 31)),
    "a parent for later": ("NotYetValid", "passport_not_yet_valid", parent(1, nbf=AT + 31)),
    "a root of an unknown issuer": (
        "UntrustedIssuer", "issuer_unknown", parent(0, iss="https://z.example"),
    ),
    "a malformed parent": ("MalformedClaims", "passport_malformed", parent(0, act=UNSET)),
    "a forged parent": ("InvalidSignature", "signature_invalid", _forged_parent),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_with_one_fault_both_name_the_same(package: Package, honest: Tokens, name: str) -> None:
    """The package's error and the gate's reason code, as the table of the reference page has it."""
    error, code, fault = FAULTS[name]
    tokens = fault(package, honest)

    assert package.judged(tokens) == error
    assert at_the_gate(package, tokens) == code


@pytest.mark.parametrize(
    ("floors", "error"),
    [
        ((3, 0, 0), "IALInsufficient"),
        ((0, 3, 0), "AALInsufficient"),
        ((0, 0, 3), "FALInsufficient"),
    ],
)
def test_floors_agree(
    package: Package, honest: Tokens, floors: tuple[int, int, int], error: str
) -> None:
    """Of the issuer's entry, and of the constraints."""
    asked = dict(zip(("require_ial", "require_aal", "require_fal"), floors, strict=True))

    assert package.judged(honest, **asked) == error
    assert at_the_gate(package, honest, assurance=floors) == "issuer_untrusted"
    owed = parse_constraints({f"core:identity:{k}": level for k, level in asked.items() if level})
    assert at_the_gate(package, honest, constraints=owed) == "constraint_violated"


def test_wild_cards_agree(package: Package) -> None:
    """Refused unless each is told to allow them."""
    root = package.root(("*",))

    assert package.judged(root) == "WildcardScopeNotAllowed"
    assert at_the_gate(package, root) == "permission_denied"
    assert package.judged(root, allow_wildcard_scope=True) == "ok"
    assert at_the_gate(package, root, catch_all=True) == "allow"


STRICTER: dict[str, tuple[str, Fault]] = {
    "another person": ("chain_invalid", leaf(sub="person-2")),
    "another acr": ("chain_invalid", leaf(acr="x")),
    "act of another chain": ("chain_invalid", leaf(act={"sub": "carol", "act": {"sub": "z"}})),
    "act of another agent": ("passport_malformed", leaf(act={"sub": "z"})),
    "a level as text": ("passport_malformed", leaf(ial="2")),
    "a level with a fraction": ("passport_malformed", leaf(ial=2.0)),
    "a level that is true": ("passport_malformed", leaf(ial=True)),
    "a level that is null": ("passport_malformed", leaf(ial=None)),
    "a claim of a later version": (
        "passport_unsupported",
        leaf(**{NAMESPACE + "txn_constraints": {"max_amount_minor": 1}}),
    ),
    "issued in the future": ("passport_not_yet_valid", leaf(iat=AT + 31)),
    "a life of years": (
        "passport_lifetime",
        lambda package, honest: Tokens(changed(package, honest.parents[0], exp=AT + 10**9)),
    ),
    "a token of another kind": ("passport_malformed", header(typ="at+jwt")),
    "an embedded key": ("passport_unsupported", header(jku="https://z.example")),
    "a slash in an id": ("chain_invalid", leaf(jti="a/b")),
}


@pytest.mark.parametrize("name", STRICTER)
def test_where_the_gate_is_stricter(package: Package, honest: Tokens, name: str) -> None:
    """What the package's issuer never writes and its verifier does not look at."""
    code, fault = STRICTER[name]
    tokens = fault(package, honest)

    assert package.judged(tokens) == "ok"
    assert at_the_gate(package, tokens) == code


@pytest.mark.parametrize("scope", ["**", "?*", "*:*", "[!x]*"])
def test_a_catch_all_in_another_spelling_is_one(package: Package, scope: str) -> None:
    """The package looks for the star alone."""
    root = package.root((scope,))

    assert package.judged(root) == "ok"
    assert at_the_gate(package, root) == "permission_denied"


def test_a_key_counts_for_its_own_issuer(package: Package) -> None:
    """The package finds keys by `kid` alone, whoever signs for whom."""
    other = package.signed(claims_in(package.root().leaf) | {"iss": "https://b.example"})
    both = frozenset({ISSUER, "https://b.example"})

    assert package.judged(Tokens(other), issuers=both) == "ok"
    entry = {"id": "https://b.example", "keys": key_set()}
    assert at_the_gate(package, Tokens(other), **entry) == "key_unknown"


# The package's JOSE library prefers the newer name, which the package itself does not accept.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
def test_what_passgate_mints_verifies_there(package: Package) -> None:
    """A root and two generations below it, by an EdDSA key; and at the gate as well."""
    signer = TestIssuer(ISSUER).signer
    store = InMemoryKeyStore({signer.kid: OKPKey.import_key(dict(signer.public_jwk))})
    about: dict[str, Any] = {"model": "model-1", "audience": "gate_a", "now": NOW.wall}
    root = mint_csp(
        signer,
        person="person-1",
        agent="alice",
        scope=["api:*"],
        assurance={"ial": 2, "aal": 1},
        **about,
    ).token
    bob = delegate_csp(signer, root, agent="bob", scope=["api:*"], **about).token
    carol = delegate_csp(signer, bob, agent="carol", scope=["api:search"], **about).token
    keys = KeySet(parse_jwks(compact_json({"keys": [dict(signer.public_jwk)]})), "1", NOW)

    for tokens in (Tokens(root), Tokens(bob, (root,)), Tokens(carol, (root, bob))):
        verified = package.verifier(store, require_ial=2).verify(tokens.leaf, tokens.parents)
        assert verified.passport.sub == "person-1"
        assert at_the_gate(package, tokens, keys=keys) == "allow"
    assert verified.passport.agent.agent_id == "carol"
    assert verified.passport.act.act is not None
