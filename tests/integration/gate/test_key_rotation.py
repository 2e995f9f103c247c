"""An issuer's keys change under a real gate that learns them by OpenID Connect Discovery."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from tests.awaiting import eventually
from tests.support.long_api import long_api
from tests.support.running_gate import RunningGate

from passgate.log import read_lines
from passgate.testing import TestIssuer

OLD = TestIssuer("iss_test")
NEW = TestIssuer("iss_test", seed="next")
ROUTES = [
    {"match": "ANY /events", "action": "live:events"},
    {"match": "ANY /poll", "action": "live:poll"},
]


@contextmanager
def provider(pages: dict[str, Any]) -> Iterator[str]:
    """The URL of an OpenID issuer whose documents are `pages`."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = pages.get(self.path)
            body = json.dumps(document).encode()
            self.send_response(HTTPStatus.OK if document is not None else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            del format, args

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        discovery = {"issuer": url, "jwks_uri": f"{url}/keys"}
        pages["/.well-known/openid-configuration"] = discovery
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def keys_of(*issuers: TestIssuer) -> dict[str, Any]:
    return {"keys": [key for each in issuers for key in each.jwks["keys"]]}


def test_passports_end_with_the_key_that_signed_them(tmp_path: Path) -> None:
    """Both keys count while both are published; the old one withdrawn ends its passports, seen
    before or not, and an open stream of theirs; those of the new one go on."""

    async def scenario() -> None:
        pages: dict[str, Any] = {"/keys": keys_of(OLD)}
        async with long_api() as api, aiohttp.ClientSession() as client:
            with provider(pages) as url:
                entry = {
                    "id": OLD.id,
                    "keys": f"oidc:{url}",
                    "revocations": f"file:{tmp_path}/revocations.jwt",
                    "refresh": "1s",
                }
                config = {
                    "issuers": [entry],
                    "actions": {"routes": ROUTES},
                    "limits": {"drain_timeout": "1s"},
                }
                gate = RunningGate(tmp_path, api.url, config=config, issuer=OLD)
                await asyncio.to_thread(gate.start)
                try:
                    await rotated(gate, client, pages)
                finally:
                    assert await asyncio.to_thread(gate.stop) == 0

    asyncio.run(scenario())


async def rotated(gate: RunningGate, client: aiohttp.ClientSession, pages: dict[str, Any]) -> None:
    base = f"http://127.0.0.1:{gate.port}"
    by_old, by_new = OLD.mint(), NEW.mint()

    async def events(passport: str) -> aiohttp.ClientResponse:
        return await client.get(f"{base}/events", headers={"Authorization": f"Passport {passport}"})

    async def code(passport: str) -> str:
        try:
            async with await events(passport) as answer:
                return "ok" if answer.status == 200 else str((await answer.json())["code"])
        except aiohttp.ClientError:
            return "cut"  # what is under way while its key is withdrawn

    async def until(passport: str, expected: str) -> None:
        for _ in range(200):
            if await code(passport) == expected:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(expected)

    doomed = await events(by_old)
    assert doomed.status == 200
    assert await code(by_new) == "key_unknown"
    pages["/keys"] = keys_of(NEW, OLD)
    await until(by_new, "ok")
    assert await code(by_old) == "ok"
    stays = await events(by_new)
    gate.issuer = NEW
    gate.revoke()

    pages["/keys"] = keys_of(NEW)
    await until(by_old, "key_unknown")
    assert await code(OLD.mint()) == "key_unknown"
    assert await code(by_new) == "ok"

    def cut() -> list[Any]:
        lines = [dict(line) for line in read_lines(gate.log_directory)]
        return [line for line in lines if line["kind"] == "outcome" and line["outcome"] == "cut"]

    await eventually(cut)
    assert [line["decision_id"] for line in cut()] == [doomed.headers["Passport-Decision-Id"]]
    assert not stays.content.at_eof()
    doomed.close()
    stays.close()
