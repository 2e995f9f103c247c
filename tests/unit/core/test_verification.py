"""Checks 4 to 9: from text to passport, and what may be wrong with one."""

from hashlib import sha256
from typing import Any

import jwt
import pytest
from tests.craft import (
    CLAIMS,
    KEY,
    KID,
    NOW,
    OTHER_KEY,
    OTHER_SEED,
    UNSET,
    b64,
    compact_json,
    credential,
    issuer,
    key_set,
    revocations,
    trust,
)

from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.reasons import Refusal
from passgate.core.signatures import trusted_issuer
from passgate.core.status_list import StatusList
from passgate.core.trust import NO_TRUST
from passgate.core.verification import (
    MAX_CREDENTIAL_BYTES,
    Acceptance,
    Finding,
    check_audience,
    check_revocation,
    check_times,
    examine,
    named_key,
    verify,
)
from passgate.core.verified_cache import VerifiedCache

SELF_ISSUER = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
ACCEPT = Acceptance()


def code(outcome: Passport | Refusal | None) -> str:
    """The reason code, or "ok"."""
    return outcome.code if isinstance(outcome, Refusal) else "ok"


def verified(**claims: Any) -> Passport:
    passport = verify(credential(claims), trust(), ACCEPT)
    assert isinstance(passport, Passport)
    return passport


def test_a_passport_is_what_its_issuer_signed() -> None:
    """Every field is the claim's, the digest is of the credential as presented."""
    text = credential({"aud": "gate_lab", "nbf": 7})

    passport = verify(text, trust(), ACCEPT)

    assert isinstance(passport, Passport)
    assert passport.format == "jwt"
    assert (passport.issuer, passport.agent, passport.id) == ("iss_lab", "agent-7", CLAIMS["jti"])
    assert (passport.key_id, passport.audience) == (KID, ("gate_lab",))
    assert (passport.issued_at, passport.expires_at) == (CLAIMS["iat"], CLAIMS["exp"])
    assert passport.not_before == 7
    assert [entry.pattern for entry in passport.permissions] == ["api:search"]
    assert passport.digest == sha256(text.encode()).hexdigest()


class TestShape:
    """Check 4."""

    def test_64_kib_are_read_and_one_byte_more_is_not(self) -> None:
        """The limit is inclusive, and is judged before anything is decoded."""
        fill = 48_800
        text = credential({"agent_name": "x" * fill})
        # Filling moves the length by 4 for 3; the last bytes come from the header's `kid`.
        short = MAX_CREDENTIAL_BYTES - len(text)
        text = credential({"agent_name": "x" * (fill + short * 3 // 4)})
        name = "k" * (len(KID) + (MAX_CREDENTIAL_BYTES - len(text)) * 3 // 4)
        text = credential({"agent_name": "x" * (fill + short * 3 // 4)}, {"kid": name})
        known = trust(issuer(keys=key_set({name: KEY})))
        assert MAX_CREDENTIAL_BYTES - 3 < len(text) <= MAX_CREDENTIAL_BYTES
        exact = Acceptance(max_credential_bytes=len(text))

        assert code(verify(text, known, exact)) == "ok"
        assert code(verify(text, known, ACCEPT)) == "ok"
        one_less = Acceptance(max_credential_bytes=len(text) - 1)
        assert code(verify(text, known, one_less)) == "passport_too_large"
        assert code(verify("a" * MAX_CREDENTIAL_BYTES, known, ACCEPT)) == "passport_malformed"
        assert code(verify("a" * (MAX_CREDENTIAL_BYTES + 1), known, ACCEPT)) == "passport_too_large"

    @pytest.mark.parametrize(
        "text", ["", "é", "\ud800", "\U0001f600.a.b", "a.b.c", "Bearer x", "[" * 9]
    )
    def test_text_that_is_no_credential_is_malformed(self, text: str) -> None:
        """Whatever it is: a value, never an exception."""
        assert code(verify(text, trust(), ACCEPT)) == "passport_malformed"

    def test_shape_is_judged_before_trust(self) -> None:
        """A malformed passport of an unknown issuer is malformed."""
        text = credential({"iss": "iss_nobody", "exp": "soon"})

        assert code(verify(text, NO_TRUST, ACCEPT)) == "passport_malformed"

    def test_features_not_built_and_formats_not_accepted_are_unsupported(self) -> None:
        """Never skipped."""
        assert code(verify(credential({"act": {}}), trust(), ACCEPT)) == "passport_unsupported"
        nothing = Acceptance(formats=frozenset())
        assert code(verify(credential(), trust(), nothing)) == "passport_unsupported"


class TestIssuer:
    """Check 5."""

    @pytest.mark.parametrize(
        "name",
        [
            "iss_nobody",
            "ISS_LAB",
            "iss_lab ",
            "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        ],
    )
    def test_an_issuer_without_an_entry_is_unknown(self, name: str) -> None:
        """Names are compared exactly; a key is nobody unless they are accepted."""
        assert code(verify(credential({"iss": name}), trust(), ACCEPT)) == "issuer_unknown"

    def test_an_issuer_is_trusted_for_its_formats_only(self) -> None:
        """An entry that lists another format does not cover this one."""
        known = trust(issuer(formats=["envelope"], keys=key_set()))

        assert code(verify(credential(), known, ACCEPT)) == "issuer_untrusted"

    def test_a_revoked_issuer_is_refused(self) -> None:
        """Whatever it signs."""
        known = trust(issuer(keys=key_set(), revoked=revocations(issuer_revoked=True)))

        assert code(verify(credential(), known, ACCEPT)) == "issuer_revoked"
        assert trusted_issuer(known, "iss_lab", "jwt") == Refusal("issuer_revoked")

    def test_the_issuer_is_judged_before_the_signature(self) -> None:
        """A bad signature in the name of an unknown issuer is an unknown issuer."""
        text = credential({"iss": "iss_nobody"}, seed=OTHER_SEED)

        assert code(verify(text, trust(), ACCEPT)) == "issuer_unknown"


class TestSignature:
    """Check 6."""

    def test_a_key_that_the_issuer_does_not_have_is_unknown(self) -> None:
        """`kid` is compared exactly, and what it names may be asked for."""
        text = credential(header={"kid": "key-2"})

        assert code(verify(text, trust(), ACCEPT)) == "key_unknown"
        assert named_key(text, ACCEPT) == ("iss_lab", "key-2")
        assert named_key("no credential", ACCEPT) is None
        assert named_key("é", ACCEPT) is None

    def test_keys_that_were_never_read_are_stale_trust(self) -> None:
        """The gate's own lack is a 503 with a time to come back, no fault of the passport."""
        refusal = verify(credential(), trust(issuer(keys=None)), ACCEPT)

        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.http_status) == ("trust_stale", 503)
        assert refusal.retry_after_s

    def test_another_keys_signature_is_invalid(self) -> None:
        """Signed by a key that the issuer has, under the name of another."""
        known = trust(issuer(keys=key_set({KID: KEY, "key-2": OTHER_KEY})))

        assert code(verify(credential(seed=OTHER_SEED), known, ACCEPT)) == "signature_invalid"
        swapped = credential(header={"kid": "key-2"})
        assert code(verify(swapped, known, ACCEPT)) == "signature_invalid"

    def test_one_issuers_key_does_not_sign_for_another(self) -> None:
        """Keys are looked up under the issuer that the passport names."""
        known = trust(issuer(keys=key_set()), issuer("iss_two", keys=key_set({"key-2": OTHER_KEY})))
        text = credential({"iss": "iss_two"}, {"kid": KID})
        same_kid = credential({"iss": "iss_two"}, {"kid": "key-2"})

        assert code(verify(text, known, ACCEPT)) == "key_unknown"
        assert code(verify(same_kid, known, ACCEPT)) == "signature_invalid"

    @pytest.mark.parametrize("part", [0, 1])
    def test_the_signature_covers_header_and_payload(self, part: int) -> None:
        """A signature moved onto other claims or another header is invalid."""
        parts = credential().split(".")
        other = credential({"permissions": ["*"]}, {"alg": "Ed25519"}).split(".")
        parts[part] = other[part]

        assert code(verify(".".join(parts), trust(), ACCEPT)) == "signature_invalid"

    def test_a_public_key_is_no_secret_to_sign_with(self) -> None:
        """HS256 keyed with the issuer's public key is refused, under whatever name."""
        forged = jwt.encode(CLAIMS, KEY, algorithm="HS256", headers={"kid": KID})
        renamed = ".".join([credential().split(".")[0], *forged.split(".")[1:]])

        assert code(verify(forged, trust(), ACCEPT)) == "passport_malformed"  # a MAC is shorter
        assert code(verify(renamed, trust(), ACCEPT)) == "passport_malformed"
        padded = forged.rpartition(".")[0] + "." + b64(bytes(64))
        assert code(verify(padded, trust(), ACCEPT)) == "passport_unsupported"

    def test_no_algorithm_is_no_signature(self) -> None:
        """`none` is refused with an empty signature, and with any other."""
        body = b64(compact_json(CLAIMS))
        head = b64(compact_json({"alg": "none", "kid": KID}))

        assert code(verify(f"{head}.{body}.", trust(), ACCEPT)) == "passport_malformed"
        text = f"{head}.{body}.{b64(bytes(64))}"
        assert code(verify(text, trust(), ACCEPT)) == "passport_unsupported"

    def test_a_revocation_list_is_no_passport(self) -> None:
        """Rightly signed, with every claim of a passport, of another type."""
        text = credential(header={"typ": "revocations+jwt"})

        assert code(verify(text, trust(), ACCEPT)) == "passport_malformed"


class TestCache:
    """What a passport seen again may skip."""

    def test_a_passport_seen_again_is_the_same_object(self) -> None:
        """A hit costs no second verification."""
        cache, known, text = VerifiedCache(), trust(), credential()

        first = verify(text, known, ACCEPT, cache)

        assert verify(text, known, ACCEPT, cache) is first
        assert (cache.hits, cache.misses, len(cache)) == (1, 1, 1)

    def test_refusals_are_not_kept(self) -> None:
        """Only what was verified takes room."""
        cache = VerifiedCache()

        for text in ("x", credential(seed=OTHER_SEED), credential({"iss": "iss_nobody"})):
            assert code(verify(text, trust(), ACCEPT, cache)) != "ok"

        assert (len(cache), cache.misses) == (0, 3)

    def test_a_hit_does_not_spare_the_issuer(self) -> None:
        """Check 5 runs again: an issuer gone, revoked or narrowed refuses at once."""
        cache, text = VerifiedCache(), credential()
        verify(text, trust(), ACCEPT, cache)
        gone = trust(issuer("iss_two"))
        revoked = trust(issuer(keys=key_set(), revoked=revocations(issuer_revoked=True)))
        narrowed = trust(issuer(formats=["csp"], keys=key_set()))

        assert code(verify(text, gone, ACCEPT, cache)) == "issuer_unknown"
        assert code(verify(text, revoked, ACCEPT, cache)) == "issuer_revoked"
        assert code(verify(text, narrowed, ACCEPT, cache)) == "issuer_untrusted"
        assert code(verify(text, trust(), ACCEPT, cache)) == "ok"

    def test_another_key_set_verifies_anew(self) -> None:
        """A key withdrawn or replaced under its name ends what it signed; a key added does not."""
        cache, text = VerifiedCache(), credential()
        first = verify(text, trust(), ACCEPT, cache)
        withdrawn = trust(issuer(keys=key_set({"key-2": OTHER_KEY})))
        replaced = trust(issuer(keys=key_set({KID: OTHER_KEY})))
        grown = trust(issuer(keys=key_set({KID: KEY, "key-2": OTHER_KEY})))
        unread = trust(issuer(keys=None))

        assert code(verify(text, withdrawn, ACCEPT, cache)) == "key_unknown"
        assert code(verify(text, replaced, ACCEPT, cache)) == "signature_invalid"
        assert code(verify(text, unread, ACCEPT, cache)) == "trust_stale"
        again = verify(text, grown, ACCEPT, cache)
        assert again == first
        assert again is not first
        assert verify(text, grown, ACCEPT, cache) is again
        assert len(cache) == 1

    def test_a_reload_that_accepts_less_is_not_outlived(self) -> None:
        """Formats and sizes are those of now, not of when the passport was kept."""
        cache, text = VerifiedCache(), credential()
        verify(text, trust(), ACCEPT, cache)

        no_jwt = Acceptance(formats=frozenset({"csp"}))
        assert code(verify(text, trust(), no_jwt, cache)) == "passport_unsupported"
        small = Acceptance(max_credential_bytes=100)
        assert code(verify(text, trust(), small, cache)) == "passport_too_large"

    def test_one_changed_character_is_another_credential(self) -> None:
        """A kept passport is found by all of its text."""
        cache, text = VerifiedCache(), credential()
        verify(text, trust(), ACCEPT, cache)

        assert code(verify(text[:-1], trust(), ACCEPT, cache)) == "passport_malformed"
        assert code(
            verify(credential({"sub": "agent-8"}, seed=OTHER_SEED), trust(), ACCEPT, cache)
        ) == ("signature_invalid")


class TestExplanation:
    """The same checks, every outcome."""

    @pytest.mark.parametrize("text", ["é", "x", credential({"cnf": {}})])
    def test_nothing_more_is_known_of_a_bad_shape(self, text: str) -> None:
        """Only check 4 has an outcome."""
        findings, passport = examine(text, trust(), ACCEPT)

        assert [(finding.check, finding.refusal is None) for finding in findings] == [(4, False)]
        assert passport is None

    def test_an_unknown_issuer_has_no_keys_to_try(self) -> None:
        """Check 6 has no outcome."""
        findings, passport = examine(credential(), NO_TRUST, ACCEPT)

        assert findings == [
            Finding(4, "shape", None),
            Finding(5, "issuer", Refusal("issuer_unknown")),
        ]
        assert passport is None

    def test_a_revoked_issuers_signature_is_still_looked_at(self) -> None:
        """So that every fault is told at once, and later checks can be explained."""
        known = trust(issuer(keys=key_set(), revoked=revocations(issuer_revoked=True)))

        findings, passport = examine(credential(), known, ACCEPT)

        assert [code(finding.refusal) for finding in findings] == ["ok", "issuer_revoked", "ok"]
        assert passport == verified()

    def test_both_faults_are_told(self) -> None:
        """An untrusted issuer and a bad signature."""
        known = trust(issuer(formats=["csp"], keys=key_set()))

        findings, passport = examine(credential(seed=OTHER_SEED), known, ACCEPT)

        assert [code(finding.refusal) for finding in findings] == [
            "ok",
            "issuer_untrusted",
            "signature_invalid",
        ]
        assert passport is None

    @pytest.mark.parametrize(
        "text",
        [credential(), credential(seed=OTHER_SEED), credential({"iss": "x"}), "x",
         credential(header={"kid": "key-2"}), credential({"jti": UNSET})],
    )  # fmt: skip
    def test_the_first_refusal_explained_is_the_one_decided(self, text: str) -> None:
        """`examine` and `verify` are one order of checks."""
        findings, _ = examine(text, trust(), ACCEPT)
        first = next((finding.refusal for finding in findings if finding.refusal), None)

        outcome = verify(text, trust(), ACCEPT)

        assert first == (outcome if isinstance(outcome, Refusal) else None)


class TestTimes:
    """Check 7."""

    @staticmethod
    def at(wall: float, max_lifetime_s: float = 1e6, **claims: Any) -> str:
        times = {"iat": 1000, "exp": 2000, **claims}
        return code(check_times(verified(**times), Instant(wall, 0.0), 30.0, max_lifetime_s))

    def test_a_passport_ends_at_exp_and_the_skew(self) -> None:
        """Valid before `exp` + skew, expired at it."""
        assert self.at(1999) == "ok"
        assert self.at(2029.999) == "ok"
        assert self.at(2030) == "passport_expired"
        assert self.at(1e12) == "passport_expired"

    def test_a_passport_begins_at_iat_and_nbf_less_the_skew(self) -> None:
        """Both count, with the same leeway."""
        assert self.at(970) == "ok"
        assert self.at(969.9) == "passport_not_yet_valid"
        assert self.at(1469.9, nbf=1500) == "passport_not_yet_valid"
        assert self.at(1470, nbf=1500) == "ok"
        assert self.at(1470, nbf=5) == "ok"

    def test_a_passport_that_lives_too_long_is_refused(self) -> None:
        """The limit is inclusive, and no `iat` in the future gets around it."""
        assert self.at(1500, max_lifetime_s=1000) == "ok"
        assert self.at(1500, max_lifetime_s=999) == "passport_lifetime"
        assert self.at(1500, iat=1531, max_lifetime_s=500) == "passport_not_yet_valid"

    def test_a_passport_that_ends_before_it_begins_is_never_valid(self) -> None:
        """Whenever it is presented."""
        assert {self.at(wall, iat=2000, exp=1000) for wall in range(0, 3000, 10)} == {
            "passport_expired",
            "passport_not_yet_valid",
        }


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (UNSET, "ok"),
        ("gate_lab", "ok"),
        (["other", "https://api.example"], "ok"),
        ("other", "audience_mismatch"),
        (["gate_la", "GATE_LAB", "gate_lab "], "audience_mismatch"),
    ],
)
def test_a_passport_for_others_is_refused(audience: Any, expected: str) -> None:
    """Check 8: any one of the gate's names, compared exactly."""
    accepted = frozenset({"gate_lab", "https://api.example"})

    assert code(check_audience(verified(aud=audience), accepted)) == expected


class TestRevocation:
    """Check 9."""

    @staticmethod
    def judged(revoked: Any, **entry: Any) -> str:
        keys = entry.pop("keys", key_set())
        return code(check_revocation(verified(), issuer(keys=keys, revoked=revoked, **entry), NOW))

    def test_what_is_not_listed_is_not_revoked(self) -> None:
        """Other ids of the same kinds, and the same ids as other kinds."""
        own = (CLAIMS["jti"], "agent-7", KID)

        assert self.judged(revocations(["pass_x"], ["agent-8"], ["key-2"])) == "ok"
        assert self.judged(revocations(own[1:], [own[0], own[2]], own[:2])) == "ok"

    @pytest.mark.parametrize(
        "revoked",
        [revocations([CLAIMS["jti"]]), revocations(agents=["agent-7"]), revocations(keys=[KID])],
        ids=["passport", "agent", "key"],
    )
    def test_what_is_listed_is_revoked(self, revoked: Any) -> None:
        """The passport, its agent, or the key that signed it."""
        assert self.judged(revoked) == "passport_revoked"

    def test_a_revocation_outlives_its_list(self) -> None:
        """An entry counts on an old and on an expired list, and before stale keys are told."""
        old = Instant(NOW.wall - 1e6, NOW.boot)
        revoked = revocations([CLAIMS["jti"]], read_at=old, expires_at=NOW.wall - 1)

        assert self.judged(revoked, keys=key_set(read_at=old)) == "passport_revoked"

    def test_old_keys_and_old_lists_are_stale(self) -> None:
        """By whichever clock says more; exactly at the limit they are not yet."""
        limit, past = 3600.0, 3600.1
        for age in ((limit, 0.0), (0.0, limit), (-limit, limit)):
            read_at = Instant(NOW.wall - age[0], NOW.boot - age[1])
            assert self.judged(revocations(read_at=read_at), keys=key_set(read_at=read_at)) == "ok"
        for age in ((past, 0.0), (0.0, past), (-past, past)):
            read_at = Instant(NOW.wall - age[0], NOW.boot - age[1])
            assert self.judged(None, keys=key_set(read_at=read_at)) == "trust_stale"
            assert self.judged(revocations(read_at=read_at)) == "trust_stale"

    def test_a_list_may_have_a_shorter_limit_than_keys(self) -> None:
        """As in profile L3; the shorter of both counts."""
        minute = Instant(NOW.wall - 60, NOW.boot)
        older = Instant(NOW.wall - 60.1, NOW.boot)
        keys = key_set(read_at=older)
        assert self.judged(revocations(read_at=minute), list_max_stale_s=60.0) == "ok"
        assert self.judged(revocations(read_at=older), list_max_stale_s=60.0) == "trust_stale"
        assert self.judged(revocations(read_at=older), max_stale_s=60.0) == "trust_stale"
        assert self.judged(revocations(), keys=keys, list_max_stale_s=60.0) == "ok"

    def test_an_expired_list_is_stale(self) -> None:
        """At its `exp` it no longer says who is *not* revoked."""
        assert self.judged(revocations(expires_at=NOW.wall + 0.1)) == "ok"
        assert self.judged(revocations(expires_at=NOW.wall)) == "trust_stale"

    def test_a_compulsory_list_that_was_never_read_is_stale(self) -> None:
        """Where none is compulsory there may be none."""
        assert self.judged(None) == "ok"
        assert self.judged(None, revocations_required=True) == "trust_stale"
        assert self.judged(revocations(), revocations_required=True) == "ok"

    @staticmethod
    def placed(place: int, statuses: StatusList | None, uri: str = "s:1", **entry: Any) -> str:
        passport = verified(status={"status_list": {"idx": place, "uri": uri}})
        revoked = revocations(statuses=statuses, **entry)
        return code(check_revocation(passport, issuer(keys=key_set(), revoked=revoked), NOW))

    def test_a_status_that_is_not_0_revokes(self) -> None:
        """Whatever it means to the issuer, and also on a list that is old."""
        statuses = StatusList("s:1", 2, bytes([0b11_10_01_00]))
        old = Instant(NOW.wall - 1e6, NOW.boot)

        assert [self.placed(place, statuses) for place in range(4)] == [
            "ok", "passport_revoked", "passport_revoked", "passport_revoked",
        ]  # fmt: skip
        assert self.placed(2, statuses, read_at=old) == "passport_revoked"
        assert self.placed(0, statuses, read_at=old) == "trust_stale"
        assert self.placed(0, statuses, expires_at=NOW.wall) == "trust_stale"

    def test_a_status_that_no_list_tells_is_not_known_to_be_good(self) -> None:
        """No place there, another list, a list of another kind, no list at all."""
        statuses = StatusList("s:1", 2, bytes(1))

        assert self.placed(4, statuses) == "trust_stale"
        assert self.placed(0, statuses, "s:2") == "trust_stale"
        assert self.placed(0, None) == "trust_stale"
        passport = verified(status={"status_list": {"idx": 0, "uri": "s:1"}})
        listless = issuer(keys=key_set())
        assert code(check_revocation(passport, listless, NOW)) == "trust_stale"
        assert self.judged(revocations(statuses=statuses)) == "ok"  # a passport that names no place

    def test_keys_that_are_gone_are_stale_trust(self) -> None:
        """Whoever asks with an issuer whose keys were never read gets no yes."""
        assert self.judged(None, keys=None) == "trust_stale"
