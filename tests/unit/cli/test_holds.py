"""`passgate holds`: what the person sees in a terminal, and what is asked of the gate."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.testing import FakeUpstream, Reply

HELD = {
    "id": "appr_1",
    "state": "pending",
    "opened_at": 1_800_000_000,
    "expires_at": 1_800_000_300,
    "agent_id": "agent_7",
    "issuer": "iss_lab",
    "action": "shop:order",
    "method": "POST",
    "target": "/orders",
    "cost_cents": 1500,
    "amount": "15.00",
    "vendor": "acme\x1b[2J",
    "requested": {"text": "/orders?x=1", "cut": False},
    "body": {"text": '{"a": 1,\n "b": "\x1b]0;"}', "cut": True},
}


def holds(answer: Any, *arguments: str, status: int = 200) -> tuple[int, str, str, Any]:
    """Exit code, output, errors, and what the gate was asked."""
    with FakeUpstream(Reply(status, body=json.dumps(answer).encode())) as gate:
        admin = f"http://127.0.0.1:{gate.port}"
        result = CliRunner().invoke(
            app,
            ["holds", *arguments, "--admin", admin, "--token", "env:ANN"],
            env={"ANN": "the secret of ann"},
        )
    return result.exit_code, result.stdout, result.stderr, gate.seen[0]


def test_what_waits_is_a_line_each() -> None:
    """With everything that is needed to find the one that was meant, and no escape sequence."""
    code, out, _, seen = holds({"holds": [HELD]}, "list")
    assert code == 0
    assert out == (
        "appr_1  pending until 2027-01-15T08:05:00Z  agent_7  shop:order  POST /orders  "
        "1500 cents  amount 15.00  acme\\x1b[2J\n"
    )
    assert seen.target == "/api/holds?state=pending"
    assert holds({"holds": []}, "list")[1] == "nothing waits\n"
    assert holds({"holds": []}, "list", "--state", "all")[3].target == "/api/holds"
    assert json.loads(holds({"holds": [HELD]}, "list", "--json")[1]) == [HELD]


def test_one_is_shown_with_what_it_asks() -> None:
    """Its facts, its target and the beginning of its body, none of which reaches the terminal raw.

    An agent wrote some of it.
    """
    code, out, _, seen = holds(HELD, "show", "appr_1")
    assert (code, seen.target) == (0, "/api/holds/appr_1")
    assert "cost_cents:   1500\n" in out
    assert "requested:\n  /orders?x=1\n" in out
    assert 'body, cut:\n  {"a": 1,\n   "b": "\\x1b]0;"}\n' in out
    assert "\x1b" not in out
    encoded = {**HELD, "body": {"base64": "AAE=", "cut": False}}
    assert "body, base64:\n  AAE=\n" in holds(encoded, "show", "appr_1")[1]
    assert json.loads(holds(HELD, "show", "appr_1", "--json")[1]) == HELD


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_a_decision_is_one_order(word: str) -> None:
    """With its reason if there is one; what became of it is the output."""
    decided = {**HELD, "state": "approved"}
    code, out, _, seen = holds(decided, word, "appr_1", "--reason", "ordered")
    assert code == 0
    assert out.startswith("appr_1  approved until ")
    assert (seen.method, seen.target) == ("POST", f"/api/holds/appr_1/{word}")
    assert json.loads(seen.body) == {"reason": "ordered"}
    assert seen.header("Authorization") == "Bearer the secret of ann"
    code, out, _, seen = holds(decided, word, "a/../b?", "--json")
    assert (seen.target, seen.body) == (f"/api/holds/a%2F..%2Fb%3F/{word}", b"")
    assert json.loads(out) == decided


def test_letters_that_nobody_took_are_shown_and_sent_again() -> None:
    """A line each, with what is wrong; `resend` is one order."""
    letter = {
        "id": "evt_1",
        "event": "hold.opened",
        "hold_id": "appr_1",
        "at": 1,
        "attempts": 12,
        "error": "the webhook answered 500",
        "dead": True,
    }
    waits = {**letter, "id": "evt_2", "attempts": 0, "error": "", "dead": False}
    code, out, _, seen = holds({"letters": [letter, waits]}, "letters")
    assert (code, seen.target) == (0, "/api/letters")
    assert out == (
        "evt_1  dead  hold.opened  appr_1  12 attempts  the webhook answered 500\n"
        "evt_2  waits  hold.opened  appr_1  0 attempts\n"
    )
    assert holds({"letters": []}, "letters")[1] == "every event was taken\n"
    assert json.loads(holds({"letters": [letter]}, "letters", "--json")[1]) == [letter]
    code, out, _, seen = holds({"resent": ["evt_1"]}, "resend", "all")
    assert (code, out) == (0, "1 wait to be sent again\n")
    assert (seen.method, seen.target, seen.body) == ("POST", "/api/letters/all/resend", b"")
    assert json.loads(holds({"resent": ["evt_1"]}, "resend", "a/b", "--json")[1]) == ["evt_1"]


def test_whoever_was_too_late_hears_it() -> None:
    """Exit 1, and the gate's own sentence."""
    code, out, err, _ = holds({"detail": "The hold is denied."}, "approve", "appr_1", status=409)
    assert (code, out) == (1, "")
    assert "409: The hold is denied." in err
