"""The policy: which action a request is, and whether what began may go on."""

import pytest
from tests.craft import (
    KEY,
    KID,
    NOW,
    OTHER_KEY,
    credential,
    delegated,
    issuer,
    key_set,
    revocations,
    trust,
)

from passgate.core.header_rules import header_rules
from passgate.core.instant import Instant
from passgate.core.kills import Kill, kills_of
from passgate.core.passport import Passport
from passgate.core.policy import Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route
from passgate.core.trust import NO_TRUST, Trust
from passgate.core.verification import Acceptance, verify

ROUTES = RouteTable(
    [
        make_route(0, "GET /v1/search", "api:search"),
        make_route(1, "POST /v1/items/{id}/export", "api:export"),
        make_route(2, "GET /v1/items:export", "api:export"),
        make_route(3, "GET /v1/{name}", "api:get"),
    ]
)


def policy(default_action: str = "deny") -> Policy:
    return Policy(
        gate_id="gate_a",
        hash="0" * 64,
        audience=frozenset({"gate_a"}),
        routes=ROUTES,
        default_action=default_action,
    )


def request(method: str, target: bytes) -> Request:
    found = canonical_request(
        Wire(method, target, [(b"Host", b"a")], "192.0.2.1"), RequestRules(header_rules())
    )
    assert isinstance(found, Request)
    return found


def action(
    method: str, target: bytes, default_action: str = "deny"
) -> tuple[str, int | None, dict[str, str]] | str:
    found = policy(default_action).action_of(request(method, target))
    if isinstance(found, Refusal):
        return found.code
    name, route, params = found
    return name, None if route is None else route.index, params


def test_a_route_names_the_action() -> None:
    assert action("GET", b"/v1/search?q=1") == ("api:search", 0, {})
    assert action("HEAD", b"/v1/search") == ("api:search", 0, {})
    assert action("POST", b"/v1/items/7/export") == ("api:export", 1, {"id": "7"})


def test_an_unmatched_request_is_no_action() -> None:
    assert action("GET", b"/v2") == "action_unknown"
    assert action("PUT", b"/v1/search") == "action_unknown"


def test_a_request_that_could_be_two_actions_is_malformed() -> None:
    assert action("GET", b"/v1/items%3Aexport") == "request_malformed"


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", b"/v2/search?q", "get:/v2/search"),
        ("PURGE", b"/", "purge:/"),
        ("POST", b"/u/a%40b", "post:/u/a@b"),
        ("POST", b"/caf%c3%a9", "post:/caf%C3%A9"),
        ("GET", b"/" + b"a" * 251, "get:/" + "a" * 251),
    ],
)
def test_the_default_may_make_an_action_of_method_and_path(
    method: str, target: bytes, name: str
) -> None:
    assert action(method, target, "method_path") == (name, None, {})


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", b"/a;b"),
        ("GET", b"/a%3Bb"),
        ("GET", b"/a:*"),
        ("GET", b"/%2a"),
        ("OPTIONS", b"*"),
        ("purge", b"/"),
        ("GET", b"/" + b"a" * 252),
    ],
)
def test_no_action_is_made_of_what_could_be_read_otherwise(method: str, target: bytes) -> None:
    assert action(method, target, "method_path") == "action_unknown"


def test_a_route_goes_before_the_default() -> None:
    assert action("GET", b"/v1/search", "method_path") == ("api:search", 0, {})


def passport() -> Passport:
    made = verify(credential(), trust(), Acceptance())
    assert isinstance(made, Passport)
    return made


LATER = Instant(NOW.wall + 60, NOW.boot + 60)


@pytest.mark.parametrize(
    ("known", "now", "allowed"),
    [
        (trust(), NOW, True),
        (trust(), Instant(NOW.wall + 3600 + 29, NOW.boot), True),
        (trust(), Instant(NOW.wall + 3600 + 30, NOW.boot), False),
        (trust(issuer(keys=key_set(), revoked=revocations())), LATER, True),
        (trust(issuer(keys=key_set(), revoked=revocations(agents=["agent-7"]))), NOW, False),
        (trust(issuer(keys=key_set(), revoked=revocations(keys=[KID]))), NOW, False),
        (trust(issuer(keys=key_set(), revoked=revocations(issuer_revoked=True))), NOW, False),
        (trust(issuer(keys=key_set({KID: KEY}), max_stale_s=10)), LATER, True),
        (trust(issuer("iss_other", keys=key_set())), NOW, False),
        (NO_TRUST, NOW, False),
    ],
)
def test_what_began_goes_on_until_expiry_or_revocation(
    known: Trust, now: Instant, allowed: bool
) -> None:
    """Trust that has become stale refuses new requests, and cuts no open one."""
    assert policy().still_allowed(passport(), known, now) is allowed


@pytest.mark.parametrize(
    ("keys", "allowed"),
    [
        ({KID: KEY}, True),
        ({KID: KEY, "key-2": OTHER_KEY}, True),
        ({"key-2": KEY}, False),
        ({KID: OTHER_KEY}, False),
        ({}, False),
        (None, True),
    ],
)
@pytest.mark.parametrize("text", [credential(), delegated()])
def test_what_began_ends_with_the_key_that_signed_it(
    keys: dict[str, bytes] | None, allowed: bool, text: str
) -> None:
    """Withdrawn or replaced under its name; another one beside it, or a gap in what is known,
    changes nothing. For a child it is the root's key."""
    made = verify(text, trust(), Acceptance())
    assert isinstance(made, Passport)
    known = trust(issuer(keys=None if keys is None else key_set(keys)))

    assert policy().still_allowed(made, known, NOW) is allowed


def test_what_began_without_a_passport_goes_on() -> None:
    assert policy().still_allowed(None, NO_TRUST, NOW)


@pytest.mark.parametrize(
    ("kind", "target", "of_passport", "of_nobody"),
    [
        ("all", "", True, True),
        ("action", "api:*", True, True),
        ("action", "shop:*", False, False),
        ("agent", "agent-7", True, False),
        ("issuer", "iss_lab", True, False),
        ("passport", "pass_other", False, False),
    ],
)
def test_what_began_is_stopped_by_the_kill_switch(
    kind: str, target: str, of_passport: bool, of_nobody: bool
) -> None:
    """Of an anonymous request what concerns everything or its action, else also who it is."""
    order = Kill("kill_1", kind, target, "", "", "ann", 0)
    known = Trust(trust().issuers, kills=kills_of([order]))
    assert (policy().stopped("api:search", passport(), known) is not None) is of_passport
    assert (policy().stopped("api:search", None, known) is not None) is of_nobody
    assert policy().stopped("api:search", passport(), trust()) is None
