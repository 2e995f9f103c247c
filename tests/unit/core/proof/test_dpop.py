"""DPoP: each check of RFC 9449 section 4.3 alone, and what a proof is good for."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.craft import (
    KEY,
    NOW,
    OTHER_KEY,
    OTHER_SEED,
    SEED,
    UNSET,
    b64,
    credential,
    delegated,
    jwk_of,
)
from tests.support.decisions import Scene, verdict
from tests.support.proofs import URL, ath, proof
from tests.unit.core.test_keys import ec_jwk, rsa_jwk, signed

from passgate.core.instant import Instant
from passgate.core.jwks import read_key, thumbprint_of
from passgate.core.keys import fits
from passgate.core.proof import REQUIRED, ProofRules, Proven
from passgate.core.proof.nonces import Nonces
from passgate.core.reasons import Refusal
from passgate.ledger import MemoryLedger

BINDING = {"permissions": ["api:*"], "cnf": {"jwk": jwk_of(OTHER_KEY)}}
BOUND_PASSPORT = credential(BINDING)


def judged(*proofs: str, passport: str = BOUND_PASSPORT, **changes: Any) -> str:
    """What a request with this passport and these proofs comes to, as the gate would decide."""
    return verdict(scene(*proofs, passport=passport, **changes).judge())


def scene(
    *proofs: str, passport: str = BOUND_PASSPORT, carrier: bytes = b"DPoP ", **changes: Any
) -> Scene:
    headers = (
        (b"Authorization", carrier + passport.encode()),
        *((b"DPoP", each.encode()) for each in proofs),
    )
    return Scene(presents=False).but(headers=headers, **changes)


def test_a_proof_for_this_request_lets_its_holder_pass() -> None:
    """Whatever header the passport comes in; the proof is burnt as a charge of its own."""
    good = proof(BOUND_PASSPORT)

    assert judged(good) == "allow"
    assert judged(good, carrier=b"Passport ") == "allow"
    plan = scene(good).decide()
    assert isinstance(plan.proven, Proven)
    assert plan.proven.kind == "dpop"
    assert plan.charges == (plan.proven.charge,)
    assert plan.facts.proven
    assert scene(good).explain().plan.charges == plan.charges


def test_the_same_proof_passes_once() -> None:
    """And so does another of the same id by the same holder; another's is another."""
    ledger = MemoryLedger()

    assert verdict(scene(proof(BOUND_PASSPORT)).judge(ledger)) == "allow"
    assert verdict(scene(proof(BOUND_PASSPORT)).judge(ledger)) == "proof_replayed"
    moved = proof(BOUND_PASSPORT, iat=int(NOW.wall) + 1)
    assert verdict(scene(moved).judge(ledger)) == "proof_replayed"
    assert verdict(scene(proof(BOUND_PASSPORT, jti="proof-2")).judge(ledger)) == "allow"
    theirs = credential({**BINDING, "cnf": {"jwk": jwk_of(KEY)}})
    other = proof(theirs, {"jwk": jwk_of(KEY)}, SEED)
    assert verdict(scene(other, passport=theirs).judge(ledger)) == "allow"


def test_a_proof_is_remembered_as_long_as_it_could_be_taken() -> None:
    """From a clock that runs ahead to the last moment, to the second."""
    ledger = MemoryLedger()
    early = proof(BOUND_PASSPORT, iat=int(NOW.wall) + 30)
    assert verdict(scene(early).judge(ledger)) == "allow"

    for later in range(1, 122):
        then = Instant(NOW.wall + later, NOW.boot + later)
        said = verdict(scene(early).but(now=then).judge(ledger))
        assert said == ("proof_replayed" if later <= 120 else "proof_invalid"), later


BAD_HEADERS: list[tuple[str, dict[str, Any]]] = [
    ("typ absent", {"typ": UNSET}),
    ("a passport's typ", {"typ": "passport+jwt"}),
    ("typ JWT", {"typ": "JWT"}),
    ("alg none", {"alg": "none"}),
    ("alg HS256", {"alg": "HS256"}),
    ("alg of another kind of key", {"alg": "ES256"}),
    ("alg absent", {"alg": UNSET}),
    ("alg as a list", {"alg": ["EdDSA"]}),
    ("jwk absent", {"jwk": UNSET}),
    ("jwk as text", {"jwk": "x"}),
    ("a private key", {"jwk": {**jwk_of(OTHER_KEY), "d": b64(OTHER_SEED)}}),
    ("a secret", {"jwk": {"kty": "oct", "k": "AAAA"}}),
    ("a weak key", {"jwk": jwk_of((1).to_bytes(32, "little"))}),
    ("kid besides", {"kid": "key-1"}),
    ("crit", {"crit": ["exp"]}),
    ("jku", {"jku": "https://evil.example/keys"}),
    ("another's key", {"jwk": jwk_of(KEY)}),
]


@pytest.mark.parametrize("change", [c for _, c in BAD_HEADERS], ids=[n for n, _ in BAD_HEADERS])
def test_a_header_that_is_no_proof_s_is_refused(change: dict[str, Any]) -> None:
    """By RFC 9449 section 4.3, items 2 to 7, and RFC 8725."""
    assert judged(proof(BOUND_PASSPORT, change)) == "proof_invalid"


BAD_CLAIMS: list[tuple[str, dict[str, Any]]] = [
    *((f"{name} absent", {name: UNSET}) for name in ("jti", "htm", "htu", "iat", "ath")),
    ("jti empty", {"jti": ""}),
    ("jti with a newline", {"jti": "a\n"}),
    ("jti of 257 bytes", {"jti": "a" * 257}),
    ("jti a number", {"jti": 7}),
    ("another method", {"htm": "POST"}),
    ("the method in lower case", {"htm": "get"}),
    ("the method as a list", {"htm": ["GET"]}),
    ("htu a number", {"htu": 7}),
    ("another host", {"htu": "http://other.example/v1/search"}),
    ("another path", {"htu": "http://api.example/v1/other"}),
    ("a path above", {"htu": "http://api.example/v1"}),
    ("another scheme", {"htu": "https://api.example/v1/search"}),
    ("another port", {"htu": "http://api.example:8080/v1/search"}),
    ("a query", {"htu": URL + "?q=1"}),
    ("a fragment", {"htu": URL + "#a"}),
    ("user information", {"htu": "http://api.example@evil.example/v1/search"}),
    ("dots", {"htu": "http://api.example/v1/../v1/search"}),
    ("a path alone", {"htu": "/v1/search"}),
    ("no ASCII", {"htu": "http://äpi.example/v1/search"}),
    ("iat as text", {"iat": str(int(NOW.wall))}),
    ("iat true", {"iat": True}),
    ("iat with a fraction", {"iat": NOW.wall + 0.5}),
    ("made 91 seconds ago", {"iat": int(NOW.wall) - 91}),
    ("made in 31 seconds", {"iat": int(NOW.wall) + 31}),
    ("another passport", {"ath": ath(credential())}),
    ("ath of nothing", {"ath": ath("")}),
    ("ath with padding", {"ath": ath(BOUND_PASSPORT) + "="}),
    ("ath a list", {"ath": [ath(BOUND_PASSPORT)]}),
    ("expired", {"exp": int(NOW.wall) - 31}),
    ("exp as text", {"exp": "x"}),
    ("not yet", {"nbf": int(NOW.wall) + 31}),
    ("nbf true", {"nbf": True}),
    ("a claim that nobody knows", {"bh": "x"}),
]


@pytest.mark.parametrize("change", [c for _, c in BAD_CLAIMS], ids=[n for n, _ in BAD_CLAIMS])
def test_a_proof_for_anything_else_is_refused(change: dict[str, Any]) -> None:
    """By RFC 9449 section 4.3, items 3 and 8 to 12."""
    assert judged(proof(BOUND_PASSPORT, **change)) == "proof_invalid"


@pytest.mark.parametrize(
    "htu",
    [
        "HTTP://API.example/v1/search",
        "http://api.example:80/v1/search",
        "http://api.example/v1/%73earch",
        "http://api.example./v1/search",
    ],
)
def test_a_url_in_another_spelling_is_the_same(htu: str) -> None:
    """RFC 3986 sections 6.2.2 and 6.2.3, as RFC 9449 section 4.3 asks for."""
    assert judged(proof(BOUND_PASSPORT, htu=htu)) == "allow"


def test_behind_tls_termination_the_public_url_counts() -> None:
    """And the connection's own does not."""
    public = ProofRules(public_url="https://api.example")
    outside = proof(BOUND_PASSPORT, htu="https://api.example:443/v1/search")

    assert judged(outside, proof=public) == "allow"
    assert judged(proof(BOUND_PASSPORT), proof=public) == "proof_invalid"
    assert judged(outside) == "proof_invalid"


def test_times_that_a_proof_may_have_besides_are_kept() -> None:
    """`exp` and `nbf`, within the skew."""
    wall = int(NOW.wall)

    assert judged(proof(BOUND_PASSPORT, exp=wall + 1, nbf=wall - 1)) == "allow"
    assert judged(proof(BOUND_PASSPORT, exp=wall - 29, nbf=wall + 30)) == "allow"
    assert judged(proof(BOUND_PASSPORT, iat=wall - 90)) == "allow"
    assert judged(proof(BOUND_PASSPORT, iat=wall + 30)) == "allow"


def test_bytes_that_are_no_proof_are_refused() -> None:
    """Whatever they are; a flipped bit anywhere too."""
    good = proof(BOUND_PASSPORT)
    for text in ("", "x", "a.b.c", "..", good[:-1], good + "=", good + ".x", "x" * 9000, good * 2):
        assert judged(text) == "proof_invalid", text
    for place in range(0, len(good), 7):
        flipped = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert judged(flipped) == "proof_invalid", place


def test_who_needs_a_proof_and_has_none_is_told_so() -> None:
    """A bound passport everywhere, the DPoP scheme, and every passport where the gate says so."""
    required = ProofRules(demand=REQUIRED)
    free = credential({"permissions": ["api:*"]})

    assert judged() == "proof_missing"
    assert judged(carrier=b"Passport ") == "proof_missing"
    assert judged(passport=free) == "proof_missing"
    assert judged(passport=free, carrier=b"Passport ") == "allow"
    assert judged(passport=free, carrier=b"Passport ", proof=required) == "proof_missing"
    assert judged(proof(BOUND_PASSPORT), proof=required) == "allow"


def test_a_proof_that_proves_nothing_is_refused() -> None:
    """For a passport bound to no key, beside another one, or without a passport."""
    free = credential({"permissions": ["api:*"]})

    assert judged(proof(free), passport=free) == "proof_invalid"
    good = proof(BOUND_PASSPORT)
    assert judged(good, good) == "proof_invalid"
    alone = Scene(presents=False).but(headers=((b"DPoP", good.encode()),))
    assert verdict(alone.judge()) == "passport_missing"


def test_a_child_s_proof_is_of_its_own_key() -> None:
    """Its parent's holder, who signed it, cannot present it."""
    child = delegated({"permissions": ["api:search"], "cnf": {"jwk": jwk_of(KEY)}})

    assert judged(proof(child, {"jwk": jwk_of(KEY)}, SEED), passport=child) == "allow"
    assert judged(proof(child), passport=child) == "proof_invalid"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_other_kinds_of_keys_prove_as_well(algorithm: str) -> None:
    """Bound by thumbprint, or by the key itself."""
    jwk = {"ES256": ec_jwk, "RS256": rsa_jwk}[algorithm]()
    del jwk["kid"]
    for cnf in ({"jkt": thumbprint_of(jwk)}, {"jwk": jwk}):
        passport = credential({**BINDING, "cnf": cnf})
        unsigned = proof(passport, {"alg": algorithm, "jwk": jwk}).rpartition(".")[0]
        made = unsigned + "." + b64(signed(unsigned.encode())[algorithm])

        assert judged(made, passport=passport) == "allow"
        assert judged(unsigned + "." + b64(bytes(64)), passport=passport) == "proof_invalid"


class TestNonces:
    """RFC 9449 section 9."""

    nonces = Nonces(b"k" * 32)
    rules = ProofRules(nonces=nonces)
    demanding = replace(rules, nonce_required=True)

    def test_a_nonce_of_this_gate_is_taken_while_it_is_fresh(self) -> None:
        """The one of now and the one before it; none is needed where none is demanded."""
        for ago in (0, 300):
            then = Instant(NOW.wall - ago, NOW.boot)
            nonce = self.nonces.current(then)
            assert judged(proof(BOUND_PASSPORT, nonce=nonce), proof=self.demanding) == "allow"
        assert judged(proof(BOUND_PASSPORT), proof=self.rules) == "allow"
        assert judged(proof(BOUND_PASSPORT, nonce="x")) == "allow"  # a gate that gives none out

    @pytest.mark.parametrize("nonce", [UNSET, "", "x", 7, None])
    def test_without_a_good_one_the_answer_gives_one(self, nonce: Any) -> None:
        """And an old one, or another gate's."""
        for made in (
            nonce,
            self.nonces.current(Instant(NOW.wall - 601, NOW.boot)),
            Nonces(b"j" * 32).current(NOW),
        ):
            refusal = scene(proof(BOUND_PASSPORT, nonce=made), proof=self.demanding).judge().refusal
            assert isinstance(refusal, Refusal)
            assert (refusal.code, refusal.wants_nonce) == ("proof_invalid", True)


def test_the_example_of_the_rfc() -> None:
    """RFC 9449 section 4.1: the proof's signature; section 6.1: its key's thumbprint."""
    jwk = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    key = read_key(jwk, "the key")
    assert thumbprint_of(jwk) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    text = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik"
        "VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
        "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE"
        "QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj"
        "oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia"
        "WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg"
        "4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    )
    head, body, tail = text.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["jwk"] == jwk
    signature = base64.urlsafe_b64decode(tail + "==")
    assert fits(key, signature, f"{head}.{body}".encode())
