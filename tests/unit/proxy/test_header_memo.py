"""Header blocks are equal only when they are, byte for byte, and only so many are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.core.header_rules import header_rules
from passgate.core.headers import HeaderBlock
from passgate.core.presented import Credential
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.proxy.header_memo import (
    MAX_BLOCK_BYTES,
    MAX_BLOCK_HEADERS,
    MAX_BYTES,
    MAX_ENTRIES,
    HeaderMemo,
)
from passgate.proxy.request_head import Fault, RequestHead, RequestReader

RULES = RequestRules(header_rules())
BLOCK = b"Host: a\r\nX-Agent-Passport: %b\r\nConnection: keep-alive\r\n\r\n"


def head(*lines: bytes, first: bytes = b"GET /x HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: a", *lines, b"", b""))


def reader(memo: HeaderMemo, headers: int = 100, target: int = 8192) -> RequestReader:
    return RequestReader(headers, target, memo)


def twice(memo: HeaderMemo, raw: bytes) -> RequestHead | Fault:
    """What the second reading of a head is, which is the one that is kept."""
    reader(memo).read(raw)
    return reader(memo).read(raw)


def request(read: RequestHead | Fault, rules: RequestRules = RULES) -> Request | Refusal:
    assert isinstance(read, RequestHead)
    return canonical_request(
        Wire(
            read.method,
            read.target,
            read.headers,
            "10.0.0.1",
            http_minor=read.minor,
            block=read.block,
        ),
        rules,
    )


def test_what_comes_once_is_not_kept() -> None:
    """Nor is anything made for it that only those need who come again."""
    memo = HeaderMemo()
    for number in range(100):
        read = reader(memo).read(head(b"X: %d" % number))
        assert isinstance(read, RequestHead)
        assert read.block is None
    assert len(memo) == 0


def test_bytes_that_came_twice_are_read_no_more() -> None:
    """A request with the same headers shares their reading, whatever its line says."""
    memo = HeaderMemo()
    first = twice(memo, head(b"X: y", b"Connection: keep-alive"))
    again = reader(memo).read(
        head(b"X: y", b"Connection: keep-alive", first=b"POST /other?q HTTP/1.1")
    )

    assert isinstance(first, RequestHead)
    assert isinstance(again, RequestHead)
    assert again.headers is first.headers
    assert (again.method, again.target) == ("POST", b"/other?q")
    one, two = request(first), request(again)
    assert isinstance(one, Request)
    assert isinstance(two, Request)
    assert two.sorted is one.sorted


def test_one_other_byte_is_another_reading() -> None:
    """Whoever changes one byte of another's headers gets nothing of what was read there."""
    memo = HeaderMemo()
    block = head(b"X-Agent-Passport: aaaa", b"Connection: keep-alive")
    known = twice(memo, block)
    assert isinstance(known, RequestHead)
    assert known.block is not None

    for place in range(block.index(b"\r\n") + 2, len(block)):
        for other in (block[place] ^ 1, block[place] ^ 0x20, 0x0D, 0x0A, 0x00, 0x3A, 0xFF):
            changed = bytearray(block)
            changed[place] = other
            if changed == block:
                continue
            with_memo = reader(memo).read(bytes(changed))
            assert with_memo == reader(HeaderMemo()).read(bytes(changed))
            assert not isinstance(with_memo, RequestHead) or with_memo.headers is not known.headers


def test_credential_of_one_never_for_another() -> None:
    """Two passports that differ in one character stay two, with the digests of their own."""
    memo = HeaderMemo()
    chosen = []
    for text in (b"aaaa", b"aaaa", b"aaab", b"aaab", b"aaaa"):
        found = request(reader(memo).read(b"GET / HTTP/1.1\r\n" + BLOCK % text))
        assert isinstance(found, Request)
        chosen.append(found.sorted.credential)

    assert chosen == [Credential(text) for text in ("aaaa", "aaaa", "aaab", "aaab", "aaaa")]
    assert chosen[1] is chosen[4]


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 0",),
        (b"Content-Length: 5",),
        (b"Transfer-Encoding: chunked",),
        (b"Connection: close",),
        (b"Connection: upgrade", b"Upgrade: websocket"),
        (b"Host: b",),
        (b"Expect: 200-ok",),
        (b"X" * 100 + b": " + b"y" * MAX_BLOCK_BYTES,),
        tuple(b"X-%d: y" % n for n in range(40)),
    ],
)
def test_what_frames_or_is_large_is_read_anew(lines: tuple[bytes, ...]) -> None:
    """Headers that say anything of framing or connection, or that are large, are not kept."""
    memo = HeaderMemo()
    first = twice(memo, head(*lines))

    assert len(memo) == 0
    assert reader(memo).read(head(*lines)) == first


@pytest.mark.parametrize(
    "first",
    [
        b"GET /x HTTP/1.0",
        b"GET http://a/x HTTP/1.1",
        b"GET  /x HTTP/1.1",
        b"get /x HTTP/1.1",
        b"CONNECT /x HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET / x HTTP/1.1",
        b"GET /x HTTP/1.1 ",
        b"GET /x\nHost: b HTTP/1.1",
        b"GET /x HTTP/2.0",
        b"BREW /x HTTP/1.1",
    ],
)
def test_line_is_judged_every_time(first: bytes) -> None:
    """Known headers lend nothing to a request line that is not a plain one."""
    memo = HeaderMemo()
    known = twice(memo, head(b"X: y"))
    assert isinstance(known, RequestHead)
    read = reader(memo).read(head(b"X: y", first=first))

    assert read == reader(HeaderMemo()).read(head(b"X: y", first=first))
    assert not isinstance(read, RequestHead) or read.headers is not known.headers


def test_limits_are_judged_every_time() -> None:
    """Neither a lowered limit of headers nor a target that is too long gets past known headers."""
    memo = HeaderMemo()
    twice(memo, head(b"X: y", b"Y: z"))
    assert len(memo) == 1

    assert reader(memo, headers=2).read(head(b"X: y", b"Y: z")) == Fault(
        431, "The request has too many headers."
    )
    assert reader(memo, target=3).read(head(b"X: y", b"Y: z", first=b"GET /xyz HTTP/1.1")) == Fault(
        414, "The target is too long."
    )


def test_a_reload_is_not_stale() -> None:
    """Under other rules the same headers are sorted again, and again when the old ones return."""
    memo = HeaderMemo()
    passing = RequestRules(header_rules(pass_headers=["X-Real-IP"]))
    unread = RequestRules(header_rules(carriers=["x-agent-passport"]))
    lines = (b"X-Real-IP: 8.8.8.8", b"Authorization: Passport e")

    for rules in (RULES, passing, unread, RULES):
        found = request(twice(memo, head(*lines)), rules)
        apart = request(reader(HeaderMemo()).read(head(*lines)), rules)
        assert isinstance(found, Request)
        assert isinstance(apart, Request)
        assert found.sorted == apart.sorted
        assert (b"X-Real-IP" in found.sorted.forward) == (rules is passing)
        assert (found.sorted.credential == Credential("e")) == (rules is not unread)


def test_a_refusal_is_one_every_time() -> None:
    """Headers that are refused once they are sorted are refused each time they come."""
    memo = HeaderMemo()
    for _ in range(3):
        found = request(reader(memo).read(head(b"Connection: keep-alive, authorization")))
        assert isinstance(found, Refusal)
        assert found.code == "request_malformed"


def keep(memo: HeaderMemo, block: bytes, headers: list[tuple[bytes, bytes]]) -> HeaderBlock | None:
    """Keeps what comes for the second time."""
    memo.keep(block, headers)
    return memo.keep(block, headers)


def test_no_flood_grows_it() -> None:
    """Ever new headers fill two generations and no more, by number and by bytes."""
    memo = HeaderMemo()
    for number in range(3 * MAX_ENTRIES):
        keep(memo, b"%d" % number, [])
        assert len(memo) <= 2 * MAX_ENTRIES
    assert len(memo) > MAX_ENTRIES
    large = HeaderMemo()
    for number in range(MAX_BYTES // MAX_BLOCK_BYTES):
        keep(large, b"%0*d" % (MAX_BLOCK_BYTES, number), [])
        assert len(large) <= 2 * (MAX_BYTES // (3 * MAX_BLOCK_BYTES) + 1)
    many = HeaderMemo()
    for number in range(MAX_ENTRIES):
        keep(many, b"%d" % number, [(b"", b"")] * MAX_BLOCK_HEADERS)
        assert len(many) <= 2 * (MAX_BYTES // (200 * MAX_BLOCK_HEADERS) + 1)


def test_what_is_used_stays() -> None:
    """A block in use outlives a flood of others; one that is not in use goes."""
    memo = HeaderMemo()
    used = keep(memo, b"used", [(b"Host", b"a")])
    keep(memo, b"unused", [])
    for number in range(3 * MAX_ENTRIES):
        keep(memo, b"%d" % number, [])
        if not number % 1000:
            assert memo.find(b"used") is used
    assert memo.find(b"unused") is None
    assert isinstance(used, HeaderBlock)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"QUERY"]),
            st.sampled_from([b"/", b"/a?b", b"*", b"http://a/", b"/#", b"/%zz"])
            | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8).map(
                lambda text: b"/" + text.encode()
            ),
            st.sampled_from([b"1.1", b"1.0"]),
            st.lists(
                st.sampled_from(
                    [
                        b"Host: a", b"Host: b", b"X: y", b"X:y", b"Connection: keep-alive",
                        b"Connection: close", b"Content-Length: 3", b"Upgrade: h2c",
                        b"Connection: upgrade", b"Upgrade: websocket", b"Expect: 100-continue",
                        b"X : y", b"Transfer-Encoding: chunked",
                    ]
                ),
                max_size=3,
            ),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_memory_changes_no_reading(
    requests: list[tuple[bytes, bytes, bytes, list[bytes]]],
) -> None:
    """Whatever came before, a head is read as by a reader that has seen nothing."""
    memo = HeaderMemo()
    one = reader(memo)
    for method, target, version, lines in requests:
        raw = b"\r\n".join((b"%b %b HTTP/%b" % (method, target, version), *lines, b"", b""))
        found = one.read(raw)
        # Whether it is remembered is all that may differ.
        if isinstance(found, RequestHead) and found.block is not None:
            assert found.block.fields == found.headers
            found.block = None
        assert found == reader(HeaderMemo()).read(raw)
        # The next one like this meets a memory of it.
        reader(memo).read(raw)
        if not isinstance(found, RequestHead) or not found.keepalive:
            one = reader(memo)  # that connection ends
