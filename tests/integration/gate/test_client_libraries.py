"""PassportAuth with real HTTP clients before a real gate that asks for nonces."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import httpx
import pytest
import requests
from tests.support.running_gate import RunningGate
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.client import Holder, PassportAuth
from passgate.client.auth import expiry_of, origin_of
from passgate.errors import KeyFileError
from passgate.testing import FakeUpstream, mint

HOLDER = Holder.generate()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    config = {
        "passport": {"proof": "required", "proof_nonce": True},
        "limits": {"refusals_per_second": 1000},
        "actions": {
            "routes": [
                {"match": "GET /v1/search", "action": "api:search"},
                {"match": "POST /v1/orders", "action": "shop:buy", "amount": "body:/amount"},
            ]
        },
    }
    with FakeUpstream() as upstream:
        directory = tmp_path_factory.mktemp("gate")
        running = RunningGate(directory, upstream.url, config=config).start()
        try:
            yield running
        finally:
            running.stop()


def passport(gate: RunningGate, ttl_s: int = 3600) -> str:
    return mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}}, ttl_s=ttl_s)


def at(gate: RunningGate, path: str) -> str:
    return f"http://127.0.0.1:{gate.port}{path}"


@pytest.fixture(params=["dpop", "signature"])
def auth(gate: RunningGate, request: pytest.FixtureRequest) -> PassportAuth:
    return PassportAuth(passport(gate), HOLDER, proof=request.param)


def test_httpx(gate: RunningGate, auth: PassportAuth) -> None:
    """Both of its clients; the first request is sent twice, the others once."""
    with httpx.Client(auth=auth.for_httpx()) as client:
        for _ in range(3):
            assert client.get(at(gate, "/v1/search?q=a%20b"), params={"q": "x"}).status_code == 200
        assert client.post(at(gate, "/v1/orders"), json={"amount": 7}).status_code == 200

    async def asynchronous() -> int:
        async with httpx.AsyncClient(auth=auth.for_httpx()) as client:
            return (await client.post(at(gate, "/v1/orders"), json={"amount": 7})).status_code

    assert asyncio.run(asynchronous()) == 200


def test_requests(gate: RunningGate, auth: PassportAuth) -> None:
    """With a session and without; the refused one is in the history."""
    answer = requests.get(at(gate, "/v1/search"), auth=auth.for_requests(), timeout=10)
    assert answer.status_code == 200
    assert [each.status_code for each in answer.history] == [401]
    with requests.Session() as session:
        session.auth = auth.for_requests()
        for _ in range(3):
            assert session.get(at(gate, "/v1/search"), timeout=10).status_code == 200
        sent = session.post(at(gate, "/v1/orders"), json={"amount": 7}, timeout=10)
        assert (sent.status_code, sent.history) == (200, [])


def test_aiohttp(gate: RunningGate, auth: PassportAuth) -> None:
    """As a middleware of the session."""

    async def scenario() -> list[int]:
        found = []
        async with aiohttp.ClientSession(middlewares=[auth.for_aiohttp()]) as session:
            for _ in range(2):
                async with session.get(at(gate, "/v1/search"), params={"q": "a b"}) as answer:
                    found.append(answer.status)
            async with session.post(at(gate, "/v1/orders"), json={"amount": 7}) as answer:
                found.append(answer.status)
        return found

    assert asyncio.run(scenario()) == [200, 200, 200]


def test_a_refusal_for_anything_else_is_handed_on(gate: RunningGate) -> None:
    """Once: only a nonce is worth a second try."""
    stranger = PassportAuth(passport(gate), Holder.generate())

    answer = httpx.get(at(gate, "/v1/search"), auth=stranger.for_httpx())

    assert answer.json()["code"] == "proof_invalid"
    assert httpx.get(at(gate, "/v1/none"), auth=stranger.for_httpx()).status_code == 404


def test_a_passport_is_renewed_before_it_ends(gate: RunningGate) -> None:
    """Asked for when a minute is left, and not again while the new one lasts."""
    given: list[str] = []

    def refresh() -> str:
        given.append(passport(gate))
        return given[-1]

    auth = PassportAuth(passport(gate, ttl_s=30), HOLDER, refresh=refresh)

    for _ in range(3):
        assert httpx.get(at(gate, "/v1/search"), auth=auth.for_httpx()).status_code == 200
    assert len(given) == 1


def test_the_shell_has_it_too(gate: RunningGate, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`passgate curl`: prints the answer, and its head where asked; exits 1 for a refusal."""
    directory = tmp_path_factory.mktemp("curl")
    holder = Holder.create(directory / "holder.key")
    token = mint(issuer=gate.issuer, claims={"cnf": {"jwk": holder.jwk}})
    (directory / "passport").write_text(token + "\n")
    (directory / "body").write_text('{"amount": 7}')
    known = ["curl", "-p", f"@{directory}/passport", "-k", str(directory / "holder.key")]

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*known, *arguments])
        return result.exit_code, result.output

    code, out = run("-i", at(gate, "/v1/search"))
    assert code == 0
    assert out.startswith("HTTP/1.1 200 ")
    assert out.endswith("\nhello from upstream\n")
    order = ("-d", f"@{directory}/body", "-H", "Content-Type: application/json")
    assert run(*order, "--proof", "signature", at(gate, "/v1/orders"))[0] == 0
    assert run("-d", "{}", at(gate, "/v1/orders"))[0] == 1
    assert run("-X", "DELETE", at(gate, "/v1/search"))[0] == 1
    assert run("-H", "no colon", at(gate, "/v1/search"))[0] == 2
    assert run("--proof", "word", at(gate, "/v1/search"))[0] == 1
    assert run("-d", "@/nowhere", at(gate, "/v1/search"))[0] == 1
    assert run("http://127.0.0.1:1/")[0] == 1
    assert CliRunner().invoke(app, ["curl", "-p", token, "-k", "/nowhere", "http://x"]).exit_code


def test_an_auth_keeps_to_its_origin_and_never_prints(gate: RunningGate) -> None:
    """Nothing is added for another place; without a key there is no proof."""
    token = passport(gate)
    auth = PassportAuth(token, origin="https://API.example:443/")

    assert auth.headers("GET", "https://api.example/x") == {"Authorization": f"Passport {token}"}
    for other in ("http://api.example/", "https://api.example:444/", "https://evil.example/"):
        assert auth.headers("GET", other) == {}
    assert token not in repr(auth)
    assert origin_of("HTTP://[2001:DB8::1]:8080/x") == "http://[2001:db8::1]:8080"
    with pytest.raises(ValueError, match="unlike 'word'"):
        PassportAuth(token, proof="word")
    with pytest.raises(KeyFileError):
        Holder.load(gate.directory / "none")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJleHAiOiJ4In0.c"])
def test_a_passport_that_cannot_be_read_is_renewed(text: str) -> None:
    """What ends at no known time ends now."""
    assert expiry_of(text) is None
    auth = PassportAuth(text, refresh=lambda: "fresh", now=time.time)
    assert auth.passport() == "fresh"
