"""The anonymous tier: little, and counted by address."""

from dataclasses import fields
from typing import Any

import pytest

from passgate.core.anonymous import NO_ANONYMOUS, AnonymousPolicy, judge_anonymous, judge_price
from passgate.core.constraints.base import Charge
from passgate.core.facts import Facts
from passgate.core.header_rules import header_rules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request

OPEN = AnonymousPolicy(
    enabled=True, allowed_actions=("api:*", "public"), blocked_actions=("api:admin",)
)


def request(method: str = "GET", peer: str = "192.0.2.1") -> Request:
    found = canonical_request(
        Wire(method, b"/", [(b"Host", b"a")], peer), RequestRules(header_rules())
    )
    assert isinstance(found, Request)
    return found


def judge(
    action: str = "api:search", *, policy: AnonymousPolicy = OPEN, **made: str
) -> Refusal | tuple[Charge, ...]:
    return judge_anonymous(request(**made), action, policy)


def test_the_fields_and_their_defaults_are_the_documented_ones() -> None:
    documented: dict[str, Any] = {
        "enabled": False,
        "allowed_actions": (),
        "blocked_actions": (),
        "read_only": True,
        "rate_limit_per_minute": 5,
        "rate_limit_per_hour": 50,
        "upgrade_message": None,
        "upgrade_url": None,
    }
    public = [field.name for field in fields(AnonymousPolicy) if field.init]
    assert public == list(documented)
    assert {name: getattr(NO_ANONYMOUS, name) for name in public} == documented


def test_an_offered_action_is_charged_to_the_address() -> None:
    minute, hour = judge()  # type: ignore[misc]  # no refusal
    subject = "anonymous|address|192.0.2.1"
    assert minute == Charge(
        f"rate/60/{subject}", "rate", 60, 1, 5, "anonymous:rate_limit_per_minute"
    )
    assert hour == Charge(
        f"rate/3600/{subject}", "rate", 3600, 1, 50, "anonymous:rate_limit_per_hour"
    )


def test_addresses_of_one_64_are_one() -> None:
    assert judge(peer="2001:db8::1") == judge(peer="2001:db8::ffff")
    assert judge(peer="2001:db8::1") != judge(peer="2001:db8:0:1::1")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reads_may_pass(method: str) -> None:
    assert isinstance(judge(method=method), tuple)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_writes_pass_only_without_read_only(method: str) -> None:
    assert isinstance(judge(method=method), Refusal)
    writable = AnonymousPolicy(enabled=True, allowed_actions=("*",), read_only=False)
    assert isinstance(judge(method=method, policy=writable), tuple)


@pytest.mark.parametrize(
    ("action", "policy"),
    [
        ("api:search", NO_ANONYMOUS),
        ("api:search", AnonymousPolicy(enabled=True)),
        ("shop:buy", OPEN),
        ("api", OPEN),
        ("api:admin", OPEN),
        ("api:ADMIN", OPEN),
    ],
)
def test_everything_else_needs_a_passport(action: str, policy: AnonymousPolicy) -> None:
    found = judge(action, policy=policy)
    assert isinstance(found, Refusal)
    assert (found.code, found.http_status) == ("passport_missing", 401)
    assert found.required_permissions == (action,)


def test_what_costs_anything_needs_a_passport() -> None:
    found = judge_price("api:export", Facts(cost_cents=1))
    assert isinstance(found, Refusal)
    assert (found.code, found.required_permissions) == ("passport_missing", ("api:export",))
    assert judge_price("api:search", Facts()) is None


def test_a_list_that_holds_no_patterns_is_refused() -> None:
    with pytest.raises(ValueError, match="actions"):
        AnonymousPolicy(allowed_actions=("a*b",))
    with pytest.raises(ValueError, match="actions"):
        AnonymousPolicy(blocked_actions=("a*b",))
