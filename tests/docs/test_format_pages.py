"""The pages on passports and HTTP name what the gate reads, sets and removes, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from passgate.core.formats.jwt import _CLAIMS, read_jwt
from passgate.core.header_rules import _OVERRIDE_PREFIXES, _OVERRIDES, header_rules
from passgate.core.headers import SortedHeaders, sort_request
from passgate.core.instant import Instant
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.passport import Passport
from passgate.core.reasons import REASONS
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, check_times, verify
from passgate.proxy.forwarding import anonymous_lines, identity_lines
from passgate.testing import REMOVED, TestIssuer

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PASSPORT = (REFERENCE / "passport.md").read_text()
HTTP = (REFERENCE / "http.md").read_text()
AT = Instant(1_800_000_100.0, 10_000.0)


def _part(page: str, heading: str) -> str:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return str(found)


def _named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


CLAIMS = [row.split("|")[1:5] for row in _part(PASSPORT, "Claims").splitlines() if row[:3] == "| `"]
EXAMPLE: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", PASSPORT, re.S)[0])


def test_the_claims_are_those_that_are_read() -> None:
    """Every claim that the reader knows has its row, and no row names another."""
    named = [name for row in CLAIMS for name in _named(row[0])]

    assert sorted(named) == sorted(_CLAIMS)


@pytest.mark.parametrize(
    "claim", [name for row in CLAIMS if row[1].strip() == "yes" for name in _named(row[0])]
)
def test_a_compulsory_claim_is_compulsory(claim: str) -> None:
    """Without it the passport is malformed."""
    token = TestIssuer("iss_lab").mint(claims={**EXAMPLE, claim: REMOVED})

    with pytest.raises(MalformedError):
        read_jwt(token.encode())


@pytest.mark.parametrize(
    "claim", [name for row in CLAIMS if row[1].strip() == "no" for name in _named(row[0])]
)
def test_every_other_claim_may_be_left_out(claim: str) -> None:
    """The example, with all that it has, is fine without each of these."""
    read_jwt(TestIssuer("iss_lab").mint(claims={**EXAMPLE, claim: REMOVED}).encode())


def test_the_example_is_a_passport() -> None:
    """The claims on the page, signed, verify and are good at their time."""
    issuer = TestIssuer("iss_lab")
    passport = verify(
        issuer.mint(claims=EXAMPLE), Trust({"iss_lab": issuer.trusted(AT)}), Acceptance()
    )

    assert isinstance(passport, Passport)
    assert passport.claims == EXAMPLE
    assert check_times(passport, AT, 30.0, 90 * 86_400.0) is None


@pytest.mark.parametrize("claim", ["act", "scope", "anything"])
def test_what_is_not_in_the_table_is_refused(claim: str) -> None:
    """As the page says, with the code that it says."""
    with pytest.raises(UnsupportedError):
        read_jwt(TestIssuer("iss_lab").mint(claims={**EXAMPLE, claim: {}}).encode())


@pytest.mark.parametrize("page", [PASSPORT, HTTP], ids=["passport", "http"])
def test_the_codes_are_reason_codes(page: str) -> None:
    """Whatever looks like a reason code on these pages is one, or a member of an answer."""
    members = {
        *("decision_id", "retry_after_s", "required_permissions", "passport_required_url"),
        *("upgrade_url", "upgrade_message", "request_hold", "cost_cents", "error_description"),
        *("min_trust_tier", "content_hash", "permission_key"),
    }
    words = {word for word in _named(page) if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", word)}

    assert words - members - _CLAIMS <= REASONS.keys()


def test_the_headers_that_are_set_are_listed() -> None:
    """Each header that tells the upstream who calls has its row."""
    issuer = TestIssuer("iss_lab")
    passport = verify(
        issuer.mint(now=AT.wall), Trust({"iss_lab": issuer.trusted(AT)}), Acceptance()
    )
    assert isinstance(passport, Passport)
    lines = identity_lines(passport, "L2", "api:read") + anonymous_lines("api:read")
    listed = set(_named(_part(HTTP, "What the upstream sees").partition("**Removed:**")[0]))

    assert {line.partition(":")[0] for line in lines.decode().splitlines()} <= listed


REMOVED_HEADERS = _part(HTTP, "What the upstream sees").partition("**Removed:**")[2]


def test_the_headers_that_are_removed_by_choice_are_listed() -> None:
    """Each override has its name on the page, and so has each family of them."""
    listed = {name.lower() for name in _named(REMOVED_HEADERS)}

    assert {name.decode() for name in _OVERRIDES} <= listed
    assert {prefix.decode() + "*" for prefix in _OVERRIDE_PREFIXES} <= listed


@pytest.mark.parametrize(
    "name",
    [
        name.replace("*", "Anything")
        for name in _named(REMOVED_HEADERS.partition("\n\n")[2].partition("\n\n")[0])
        if re.fullmatch(r"[A-Z][\w-]+\*?", name) and name not in ("Authorization", "Connection")
    ],
)
def test_what_is_said_to_be_removed_is(name: str) -> None:
    """A header of this name does not reach the upstream."""
    headers = [(b"Host", b"api"), (name.encode(), b"x"), (b"Cookie", b"a=b")]
    sorted_headers = sort_request(headers, header_rules())

    assert isinstance(sorted_headers, SortedHeaders)
    assert sorted_headers.forward == b"Cookie: a=b\r\n"
