"""The dearest input of each shape that anybody can send costs the gate little time.

One thread decides for everybody, so what takes a second for one agent takes it from all.
"""

from base64 import urlsafe_b64encode

import pytest
from tests.pace import assert_quick

from passgate.core.client_address import TrustedProxies
from passgate.core.header_rules import header_rules
from passgate.core.judged_body import judge_body
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.proxy.chunked import ChunkedReader
from passgate.proxy.request_head import RequestReader

RULES = RequestRules(header_rules(), TrustedProxies(["10.0.0.0/8"]))
HOST = (b"Host", b"api.example")
QUICK = 60.0  # paces; what is quadratic takes many times this
CLAIMS = '"iss":"i","sub":"s","jti":"j","iat":1,"exp":2,'


def read(target: bytes, *headers: tuple[bytes, bytes]) -> object:
    return canonical_request(Wire("GET", target, [HOST, *headers], "10.0.0.1"), RULES)


def filled(unit: bytes, size: int) -> bytes:
    return unit * (size // len(unit))


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Upgrade",
        "Forwarded",
        "X-Forwarded-For",
        "Via",
        "Prefer",
        "Accept",
        "Content-Type",
        "Authorization",
        "X-Agent-Passport",
        "traceparent",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
    ],
)
def test_header_values(name: str) -> None:
    """128 KiB of whatever a pattern might stumble over, in every header that the gate reads."""
    units = (b",", b" ,", b"a,", b";", b" ", b"\t;", b"=", b'"', b'\\"', b"a=b;", b"h2c ", b"a")
    for unit in (*units, b"for=10.0.0.1,", b"10.0.0.1,", b'for="', b";for="):
        values = [filled(unit, 128 * 1024) + end for end in (b"", b'"', b"\x80")]

        def work(values: list[bytes] = values) -> None:
            for value in values:
                read(b"/", (name.encode(), value), (b"Connection", b"upgrade"))

        assert_quick(work, QUICK, unit)


@pytest.mark.parametrize("unit", [b"/a", b"/%41", b"/a;b", b"%C3%A9", b"&a=", b";", b"a.", b"["])
def test_targets(unit: bytes) -> None:
    """8 KiB of path, and as much query."""
    path, query = b"/" + filled(unit, 8000), b"/?" + filled(unit, 8000)
    assert_quick(lambda: (read(path), read(query)), QUICK)


@pytest.mark.parametrize(
    "lines",
    [
        b"A: b\r\n" * 20_000,
        b"A" * 120_000 + b": b\r\n",
        b"A:" + b" " * 120_000 + b"\r\n",
        b"Content-Length: 1\r\n" * 6000,
        b"Host: " + b"%61" * 40_000 + b"\r\n",
    ],
)
def test_heads(lines: bytes) -> None:
    """128 KiB of head."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
    assert_quick(lambda: RequestReader(100, 8192).read(head), QUICK)


def test_chunks() -> None:
    """256 KiB, which is what one read brings, of chunks of one byte."""
    chunks = b"1\r\na\r\n" * 43_000
    assert_quick(lambda: ChunkedReader(1 << 30, strict_trailers=True).feed(chunks), QUICK / 2)


def test_a_trickle_of_trailers() -> None:
    """8 KiB of trailers, byte by byte."""
    trailers = b"0\r\n" + b"x: " + b"y" * 8100

    def trickle() -> None:
        chunks = ChunkedReader(1 << 30, strict_trailers=True)
        for at in range(len(trailers)):
            chunks.feed(trailers[at : at + 1])
        assert not chunks.fault

    assert_quick(trickle, 10.0)


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 47_000,
        '"' + '\\"' * 23_000,
        "{" + CLAIMS + '"permissions":[' + ",".join(f'"a:{n}"' for n in range(4200)) + "]}",
        "{" + CLAIMS + '"permissions":[],"grants":[' + '{"resource":"a"},' * 2600 + "{}]}",
        "{" + CLAIMS + '"permissions":[],"constraints":{"core:cost:max_cumulative":1e999999999}}',
        "{" + CLAIMS + '"permissions":[],"grants":[{"resource":"a","maxAmount":1e-999999999}]}',
        "{" + CLAIMS + '"permissions":[],"metadata":{"a":' + "9" * 46_000 + "}}",
        '{"iss":"i","sub":"s","jti":"j","iat":1e999999999,"exp":2,"permissions":[]}',
    ],
)
def test_passports(payload: str) -> None:
    """64 KiB of passport, whose signature is looked at last."""
    parts = [urlsafe_b64encode(part).rstrip(b"=").decode() for part in
             (b'{"alg":"EdDSA","kid":"k"}', payload.encode(), bytes(64))]  # fmt: skip
    text = ".".join(parts)
    assert_quick(lambda: verify(text, Trust({}), Acceptance()), QUICK)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 64 + b"]" * 64,
        b"[" + b"{}," * 300_000 + b"1]",
        b"{" + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}",
        b'"' + b"\\ud800" * 170_000 + b'"',
        b'"' + b"\\ud83d\\ude00" * 85_000 + b'"',
        b'["\\u0041",' + b"{}," * 300_000 + b"1]",
        b"9" * (1 << 20),
        b"[" * 65 + b'"' + b'\\"' * 500_000,
        b'["' * 500_000,
    ],
)
def test_judged_bodies(body: bytes) -> None:
    """1 MiB of JSON."""
    request = read(b"/", (b"Content-Type", b"application/json"))
    assert isinstance(request, Request)
    headers = request.sorted
    assert_quick(lambda: judge_body(body, headers), QUICK)
