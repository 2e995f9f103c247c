"""How long a request is: lengths, codings, chunks and trailers."""

from dataclasses import replace

from tests.support.hygiene.case import (
    BODY_BYTES,
    CHUNKED,
    JUDGED_BYTES,
    LENGTH_5,
    Arrived,
    RequestCase,
    cut,
    passed,
    post,
    refused,
    request,
)

END = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
POSTED = Arrived(method=b"POST", body=b"hello")


def _length(name: str, value: bytes, body: bytes = b"hello") -> RequestCase:
    return refused("RFC 9110 8.6", name, post(b"Content-Length:" + value, body=body))


def _coding(name: str, value: bytes, rule: str = "RFC 9112 7") -> RequestCase:
    return refused(rule, name, post(b"Transfer-Encoding:" + value, body=END))


LENGTHS: tuple[RequestCase, ...] = (
    *(
        refused("RFC 9112 6.3", name, post(*lines, body=END))
        for name, lines in (
            ("Content-Length with Transfer-Encoding", (LENGTH_5, CHUNKED)),
            ("Transfer-Encoding with Content-Length", (CHUNKED, LENGTH_5)),
            ("Content-Length 0 with Transfer-Encoding", (b"Content-Length: 0", CHUNKED)),
            ("Content-Length with an unknown coding", (LENGTH_5, b"Transfer-Encoding: x")),
            ("Content-Length with identity", (LENGTH_5, b"Transfer-Encoding: identity")),
            ("both in odd letters", (b"cOnTeNt-lEnGtH: 5", b"tRaNsFeR-eNcOdInG: chunked")),
        )
    ),
    refused(
        "RFC 9112 6.3", "Content-Length with Transfer-Encoding in GET",
        request(LENGTH_5, CHUNKED, body=END),
    ),
    refused(
        "RFC 9112 6.3", "two different lengths",
        post(LENGTH_5, b"Content-Length: 6", body=b"hello"),
    ),
    refused("RFC 9112 6.3", "the same length twice", post(LENGTH_5, LENGTH_5, body=b"hello")),
    refused(
        "RFC 9112 6.3", "a length and the length 0",
        post(LENGTH_5, b"Content-Length: 0", body=b"hello"),
    ),
    refused(
        "RFC 9112 6.3", "a length and an empty one", post(LENGTH_5, b"Content-Length:", body=b"h")
    ),
    _length("a list of equal lengths", b" 5, 5"),
    _length("a list of equal lengths without a space", b" 5,5"),
    _length("a list of different lengths", b" 5, 6"),
    _length("a length and a comma", b" 5,"),
    _length("a length with a plus", b" +5"),
    _length("a length with a minus", b" -5"),
    _length("a negative zero", b" -0"),
    _length("a length in hexadecimal", b" 0x5"),
    _length("a length in octal", b" 0o5"),
    _length("a length with an underscore", b" 1_0", b"hellohello"),
    _length("a length with a point", b" 5.0"),
    _length("a length with an exponent", b" 5e0"),
    _length("a length in Arabic digits", b" \xd9\xa5"),
    _length("a length in quotes", b' "5"'),
    _length("a length and a parameter", b" 5;a=b"),
    _length("a length with inner space", b" 5 5"),
    _length("a length behind a vertical tab", b" \x0b5"),
    _length("an empty length", b""),
    _length("a length beyond 64 bits", b" 18446744073709551621"),
    _length("a length of 19 digits", b" 0000000000000000005"),
    _length("letters", b" abc"),
    refused(
        "RFC 9110 15.5.14", "a length beyond the limit",
        post(b"Content-Length: %d" % (BODY_BYTES + 1)), 413,
    ),
    refused(
        "RFC 9110 15.5.14", "a length beyond the limit in GET",
        request(b"Content-Length: %d" % (BODY_BYTES + 1)), 413,
    ),
    refused(
        "RFC 9110 15.5.14", "a length beyond what a rule judges",
        post(
            b"Content-Type: application/json", b"Content-Length: %d" % (JUDGED_BYTES + 1),
            path=b"/judged",
        ), 413,
    ),
    refused(
        "RFC 9110 15.5.14", "chunks beyond what a rule judges",
        post(
            b"Content-Type: application/json", CHUNKED, path=b"/judged",
            body=b"401\r\n%b\r\n0\r\n\r\n" % (b" " * 0x401),
        ), 413,
    ),
    passed("RFC 9110 8.6", "a length", post(LENGTH_5, body=b"hello"), POSTED),
    passed(
        "RFC 9110 8.6", "leading zeros are not passed on",
        post(b"Content-Length: 0005", body=b"hello"),
        Arrived(method=b"POST", body=b"hello", lines=(b"content-length: 5",)),
    ),
    passed(
        "RFC 9110 8.6", "white space around a length",
        post(b"Content-Length:\t 5 \t", body=b"hello"), POSTED,
    ),
    passed(
        "RFC 9110 8.6", "the length 0", post(b"Content-Length: 0"),
        Arrived(method=b"POST", lines=(b"content-length: 0",)),
    ),
    passed(
        "RFC 9110 8.6", "a body as long as may be",
        post(b"Content-Length: %d" % BODY_BYTES, body=b"x" * BODY_BYTES),
        Arrived(method=b"POST", body=b"x" * BODY_BYTES),
    ),
    passed(
        "RFC 9110 9.3.1", "a body with GET",
        request(LENGTH_5, body=b"hello"), Arrived(body=b"hello", lines=(b"connection: close",)),
    ),
    passed(
        "RFC 9110 9.3.1", "chunks with GET",
        request(CHUNKED, body=HELLO + END), Arrived(body=b"hello", lines=(b"connection: close",)),
    ),
)  # fmt: skip

CODINGS: tuple[RequestCase, ...] = (
    _coding("an unknown coding", b" xchunked"),
    _coding("a coding that ends like chunked", b" x-chunked"),
    _coding("identity after chunked", b" chunked, identity"),
    _coding("identity before chunked", b" identity, chunked"),
    _coding("gzip before chunked", b" gzip, chunked"),
    _coding("gzip alone", b" gzip"),
    _coding("identity alone", b" identity"),
    _coding("chunked twice in a list", b" chunked, chunked"),
    _coding("chunked and a comma", b" chunked,"),
    _coding("a comma and chunked", b" ,chunked"),
    _coding("an empty coding", b""),
    _coding("chunked in quotes", b' "chunked"'),
    _coding("chunked with a parameter", b" chunked;a=b"),
    _coding("chunked and a semicolon", b" chunked;"),
    _coding("chunked behind a vertical tab", b" \x0bchunked"),
    _coding("chunked before a form feed", b" chunked\x0c"),
    _coding("chunked before a null byte", b" chunked\0"),
    _coding("chunked with a space within", b" chun ked"),
    _coding("chunked with a long s", " chunked\u017f".encode()),
    refused("RFC 9112 6.1", "chunked in two headers", post(CHUNKED, CHUNKED, body=END)),
    refused(
        "RFC 9112 6.1", "chunked and identity in two headers",
        post(CHUNKED, b"Transfer-Encoding: identity", body=END),
    ),
    refused(
        "RFC 9112 6.1", "identity and chunked in two headers",
        post(b"Transfer-Encoding: identity", CHUNKED, body=END),
    ),
    refused("RFC 9112 6.1", "chunked in HTTP/1.0", post(CHUNKED, version=b"1.0", body=END)),
    refused("RFC 9112 6.1", "an unknown coding in GET", request(b"Transfer-Encoding: x")),
    passed("RFC 9112 7", "chunked", post(CHUNKED, body=HELLO + END), POSTED),
    passed(
        "RFC 9112 7", "chunked in capitals",
        post(b"TRANSFER-ENCODING:\tCHUNKED ", body=HELLO + END), POSTED,
    ),
    passed(
        "RFC 9112 7.1", "no chunk but the last", post(CHUNKED, body=END), Arrived(method=b"POST")
    ),
)  # fmt: skip


def _chunks(
    rule: str, name: str, body: bytes, status: int = 400, path: bytes = b"/x"
) -> RequestCase:
    return cut(rule, name, post(CHUNKED, body=body, path=path), status)


CHUNKS: tuple[RequestCase, ...] = (
    *(
        _chunks("RFC 9112 7.1", name, body)
        for name, body in (
            ("a size with a plus", b"+5\r\nhello\r\n" + END),
            ("a size with a minus", b"-5\r\nhello\r\n" + END),
            ("a last chunk with a minus", HELLO + b"-0\r\n\r\n"),
            ("a size with 0x", b"0x5\r\nhello\r\n" + END),
            ("a size with an underscore", b"0_5\r\nhello\r\n" + END),
            ("a size beyond 64 bits", b"10000000000000005\r\nhello\r\n" + END),
            ("a size of 16 digits", b"0000000000000005\r\nhello\r\n" + END),
            ("junk for a size", b"hello\r\n" + END),
            ("an empty size", b"\r\nhello\r\n" + END),
            ("a space before a size", b" 5\r\nhello\r\n" + END),
            ("a space after a size", b"5 \r\nhello\r\n" + END),
            ("a tab after a size", b"5\t\r\nhello\r\n" + END),
            ("a null byte after a size", b"5\0\r\nhello\r\n" + END),
            ("a comma between sizes", b"5,5\r\nhello\r\n" + END),
            ("a size in full-width digits", b"\xef\xbc\x95\r\nhello\r\n" + END),
            ("a size ended by bare LF", b"5\nhello\r\n" + END),
            ("a size ended by bare CR", b"5\rhello\r\n" + END),
            ("a size ended by CR CR LF", b"5\r\r\nhello\r\n" + END),
            ("a chunk longer than its size", b"4\r\nhello\r\n" + END),
            ("a chunk shorter than its size", b"6\r\nhello\r\n" + END),
            ("a chunk ended by bare LF", b"5\r\nhello\n" + END),
            ("a chunk ended by bare CR", b"5\r\nhello\r" + END),
            ("a chunk without an end", b"5\r\nhello" + END),
            ("a last chunk ended by bare LF", HELLO + b"0\n\n"),
            ("a body ended by bare LF", HELLO + b"0\r\n\n"),
            ("a body ended by CR and junk", HELLO + b"0\r\n\rX"),
        )
    ),
    *(
        _chunks("RFC 9112 7.1.1", name, body)
        for name, body in (
            ("an extension with bare LF", b"5;a\nb\r\nhello\r\n" + END),
            ("an extension with bare CR", b"5;a\rb\r\nhello\r\n" + END),
            ("an extension with a null byte", b"5;a=\0\r\nhello\r\n" + END),
            ("an extension without a name", b"5;\r\nhello\r\n" + END),
            ("an extension without a value", b"5;a=\r\nhello\r\n" + END),
            ("an extension with a space", b"5; a=b\r\nhello\r\n" + END),
            ("an extension with an open quote", b'5;a="b\r\nhello\r\n' + END),
            ("an extension with an escape in quotes", b'5;a="\\""\r\nhello\r\n' + END),
            ("an extension that is too long", b"5;a=" + b"b" * 300 + b"\r\nhello\r\n" + END),
            ("an extension without end", b"5;a=" + b"b" * 400),
            ("extensions that are too many", b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 30 + END),
        )
    ),
    *(
        _chunks("RFC 9110 6.5.1", f"{name} as a trailer", HELLO + b"0\r\n" + field + b"\r\n\r\n")
        for name, field in (
            ("Content-Length", b"Content-Length: 9"),
            ("Transfer-Encoding", b"Transfer-Encoding: chunked"),
            ("Host", b"host: b"),
            ("Connection", b"Connection: close"),
            ("Trailer", b"Trailer: X"),
            ("Content-Type", b"Content-Type: text/html"),
            ("Content-Encoding", b"Content-Encoding: gzip"),
            ("Authorization", b"Authorization: Passport x"),
            ("a passport", b"X-Agent-Passport: x"),
            ("an identity", b"X-Passport-Agent: root"),
            ("an identity with underscores", b"x_passport_agent: root"),
            ("X-Forwarded-For", b"X-Forwarded-For: 10.0.0.1"),
            ("a method override", b"X-HTTP-Method-Override: DELETE"),
        )
    ),
    *(
        _chunks("RFC 9112 7.1.2", name, HELLO + b"0\r\n" + trailers)
        for name, trailers in (
            ("a folded trailer", b"X: a\r\n b\r\n\r\n"),
            ("a trailer with a space before the colon", b"X : a\r\n\r\n"),
            ("a trailer without a colon", b"X\r\n\r\n"),
            ("a trailer with a null byte", b"X: a\0\r\n\r\n"),
            ("a trailer with bare CR", b"X: a\rb\r\n\r\n"),
            ("a trailer with bare LF", b"X: a\nb\r\n\r\n"),
            ("trailers without end", b"X: a\r\n" * 2000),
            ("a request for a trailer", b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
        )
    ),
    _chunks("RFC 9110 15.5.14", "chunks beyond the limit", b"%x\r\n%b\r\n1\r\nx\r\n" % (
        BODY_BYTES, b"x" * BODY_BYTES) + END, 413),
    _chunks("RFC 9110 15.5.14", "a chunk size beyond the limit", b"fffffff\r\nhello", 413),
    passed(
        "RFC 9112 7.1", "chunks as large as may be together",
        post(CHUNKED, body=b"%x\r\n%b\r\n" % (BODY_BYTES, b"x" * BODY_BYTES) + END),
        Arrived(method=b"POST", body=b"x" * BODY_BYTES),
    ),
    passed(
        "RFC 9112 7.1", "leading zeros, either case, many chunks",
        post(CHUNKED, body=b"0000A\r\nhellohello\r\n00b\r\nhello hello\r\n1\r\n!\r\n000\r\n\r\n"),
        Arrived(method=b"POST", body=b"hellohellohello hello!"),
    ),
    passed(
        "RFC 9112 7.1.1", "extensions are not passed on",
        post(CHUNKED, body=b'5;a;b=c;d="e f"\r\nhello\r\n0;last\r\n\r\n'), POSTED,
    ),
    passed(
        "RFC 9112 7.1.2", "a harmless trailer is not passed on",
        post(CHUNKED, b"Trailer: X-Sum", body=HELLO + b"0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"),
        Arrived(method=b"POST", body=b"hello", not_lines=(b"x-sum: 1", b"trailer: x-sum")),
    ),
)  # fmt: skip

# The same bodies where a rule judges them: then the upstream sees nothing at all.
JUDGED: tuple[RequestCase, ...] = tuple(
    replace(
        case,
        name=f"{case.name}, judged",
        steps=((case.steps[0][0].replace(b"POST /x ", b"POST /judged ", 1), case.steps[0][1]),),
        cut=False,
    )
    for case in CHUNKS
    if case.cut
)
