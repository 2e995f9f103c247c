"""HTTP message signatures: what must be covered, by whom, when, and the RFC's own examples."""

import base64
from hashlib import sha256
from typing import Any

import pytest
from tests.craft import KEY, NOW, OTHER_KEY, SEED, THUMBPRINT, credential, jwk_of
from tests.support.decisions import Scene, verdict
from tests.support.proofs import proof
from tests.support.signatures import COVERED, signature

from passgate.core.header_rules import header_rules
from passgate.core.keys import fits
from passgate.core.proof import REQUIRED, ProofRules
from passgate.core.proof.content_digest import digest_fits
from passgate.core.proof.nonces import Nonces
from passgate.core.proof.signature_base import signature_base
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.structured import read_dictionary
from passgate.ledger import MemoryLedger

PASSPORT = credential({"permissions": ["api:*"], "cnf": {"jwk": jwk_of(OTHER_KEY)}})
SHOWN = {"authorization": f"Passport {PASSPORT}"}
SHA_512 = (
    b"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX"
    b"+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
)
Lines = tuple[tuple[bytes, bytes], ...]


def scene(*lines: tuple[bytes, bytes], passport: str = PASSPORT, **changes: Any) -> Scene:
    headers = ((b"Authorization", f"Passport {passport}".encode()), *lines)
    return Scene(presents=False).but(headers=headers, **changes)


def judged(*lines: tuple[bytes, bytes], **changes: Any) -> str:
    return verdict(scene(*lines, **changes).judge())


def signed(**changes: Any) -> Lines:
    return signature(SHOWN, **changes)


def test_a_signature_by_the_holder_over_this_request_passes_once() -> None:
    """By the gate's own tag or a web bot's; burnt like any proof."""
    ledger = MemoryLedger()

    assert verdict(scene(*signed()).judge(ledger)) == "allow"
    assert verdict(scene(*signed()).judge(ledger)) == "proof_replayed"
    assert verdict(scene(*signed(nonce="a")).judge(ledger)) == "allow"
    assert verdict(scene(*signed(tag="web-bot-auth")).judge(ledger)) == "allow"
    plan = scene(*signed()).decide()
    assert plan.proven is not None
    assert plan.proven.kind == "signature"
    assert plan.facts.proven


def test_the_whole_target_may_stand_for_its_parts() -> None:
    """And the passport may come in its own header."""
    covered = '"@method" "@target-uri" "x-agent-passport"'
    values = {"@target-uri": "http://api.example/v1/search", "x-agent-passport": PASSPORT}
    headers = ((b"X-Agent-Passport", PASSPORT.encode()), *signature(values, covered))

    assert verdict(Scene(presents=False).but(headers=headers).judge()) == "allow"


def test_behind_tls_termination_the_public_url_counts() -> None:
    """For authority and scheme."""
    public = ProofRules(public_url="https://public.example")
    outside = signature({**SHOWN, "@authority": "public.example"})

    assert judged(*outside, proof=public) == "allow"
    assert judged(*outside) == "proof_invalid"
    assert judged(*signed(), proof=public) == "proof_invalid"


BAD: dict[str, dict[str, Any]] = {
    "method not covered": {"covered": '"@authority" "@path" "@query" "authorization"'},
    "authority not covered": {"covered": '"@method" "@path" "@query" "authorization"'},
    "path not covered": {"covered": '"@method" "@authority" "@query" "authorization"'},
    "query not covered": {"covered": '"@method" "@authority" "@path" "authorization"'},
    "passport not covered": {"covered": '"@method" "@authority" "@path" "@query"'},
    "nothing covered": {"covered": ""},
    "covered twice": {"covered": COVERED + ' "@method"'},
    "another key": {"seed": SEED},
    "another's key id": {"keyid": "key-1"},
    "no key id": {"keyid": None},
    "another algorithm": {"alg": "hmac-sha256"},
    "created absent": {"created": None},
    "created as text": {"created": "now"},
    "made 91 seconds ago": {"created": int(NOW.wall) - 91},
    "made in 31 seconds": {"created": int(NOW.wall) + 31},
    "expired": {"created": int(NOW.wall) - 60, "expires": int(NOW.wall) - 30},
    "ends before it begins": {"expires": int(NOW.wall)},
    "expires as text": {"expires": "never"},
    "a parameter that nobody knows": {"context": "x"},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_signature_for_anything_else_is_refused(change: dict[str, Any]) -> None:
    """RFC 9421 section 3.2, and what a gate must ask for besides (section 7.2)."""
    assert judged(*signed(**change)) == "proof_invalid"


@pytest.mark.parametrize(
    "values",
    [
        {"@method": "POST"},
        {"@authority": "other.example"},
        {"@path": "/v1/other"},
        {"@query": "?a=1"},
        {"authorization": "Passport another"},
    ],
    ids=str,
)
def test_a_signature_over_another_request_is_refused(values: dict[str, str]) -> None:
    """Whatever is covered is compared with what is here."""
    assert judged(*signature({**SHOWN, **values})) == "proof_invalid"


def test_what_names_no_time_limit_may_name_an_algorithm_and_an_end() -> None:
    """`alg`, `expires` and `nonce` are all that it may say besides."""
    said = {"alg": "ed25519", "expires": int(NOW.wall) + 60, "nonce": "x"}

    assert judged(*signed(**said)) == "allow"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"sig1=()", b"sig1=:AA==:"),
        (b"x", b"sig1=:AA==:"),
        (b'sig1=();tag="agent-passport"', b"x"),
        (b'sig1=();tag="agent-passport"', b""),
        (b'sig1=();tag="agent-passport"', b"sig2=:AA==:"),
        (b'sig1=();tag="agent-passport"', b"sig1=()"),
        (b'sig1=::;tag="agent-passport"', b"sig1=:AA==:"),
        (b"\xff", b"sig1=:AA==:"),
        (b'sig1=();tag="agent-passport"', b"sig1=:" + b"A" * 9000 + b":"),
    ],
    ids=range(9),
)
def test_headers_that_are_no_signature_prove_nothing(given: bytes, sent: bytes) -> None:
    """A bound passport is refused with them, as missing where none is meant for the gate."""
    said = judged((b"Signature-Input", given), (b"Signature", sent))

    assert said == ("proof_missing" if given == b"sig1=()" else "proof_invalid")


def test_two_proofs_are_one_too_many() -> None:
    """Two signatures for the gate, or a signature beside DPoP; those for others do not count."""
    second = signed(label="sig2", nonce="b")
    assert judged(*_joined(signed(), second)) == "proof_invalid"
    assert judged(*_joined(signed(), signed(label="other", tag="for-the-upstream"))) == "allow"
    assert judged(*signed(), (b"DPoP", proof(PASSPORT).encode())) == "proof_invalid"


def _joined(first: Lines, second: Lines) -> Lines:
    return tuple((name, a + b", " + b) for (name, a), (_, b) in zip(first, second, strict=True))


def test_a_signature_beside_an_unbound_passport() -> None:
    """The gate's own tag is a mistake; a web bot's signature is for others."""
    free = credential({"permissions": ["api:*"]})

    assert judged(*signed(), passport=free) == "proof_invalid"
    assert judged(*signed(tag="web-bot-auth"), passport=free) == "allow"
    assert judged(*signed(tag="for-the-upstream"), passport=free) == "allow"
    required = ProofRules(demand=REQUIRED)
    assert judged(*signed(tag="web-bot-auth"), passport=free, proof=required) == "proof_missing"


def test_a_key_by_its_thumbprint_alone_cannot_verify() -> None:
    """DPoP brings the key along; a signature does not."""
    named = credential({"permissions": ["api:*"], "cnf": {"jkt": THUMBPRINT}})
    values = {"authorization": f"Passport {named}"}

    assert judged(*signature(values), passport=named) == "proof_invalid"


def test_a_dpop_scheme_needs_dpop() -> None:
    """A signature does not stand for it."""
    shown = {"authorization": f"DPoP {PASSPORT}"}
    headers = ((b"Authorization", f"DPoP {PASSPORT}".encode()), *signature(shown))

    assert verdict(Scene(presents=False).but(headers=headers).judge()) == "proof_missing"


def test_a_nonce_is_demanded_where_the_gate_gives_them_out() -> None:
    """And only one of the gate's own is good."""
    nonces = Nonces(b"k" * 32)
    rules = ProofRules(nonces=nonces, nonce_required=True)

    given = nonces.current(NOW)
    assert judged(*signed(nonce=given), proof=rules) == "allow"
    assert judged(*signed(nonce=given + ".mine"), proof=rules) == "allow"
    for nonce in (None, "x", 7, given + "mine", "." + given):
        refusal = scene(*signed(nonce=nonce), proof=rules).judge().refusal
        assert refusal is not None
        assert refusal.wants_nonce


class TestBodies:
    """A judged body is signed by its digest (RFC 9530)."""

    body = b'{"amount": 1}'
    digest = "sha-256=:" + base64.b64encode(sha256(body).digest()).decode() + ":"

    def said(self, covered: str, digest: str = digest, body: bytes = body) -> str:
        values = {**SHOWN, "content-digest": digest, "content-type": "application/json"}
        return judged(
            (b"Content-Type", b"application/json"),
            (b"Content-Digest", digest.encode()),
            *signature(values, covered),
            body=body,
        )

    def test_the_digest_must_be_covered_and_right(self) -> None:
        """For the body that was read; what streams by is the upstream's to compare."""
        covering = COVERED + ' "content-digest" "content-type"'
        assert self.said(covering) == "allow"
        assert self.said(COVERED) == "proof_invalid"
        assert self.said(covering, body=b'{"amount": 2}') == "proof_invalid"
        assert self.said(covering, "sha-256=:AAAA:") == "proof_invalid"

    def test_what_was_sent_is_what_was_signed(self) -> None:
        """A rule that has written the body anew does not break its sender's proof."""
        covering = COVERED + ' "content-digest" "content-type"'
        values = {**SHOWN, "content-digest": self.digest, "content-type": "application/json"}
        lines = (
            (b"Content-Type", b"application/json"),
            (b"Content-Digest", self.digest.encode()),
            *signature(values, covering),
        )
        anew = b'{"amount": "[redacted]"}'

        assert judged(*lines, body=anew, received=self.body) == "allow"
        assert judged(*lines, body=self.body, received=anew) == "proof_invalid"

    @pytest.mark.parametrize(
        ("field", "good"),
        [
            (SHA_512, True),
            (b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", True),
            (b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, md5=:AA==:", False),
            (b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:", False),
            (b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:;a", False),
            (b"sha-256=()", False),
            (b"", False),
            (b"\xff", False),
        ],
        ids=range(8),
    )  # fmt: skip
    def test_digests(self, field: bytes, good: bool) -> None:
        """RFC 9421 appendix B.2's body by both hashes; every other algorithm refuses."""
        assert digest_fits(field, b'{"hello": "world"}') == good


EXAMPLE = [
    (b"Host", b"example.com"),
    (b"Date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Digest", SHA_512),
    (b"Content-Length", b"18"),
]


def example(
    method: str = "POST",
    target: bytes = b"/foo?param=Value&Pet=dog",
    headers: list[tuple[bytes, bytes]] = EXAMPLE,
) -> Request:
    found = canonical_request(
        Wire(method, target, headers, "192.0.2.1", tls=True), RequestRules(header_rules())
    )
    assert isinstance(found, Request)
    return found


def base(covered: str, request: Request) -> str | None:
    made = signature_base(read_dictionary(f"sig1={covered}")["sig1"], request, None)
    return None if made is None else made.decode()


class TestTheRfcsExamples:
    """RFC 9421 appendix B.2 and section 2.2."""

    def test_ed25519(self) -> None:
        """Appendix B.2.6, whose key is that of B.1.4."""
        covered = (
            '("date" "@method" "@path" "@authority" "content-type" "content-length")'
            ';created=1618884473;keyid="test-key-ed25519"'
        )
        made = base(covered, example())
        assert made == (
            '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n'
            '"@authority": example.com\n"content-type": application/json\n"content-length": 18\n'
            f'"@signature-params": {covered}'
        )
        key = base64.b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
        octets = base64.b64decode(
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
        )
        assert fits(key, octets, made.encode())

    def test_minimal_selective_and_full_coverage(self) -> None:
        """Appendices B.2.1 to B.2.3, whose signatures are by RSA-PSS."""
        minimal = '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"'
        assert base(minimal, example()) == f'"@signature-params": {minimal}'
        digest = EXAMPLE[3][1].decode()
        covered = (
            '("@authority" "content-digest" "@query-param";name="Pet")'
            ';created=1618884473;keyid="test-key-rsa-pss";tag="header-example"'
        )
        assert base(covered, example()) == (
            f'"@authority": example.com\n"content-digest": {digest}\n'
            f'"@query-param";name="Pet": dog\n"@signature-params": {covered}'
        )
        covered = (
            '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" '
            '"content-length");created=1618884473;keyid="test-key-rsa-pss"'
        )
        assert base(covered, example()) == (
            '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n'
            '"@query": ?param=Value&Pet=dog\n"@authority": example.com\n'
            f'"content-type": application/json\n"content-digest": {digest}\n'
            f'"content-length": 18\n"@signature-params": {covered}'
        )

    @pytest.mark.parametrize(
        ("target", "covered", "value"),
        [
            (b"/path?param=value", '"@method"', "GET"),
            (b"/path?param=value", '"@target-uri"', "https://www.example.com/path?param=value"),
            (b"/path?param=value", '"@authority"', "www.example.com"),
            (b"/path?param=value", '"@scheme"', "https"),
            (b"/path?param=value", '"@request-target"', "/path?param=value"),
            (b"/path?param=value", '"@path"', "/path"),
            (b"/path?queryString", '"@query"', "?queryString"),
            (b"/path", '"@query"', "?"),
            (b"/path?param=value&foo=bar&baz=batman&qux=", '"@query-param";name="baz"', "batman"),
            (b"/path?param=value&foo=bar&baz=batman&qux=", '"@query-param";name="qux"', ""),
            (b"/p?var=this%20is%20a%20big%0Amultiline%20value", '"@query-param";name="var"',
             "this%20is%20a%20big%0Amultiline%20value"),
            (b"/p?bar=with+plus+whitespace", '"@query-param";name="bar"',
             "with%20plus%20whitespace"),
            (b"/p?fa%C3%A7ade%22%3A%20=something", '"@query-param";name="fa%C3%A7ade%22%3A%20"',
             "something"),
        ],
    )  # fmt: skip
    def test_derived_components(self, target: bytes, covered: str, value: str) -> None:
        """Section 2.2, each example that a request has."""
        request = example("GET", target, [(b"Host", b"WWW.example.com:443")])
        made = base(f"({covered})", request)
        assert made == f'{covered}: {value}\n"@signature-params": ({covered})'

    def test_fields(self) -> None:
        """Section 2.1: trimmed, joined in order; an empty one is there."""
        headers = [
            (b"Host", b"[2001:DB8::1]:8080"),
            (b"Cache-Control", b"max-age=60"),
            (b"X-Empty", b""),
            (b"cache-control", b"   must-revalidate  "),
        ]
        made = base('("cache-control" "x-empty" "@authority")', example("GET", b"/", headers))
        assert made is not None
        assert made.split("\n")[:3] == [
            '"cache-control": max-age=60, must-revalidate',
            '"x-empty": ',
            '"@authority": [2001:db8::1]:8080',
        ]

    @pytest.mark.parametrize(
        "covered",
        [
            '"x-absent"',
            '"Date"',
            '"date" "date"',
            '"@status"',
            '"@unknown"',
            '"@query-param"',
            '"@query-param";name',
            '"@query-param";name="none"',
            '"@query-param";name="Pet";sf',
            '"date";sf',
            '"date";bs',
            '"@method";req',
            '"content-digest";key="sha-512"',
        ],
    )
    def test_what_is_not_there_exactly_once_has_no_base(self, covered: str) -> None:
        """Nor what only an answer has, nor forms that a gate does not read."""
        assert base(f"({covered})", example()) is None

    def test_an_authority_that_is_none_is_taken_as_it_stands(self) -> None:
        """It can only come from the operator's own configuration."""
        made = signature_base(
            read_dictionary('sig1=("@authority")')["sig1"], example(), "https://a b"
        )
        assert made is not None
        assert made.startswith(b'"@authority": a b\n')


def test_the_key_in_another_passport_is_another_s() -> None:
    """The signature of one holder is none for another's passport."""
    theirs = credential({"permissions": ["api:*"], "cnf": {"jwk": jwk_of(KEY)}})
    made = signature({"authorization": f"Passport {theirs}"})

    assert judged(*made, passport=theirs) == "proof_invalid"
