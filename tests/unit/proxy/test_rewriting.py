"""Bodies that a rule writes anew: judged and forwarded are the same bytes, and digests go."""

from pathlib import Path

import pytest
from tests.support.house import House, body_of, inside

from passgate.core.constraints.base import Finding
from passgate.core.decision import Plan
from passgate.core.header_rules import header_rules
from passgate.core.headers import SortedHeaders, sort_request
from passgate.core.request import Request
from passgate.core.strict_json import loads
from passgate.proxy.rewriting import judged_again, without_digests

MODE = "core:data:pii_mode"
CARD = "4111 1111 1111 1111"
CONFIG = {
    "actions": {
        "routes": [
            {"match": "POST /v1/note", "action": "api:note", "vendor": "body:/vendor"},
            {"match": "POST /v1/plain", "action": "api:plain"},
            {"match": "GET /v1/plain", "action": "api:plain"},
        ]
    },
    "audit": {"durability": "relaxed"},
}
DIGESTS = (
    ("Content-Digest", "sha-256=:AAAA:"),
    ("digest", "SHA-256=AAAA"),
    ("X-Kept", "yes"),
)


def test_a_redacted_body_is_what_was_judged(tmp_path: Path) -> None:
    """The forwarded body, the facts and the record are those of the new body."""

    async def work(house: House) -> None:
        body = f'{{"vendor": "{CARD}", "amount": 1.50}}'.encode()
        forward = await house.forwarded(
            "POST", "/v1/note", house.mint(constraints={MODE: "redact"}), body=body, headers=DIGESTS
        )

        assert forward.body == b'{"vendor":"[redacted]","amount":1.50}'
        assert b"digest" not in forward.head.lower()
        assert b"X-Kept: yes\r\n" in forward.head

    (line,) = inside(tmp_path, work, **CONFIG).lines("decision")

    assert line["constraints"] == [[MODE, "redact"]]
    assert line["facts"]["vendor"] == "[redacted]"
    assert line["facts"]["personal_data"] == "redact card=1"
    assert line["facts"]["body_bytes"] == 37
    assert "4111" not in str(line)


def test_a_noted_body_stays_as_it_is(tmp_path: Path) -> None:
    """`log_only` tells the record and changes nothing."""

    async def work(house: House) -> None:
        body = f'[ "{CARD}" ]'.encode()
        forward = await house.forwarded(
            "POST",
            "/v1/plain",
            house.mint(constraints={MODE: "log_only"}),
            body=body,
            headers=DIGESTS,
        )

        assert forward.body == body
        assert b"Content-Digest" in forward.head

    (line,) = inside(tmp_path, work, **CONFIG).lines("decision")

    assert line["constraints"] == [[MODE, "note"]]
    assert line["facts"]["personal_data"] == "note card=1"


@pytest.mark.parametrize(
    ("constraints", "body", "status"),
    [
        ({MODE: "block"}, f'"{CARD}"', 403),
        ({"core:data:no_pii_export": True}, f'"{CARD}"', 403),
        ({MODE: "redact", "core:data:no_pii_export": True}, f'"{CARD}"', 403),
        ({MODE: "redact"}, "not json", 400),
        ({MODE: "redact", "core:data:max_request_bytes": 13}, f'"{CARD}"', 403),
        ({MODE: "redact", "core:data:max_request_bytes": 25}, f'["{CARD}"]', None),
    ],
)
def test_what_is_not_let_through(
    tmp_path: Path, constraints: dict[str, object], body: str, status: int | None
) -> None:
    """A body is read for whoever owes a rule about it, on any route."""

    async def work(house: House) -> None:
        passport = house.mint(constraints=constraints)
        step = await house.ask("POST", "/v1/plain", passport, body=body.encode())
        assert getattr(step, "status", None) == status
        free = await house.forwarded("POST", "/v1/plain", house.mint(), body=body.encode())
        assert free.body is None  # nobody had it read

    inside(tmp_path, work, **CONFIG)


def test_a_request_without_a_body_is_not_held_up(tmp_path: Path) -> None:
    """There is nothing in it to look at."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={MODE: "redact", "core:data:no_pii_export": True})
        forward = await house.forwarded("GET", "/v1/plain", passport)
        assert forward.body == b""

    inside(tmp_path, work, **CONFIG)


def test_a_body_too_long_to_judge_is_refused(tmp_path: Path) -> None:
    """413, as on routes that judge bodies."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={MODE: "redact"})
        wire = house.wire("POST", "/v1/plain", passport)
        case, _, _ = house.begin(wire)
        answer = case.body_too_large()
        assert (answer.status, body_of(answer)["code"]) == (413, "request_malformed")
        assert loads(answer.body)["status"] == 413

    inside(tmp_path, work, **CONFIG)


def test_a_rule_that_is_never_content_is_a_defect() -> None:
    """A new body that its rule would write anew once more is never forwarded."""
    plan = Plan(findings=(Finding(MODE, "redact", (("card", 1),), b"{}"),))
    headers = sort_request([(b"Host", b"api.example")], header_rules())
    assert isinstance(headers, SortedHeaders)
    request = Request("POST", b"/", "/", b"", "", "", "", (), "http", (), headers, b"x")

    with pytest.raises(RuntimeError, match="written anew"):
        judged_again(plan, request, lambda: plan)


def test_only_lines_about_the_body_go() -> None:
    """Whatever their letters, and nothing that only begins alike."""
    lines = b"CONTENT-MD5: x\r\nDigest: y\r\nDigest-Mode: z\r\nRepr-Digest: q\r\nA: digest:\r\n"

    assert without_digests(lines) == b"Digest-Mode: z\r\nA: digest:\r\n"
