"""The gate as a process, asked over HTTP/2 by clients that others have written."""

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from h2.errors import ErrorCodes
from tests.support.certificates import Authority
from tests.support.http2_client import frame, http2, raw_frames
from tests.support.raw_http import Peer, RawUpstream
from tests.support.running_gate import RunningGate, eventually, running_gate

from passgate.log import read_lines, verify_log
from passgate.testing import mint

HELLO = b"\0\0\0\0\x05hello"
UNARY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"a\r\n" + HELLO + b"\r\n0\r\ngrpc-status: 0\r\n\r\n"
)
STREAM = UNARY.replace(b"0\r\ngrpc-status: 0", b"a\r\n" + HELLO + b"\r\n0\r\ngrpc-status: 0")
FAILING = UNARY.replace(b"a\r\n" + HELLO + b"\r\n", b"").replace(
    b"grpc-status: 0", b"grpc-status: 5\r\ngrpc-message: none such"
)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: yes\r\n\r\nok"


def answers(peer: Peer) -> None:
    while (request := peer.request()) is not None:
        line = request.partition(b"\r\n")[0]
        for path, answer in ((b"/Unary", UNARY), (b"/Stream", STREAM), (b"/Failing", FAILING)):
            if path in line:
                peer.send(answer)
                break
        else:
            peer.send(PLAIN)


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(answers) as running:
        yield running


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    return {
        "actions": {
            "routes": [
                {"match": "GET /v1/search", "action": "api:search"},
                {"match": "POST /v1/orders", "action": "api:order", "amount": "body:/amount"},
                {"match": "POST /test.Greeter/**", "action": "greeter:call"},
            ]
        },
        "limits": {"refusals_per_second": 1000},
    }


@pytest.fixture(scope="module")
def gate(
    tmp_path_factory: pytest.TempPathFactory, upstream: RawUpstream, config: dict[str, object]
) -> Iterator[RunningGate]:
    directory = tmp_path_factory.mktemp("gate")
    url = f"http://127.0.0.1:{upstream.port}"
    with running_gate(directory, url, config=config) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_gate(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: RawUpstream,
    config: dict[str, object],
    authority: Authority,
) -> Iterator[RunningGate]:
    cert, key = authority.issue("server", ("localhost", "127.0.0.1"))
    directory = tmp_path_factory.mktemp("tls")
    tls = {"cert": str(cert), "key": str(key), "client_ca": str(authority.cert)}
    url = f"http://127.0.0.1:{upstream.port}"
    listen = {"tls": tls | {"client_auth": "optional"}}
    with running_gate(directory, url, config=config | {"listen": listen}) as running:
        yield running


def passport(gate: RunningGate, *permissions: str) -> str:
    return mint(issuer=gate.issuer, agent="agent_7", permissions=list(permissions) or ["*"])


def test_httpx(tls_gate: RunningGate, upstream: RawUpstream, authority: Authority) -> None:
    """A client that offers both versions gets HTTP/2, its passport is judged, bodies too."""
    given = {"X-Agent-Passport": passport(tls_gate)}
    context = ssl.create_default_context(cafile=authority.cert)
    url = f"https://localhost:{tls_gate.port}"
    with httpx.Client(http2=True, verify=context, base_url=url) as client:
        allowed = client.get("/v1/search?q=1", headers=given)
        assert (allowed.http_version, allowed.status_code) == ("HTTP/2", 200)
        assert allowed.headers["passport-decision"] == "allow"
        ordered = client.post("/v1/orders", headers=given, json={"amount": "5"})
        assert ordered.status_code == 200
        twice = client.post(
            "/v1/orders",
            headers=given | {"Content-Type": "application/json"},
            content=b'{"amount": 1, "amount": 2}',
        )
        assert (twice.status_code, twice.json()["code"]) == (400, "request_malformed")
        refused = client.get("/v1/search")
        assert (refused.status_code, refused.json()["code"]) == (401, "passport_missing")
        assert refused.headers["www-authenticate"].startswith("Passport realm=")
    assert b"GET /v1/search?q=1 HTTP/1.1\r\n" in upstream.received
    assert b"x-agent-passport" not in upstream.received.lower()


def test_client_certificate_is_on_record(tls_gate: RunningGate, authority: Authority) -> None:
    """The name in the client's certificate stands in the line of a request over HTTP/2 too."""
    context = ssl.create_default_context(cafile=authority.cert)
    context.load_cert_chain(*authority.issue("client-of-http2"))
    url = f"https://localhost:{tls_gate.port}/v1/search"
    with httpx.Client(http2=True, verify=context) as client:
        answer = client.get(url, headers={"X-Agent-Passport": passport(tls_gate)})

    decision = answer.headers["passport-decision-id"]
    line = eventually(lambda: _line_of(tls_gate, decision))
    assert "client-of-http2" in str(line)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl(gate: RunningGate, tls_gate: RunningGate, authority: Authority) -> None:
    """curl speaks HTTP/2 by prior knowledge and by ALPN; its offer to upgrade is not taken."""
    for arguments, version in (
        (["--http2-prior-knowledge", f"http://127.0.0.1:{gate.port}/v1/search"], "2"),
        (["--http2", f"http://127.0.0.1:{gate.port}/v1/search"], "1.1"),
        (
            ["--cacert", str(authority.cert), f"https://localhost:{tls_gate.port}/v1/search"],
            "2",
        ),
    ):
        serving = tls_gate if arguments[-1].startswith("https") else gate
        credential = f"Authorization: Passport {passport(serving)}"
        done = subprocess.run(
            ["curl", "-sS", "-w", " %{http_version} %{http_code}", "-H", credential, *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.stdout == f"ok {version} 200", done.stderr


def call(gate: RunningGate, method: str, credential: str | None) -> grpc.Call:
    """One call of a real gRPC client, by prior knowledge."""
    metadata = [] if credential is None else [("x-agent-passport", credential)]
    with grpc.insecure_channel(f"127.0.0.1:{gate.port}") as channel:
        stub = channel.unary_stream(f"/test.Greeter/{method}")
        answers = stub(b"hello", metadata=metadata, timeout=10)
        messages = []
        with contextlib.suppress(grpc.RpcError):
            messages += list(answers)
        answers.messages = messages
        return answers


def test_grpc_client(gate: RunningGate) -> None:
    """A gRPC client gets messages and status; the upstream speaks gRPC's framing over HTTP/1.1."""
    credential = passport(gate, "greeter:*")
    for method, count, code in (
        ("Unary", 1, grpc.StatusCode.OK),
        ("Stream", 2, grpc.StatusCode.OK),
        ("Failing", 0, grpc.StatusCode.NOT_FOUND),
    ):
        done = call(gate, method, credential)
        assert done.messages == [b"hello"] * count
        assert done.code() is code


def test_grpc_client_that_is_refused(gate: RunningGate) -> None:
    """A refusal of the gate is a status that a gRPC client knows what to do with."""
    assert call(gate, "Unary", None).code() is grpc.StatusCode.UNAUTHENTICATED
    narrow = passport(gate, "api:search")
    assert call(gate, "Unary", narrow).code() is grpc.StatusCode.PERMISSION_DENIED


def test_malformed_requests_and_connections_are_on_record(gate: RunningGate) -> None:
    """What is no request, and what is no HTTP/2, has a line as anything else that is refused."""
    before = len(_malformed(gate))
    with http2(gate.port) as client:
        answer = client.get("/v1/search", ("connection", "close"))
        assert answer.status == 400
        assert b'"request_malformed"' in answer.body
    with raw_frames(gate.port) as client:
        client.send(frame(0, 0, 0, b"x"))
        assert client.ends_with() == ErrorCodes.PROTOCOL_ERROR
    eventually(lambda: len(_malformed(gate)) == before + 2)
    assert not verify_log(gate.log_directory).wrong


def test_one_connection_carries_many_agents(gate: RunningGate) -> None:
    """Each stream has the passport it came with, and no other's."""
    with http2(gate.port) as client:
        streams = {
            client.request("/v1/search", ("x-agent-passport", passport(gate, permission))): status
            for permission, status in (("api:*", 200), ("api:other", 403), ("api:search", 200))
        }
        streams[client.request("/v1/search")] = 401
        for stream, status in streams.items():
            assert client.answer(stream).status == status


def test_a_stopping_gate_answers_what_is_open(tmp_path: Path, upstream: RawUpstream) -> None:
    """SIGTERM ends idle connections with GOAWAY, and the process with 0."""
    url = f"http://127.0.0.1:{upstream.port}"
    with running_gate(tmp_path, url) as gate, http2(gate.port) as client:
        assert client.get("/v1/search").status == 401
        assert gate.stop() == 0
        assert client.ends() == ErrorCodes.NO_ERROR
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", gate.port))


def _line_of(gate: RunningGate, decision: str) -> object:
    for line in read_lines(gate.log_directory):
        if line.get("decision_id") == decision:
            return line
    return None


def _malformed(gate: RunningGate) -> list[object]:
    return [
        line
        for line in read_lines(gate.log_directory)
        if line.get("reason_code") == "request_malformed" and line["kind"] == "decision"
    ]
