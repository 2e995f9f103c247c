"""The operator's API for holds: who may look, who may decide, and what an order may be."""

from typing import Any

import pytest
from tests.unit.admin.test_admin_app import Desk
from tests.unit.admin.test_kills_api import Ask, serving


def test_what_is_held_is_listed_and_shown() -> None:
    """All, or those in one state; one by its id."""

    async def work(ask: Ask) -> None:
        listed = await (await ask("see", "GET", "/api/holds")).json()
        assert [held["id"] for held in listed["holds"]] == ["appr_1", "appr_2"]
        listed = await (await ask("see", "GET", "/api/holds?state=denied")).json()
        assert [held["id"] for held in listed["holds"]] == ["appr_2"]
        assert (await (await ask("see", "GET", "/api/holds/appr_1")).json())["id"] == "appr_1"
        assert (await ask("see", "GET", "/api/holds/appr_9")).status == 404
        for query in ("state=open", "state=denied&state=used", "sate=denied"):
            assert (await ask("see", "GET", f"/api/holds?{query}")).status == 400
        letters = await (await ask("see", "GET", "/api/letters")).json()
        assert letters == {"letters": [{"id": "evt_1", "dead": True}]}

    serving(work)


def test_dead_letters_are_sent_again_by_whoever_may_decide() -> None:
    """By its id or all of them; never by a viewer, and nothing that is not dead."""

    async def work(ask: Ask) -> None:
        for name in ("evt_1", "all"):
            answer = await ask("approve", "POST", f"/api/letters/{name}/resend")
            assert await answer.json() == {"resent": ["evt_1"]}
        assert (await ask("see", "POST", "/api/letters/all/resend")).status == 403
        assert (await ask("nobody", "POST", "/api/letters/all/resend")).status == 401
        assert (await ask("approve", "POST", "/api/letters/evt_9/resend")).status == 404
        assert (await ask("approve", "POST", "/api/letters/all/resend", {"a": 1})).status == 400

    serving(work)

    async def full(ask: Ask) -> None:
        assert (await ask("approve", "POST", "/api/letters/all/resend")).status == 503

    serving(full, Desk(disk_full=True))


def test_a_decision_carries_the_name_of_whoever_makes_it() -> None:
    """The token's, which nothing in the request can change."""

    async def work(ask: Ask) -> None:
        answer = await ask("approve", "POST", "/api/holds/appr_1/approve", {"reason": "fine"})
        assert await answer.json() == {
            "id": "appr_1",
            "approve": True,
            "approver": "bob",
            "reason": "fine",
        }
        answer = await ask("all", "POST", "/api/holds/appr_1/deny")
        assert await answer.json() == {
            "id": "appr_1",
            "approve": False,
            "approver": "admin",
            "reason": "",
        }

    serving(work)


@pytest.mark.parametrize(
    ("why", "status"), [("unknown", 404), ("ended", 409), ("agent", 403), ("storage", 503)]
)
def test_what_is_not_decided_says_why(why: str, status: int) -> None:
    """Gone, decided already, by its own agent, or not to be put on disk."""

    async def work(ask: Ask) -> None:
        answer = await ask("approve", "POST", f"/api/holds/{why}/approve")
        assert (answer.status, (await answer.json())["detail"]) == (status, f"It is {why}.")

    serving(work)


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_looking_is_not_deciding(word: str) -> None:
    """A viewer decides nothing, and nobody decides by looking."""

    async def work(ask: Ask) -> None:
        path = f"/api/holds/appr_1/{word}"
        assert (await ask("see", "POST", path)).status == 403
        assert (await ask("nobody", "POST", path)).status == 401
        assert (await ask("all", "GET", path)).status == 405
        assert (await ask("nobody", "GET", "/api/holds")).status == 401

    serving(work)


@pytest.mark.parametrize(
    "body",
    [
        b"approve",
        b"[]",
        b'{"reason": 1}',
        b'{"reason": "a", "reason": "b"}',
        {"reason": "a", "by": "somebody"},
        {"reason": "a\nb"},
        {"reason": "\x1b[2J"},
        {"reason": "x" * 1001},
    ],
)
def test_an_order_that_is_not_one_decides_nothing(body: Any) -> None:
    """400: not JSON, another member, a name that is not the token's, what no terminal may get."""

    async def work(ask: Ask) -> None:
        answer = await ask("approve", "POST", "/api/holds/appr_1/approve", body)
        assert answer.status == 400

    serving(work)
