"""Idempotency keys: which requests are one operation, and which keys are none."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.decisions import Scene

from passgate.core.anonymous import AnonymousPolicy
from passgate.core.once import Once
from passgate.core.reasons import Refusal


def keyed(*keys: bytes, **changes: Any) -> Scene:
    """A request with these keys, on a route whose upstream honours them."""
    scene = Scene(method="POST", target=b"/v1/transfers", body=b"5 to acme")
    return scene.but(headers=tuple((b"Idempotency-Key", key) for key in keys)).but(**changes)


def once(scene: Scene) -> Once:
    plan = scene.decide()
    assert plan.refusal is None
    assert plan.once is not None
    assert scene.explain().plan.once == plan.once
    return plan.once


def test_the_same_request_again_is_the_same_operation() -> None:
    assert once(keyed(b"k")) == once(keyed(b"k"))


def test_a_key_is_the_agents_whichever_of_its_passports_presents_it() -> None:
    first, second = once(keyed(b"k")), once(keyed(b"k", claims={"jti": "pass_2"}))
    assert first == second
    assert first.name.rpartition("/")[0] == "agent|iss_lab|agent-7"
    assert once(keyed(b"k", claims={"sub": "agent-8"})).name != first.name


def test_another_key_is_another_operation() -> None:
    assert once(keyed(b"k")).name != once(keyed(b"K")).name


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"target": b"/v1/transfers?x=1"},
        {"target": b"/v1/%74ransfers"},
        {"body": b"6 to acme"},
        {"body": b""},
    ],
    ids=str,
)
def test_another_request_under_the_same_key_has_another_digest(changes: dict[str, Any]) -> None:
    first, other = once(keyed(b"k")), once(keyed(b"k", **changes))
    assert first.name == other.name
    assert first.digest != other.digest


def test_another_host_is_another_request_and_its_letter_case_is_none() -> None:
    def asked(host: bytes) -> str:
        headers = ((b"Host", host), (b"Idempotency-Key", b"k"))
        return once(replace(keyed(), headers=headers)).digest

    assert asked(b"api.example") == asked(b"API.example")
    assert asked(b"api.example") != asked(b"other.example")


@pytest.mark.parametrize(
    "changed", [((b"X-Cents", b"6"),), ((b"X-In", b"USD"),)], ids=["cost", "currency"]
)
def test_a_price_that_a_header_declares_is_part_of_the_request(changed: Any) -> None:
    """Else one cheap call would pay for a dear one."""

    def gift(*headers: tuple[bytes, bytes]) -> Once:
        return once(keyed(b"k", target=b"/v1/gifts").but(headers=headers))

    declared = ((b"X-Cents", b"5"), (b"X-In", b"EUR"))
    assert gift(*declared) == gift(*declared)
    other = {**dict(declared), **dict(changed)}
    assert gift(*declared).digest != gift(*other.items()).digest


def test_what_is_kept_tells_neither_the_key_nor_a_short_body() -> None:
    """The digest is over the key too: trying all bodies finds nothing without it."""
    found = once(keyed(b"secret"))
    assert "secret" not in found.name + found.digest
    assert found.digest != once(keyed(b"other")).digest


def test_without_a_key_or_on_another_route_there_is_no_operation() -> None:
    assert keyed().decide().once is None
    assert keyed(b"k", target=b"/v1/export").decide().once is None


@pytest.mark.parametrize("key", [b"k" * 256, b'"8e03978e"', b"a b~!"])
def test_keys_are_taken_up_to_their_bounds(key: bytes) -> None:
    once(keyed(key))


@pytest.mark.parametrize(
    "keys",
    [(b"",), (b"k" * 257,), (b"a\tb",), (b"\xc3\xa9",), (b"k", b"k"), (b"k", b"l")],
    ids=["empty", "long", "tab", "beyond ASCII", "twice", "two"],
)
@pytest.mark.parametrize("presents", [True, False])
def test_a_key_that_could_be_read_otherwise_is_refused(
    keys: tuple[bytes, ...], presents: bool
) -> None:
    """Before its body is read."""
    open_to_all = AnonymousPolicy(enabled=True, allowed_actions=("*",), read_only=False)
    plan = keyed(*keys, body=None, presents=presents, anonymous=open_to_all).decide()
    assert isinstance(plan.refusal, Refusal)
    assert (plan.refusal.code, plan.refusal.http_status) == ("request_malformed", 400)
    assert not plan.needs_body


def test_such_a_key_means_nothing_where_the_route_knows_of_none() -> None:
    assert keyed(b"", target=b"/v1/export").decide().refusal is None


def test_a_request_with_a_key_waits_for_its_body() -> None:
    """Its digest is judged; without a key it streams."""
    assert keyed(b"k", body=None).decide().needs_body
    assert keyed(b"k", body=None).explain().plan.needs_body
    assert not keyed(body=None).decide().needs_body


def test_nothing_is_remembered_of_a_request_that_is_refused_or_anonymous() -> None:
    assert keyed(b"k", claims={"permissions": []}).decide().once is None
    refused = keyed(b"k", gate_constraints={"core:data:read_only": True}).decide()
    assert refused.refusal is not None
    assert refused.once is None
    free = AnonymousPolicy(enabled=True, allowed_actions=("*",), read_only=False)
    plan = keyed(b"k", body=None, presents=False, anonymous=free).decide()
    assert not plan.needs_body
    assert plan.once is None
