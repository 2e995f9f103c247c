"""The shipped test tools do what they say, and stay out of the gate."""

import asyncio
import http.client
import socket
import subprocess
import sys
from collections.abc import Callable

import jwt
import pytest
from tests.awaiting import eventually, settled
from tests.craft import revoked_ids

from passgate.core.instant import Instant
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.testing import (
    REMOVED,
    FakeUpstream,
    ManualClock,
    Reply,
    Seen,
    TestIssuer,
    mint,
    revocations,
)

LAB = TestIssuer("iss_lab")


def test_a_minted_passport_is_good() -> None:
    now = Instant(1_800_000_000.0, 5.0)
    trust = Trust({"iss_lab": LAB.trusted(now)})
    passport = verify(LAB.mint(now=now.wall, agent="a"), trust, Acceptance())
    assert getattr(passport, "agent", None) == "a"


def test_any_claim_and_header_can_be_replaced_or_left_out() -> None:
    token = mint(
        issuer=LAB, claims={"sub": REMOVED, "exp": "soon"}, header={"kid": REMOVED, "x": 1}
    )
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "passport+jwt", "x": 1}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert "sub" not in claims
    assert claims["exp"] == "soon"


def test_bytes_are_signed_as_they_are() -> None:
    token = mint(issuer=LAB, header=b'{"alg":"EdDSA","alg":"none"}', payload=b"\xff")
    signed, _, signature = token.rpartition(".")
    head, body = (jwt.utils.base64url_decode(part) for part in signed.split("."))
    assert (head, body) == (b'{"alg":"EdDSA","alg":"none"}', b"\xff")
    LAB.key.public_key().verify(jwt.utils.base64url_decode(signature), signed.encode())


def test_an_issuer_is_the_same_for_the_same_seed() -> None:
    assert TestIssuer("iss_lab").kid == LAB.kid
    assert TestIssuer("iss_lab", seed="2").kid != LAB.kid
    assert TestIssuer("iss_2").kid != LAB.kid
    assert repr(REMOVED) == "REMOVED"


def test_an_issuer_shows_its_public_side_alone() -> None:
    assert LAB.jwks["keys"][0].keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    trusted = LAB.trusted(Instant(1, 1), tier="L0", revocations=None)
    assert (trusted.tier, trusted.revocations) == ("L0", None)


def test_a_list_as_the_gate_would_have_learnt_it() -> None:
    found = revocations(Instant(1, 1), passports=["p"], agents=["a"], keys=["k"])
    assert (found.passports, found.agents, found.keys) == (
        revoked_ids("p"),
        revoked_ids("a"),
        revoked_ids("k"),
    )


def test_the_clock_wakes_whoever_waited_long_enough() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        woken: list[float] = []

        async def sleeper(seconds: float) -> None:
            await clock.wait(seconds)
            woken.append(seconds)

        tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (0, 1, 2, 3)]
        await settled()
        assert woken == [0]
        tasks[1].cancel()
        clock.advance(2)
        await eventually(lambda: woken == [0, 2])
        clock.set_wall(5.0)
        assert clock() == Instant(5.0, 10_002.0)
        tasks[3].cancel()

    asyncio.run(scenario())


def ask(
    upstream: FakeUpstream, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=5)
    try:
        connection.request(method, "/a?b", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_upstream_remembers_what_it_was_asked() -> None:
    with FakeUpstream() as upstream:
        assert ask(upstream, "POST", b"hi") == (200, b"hello from upstream\n")
        (seen,) = upstream.wait_for(1)
    assert (seen.method, seen.target, seen.body) == ("POST", "/a?b", b"hi")
    assert seen.header("HOST") == f"127.0.0.1:{upstream.port}"
    assert seen.header("X-None") is None


@pytest.mark.parametrize(
    ("reply", "method", "expected"),
    [
        (Reply(status=404, body=b"no"), "GET", (404, b"no")),
        (Reply(body=[b"a", b"b"], pause_s=0.001, after_s=0.001), "GET", (200, b"ab")),
        (Reply(body=[b"a"]), "HEAD", (200, b"")),
        (Reply(body=b"a"), "HEAD", (200, b"")),
        (Reply(status=204, body=b""), "GET", (204, b"")),
        (Reply(raw=b"HTTP/1.0 201 X\r\n\r\nraw"), "GET", (201, b"raw")),
        (lambda seen: Reply(body=seen.target.encode()), "GET", (200, b"/a?b")),
    ],
)
def test_the_upstream_answers_as_told(
    reply: Reply | Callable[[Seen], Reply], method: str, expected: tuple[int, bytes]
) -> None:
    with FakeUpstream(reply) as upstream:
        assert ask(upstream, method) == expected


def test_the_upstream_keeps_connections_reads_chunks_and_lets_bodies_come() -> None:
    request = (
        b"POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        b"2;ext\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n"
        b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    with FakeUpstream(Reply(body=b"")) as upstream:
        with socket.create_connection(("127.0.0.1", upstream.port), 5) as client:
            client.sendall(request)
            received = b""
            while part := client.recv(65_536):
                received += part
        first, second = upstream.wait_for(2)
        assert (first.body, second.target) == (b"abc", "/2")
        assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert received.count(b"HTTP/1.1 200") == 2
        assert upstream.connections == 1


def test_the_upstream_survives_a_client_that_speaks_no_http() -> None:
    with FakeUpstream() as upstream:
        with socket.create_connection(("127.0.0.1", upstream.port), 5) as client:
            client.sendall(b"\x16\x03\x01\r\n\r\n")
            assert client.recv(100) == b""
        assert ask(upstream)[0] == 200


def test_waiting_for_requests_that_never_come_ends() -> None:
    with FakeUpstream() as upstream, pytest.raises(TimeoutError, match="saw 0 requests"):
        upstream.wait_for(1, timeout_s=0.01)


def test_an_upstream_that_is_left_cuts_its_connections() -> None:
    with FakeUpstream() as upstream:
        client = socket.create_connection(("127.0.0.1", upstream.port), 5)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    while client.recv(65_536):
        pass
    client.close()


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("passgate.gate", "passgate.testing"),
        ("passgate.gate", "passgate.authority"),
        ("passgate.sync.keeper", "aiohttp"),
        ("passgate.gate, passgate.cli.serving", "typer"),
        ("passgate.gate, passgate.cli.serving", "pydantic"),
    ],
)
def test_the_gate_does_not_carry_what_it_does_not_use(imported: str, absent: str) -> None:
    program = (
        f"import sys, {imported}; sys.exit(any(n.startswith('{absent}') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
