"""csp passports verified whole: signatures, chains, scopes, floors, the cache."""

from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.craft import (
    KEY,
    KID,
    NOW,
    OTHER_KEY,
    OTHER_SEED,
    b64,
    compact_json,
    credential,
    key_set,
)
from tests.csp_craft import (
    ACCEPT,
    ALICE,
    AT,
    BOB,
    CAROL,
    HEADER,
    chain,
    claims_of,
    csp_issuer,
    csp_trust,
    named,
    root,
    token,
)
from tests.pace import assert_quick

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.csp_chain import implied
from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.passport import Passport, Permission
from passgate.core.permissions import glob_covers, is_catch_all
from passgate.core.presented import Credential, with_parents
from passgate.core.reasons import Refusal
from passgate.core.trust import KeySet, Trust
from passgate.core.verification import Acceptance, check_times, examine, verify
from passgate.core.verified_cache import VerifiedCache


def judged(text: str, trust: Trust | None = None) -> str:
    """`passed`, or the code of checks 4 to 6 or of check 10."""
    found = verify(text, trust or csp_trust(), ACCEPT)
    if isinstance(found, Passport):
        return "passed" if found.flaw is None else found.flaw.code
    return found.code


def passport(text: str, trust: Trust | None = None) -> Passport:
    found = verify(text, trust or csp_trust(), ACCEPT)
    assert isinstance(found, Passport), found
    return found


def test_a_chain_of_three_is_one_passport() -> None:
    """Each link goes by its path, and none outlives its parent."""
    found = passport(chain({**ALICE, "exp": AT + 100}, BOB, CAROL))

    assert found.flaw is None
    assert found.id == "jti-alice/jti-bob/jti-carol"
    assert [link.id for link in found.chain] == ["jti-alice", "jti-alice/jti-bob"]
    assert found.expires_at == AT + 100
    assert found.principal is not None
    assert found.principal.subject == "person-1"
    assert (
        found.digest == sha256(chain({**ALICE, "exp": AT + 100}, BOB, CAROL).encode()).hexdigest()
    )


def bob(**changes: Any) -> dict[str, Any]:
    return {**BOB, **changes}


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in names}


FOR_Z = {"sub": "alice", "act": {"sub": "z"}}
STRANGER = claims_of("mallory", jti="jti-alice")
FAULTS: dict[str, tuple[str, str]] = {
    "no parents": ("chain_invalid", token(BOB)),
    "parents of a root": ("chain_invalid", chain(ALICE, claims_of("bob"))),
    "another parent's id": ("chain_invalid", chain(ALICE, bob(parent_jti="jti-else"))),
    "an empty parent's id": ("chain_invalid", chain(ALICE, bob(parent_jti=""))),
    "swapped parents": ("chain_invalid", chain(BOB, ALICE, CAROL)),
    "a dropped root": ("chain_invalid", chain(BOB, CAROL)),
    "a dropped parent": ("chain_invalid", chain(ALICE, CAROL)),
    "a repeated parent": ("chain_invalid", chain(ALICE, ALICE, BOB)),
    "an added parent": ("chain_invalid", chain(claims_of("zoe"), ALICE, BOB)),
    "a leaf twice": ("chain_invalid", chain(ALICE, BOB, BOB)),
    "another's token under the parent's id": ("chain_invalid", chain(STRANGER, BOB)),
    "another person": ("chain_invalid", chain(ALICE, bob(sub="person-2"))),
    "another acr": ("chain_invalid", chain(ALICE, bob(acr="x"))),
    "no acr any more": ("chain_invalid", chain({**ALICE, "acr": ""}, without(BOB, "acr"))),
    "act without the parent's": ("chain_invalid", chain(ALICE, bob(act={"sub": "bob"}))),
    "act of others": (
        "chain_invalid",
        chain(ALICE, bob(act={"sub": "bob", "act": {"sub": "zoe"}})),
    ),
    "a root that acts for another": (
        "chain_invalid",
        chain({**ALICE, "act": FOR_Z}, bob(act={"sub": "bob", "act": FOR_Z})),
    ),
    "a root that was delegated": (
        "chain_invalid",
        chain({**ALICE, "parent_jti": "jti-z"}, BOB),
    ),
    "a level that rises": ("chain_invalid", chain(ALICE, bob(ial=3))),
    "a level that appears": (
        "chain_invalid",
        chain(without(ALICE, "aal"), BOB),
    ),
    "a slash in an id": (
        "chain_invalid",
        chain({**ALICE, "jti": "a/b"}, bob(parent_jti="a/b")),
    ),
    "an id that occurs twice": ("chain_invalid", chain(ALICE, bob(jti="jti-alice"))),
    "a wider scope": ("chain_widened", chain(ALICE, bob(tool_scope=["api:*", "shop:sell"]))),
    "a pattern below a pattern": ("chain_widened", chain(ALICE, bob(tool_scope=["api:s*"]))),
    "everything below something": ("chain_widened", chain(ALICE, bob(tool_scope=["*"]))),
    "wide again below narrow": (
        "chain_widened",
        chain(ALICE, bob(tool_scope=["api:search"]), {**CAROL, "tool_scope": ["api:*"]}),
    ),
    "six parents": ("chain_too_deep", chain(*[ALICE] * 6, BOB)),
    "a parent of an unknown issuer": (
        "issuer_unknown",
        chain({**ALICE, "iss": "iss_z"}, BOB),
    ),
    "a forged parent": (
        "signature_invalid",
        with_parents(token(BOB), token(ALICE, seed=OTHER_SEED)),
    ),
    "a forged leaf": (
        "signature_invalid",
        with_parents(token(BOB, seed=OTHER_SEED), token(ALICE)),
    ),
    "a parent by a key that nobody has": (
        "key_unknown",
        with_parents(token(BOB), token(ALICE, {"kid": "key-9"})),
    ),
    "a malformed parent": ("passport_malformed", with_parents(token(BOB), "x")),
    "a parent with a claim that nobody enforces": (
        "passport_unsupported",
        chain({**ALICE, "status": {}}, BOB),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_chain_with_one_fault_is_refused_for_it(fault: str) -> None:
    """What is swapped, dropped, repeated, added, widened or forged never passes."""
    code, text = FAULTS[fault]
    assert judged(text) == code


@pytest.mark.parametrize(
    "links",
    [
        (ALICE, BOB),
        (ALICE, BOB, CAROL),
        (ALICE, bob(exp=AT + 9_000)),
        (ALICE, bob(tool_scope=[])),
        (ALICE, bob(tool_scope=["api:x", "shop:buy", "api:*"])),
        ({**ALICE, "tool_scope": ["*"]}, bob(tool_scope=["**", "?", "a*"])),
        (ALICE, bob(ial=1)),
        (ALICE, without(BOB, "ial", "aal", "fal")),
        ({**ALICE, "aud": "elsewhere"}, BOB),
        (ALICE, claims_of("alice", ALICE, jti="jti-2")),
    ],
    ids=range(10),
)
def test_what_honest_issuers_write_passes(links: tuple[dict[str, Any], ...]) -> None:
    """Also a child that says it outlives its parent, and levels that fall."""
    assert judged(chain(*links)) == "passed"


def test_all_links_are_of_one_issuer() -> None:
    """Another trusted issuer may not sign below; its own keys verify what it signs."""
    other = csp_issuer("iss_b", keys=key_set({"key-b": OTHER_KEY}))
    trust = csp_trust(csp_issuer(), other)
    below = token({**BOB, "iss": "iss_b"}, {"kid": "key-b"}, OTHER_SEED)

    assert judged(with_parents(below, token(ALICE)), trust) == "chain_invalid"
    borrowed = token({**BOB, "iss": "iss_b"})  # signed by a key of iss_lab
    assert judged(with_parents(borrowed, token(ALICE)), trust) == "key_unknown"
    unread = csp_trust(csp_issuer(), replace(other, keys=None))
    assert judged(chain({**ALICE, "iss": "iss_b"}, BOB), unread) == "trust_stale"


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.derive_private_key(7, ec.SECP256R1())


def _jwks() -> bytes:
    r, e = RSA_KEY.public_key().public_numbers(), EC_KEY.public_key().public_numbers()
    return compact_json(
        {
            "keys": [
                {"kty": "RSA", "kid": "rsa", "n": b64(r.n.to_bytes(256, "big")), "e": "AQAB"},
                {
                    "kty": "EC",
                    "kid": "ec",
                    "crv": "P-256",
                    "x": b64(e.x.to_bytes(32, "big")),
                    "y": b64(e.y.to_bytes(32, "big")),
                },
                {"kty": "OKP", "crv": "Ed25519", "kid": KID, "x": b64(KEY)},
            ]
        }
    )


def _other(claims: dict[str, Any], alg: str, kid: str) -> str:
    """A token signed by the RSA or elliptic key, as `alg` says."""
    head = b64(compact_json({**HEADER, "alg": alg, "kid": kid}))
    signed = f"{head}.{b64(compact_json(named(claims)))}"
    if alg == "RS256":
        raw = RSA_KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(EC_KEY.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{signed}.{b64(raw)}"


def test_three_algorithms_each_by_its_own_key() -> None:
    """A key verifies by its own algorithm, whatever the token says."""
    trust = csp_trust(csp_issuer(keys=KeySet(parse_jwks(_jwks()), "1", NOW)))

    assert judged(_other(ALICE, "RS256", "rsa"), trust) == "passed"
    assert judged(_other(ALICE, "ES256", "ec"), trust) == "passed"
    assert judged(token(ALICE), trust) == "passed"
    mixed = with_parents(_other(BOB, "ES256", "ec"), _other(ALICE, "RS256", "rsa"))
    assert judged(mixed, trust) == "passed"
    for alg, kid in (("RS256", "ec"), ("ES256", "rsa"), ("RS256", KID), ("ES256", KID)):
        assert judged(_other(ALICE, alg, kid), trust) == "signature_invalid"
    assert judged(token(ALICE, {"kid": "ec"}), trust) == "signature_invalid"
    assert judged(_other(ALICE, "RS256", "rsa")[:-4] + "AAAA", trust) == "signature_invalid"


def test_the_times_of_every_link_count() -> None:
    """An expired parent ends what is below it."""
    found = passport(chain({**ALICE, "exp": AT + 10}, BOB))

    def at(seconds: float) -> Refusal | None:
        return check_times(found, Instant(AT + seconds, 5_000.0), 30.0, 86_400.0)

    assert at(0) is None
    expired = at(41)
    assert expired is not None
    assert expired.code == "passport_expired"
    later = passport(chain({**ALICE, "nbf": AT + 31}, BOB))
    refused = check_times(later, NOW, 30.0, 86_400.0)
    assert refused is not None
    assert refused.code == "passport_not_yet_valid"


def test_floors_are_the_issuers() -> None:
    """A level below the floor, one that is not known, and a format that has none."""
    for floors, text, expected in (
        ((2, 2, 2), root(), "passed"),
        ((3, 0, 0), root(), "issuer_untrusted"),
        ((0, 3, 0), root(), "issuer_untrusted"),
        ((0, 0, 3), root(), "issuer_untrusted"),
        ((0, 0, 1), root(fal=1), "passed"),
        ((1, 0, 0), token(without(ALICE, "ial")), "issuer_untrusted"),
        ((1, 0, 0), credential(), "issuer_untrusted"),
        ((0, 0, 0), credential(), "passed"),
    ):
        assert judged(text, csp_trust(replace(csp_issuer(), assurance=floors))) == expected


def test_a_floor_that_was_raised_counts_for_passports_seen_before() -> None:
    """The cache saves shape and signature, and nothing else."""
    cache = VerifiedCache()
    assert isinstance(verify(root(), csp_trust(), ACCEPT, cache), Passport)

    raised = csp_trust(replace(csp_issuer(), assurance=(3, 0, 0)))
    refused = verify(root(), raised, ACCEPT, cache)

    assert isinstance(refused, Refusal)
    assert refused.code == "issuer_untrusted"


def test_the_cache_knows_a_leaf_by_its_chain() -> None:
    """A leaf that passed with its parents is another credential with others, or alone."""
    cache = VerifiedCache()
    trust = csp_trust()
    good = Credential(chain(ALICE, BOB))

    first = verify(good, trust, ACCEPT, cache)
    assert verify(good, trust, ACCEPT, cache) is first
    for parents in ("", token(STRANGER), f"{token(ALICE)},{token(ALICE)}"):
        other = verify(with_parents(token(BOB), parents), trust, ACCEPT, cache)
        assert isinstance(other, Refusal) or other.flaw is not None
    alone = verify(token(BOB), trust, ACCEPT, cache)
    assert isinstance(alone, Passport)
    assert alone.flaw is not None
    assert len(cache) == 4
    assert cache.hits == 1


def test_white_space_between_parents_means_nothing() -> None:
    """Nor does it make another credential of the same one."""
    plain = with_parents("leaf", "a,b")
    assert with_parents("leaf", " a ,\t b") == plain
    assert plain == "leaf\x1ea,b"


def test_leaf_and_parents_together_are_not_too_large() -> None:
    """The limit is one of the whole credential."""
    text = chain(ALICE, BOB)
    small = Acceptance(ACCEPT.formats, max_credential_bytes=len(text) - 1)

    refused = verify(text, csp_trust(), small)

    assert isinstance(refused, Refusal)
    assert refused.code == "passport_too_large"


def test_explanations_know_chains_too() -> None:
    """Every link's signature is explained."""
    findings, found = examine(chain(ALICE, BOB), csp_trust(), ACCEPT)
    assert [finding.refusal for finding in findings] == [None, None, None]
    assert found is not None
    findings, found = examine(FAULTS["a forged parent"][1], csp_trust(), ACCEPT)
    assert found is None


def _entries(*patterns: str) -> tuple[Permission, ...]:
    return tuple(Permission(pattern, NO_CONSTRAINTS, "glob") for pattern in patterns)


@pytest.mark.parametrize(
    ("child", "parent", "expected"),
    [
        ("a:b", "a:*", True),
        ("a:", "a:*", True),
        ("a", "a:*", False),
        ("a:b/c:d", "a:*", True),
        ("a:*", "a:*", True),
        ("a:b*", "a:*", False),
        ("**", "*", True),
        ("*", "**", False),
        ("[x]", "*", True),
        ("[x]", "[x]", True),
        ("x", "[x]", True),
        ("y", "[!x]", True),
        ("A", "a", False),
        ("ab", "a?", True),
    ],
)
def test_attenuation_is_csps(child: str, parent: str, expected: bool) -> None:
    """A name is implied by what covers it, a pattern by itself and `*` alone."""
    assert implied(_entries(child), _entries(parent)) is expected


def test_the_longest_comparison_is_bounded() -> None:
    """Scopes that are as costly to compare as a credential has room for."""
    slow = "*a*" + "?" * 120 + "b"
    names = _entries(*(f"{number:03}" + "a" * 180 for number in range(128)))
    patterns = _entries("*a", *(f"{slow}{number:02}" for number in range(31)))

    assert implied(names, patterns)
    assert_quick(lambda: implied(names, patterns), most=50)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("* ** ?* *:* [!x]* [a-z] ? : :: []]* [!]] [:]*", True),
        ("a* *a api:* *[ [ [] [!] ]* x []* -", False),
    ],
)
def test_a_catch_all_names_nothing(patterns: str, expected: bool) -> None:
    """In any spelling; a bracket that closes nothing is a character."""
    for pattern in patterns.split():
        assert is_catch_all(pattern) is expected, pattern


@pytest.mark.parametrize(
    "pattern", ["*", "a:*", "a?c", "[a-c]:x", "[!x]*", "a[", "[[]*", "a.*", "a\\b"]
)
@pytest.mark.parametrize(
    "action", ["a:b", "abc", "b:x", "a[", "[q", "a.b", "a\\b", "a:b/c", "a:b\nc", ""]
)
def test_patterns_are_read_as_python_does(pattern: str, action: str) -> None:
    """csp's grammar is `fnmatch.fnmatchcase`, and nothing of it is rewritten."""
    assert glob_covers(pattern, action) is fnmatchcase(action, pattern)
