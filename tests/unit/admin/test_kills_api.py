"""The operator's API for the kill switch: who may turn it, and what it takes for an order."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from tests.unit.admin.test_admin_app import TOKENS, Desk

from passgate.admin.app import make_app
from passgate.core.kills import Kill

AGENT = Kill("kill_0", "agent", "agent-7", "", "", "admin", 1)

Ask = Callable[..., Awaitable[ClientResponse]]


def serving(work: Callable[[Ask], Awaitable[None]], desk: Desk | None = None) -> Desk:
    """Runs `work` with a client that sends a token, a path and, if it has one, a body."""
    known = desk or Desk()

    async def whole() -> None:
        async with TestClient(TestServer(make_app(known, TOKENS, None, "127.0.0.1"))) as client:

            async def ask(
                token: str,
                method: str,
                path: str,
                body: Any = None,
                content_type: str = "application/json",
            ) -> ClientResponse:
                headers = {"Authorization": f"Bearer {token}"}
                if body is not None:
                    headers["Content-Type"] = content_type
                    body = body if isinstance(body, bytes) else json.dumps(body).encode()
                return await client.request(method, path, headers=headers, data=body)

            await work(ask)

    asyncio.run(whole())
    return known


def test_an_order_answers_with_the_kill() -> None:
    """201 the first time, 200 from then on; by the name of whoever holds the token."""

    async def work(ask: Ask) -> None:
        order = {"kind": "agent", "id": "agent-7", "issuer": "odd", "reason": "sold out"}
        first = await ask("all", "POST", "/api/kill", order)
        assert first.status == 201
        assert await first.json() == {
            "id": "kill_0",
            "kind": "agent",
            "target": "agent-7",
            "issuer": "odd",
            "reason": "sold out",
            "by": "admin",
            "at": 1,
            "new": True,
            "warnings": ["no such issuer"],
        }
        again = await ask("all", "POST", "/api/kill", order)
        assert (again.status, (await again.json())["new"]) == (200, False)
        everything = await ask("all", "POST", "/api/kill", {"kind": "all"})
        assert everything.status == 201
        listed = await ask("see", "GET", "/api/kill")
        assert [kill["id"] for kill in (await listed.json())["kills"]] == ["kill_0", "kill_1"]

    serving(work)


@pytest.mark.parametrize("token", ["see", "approve"])
def test_whoever_is_no_admin_turns_nothing(token: str) -> None:
    """403, whatever the path of the kill looks like; looking is everyone's."""

    async def work(ask: Ask) -> None:
        assert (await ask(token, "POST", "/api/kill", {"kind": "all"})).status == 403
        for name in ("kill_0", "agent-7", "a%2Fb", "a/b"):
            assert (await ask(token, "DELETE", f"/api/kill/{name}")).status == 403
        assert (await ask(token, "GET", "/api/kill")).status == 200
        assert (await ask("nobody", "GET", "/api/kill")).status == 401

    assert serving(work, Desk(stopped=[AGENT])).stopped == [AGENT]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "unambiguous JSON"),
        (b"{", "unambiguous JSON"),
        (b'{"kind":"agent","id":"a","id":"b"}', "unambiguous JSON"),
        ([], "must be an object"),
        ({"kind": "all", "until": "tomorrow"}, "must be an object of id, issuer, kind, reason"),
        ({"kind": "agent", "id": 7}, "id must be a text"),
        ({"kind": "agent", "id": None}, "id must be a text"),
        ({"kind": "agent"}, "the id of the agent"),
        ({}, "the kind must be one of"),
        ({"kind": "everything"}, "the kind must be one of"),
        ({"kind": "all", "id": "agent-7"}, "takes no id"),
        ({"kind": "action", "id": "*"}, "the kind all"),
        ({"kind": "agent", "id": "a", "reason": "x" * 501}, "reason must be printable"),
    ],
)
def test_what_is_no_order_stops_nothing(body: Any, words: str) -> None:
    """400 with a sentence."""

    async def work(ask: Ask) -> None:
        answer = await ask("all", "POST", "/api/kill", body)
        assert answer.status == 400
        assert words in (await answer.json())["detail"]

    assert serving(work).stopped == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
@pytest.mark.parametrize("path", ["/api/kill", "/api/reload"])
def test_what_a_form_can_send_is_not_read(content_type: str, path: str) -> None:
    """415: a body is application/json."""

    async def work(ask: Ask) -> None:
        answer = await ask("all", "POST", path, b'{"kind":"all"}', content_type)
        assert answer.status == 415

    desk = serving(work)
    assert (desk.stopped, desk.reloads) == ([], 0)


def test_a_large_body_is_not_read() -> None:
    """413 beyond 16 KiB."""

    async def work(ask: Ask) -> None:
        answer = await ask("all", "POST", "/api/kill", {"kind": "all", "reason": "x" * 20_000})
        assert answer.status == 413

    assert serving(work).stopped == []


def test_lifting_answers_with_what_was_lifted() -> None:
    """By the kill's id or by what it stops, also where that has slashes."""
    child = Kill("kill_1", "agent", "agent-7/ch?ild", "", "", "admin", 1)

    async def work(ask: Ask) -> None:
        lifted = await ask("all", "DELETE", "/api/kill/kill_0")
        assert (lifted.status, (await lifted.json())["target"]) == (200, "agent-7")
        assert (await ask("all", "DELETE", "/api/kill/kill_0")).status == 404
        lifted = await ask("all", "DELETE", "/api/kill/agent-7%2Fch%3Fild")
        assert (await lifted.json())["id"] == "kill_1"

    desk = serving(work, Desk(stopped=[AGENT, child]))
    assert desk.stopped == []
    assert desk.lifted_by == ["admin", "admin"]


def test_what_cannot_be_lifted_stays() -> None:
    """409 where several are called so, 503 where the disk refuses; stopping then says so too."""
    other = Kill("kill_1", "issuer", "agent-7", "", "", "admin", 1)
    desk = Desk(stopped=[AGENT, other])

    async def work(ask: Ask) -> None:
        answer = await ask("all", "DELETE", "/api/kill/agent-7")
        assert (answer.status, "kill_0, kill_1" in (await answer.json())["detail"]) == (409, True)
        desk.disk_full = True
        assert (await ask("all", "DELETE", "/api/kill/kill_0")).status == 503
        answer = await ask("all", "POST", "/api/kill", {"kind": "all"})
        assert (answer.status, "in force" in (await answer.json())["detail"]) == (503, True)

    assert serving(work, desk).stopped == [AGENT, other]


def test_a_body_is_taken_as_it_came_or_not_at_all() -> None:
    """A content coding is refused before anything is unpacked, a body that breaks off as well."""
    order = b'{"kind": "agent", "id": "agent-7"}'

    async def whole() -> None:
        async with TestServer(make_app(known, TOKENS, None, "127.0.0.1")) as server:
            for headers, body, status in (
                (b"Content-Encoding: gzip\r\nContent-Length: 34\r\n", order, b"415"),
                (b"Content-Encoding: identity\r\nContent-Length: 34\r\n", order, b"415"),
                (b"Transfer-Encoding: chunked\r\n", b"x\r\n", b"400"),
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(
                    b"POST /api/kill HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all\r\n"
                    b"Content-Type: application/json\r\nConnection: close\r\n" + headers + b"\r\n"
                )
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(body)
                answer = await reader.read()
                writer.close()
                assert answer.split(b" ")[1] == status, answer

    known = Desk()
    asyncio.run(whole())
    assert known.stopped == []
