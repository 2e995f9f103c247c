"""gRPC from end to end: the client and the server that others have written, the gate between."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.support.certificates import Authority
from tests.support.grpc_server import Greeter, grpc_server
from tests.support.running_gate import RunningGate, eventually, running_gate
from tests.support.upstreams import refusing_port

from passgate.log import read_lines, verify_log
from passgate.testing import mint

CONFIG: dict[str, Any] = {
    "actions": {"routes": [{"match": "POST /test.Greeter/**", "action": "greeter:call"}]},
    "limits": {"refusals_per_second": 1000},
}
DEADLINE_S = 10.0


@pytest.fixture(scope="module", params=["h2c", "tls"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Greeter, RunningGate, grpc.Channel]]:
    """A server, a gate before it and a channel to the gate, all within TLS or all without."""
    directory = tmp_path_factory.mktemp("gate")
    if request.param == "h2c":
        with (
            grpc_server() as greeter,
            running_gate(
                directory,
                f"http://127.0.0.1:{greeter.port}",
                config=CONFIG | {"upstream": {"http2": True}},
            ) as gate,
            grpc.insecure_channel(f"127.0.0.1:{gate.port}") as channel,
        ):
            yield greeter, gate, channel
        return
    authority = Authority(directory)
    cert, key = authority.issue("server", ("localhost", "127.0.0.1"))
    served = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
    trusted = grpc.ssl_channel_credentials(authority.cert.read_bytes())
    config = CONFIG | {
        "listen": {"tls": {"cert": str(cert), "key": str(key)}},
        "upstream": {"http2": True, "tls": {"ca": str(authority.cert)}},
    }
    with (
        grpc_server(served) as greeter,
        running_gate(directory, f"https://127.0.0.1:{greeter.port}", config=config) as gate,
        grpc.secure_channel(f"localhost:{gate.port}", trusted) as channel,
    ):
        yield greeter, gate, channel


Whole = tuple[Greeter, RunningGate, grpc.Channel]


def given(gate: RunningGate, *permissions: str) -> list[tuple[str, str]]:
    """The metadata with a passport."""
    passport = mint(issuer=gate.issuer, agent="agent_7", permissions=list(permissions) or ["*"])
    return [("authorization", f"Passport {passport}")]


def test_unary_call(whole: Whole) -> None:
    """Message, status and metadata arrive; the server learns who calls, and never the passport."""
    greeter, gate, channel = whole
    method = channel.unary_unary("/test.Greeter/Unary")
    answer, call = method.with_call(b"hello", metadata=given(gate), timeout=DEADLINE_S)
    assert (answer, call.code()) == (b"olleh", grpc.StatusCode.OK)
    first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert (first["x-first"], first["passport-decision"]) == ("1", "allow")
    assert (last["x-last"], last["x-raw-bin"]) == ("2", b"\0\xff")
    seen = greeter.metadata[-1]
    assert (seen["x-passport-agent"], seen["x-passport-action"]) == ("agent_7", "greeter:call")
    assert "authorization" not in seen


def test_calls_one_after_the_other(whole: Whole) -> None:
    """A connection that is kept goes from call to call, and mixes nothing up."""
    _, gate, channel = whole
    method = channel.unary_unary("/test.Greeter/Unary")
    metadata = given(gate)
    for number in range(200):
        payload = b"%d" % number
        assert method(payload, metadata=metadata, timeout=DEADLINE_S) == payload[::-1]


def test_large_messages(whole: Whole) -> None:
    """A message of many frames arrives whole, each way."""
    _, gate, channel = whole
    message = bytes(range(256)) * 8192
    answer = channel.unary_unary("/test.Greeter/Unary")(
        message, metadata=given(gate), timeout=DEADLINE_S
    )
    assert answer == message[::-1]


def test_server_streaming(whole: Whole) -> None:
    """Every message in order, small ones and large ones."""
    _, gate, channel = whole
    method = channel.unary_stream("/test.Greeter/Down")
    for count, size in ((500, 1), (20, 200_000)):
        answers = method(b"%dx%d" % (count, size), metadata=given(gate), timeout=DEADLINE_S)
        assert [len(answer) for answer in answers] == [len(str(n)) + size for n in range(count)]


def test_client_streaming(whole: Whole) -> None:
    """More than any window holds, up to the end that only the client knows."""
    _, gate, channel = whole
    answer = channel.stream_unary("/test.Greeter/Up")(
        iter([bytes(50_000)] * 100), metadata=given(gate), timeout=DEADLINE_S
    )
    assert answer == b"5000000"


def test_both_ways(whole: Whole) -> None:
    """Each message is answered before the next one is sent."""
    _, gate, channel = whole
    turn = threading.Semaphore(1)

    def ask() -> Iterator[bytes]:
        for number in range(100):
            assert turn.acquire(timeout=DEADLINE_S)
            yield b"%03d" % number

    got = []
    method = channel.stream_stream("/test.Greeter/Both")
    for answer in method(ask(), metadata=given(gate), timeout=DEADLINE_S):
        got.append(answer)
        turn.release()
    assert got == [(b"%03d" % number)[::-1] for number in range(100)]


def refusal(call: Any, *arguments: Any, **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value


def test_a_failing_call(whole: Whole) -> None:
    """Status, message and trailers of a failure are the server's own, also without a message."""
    _, gate, channel = whole
    error = refusal(
        channel.unary_unary("/test.Greeter/Fail"), b"", metadata=given(gate), timeout=DEADLINE_S
    )
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "none such: ü")
    assert dict(error.trailing_metadata())["x-last"] == "2"
    none = refusal(
        channel.unary_unary("/test.Greeter/None"), b"", metadata=given(gate), timeout=DEADLINE_S
    )
    assert none.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_answer_in_the_middle_of_a_stream(whole: Whole) -> None:
    """A server that has heard enough says so while its client still sends."""
    _, gate, channel = whole
    go_on = threading.Event()

    def ask() -> Iterator[bytes]:
        yield b"one"
        go_on.wait(DEADLINE_S)

    error = refusal(
        channel.stream_unary("/test.Greeter/Early"),
        ask(),
        metadata=given(gate),
        timeout=DEADLINE_S,
    )
    go_on.set()
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")


@pytest.mark.parametrize("how", ["deadline", "cancel"])
def test_a_call_that_is_given_up_ends_at_the_server(whole: Whole, how: str) -> None:
    """By its deadline or by hand: the server is told, and the outcome is on record."""
    greeter, gate, channel = whole
    greeter.cancelled.clear()
    method = channel.unary_unary("/test.Greeter/Wait")
    timeout = 0.3 if how == "deadline" else DEADLINE_S
    calls = len(greeter.metadata)
    call = method.future(b"", metadata=given(gate), timeout=timeout)
    if how == "cancel":
        eventually(lambda: len(greeter.metadata) > calls)
        call.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
    else:
        error = refusal(call.result)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert greeter.cancelled.wait(DEADLINE_S)


def test_refusals_are_statuses_of_grpc(whole: Whole) -> None:
    """Refusals are UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED; the server hears nothing."""
    greeter, gate, channel = whole
    calls = len(greeter.metadata)
    method = channel.unary_unary("/test.Greeter/Unary")
    assert refusal(method, b"", timeout=DEADLINE_S).code() is grpc.StatusCode.UNAUTHENTICATED
    narrow = given(gate, "api:search")
    denied = refusal(method, b"", metadata=narrow, timeout=DEADLINE_S)
    assert denied.code() is grpc.StatusCode.PERMISSION_DENIED
    unknown = refusal(
        channel.unary_unary("/other.Service/Call"), b"", metadata=given(gate), timeout=DEADLINE_S
    )
    assert unknown.code() is grpc.StatusCode.UNIMPLEMENTED
    assert len(greeter.metadata) == calls


def test_every_call_is_on_record(whole: Whole) -> None:
    """Decision and outcome of each, in a log that verifies."""
    _, gate, channel = whole
    method = channel.unary_unary("/test.Greeter/Unary")
    _, call = method.with_call(b"x", metadata=given(gate), timeout=DEADLINE_S)
    decision = dict(call.initial_metadata())["passport-decision-id"]

    def outcome() -> Any:
        return [
            line
            for line in read_lines(gate.log_directory)
            if line.get("decision_id") == decision and line["kind"] == "outcome"
        ]

    line = eventually(outcome)[0]
    assert (line["outcome"], line["status"], line["bytes"]) == ("completed", 200, 6)
    assert not verify_log(gate.log_directory).wrong


def test_a_server_that_is_gone_is_unavailable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody there is UNAVAILABLE, which clients of gRPC try again."""
    config = CONFIG | {"upstream": {"http2": True}}
    with (
        refusing_port() as port,
        running_gate(
            tmp_path_factory.mktemp("gone"), f"http://127.0.0.1:{port}", config=config
        ) as gate,
        grpc.insecure_channel(f"127.0.0.1:{gate.port}") as channel,
    ):
        method = channel.unary_unary("/test.Greeter/Unary")
        error = refusal(method, b"", metadata=given(gate), timeout=DEADLINE_S)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
