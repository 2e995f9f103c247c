"""What one case of HTTP hygiene is: bytes in, and all that must come of them."""

from dataclasses import dataclass, field

HOST = b"Host: api.example"
BODY_BYTES = 4096
HEADER_BYTES = 8192
HEADERS = 30
TARGET_BYTES = 1024
JUDGED_BYTES = 1024

LENGTH_5 = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"


def request(
    *lines: bytes, first: bytes = b"GET /x HTTP/1.1", host: bytes = HOST, body: bytes = b""
) -> bytes:
    """A request of these lines; the Host may be replaced by other lines."""
    return b"\r\n".join((first, host, *lines, b"", body))


def post(*lines: bytes, body: bytes = b"", path: bytes = b"/x", version: bytes = b"1.1") -> bytes:
    """A POST of these lines."""
    return request(*lines, first=b"POST %b HTTP/%b" % (path, version), body=body)


@dataclass(frozen=True)
class Arrived:
    """A request as the upstream must see it: `lines` are among its header lines, `not_lines` not.

    Lines are compared in lower case.
    """

    target: bytes = b"/x"
    method: bytes = b"GET"
    body: bytes = b""
    lines: tuple[bytes, ...] = ()
    not_lines: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class RequestCase:
    """Bytes from a client.

    `steps` are what it sends, each with the statuses of the answers that it then waits for, interim
    ones included. `closes`: the gate ends the connection after the last of them; otherwise the
    connection carries another request. `arrived` is what the upstream sees of it whole, in order;
    `cut` allows one more that is begun and never finished. `code` is the reason on record of the
    last answer, "" where it was allowed.
    """

    rule: str
    name: str
    steps: tuple[tuple[bytes, tuple[int, ...]], ...]
    closes: bool = False
    arrived: tuple[Arrived, ...] = ()
    cut: bool = False
    code: str = ""
    methods: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def id(self) -> str:
        """The rule and the case, as the tests are named."""
        return f"{self.rule}: {self.name}"


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: api.example\r\n\r\n"


def refused(
    rule: str, name: str, sent: bytes, status: int = 400, *, code: str = "request_malformed"
) -> RequestCase:
    """Answered at once, the connection ended, nothing forwarded, whatever is hidden behind it."""
    return RequestCase(rule, name, ((sent + HIDDEN, (status,)),), closes=True, code=code)


def cut(rule: str, name: str, sent: bytes, status: int = 400) -> RequestCase:
    """Refused within its body: the upstream may see its beginning, never the whole."""
    return RequestCase(
        rule, name, ((sent + HIDDEN, (status,)),), closes=True, cut=True, code="request_malformed"
    )


def passed(
    rule: str, name: str, sent: bytes, *arrived: Arrived, closes: bool = False, method: str = "GET"
) -> RequestCase:
    """Forwarded as `arrived` (as plain GETs of /x, if nothing is said), each answered with 200."""
    seen = arrived or (Arrived(),)
    statuses = (200,) * len(seen)
    return RequestCase(
        rule, name, ((sent, statuses),), closes=closes, arrived=seen, methods=(method,) * len(seen)
    )


@dataclass(frozen=True)
class AnswerCase:
    """Bytes from an upstream that was sent `asked`.

    `status` is what the client gets, with `body` and `trailers`; `cut` where it gets a beginning
    and then a broken connection. `stalls`: the upstream keeps its connection open and says no more;
    `ends`: it closes. `reused`: its connection carries the next exchange. `code` is the reason on
    record where the gate answered in its place.
    """

    rule: str
    name: str
    sent: bytes
    status: int = 200
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    asked: bytes = request(b"Connection: close")
    method: str = "GET"
    interim: tuple[int, ...] = ()
    cut: bool = False
    stalls: bool = False
    ends: bool = False
    reused: bool = True
    code: str = ""

    @property
    def id(self) -> str:
        """The rule and the case, as the tests are named."""
        return f"{self.rule}: {self.name}"
