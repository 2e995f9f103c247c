"""What a connection may carry: versions, order, expectations, bodies, and what follows them."""

import json
from pathlib import Path

from tests.support.hygiene.case import (
    CHUNKED,
    HIDDEN,
    LENGTH_5,
    Arrived,
    RequestCase,
    passed,
    post,
    refused,
    request,
)

EXPECT = b"Expect: 100-continue"
CLOSE = b"Connection: close"
KEEP = b"Connection: keep-alive"
POSTED = Arrived(method=b"POST", body=b"hello")
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
DENIED = b"GET /denied HTTP/1.1\r\nHost: api.example\r\n\r\n"


def get(path: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    return request(*lines, first=b"GET %b HTTP/%b" % (path, version))


def denied(
    rule: str, name: str, sent: bytes, *, closes: bool, then: Arrived | None = None
) -> RequestCase:
    """Judged and refused for want of a passport; `then` is the request behind it, if any."""
    statuses = (401,) if then is None else (401, 200)
    seen = () if then is None else (then,)
    return RequestCase(
        rule, name, ((sent, statuses),), closes=closes, arrived=seen,
        code="" if then else "passport_missing",
    )  # fmt: skip


PERSISTENCE: tuple[RequestCase, ...] = (
    passed("RFC 9112 9.3", "HTTP/1.1 persists", get(b"/x")),
    passed("RFC 9112 9.3", "HTTP/1.1 persists with keep-alive", get(b"/x", KEEP)),
    passed("RFC 9112 9.6", "close ends HTTP/1.1", get(b"/x", CLOSE) + HIDDEN, closes=True),
    passed(
        "RFC 9112 9.6", "close among other options",
        get(b"/x", b"Connection: x, CLOSE ,y") + HIDDEN, closes=True,
    ),
    passed(
        "RFC 9112 9.6", "close in a second header", get(b"/x", KEEP, CLOSE) + HIDDEN, closes=True
    ),
    denied("RFC 9112 9.6", "close ends a refused request", get(b"/denied", CLOSE) + HIDDEN,
           closes=True),
    passed("RFC 9112 9.3", "HTTP/1.0 ends", get(b"/x", version=b"1.0") + HIDDEN, closes=True),
    passed("RFC 9112 9.3", "HTTP/1.0 persists with keep-alive", get(b"/x", KEEP, version=b"1.0")),
    passed(
        "RFC 9112 9.3", "HTTP/1.0 with close and keep-alive",
        get(b"/x", KEEP, CLOSE, version=b"1.0") + HIDDEN, closes=True,
    ),
    passed(
        "RFC 9112 9.3", "HTTP/1.0 ends after a body",
        post(LENGTH_5, version=b"1.0", body=b"hello") + HIDDEN, POSTED, closes=True,
    ),
    denied("RFC 9112 9.3", "HTTP/1.0 ends after a refusal",
           get(b"/denied", version=b"1.0") + HIDDEN, closes=True),
    denied("RFC 9112 9.3", "HTTP/1.0 with keep-alive persists after a refusal",
           get(b"/denied", KEEP, version=b"1.0") + get(b"/y"), closes=False,
           then=Arrived(b"/y")),
    passed(
        "RFC 9112 3.2", "HTTP/1.0 needs no Host", b"GET /x HTTP/1.0\r\n\r\n", closes=True
    ),
    passed(
        "RFC 9110 7.6.1", "what Connection names is not passed on",
        get(b"/x", b"Connection: X-Hop", b"X-Hop: 1", b"X-Way: 2"),
        Arrived(lines=(b"x-way: 2",), not_lines=(b"x-hop: 1", b"connection: x-hop")),
    ),
    passed(
        "RFC 9110 7.6.1", "hop-by-hop headers are not passed on",
        get(b"/x", b"Keep-Alive: 5", b"Proxy-Connection: close", b"TE: trailers",
            b"Proxy-Authorization: x"),
        Arrived(not_lines=(b"keep-alive: 5", b"proxy-connection: close", b"te: trailers",
                           b"proxy-authorization: x")),
    ),
    *(
        refused("RFC 9110 7.6.1", f"Connection names {name.decode()}",
                get(b"/x", b"Connection: " + name))
        for name in (b"Host", b"Content-Length", b"Authorization", b"X-Agent-Passport",
                     b"X-Forwarded-For", b"Transfer-Encoding")
    ),
    refused("RFC 9110 7.6.1", "Connection names what is no header",
            get(b"/x", b"Connection: a b")),
    passed(
        "RFC 9110 7.8", "an upgrade to HTTP/2 is ignored",
        get(b"/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"),
        Arrived(not_lines=(b"upgrade: h2c", b"http2-settings: aa", b"connection: upgrade")),
    ),
    passed(
        "RFC 9110 7.8", "an upgrade that Connection does not name is ignored",
        get(b"/x", b"Upgrade: websocket"),
        Arrived(not_lines=(b"upgrade: websocket", b"connection: upgrade")),
    ),
    passed(
        "RFC 9110 7.8", "an upgrade that the upstream declines",
        get(b"/x", b"Connection: upgrade", b"Upgrade: websocket"),
        Arrived(lines=(b"upgrade: websocket", b"connection: upgrade")),
    ),
    passed(
        "RFC 9110 7.8", "an upgrade with a body is ignored",
        post(LENGTH_5, b"Connection: upgrade", b"Upgrade: websocket", body=b"hello"),
        Arrived(method=b"POST", body=b"hello", not_lines=(b"upgrade: websocket",)),
    ),
    passed(
        "RFC 9110 7.8", "an upgrade in HTTP/1.0 is ignored",
        get(b"/x", b"Connection: upgrade", b"Upgrade: websocket", version=b"1.0"),
        Arrived(not_lines=(b"upgrade: websocket",)), closes=True,
    ),
)  # fmt: skip

PIPELINES: tuple[RequestCase, ...] = (
    passed(
        "RFC 9112 9.3.2", "requests are answered in their order",
        b"".join(get(b"/%d" % n) for n in range(8)), *(Arrived(b"/%d" % n) for n in range(8)),
    ),
    passed(
        "RFC 9112 9.3.2", "bodies of each framing between them",
        get(b"/1") + post(LENGTH_5, path=b"/2", body=b"hello")
        + post(CHUNKED, path=b"/3", body=HELLO) + get(b"/4"),
        Arrived(b"/1"), Arrived(b"/2", b"POST", b"hello"), Arrived(b"/3", b"POST", b"hello"),
        Arrived(b"/4"),
    ),
    RequestCase(
        "RFC 9112 9.3.2", "refusals keep their place",
        ((get(b"/1") + DENIED + get(b"/2") + DENIED + get(b"/3"), (200, 401, 200, 401, 200)),),
        arrived=(Arrived(b"/1"), Arrived(b"/2"), Arrived(b"/3")),
    ),
    RequestCase(
        "RFC 9112 9.3.2", "a malformed request ends the pipeline",
        ((get(b"/1") + get(b"/2", b"X : y") + HIDDEN, (200, 400)),),
        closes=True, arrived=(Arrived(b"/1"),), code="request_malformed",
    ),
    RequestCase(
        "RFC 9112 9.3.2", "a faulty body ends the pipeline",
        ((get(b"/1") + post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n") + HIDDEN, (200, 400)),),
        closes=True, arrived=(Arrived(b"/1"),), cut=True, code="request_malformed",
    ),
    passed(
        "RFC 9112 9.3.2", "one empty line between requests",
        post(LENGTH_5, body=b"hello") + b"\r\n" + get(b"/2"), POSTED, Arrived(b"/2"),
    ),
    passed(
        "RFC 9112 9.6", "what follows close is not served",
        get(b"/1") + get(b"/2", CLOSE) + HIDDEN, Arrived(b"/1"), Arrived(b"/2"), closes=True,
    ),
    passed(
        "RFC 9112 6.2", "a request in a body is a body",
        post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
        Arrived(method=b"POST", body=HIDDEN),
    ),
    passed(
        "RFC 9112 7.1", "a request in a chunk is a body",
        post(CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
        Arrived(method=b"POST", body=HIDDEN),
    ),
    passed(
        "RFC 9112 6.2", "a request in the body of a GET is a body",
        request(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
        Arrived(body=HIDDEN, lines=(b"connection: close",)),
    ),
    RequestCase(
        "RFC 9112 6.2", "a request behind a body is judged",
        ((post(LENGTH_5, body=b"hello" + DENIED), (200, 401)),), arrived=(POSTED,),
        code="passport_missing",
    ),
    RequestCase(
        "RFC 9112 7.1", "a request behind chunks is judged",
        ((post(CHUNKED, body=HELLO + DENIED), (200, 401)),), arrived=(POSTED,),
        code="passport_missing",
    ),
    RequestCase(
        "RFC 9112 6.3", "without a length there is no body",
        ((post() + DENIED, (200, 401)),), arrived=(Arrived(method=b"POST"),),
        code="passport_missing",
    ),
    denied(
        "RFC 9112 6.2", "the body of a refused request is no request",
        post(b"Content-Length: %d" % len(HIDDEN), path=b"/denied", body=HIDDEN) + get(b"/y"),
        closes=False, then=Arrived(b"/y"),
    ),
    denied(
        "RFC 9112 7.1", "the chunks of a refused request are no request",
        post(CHUNKED, path=b"/denied", body=HIDDEN) + HIDDEN, closes=True,
    ),
    RequestCase(
        "RFC 9112 9.3.2", "junk behind a body",
        ((post(LENGTH_5, body=b"hello\0") + HIDDEN, (200, 400)),),
        closes=True, arrived=(POSTED,), code="request_malformed",
    ),
)  # fmt: skip

EXPECTATIONS: tuple[RequestCase, ...] = (
    RequestCase(
        "RFC 9110 10.1.1", "the gate decides, then asks for the body",
        ((post(EXPECT, LENGTH_5), (100,)), (b"hello", (200,))), arrived=(POSTED,),
        methods=("POST", "POST"),
    ),
    RequestCase(
        "RFC 9110 10.1.1", "chunks are asked for as well",
        ((post(b"expect: 100-CONTINUE", CHUNKED), (100,)), (HELLO, (200,))),
        arrived=(Arrived(method=b"POST", body=b"hello", not_lines=(b"expect: 100-continue",)),),
    ),
    RequestCase(
        "RFC 9110 10.1.1", "a body that a rule judges is asked for",
        ((post(EXPECT, b"Content-Type: application/json", b"Content-Length: 12", path=b"/judged"),
          (100,)), (b'{"amount":1}', (200,))),
        arrived=(Arrived(b"/judged", b"POST", b'{"amount":1}'),),
    ),
    denied(
        "RFC 9110 10.1.1", "a refused request is asked for nothing",
        post(EXPECT, LENGTH_5, path=b"/denied"), closes=True,
    ),
    passed(
        "RFC 9110 10.1.1", "without a body there is nothing to ask for", get(b"/x", EXPECT),
        Arrived(not_lines=(b"expect: 100-continue",)),
    ),
    passed(
        "RFC 9110 10.1.1", "an expectation in HTTP/1.0 is ignored",
        post(EXPECT, LENGTH_5, version=b"1.0", body=b"hello") + HIDDEN,
        Arrived(method=b"POST", body=b"hello", not_lines=(b"expect: 100-continue",)), closes=True,
    ),
    refused("RFC 9110 15.5.18", "an unknown expectation", get(b"/x", b"Expect: 200-ok"), 417),
    refused("RFC 9110 15.5.18", "an empty expectation", get(b"/x", b"Expect:"), 417),
    refused("RFC 9110 15.5.18", "two expectations", get(b"/x", EXPECT, EXPECT), 417),
    refused(
        "RFC 9110 15.5.18", "an expectation and another in a list",
        get(b"/x", b"Expect: 100-continue, x"), 417,
    ),
)  # fmt: skip

_VECTORS = json.loads((Path(__file__).parents[2] / "vectors/targets.json").read_text())


def _target(vector: dict[str, object]) -> RequestCase:
    raw = str(vector["target"]).encode("latin-1")
    method = str(vector["method"])
    host = b"Host: " + str(vector["host"]).encode("latin-1")
    first = b"%b %b HTTP/1.1" % (method.encode(), raw)
    sent = request(first=first, host=host)
    name = f"{vector['name']} ({method} target)"
    expected = vector["expect"]
    if isinstance(expected, dict):
        forward = expected["forward"].encode("latin-1")
        return passed("RFC 9112 3.2", name, sent, Arrived(forward, method.encode()), method=method)
    return refused("RFC 9112 3.2", name, sent)


TARGETS: tuple[RequestCase, ...] = tuple(_target(vector) for vector in _VECTORS)
