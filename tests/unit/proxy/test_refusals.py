"""Refusals on the wire: golden answers for every code, and what must never be missing."""

import json

import pytest
from tests.support.house import body_of, headers_of
from tests.vectors.make_refusals import DECISION_ID, FILE, SURFACE, rendered, text

from passgate.core.reasons import REASONS, Refusal
from passgate.proxy.answers import render as on_the_wire
from passgate.proxy.refusals import Surface, quoted, render
from passgate.proxy.steps import Answer

GOLDEN = json.loads(FILE.read_text())
BARE = Surface("gate_lab", "L2", ("Passport",), "/.well-known/passgate/reasons")


def answer(refusal: Refusal, surface: Surface = SURFACE, *, anonymous: bool = False) -> Answer:
    return render(refusal, surface, decision_id=DECISION_ID, anonymous=anonymous)


@pytest.mark.parametrize("code", REASONS)
def test_an_answer_is_as_it_was_agreed(code: str) -> None:
    """Status, header lines and body of each code, to the letter."""
    assert rendered(code) == GOLDEN[code]


def test_every_code_has_its_golden_answer() -> None:
    """In the order of the table, and no more; the file is as its maker writes it."""
    assert list(GOLDEN) == list(REASONS)
    assert FILE.read_text() == text()


@pytest.mark.parametrize("code", REASONS)
def test_what_every_refusal_says(code: str) -> None:
    """The members of problem details, the decision twice, and never a place to go to instead."""
    found = answer(Refusal(code))
    headers, body = headers_of(found), body_of(found)

    assert body["status"] == found.status == REASONS[code].status
    assert body["type"].endswith(f"#{code}")
    assert body["detail"] == body["title"] == REASONS[code].title
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert headers["passport-decision"] == body["decision"]
    assert headers["passport-decision-id"] == body["decision_id"] == DECISION_ID
    assert body["decision"] == ("request_hold" if code == "approval_required" else "block")
    assert "location" not in headers
    assert found.status // 100 in (4, 5)


@pytest.mark.parametrize("code", REASONS)
def test_a_401_carries_the_challenge_and_nothing_else_does(code: str) -> None:
    """RFC 9110 section 15.5.2; an error word only where something was presented (RFC 6750)."""
    found = answer(Refusal(code))
    challenge = headers_of(found).get("www-authenticate", "")

    assert bool(challenge) == (found.status == 401)
    if challenge:
        schemes = [line.split(" ")[0] for line in challenge.split("\n")]
        assert schemes == ["Passport", "Bearer"]
        assert ("error=" in challenge) == (code != "passport_missing")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("code", [row.code for row in REASONS.values() if row.status in (429, 503)])
def test_whoever_is_to_come_back_is_told_when(code: str, status: int) -> None:
    """429 and 503 always say so, also where the refusal itself cannot."""
    found = answer(Refusal(code, status=status))

    assert int(headers_of(found)["retry-after"]) == body_of(found)["retry_after_s"] > 0


def test_a_stated_wait_goes_before_the_usual_one() -> None:
    """Also with another status."""
    found = answer(Refusal("budget_exhausted", retry_after_s=0))

    assert headers_of(found)["retry-after"] == "0"
    assert body_of(found)["retry_after_s"] == 0
    assert "retry-after" not in headers_of(answer(Refusal("budget_exhausted")))


def test_a_more_exact_status_is_used_in_both_places() -> None:
    """Where HTTP has one."""
    found = answer(Refusal("request_malformed", "Too long.", status=414))

    assert (found.status, body_of(found)["status"]) == (414, 414)


def test_the_upgrade_prompt_is_for_the_anonymous() -> None:
    """In headers and body; whoever presented something does not get it."""
    without = answer(Refusal("action_unknown"))
    found = answer(Refusal("action_unknown"), anonymous=True)

    assert "passport-upgrade" not in headers_of(without)
    assert "upgrade_url" not in body_of(without)
    assert headers_of(found)["passport-upgrade"] == (
        'url="https://api.example/signup", message="Get a passport"'
    )
    assert headers_of(found)["link"] == '<https://api.example/signup>; rel="passport-upgrade"'
    assert body_of(found)["upgrade_message"] == "Get a passport"


def test_nothing_is_prompted_where_nothing_is_configured() -> None:
    """No empty header, no empty member."""
    found = answer(Refusal("passport_missing"), BARE, anonymous=True)

    assert BARE.upgrade_lines == b""
    assert not {"passport-upgrade", "link"} & headers_of(found).keys()
    assert not {"upgrade_url", "upgrade_message", "passport_required_url"} & body_of(found).keys()


def test_a_message_alone_links_nowhere() -> None:
    """The header has the one parameter."""
    surface = Surface("g", "L2", ("Passport",), "/r", upgrade_message="Ask us")
    found = answer(Refusal("passport_missing"), surface, anonymous=True)

    assert headers_of(found)["passport-upgrade"] == 'message="Ask us"'
    assert "link" not in headers_of(found)
    assert "passport_required_url" not in body_of(found)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain text", b'"plain text"'),
        ('a "b" \\ c', b'"a %22b%22 %5C c"'),
        ("line\r\nSet-Cookie: a", b'"line%0D%0ASet-Cookie: a"'),
        ("Käse", b'"K%C3%A4se"'),
        ("\udce9", b'"?"'),
        ("", b'""'),
    ],
)
def test_a_quoted_text_cannot_end_early(given: str, shown: bytes) -> None:
    """Neither its quotes nor its line."""
    assert quoted(given) == shown


def test_a_configured_url_cannot_break_out_of_its_header() -> None:
    """Whatever the operator's templates put into it."""
    surface = Surface(
        "g", "L2", ("Passport",), "/r", upgrade_url="https://ä.example/>\r\nSet-Cookie: a=b<\"'"
    )

    assert headers_of(answer(Refusal("passport_missing"), surface, anonymous=True))["link"] == (
        '<https://%C3%A4.example/%3E%0D%0ASet-Cookie:%20a=b%3C%22\'>; rel="passport-upgrade"'
    )


def test_an_error_description_holds_no_quote() -> None:
    """RFC 6750 section 3 has no escape for one."""
    found = answer(Refusal("passport_malformed", 'The "claim" \\ is\r\nüble.'))

    assert 'error_description="The claim  isble."' in headers_of(found)["www-authenticate"]
    assert body_of(found)["detail"] == 'The "claim" \\ is\r\nüble.'


def test_a_head_request_learns_the_length_and_gets_no_body() -> None:
    """RFC 9110 section 9.3.2."""
    found = answer(Refusal("passport_missing"))
    date = b"Date: x\r\n"

    whole = on_the_wire(found, date, minor=1, head_only=False, close=False)
    head = on_the_wire(found, date, minor=1, head_only=True, close=False)

    assert whole == head + found.body
    assert b"Content-Length: %d\r\n" % len(found.body) in head
    assert head.endswith(b"\r\n\r\n")
