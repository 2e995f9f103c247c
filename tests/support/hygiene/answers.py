"""What an upstream may answer, and what it may not: sound answers, broken ones, and none at all."""

from dataclasses import replace

from tests.support.hygiene.case import AnswerCase, request

HEAD = request(b"Connection: close", first=b"HEAD /x HTTP/1.1")
HTTP10 = request(first=b"GET /x HTTP/1.0")
STATUS = b"HTTP/1.1 200 OK"
SPLIT = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nspoilt"
LENGTH_2 = b"Content-Length: 2"
CHUNKED = b"Transfer-Encoding: chunked"


def answer(*lines: bytes, body: bytes = b"", first: bytes = STATUS) -> bytes:
    """An answer of these lines."""
    return b"\r\n".join((first, *lines, b"", body))


OK = answer(LENGTH_2, body=b"ok")
HINTS = answer(b"Link: </a>", first=b"HTTP/1.1 103 Early Hints")
NO_CONTENT = b"HTTP/1.1 204 No Content"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified"


def coded(body: bytes, *lines: bytes) -> bytes:
    """An answer in chunks."""
    return answer(CHUNKED, *lines, body=body)


HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"

ANSWERS: tuple[AnswerCase, ...] = (
    AnswerCase("RFC 9112 6.2", "a length", OK, body=b"ok"),
    AnswerCase("RFC 9112 6.2", "the length 0", answer(b"Content-Length: 0")),
    AnswerCase("RFC 9112 6.2", "a length to HTTP/1.0", OK, body=b"ok", asked=HTTP10),
    AnswerCase("RFC 9112 9.6", "close", answer(LENGTH_2, b"Connection: close", body=b"ok"),
               body=b"ok", reused=False),
    AnswerCase("RFC 9112 9.3", "HTTP/1.0", answer(LENGTH_2, body=b"ok", first=b"HTTP/1.0 200 OK"),
               body=b"ok", reused=False),
    AnswerCase("RFC 9112 9.3", "HTTP/1.0 with keep-alive", answer(
        LENGTH_2, b"Connection: Keep-Alive", body=b"ok", first=b"HTTP/1.0 200 OK"), body=b"ok"),
    AnswerCase("RFC 9112 4", "an empty reason", answer(LENGTH_2, first=b"HTTP/1.1 200 ",
               body=b"ok"), body=b"ok"),
    AnswerCase("RFC 9112 4", "no space before an empty reason", answer(
        LENGTH_2, first=b"HTTP/1.1 200", body=b"ok"), body=b"ok"),
    AnswerCase("RFC 9112 4", "a status that is not registered", answer(
        LENGTH_2, first=b"HTTP/1.1 299 Odd", body=b"ok"), 299, b"ok"),
    AnswerCase("RFC 9110 15.5", "a refusal of the upstream", answer(
        LENGTH_2, first=b"HTTP/1.1 404 Not Found", body=b"no"), 404, b"no"),
    AnswerCase("RFC 9112 6.3", "close-delimited", answer(body=b"hello"), body=b"hello",
               ends=True, reused=False),
    AnswerCase("RFC 9112 6.3", "close-delimited to HTTP/1.0", answer(body=b"hello"),
               body=b"hello", ends=True, reused=False, asked=HTTP10),
    AnswerCase("RFC 9112 6.3", "close-delimited and empty", answer(), ends=True, reused=False),
    AnswerCase("RFC 9112 6.3", "close-delimited with keep-alive", answer(
        b"Connection: keep-alive", body=b"hello"), body=b"hello", ends=True, reused=False),
    AnswerCase("RFC 9112 6.3", "a second answer in a close-delimited body is body",
               answer(body=SPLIT), body=SPLIT, ends=True, reused=False),
    AnswerCase("RFC 9112 7.1", "chunked", coded(HELLO + b"1\r\n!\r\n" + END), body=b"hello!"),
    AnswerCase("RFC 9112 7.1", "chunked and empty", coded(END)),
    AnswerCase("RFC 9112 7.1", "chunked to HTTP/1.0", coded(HELLO + END), body=b"hello",
               asked=HTTP10),
    AnswerCase("RFC 9112 7.1", "chunked in capitals", answer(
        b"TRANSFER-ENCODING: CHUNKED", body=HELLO + END), body=b"hello"),
    AnswerCase("RFC 9112 7.1.1", "chunk extensions are dropped", coded(
        b'5;a;b=c;d="e f"\r\nhello\r\n0;x\r\n\r\n'), body=b"hello"),
    AnswerCase("RFC 9112 7.1.2", "trailers are passed on", coded(
        HELLO + b"0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"), body=b"hello",
        trailers=((b"x-sum", b"1"),)),
    AnswerCase("RFC 9110 6.5.1", "trailers that must not be are dropped", coded(
        HELLO + b"0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nX-Passport-Agent: root\r\n"
        b"Passport-Decision: allow\r\nHost: a\r\nConnection: close\r\nX-Sum: 1\r\n\r\n"),
        body=b"hello", trailers=((b"x-sum", b"1"),)),
    AnswerCase("RFC 9112 7.1.2", "trailers to HTTP/1.0 are dropped", coded(
        HELLO + b"0\r\nX-Sum: 1\r\n\r\n"), body=b"hello", asked=HTTP10),
    AnswerCase("RFC 9112 6.3", "204", answer(first=NO_CONTENT), 204),
    AnswerCase("RFC 9110 8.6", "204 with the length 0", answer(
        b"Content-Length: 0", first=NO_CONTENT), 204),
    AnswerCase("RFC 9112 6.3", "204 with a length", answer(LENGTH_2, first=NO_CONTENT), 204,
               reused=False),
    AnswerCase("RFC 9112 6.3", "204 with a body", answer(LENGTH_2, first=NO_CONTENT, body=b"ok"),
               204, reused=False),
    AnswerCase("RFC 9112 6.3", "204 in chunks", answer(CHUNKED, first=NO_CONTENT, body=HELLO + END),
               204, reused=False),
    AnswerCase("RFC 9112 6.3", "204 and a second answer", answer(first=NO_CONTENT) + SPLIT, 204,
               reused=False),
    AnswerCase("RFC 9112 6.3", "304", answer(b'ETag: "a"', first=NOT_MODIFIED), 304),
    AnswerCase("RFC 9110 15.4.5", "304 with a length", answer(
        b"Content-Length: 99", first=NOT_MODIFIED), 304, reused=False),
    AnswerCase("RFC 9112 6.3", "304 with a body", answer(
        LENGTH_2, first=NOT_MODIFIED, body=b"ok"), 304, reused=False),
    AnswerCase("RFC 9112 6.3", "304 in chunks", answer(CHUNKED, first=NOT_MODIFIED), 304,
               reused=False),
    AnswerCase("RFC 9110 9.3.2", "HEAD with a length", answer(b"Content-Length: 99"), asked=HEAD,
               method="HEAD", reused=False),
    AnswerCase("RFC 9110 9.3.2", "HEAD with the length 0", answer(b"Content-Length: 0"),
               asked=HEAD, method="HEAD"),
    AnswerCase("RFC 9110 9.3.2", "HEAD without a length", answer(b"X: y"), asked=HEAD,
               method="HEAD"),
    AnswerCase("RFC 9110 9.3.2", "HEAD in chunks", answer(CHUNKED), asked=HEAD, method="HEAD",
               reused=False),
    AnswerCase("RFC 9110 9.3.2", "HEAD with a body", answer(b"Content-Length: 43", body=SPLIT),
               asked=HEAD, method="HEAD", reused=False),
    AnswerCase("RFC 9110 15.2", "interim answers are passed on", answer(
        first=b"HTTP/1.1 102 Processing") + HINTS + OK, body=b"ok", interim=(102, 103)),
    AnswerCase("RFC 9110 15.2", "an interim answer of no name", answer(
        first=b"HTTP/1.1 199") + OK, body=b"ok", interim=(199,)),
    AnswerCase("RFC 9110 15.2", "none to HTTP/1.0", HINTS + OK, body=b"ok", asked=HTTP10),
    AnswerCase("RFC 9110 15.2.1", "a 100 that the gate did not ask for", answer(
        first=b"HTTP/1.1 100 Continue") + OK, body=b"ok"),
    AnswerCase("RFC 9112 9.2", "a second answer is dropped", OK + SPLIT, body=b"ok",
               reused=False),
    AnswerCase("RFC 9112 9.2", "a second answer behind chunks is dropped",
               coded(HELLO + END + SPLIT), body=b"hello", reused=False),
    AnswerCase("RFC 9112 9.2", "a byte too many", OK + b"\n", body=b"ok", reused=False),
    AnswerCase("RFC 9112 6.3", "a length that is too small", answer(LENGTH_2, body=b"okay"),
               body=b"ok", reused=False),
    AnswerCase("RFC 9110 7.6.1", "what is for one hop stays", answer(
        LENGTH_2, b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5",
        b"Upgrade: h2c", body=b"ok"), body=b"ok"),
)  # fmt: skip


def _broken(rule: str, name: str, sent: bytes, body: bytes, *, ends: bool = False,
            stalls: bool = False) -> AnswerCase:  # fmt: skip
    return AnswerCase(rule, name, sent, body=body, cut=True, ends=ends, stalls=stalls, reused=False)


BROKEN: tuple[AnswerCase, ...] = (
    _broken("RFC 9112 8", "shorter than its length",
            answer(b"Content-Length: 10", body=b"half"), b"half", ends=True),
    _broken("RFC 9112 8", "a length and no body", answer(LENGTH_2), b"", ends=True),
    _broken("RFC 9112 8", "chunked and no body", coded(b""), b"", ends=True),
    _broken("RFC 9112 8", "chunked without the last chunk", coded(b"4\r\nhalf\r\n"), b"half",
            ends=True),
    _broken("RFC 9112 8", "chunked without the blank line", coded(b"4\r\nhalf\r\n0\r\n"), b"half",
            ends=True),
    _broken("RFC 9112 8", "a chunk cut short", coded(b"9\r\nhalf"), b"half", ends=True),
    _broken("RFC 9112 8", "trailers without end", coded(b"4\r\nhalf\r\n0\r\nX: y\r\n"), b"half",
            ends=True),
    _broken("RFC 9112 8", "a body that stalls", answer(b"Content-Length: 10", body=b"half"),
            b"half", stalls=True),
    _broken("RFC 9112 8", "chunks that stall", coded(b"4\r\nhalf\r\n"), b"half", stalls=True),
    _broken("RFC 9112 8", "trailers that stall", coded(b"4\r\nhalf\r\n0\r\nX: y\r\n"), b"half",
            stalls=True),
    _broken("RFC 9112 7.1", "a chunk longer than its size",
            coded(b"4\r\nhalfhalf\r\n0\r\n\r\n"), b"half"),
    *(
        _broken(rule, name, coded(HELLO + body), b"hello")
        for rule, name, body in (
            ("RFC 9112 7.1", "a chunk size with a plus", b"+4\r\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "a chunk size with a minus", b"-4\r\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "a chunk size with 0x", b"0x4\r\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "a chunk size beyond 64 bits", b"10000000000000004\r\nhalf\r\n"),
            ("RFC 9112 7.1", "a chunk size and a space", b"4 \r\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "a chunk size that is none", b"half\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "a chunk size ended by bare LF", b"4\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1", "an answer for a chunk size", SPLIT),
            ("RFC 9112 7.1.1", "a chunk extension that is too long",
             b"4;a=" + b"b" * 300 + b"\r\nhalf\r\n0\r\n\r\n"),
            ("RFC 9112 7.1.2", "a malformed trailer", b"0\r\nX : y\r\n\r\n"),
            ("RFC 9112 7.1.2", "a folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
            ("RFC 9112 7.1.2", "a trailer with bare LF", b"0\r\nX: y\nZ: z\r\n\r\n"),
            ("RFC 9112 7.1.2", "trailers that are too large", b"0\r\n" + b"X: y\r\n" * 2000),
        )
    ),
)  # fmt: skip

BROKEN_10: tuple[AnswerCase, ...] = tuple(
    replace(case, name=f"{case.name}, to HTTP/1.0", asked=HTTP10) for case in BROKEN
)


def _unusable(rule: str, name: str, sent: bytes, *, ends: bool = False,
              interim: tuple[int, ...] = ()) -> AnswerCase:  # fmt: skip
    return AnswerCase(
        rule, name, sent, 502, ends=ends, reused=False, interim=interim,
        code="upstream_bad_response",
    )  # fmt: skip


def _line(name: str, first: bytes) -> AnswerCase:
    return _unusable("RFC 9112 4", name, answer(b"Content-Length: 0", first=first))


def _head(rule: str, name: str, *lines: bytes, body: bytes = b"") -> AnswerCase:
    return _unusable(rule, name, answer(*lines, body=body))


UNUSABLE: tuple[AnswerCase, ...] = (
    _unusable("RFC 9112 8", "no answer at all", b"", ends=True),
    _unusable("RFC 9112 8", "half a head", b"HTTP/1.1 200 OK\r\nContent-Le", ends=True),
    _unusable("RFC 9112 8", "an interim answer and no other", HINTS, ends=True, interim=(103,)),
    _unusable("RFC 9112 4", "HTTP/0.9", b"<html>hello</html>", ends=True),
    _unusable("RFC 9112 4", "another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    _unusable("RFC 9112 4", "garbage", bytes(range(256)) + b"\r\n\r\n"),
    _unusable("RFC 9112 4", "zeros", bytes(64)),
    _unusable("RFC 9113 3.4", "HTTP/2 settings", b"\0\0\0\4\0\0\0\0\0\r\n\r\n"),
    _line("HTTP/2", b"HTTP/2 200 OK"),
    _line("HTTP/1.2", b"HTTP/1.2 200 OK"),
    _line("the protocol in lower case", b"http/1.1 200 OK"),
    _line("a status of two digits", b"HTTP/1.1 20 OK"),
    _line("a status of four digits", b"HTTP/1.1 2000 OK"),
    _line("a status out of range", b"HTTP/1.1 600 OK"),
    _line("the status 099", b"HTTP/1.1 099 OK"),
    _line("two spaces before the status", b"HTTP/1.1  200 OK"),
    _line("a tab for a space", b"HTTP/1.1\t200 OK"),
    _line("a control character in the reason", b"HTTP/1.1 200 O\x08K"),
    _unusable("RFC 9112 2.2", "an empty line before the answer", b"\r\n" + OK),
    _unusable("RFC 9112 2.2", "bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    _head("RFC 9112 2.2", "bare LF in a header", b"X: a\nY: b", b"Content-Length: 0"),
    _head("RFC 9112 2.2", "bare CR in a value", b"X: a\rb", b"Content-Length: 0"),
    _head("RFC 9112 2.2", "bare CR splits the answer", b"X: a\r\rHTTP/1.1 200 OK"),
    _head("RFC 9110 5.5", "a null byte in a value", b"X: a\0b", b"Content-Length: 0"),
    _head("RFC 9110 5.5", "an escape in a value", b"X: a\x1b[2J", b"Content-Length: 0"),
    _head("RFC 9112 5.2", "obsolete folding", b"X: a\r\n b", b"Content-Length: 0"),
    _head("RFC 9112 5.1", "a space before the colon", b"Content-Length : 0"),
    _head("RFC 9112 5.1", "a line without a colon", b"X", b"Content-Length: 0"),
    _head("RFC 9110 5.1", "a name with a space", b"X Y: a", b"Content-Length: 0"),
    _head("RFC 9112 6.3", "two different lengths", LENGTH_2, b"Content-Length: 3", body=b"okk"),
    _head("RFC 9112 6.3", "the same length twice", LENGTH_2, LENGTH_2, body=b"ok"),
    _head("RFC 9110 8.6", "a list of lengths", b"Content-Length: 2, 2", body=b"ok"),
    _head("RFC 9110 8.6", "a length with a plus", b"Content-Length: +2", body=b"ok"),
    _head("RFC 9110 8.6", "a negative length", b"Content-Length: -2", body=b"ok"),
    _head("RFC 9110 8.6", "a length in hexadecimal", b"Content-Length: 0x2", body=b"ok"),
    _head("RFC 9110 8.6", "an empty length", b"Content-Length:", body=b"ok"),
    _head("RFC 9110 8.6", "a length of 19 digits", b"Content-Length: 0000000000000000002"),
    _head("RFC 9112 6.3", "a length and a coding", LENGTH_2, CHUNKED,
          body=b"2\r\nok\r\n0\r\n\r\n"),
    _head("RFC 9112 6.1", "an unknown coding", b"Transfer-Encoding: gzip", body=b"ok"),
    _head("RFC 9112 6.1", "gzip and chunked", b"Transfer-Encoding: gzip, chunked", body=END),
    _head("RFC 9112 6.1", "identity", b"Transfer-Encoding: identity", body=b"ok"),
    _head("RFC 9112 6.1", "chunked twice", CHUNKED, CHUNKED, body=END),
    _unusable("RFC 9112 6.1", "chunked in HTTP/1.0", answer(
        CHUNKED, body=END, first=b"HTTP/1.0 200 OK")),
    _unusable("RFC 9112 6.1", "an interim answer in chunks", answer(
        CHUNKED, first=b"HTTP/1.1 103 Early Hints") + OK),
    _unusable("RFC 9112 6.3", "an interim answer with a length", answer(
        b"Content-Length: 5", first=b"HTTP/1.1 103 Early Hints") + OK),
    _unusable("RFC 9110 15.2", "interim answers without end", answer(
        first=b"HTTP/1.1 102 Processing") * 40 + OK, interim=(102,) * 32),
    _unusable("RFC 9110 15.2.2", "a 101 that nobody asked for", answer(
        b"Connection: Upgrade", b"Upgrade: websocket",
        first=b"HTTP/1.1 101 Switching Protocols")),
    _head("RFC 6585 5", "too many headers", *[b"X: y"] * 40, b"Content-Length: 0"),
    _head("RFC 6585 5", "a head that is too large", b"X: " + b"y" * 9000, b"Content-Length: 0"),
    _unusable("RFC 6585 5", "a head without end", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000),
    AnswerCase("RFC 9110 15.6.5", "no head ever", b"", 504, stalls=True, reused=False,
               code="upstream_timeout"),
    AnswerCase("RFC 9110 15.6.5", "half a head, and no more", b"HTTP/1.1 200 OK\r\nCont", 504,
               stalls=True, reused=False, code="upstream_timeout"),
    AnswerCase("RFC 9110 15.6.5", "an interim answer, and no more", HINTS, 504, stalls=True,
               interim=(103,), reused=False, code="upstream_timeout"),
)  # fmt: skip
