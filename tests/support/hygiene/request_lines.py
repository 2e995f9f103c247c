"""Request lines, methods, versions, Host, and the grammar of header lines."""

from tests.support.hygiene.case import (
    HEADERS,
    HOST,
    TARGET_BYTES,
    Arrived,
    RequestCase,
    passed,
    refused,
    request,
)


def line(first: bytes) -> bytes:
    """A request that begins so and is sound otherwise."""
    return request(first=first)


LINES: tuple[RequestCase, ...] = (
    refused("RFC 9112 3", "two spaces in the request line", line(b"GET  /x HTTP/1.1")),
    refused("RFC 9112 3", "a tab for a space", line(b"GET\t/x HTTP/1.1")),
    refused("RFC 9112 3", "a space after the version", line(b"GET /x HTTP/1.1 ")),
    refused("RFC 9112 3", "a space before the method", line(b" GET /x HTTP/1.1")),
    refused("RFC 9112 3", "no target", line(b"GET HTTP/1.1")),
    refused("RFC 9112 3", "an empty target", line(b"GET  HTTP/1.1")),
    refused("RFC 9112 3", "no version", line(b"GET /x")),
    refused("RFC 9112 3", "a second target", line(b"GET /x /y HTTP/1.1")),
    refused("RFC 9112 3", "two versions", line(b"GET /x HTTP/1.1 HTTP/1.1")),
    refused("RFC 9112 2.3", "the protocol in lower case", line(b"GET /x http/1.1")),
    refused("RFC 9112 2.3", "another protocol", line(b"GET /x ICY/1.1")),
    refused("RFC 9112 2.3", "a minor version of two digits", line(b"GET /x HTTP/1.10")),
    refused("RFC 9112 2.3", "a version with a leading zero", line(b"GET /x HTTP/01.1")),
    refused("RFC 9112 2.3", "a version without a dot", line(b"GET /x HTTP/11")),
    refused("RFC 9112 2.3", "a negative version", line(b"GET /x HTTP/-1.1")),
    refused("RFC 9110 15.6.6", "HTTP/2.0", line(b"GET /x HTTP/2.0"), 505),
    refused("RFC 9110 15.6.6", "HTTP/1.2", line(b"GET /x HTTP/1.2"), 505),
    refused("RFC 9110 15.6.6", "HTTP/0.9 with a version", line(b"GET /x HTTP/0.9"), 505),
    refused("RFC 9113 3.4", "the preface in HTTP/2.0's clothes", line(b"PRI * HTTP/2.0"), 505),
    refused("RFC 8446 5.1", "a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    refused("RFC 9112 2.2", "two empty lines before a request", b"\r\n\r\n" + request()),
    refused("RFC 9112 2.2", "an empty line of a bare LF before a request", b"\n" + request()),
    refused("RFC 9112 2.2", "white space before the first header", request(host=b" " + HOST)),
    refused("RFC 9112 2.2", "a tab before the first header", request(host=b"\t" + HOST)),
    passed("RFC 9112 2.2", "one empty line before a request", b"\r\n" + request()),
    refused("RFC 9110 9.3.6", "CONNECT", line(b"CONNECT api.example:443 HTTP/1.1")),
    refused("RFC 9110 9.3.6", "CONNECT in origin form", line(b"CONNECT /x HTTP/1.1")),
    refused("RFC 9110 9.3.8", "TRACE", line(b"TRACE /x HTTP/1.1")),
    refused("RFC 9110 9.1", "an unknown method", line(b"BREW /pot HTTP/1.1"), 501),
    refused("RFC 9110 9.1", "a known method in lower case", line(b"get /x HTTP/1.1"), 501),
    refused("RFC 9110 9.1", "a known method in mixed case", line(b"Post /x HTTP/1.1"), 501),
    refused("RFC 9110 9.1", "a very long method", line(b"A" * 500 + b" /x HTTP/1.1"), 501),
    refused("RFC 9110 9.1", "a method that is no token", line(b"G(T /x HTTP/1.1")),
    refused("RFC 9110 9.1", "a method beyond ASCII", line("GÄT /x HTTP/1.1".encode())),
    refused("RFC 9110 9.1", "a method with a null byte", line(b"GE\0T /x HTTP/1.1")),
    refused(
        "RFC 9110 15.5.15",
        "a target that is too long",
        line(b"GET /%b HTTP/1.1" % (b"x" * TARGET_BYTES)),
        414,
    ),
    refused(
        "RFC 9110 15.5.15",
        "a query that is too long",
        line(b"GET /x?%b HTTP/1.1" % (b"x" * TARGET_BYTES)),
        414,
    ),
    passed(
        "RFC 9110 15.5.15",
        "a target as long as may be",
        line(b"GET /%b HTTP/1.1" % (b"x" * (TARGET_BYTES - 1))),
        Arrived(b"/" + b"x" * (TARGET_BYTES - 1)),
    ),
    RequestCase(
        "RFC 9110 15.5.15",
        "a request line without end",
        ((b"GET /" + b"x" * (TARGET_BYTES + 100), (414,)),),
        closes=True,
        code="request_malformed",
    ),
    *(
        passed(
            "RFC 9110 9.3",
            f"{method.decode()} is forwarded",
            line(method + b" /x HTTP/1.1"),
            Arrived(method=method),
            method=method.decode(),
        )
        for method in (b"HEAD", b"DELETE", b"OPTIONS", b"PROPFIND", b"QUERY")
    ),
)

HOSTS: tuple[RequestCase, ...] = (
    refused("RFC 9112 3.2", "no Host", request(host=b"X: a")),
    refused("RFC 9112 3.2", "two Hosts", request(b"Host: b")),
    refused("RFC 9112 3.2", "the same Host twice", request(HOST)),
    refused("RFC 9112 3.2", "two Hosts in other letters", request(b"hOST: api.example")),
    refused(
        "RFC 9112 3.2",
        "two Hosts in HTTP/1.0",
        request(b"Host: b", first=b"GET /x HTTP/1.0"),
    ),
    *(
        refused("RFC 9112 3.2", name, request(host=b"Host:" + value))
        for name, value in (
            ("an empty Host", b""),
            ("a Host of white space", b" \t "),
            ("a Host with a path", b" a/b"),
            ("a Host with a query", b" a?b"),
            ("a Host with a fragment", b" a#b"),
            ("a Host with user information", b" u@a"),
            ("a Host with a space", b" a b"),
            ("a list of Hosts", b" a, b"),
            ("a Host with a scheme", b" http://a"),
            ("a Host with a backslash", b" a\\b"),
            ("a Host beyond ASCII", " ä.example".encode()),
            ("a Host with an escape", b" %61.example"),
            ("a Host with a null byte", b" a\0b"),
            ("a Host with letters in its port", b" a:8x"),
            ("a Host with a negative port", b" a:-1"),
            ("a Host with a port of six digits", b" a:000080"),
            ("a Host with the port 65536", b" a:65536"),
            ("a Host with the port 0", b" a:0"),
            ("a Host with two ports", b" a:1:2"),
            ("a Host with empty labels", b" a..b"),
            ("a Host that begins with a dot", b" .a"),
            ("an IPv6 address without brackets", b" ::1"),
            ("an IPv6 address that is none", b" [::g]"),
            ("an IPv6 address without end", b" [::1"),
            ("an IPv6 address with a zone", b" [fe80::1%25eth0]"),
            ("an IPv4 address as one number", b" 2130706433"),
            ("an IPv4 address in hexadecimal", b" 0x7f.1"),
            ("an IPv4 address of three parts", b" 127.0.1"),
            ("a Host of 600 characters", b" " + b"a" * 600),
        )
    ),
    *(
        passed(
            "RFC 9112 3.2",
            name,
            request(host=b"Host:" + value),
            Arrived(lines=(b"host: " + value.strip(b" \t").lower(),)),
        )
        for name, value in (
            ("a Host without white space", b"api.example"),
            ("a Host within tabs", b"\tapi.example\t"),
            ("a Host with a port", b" api.example:8080"),
            ("a Host with a final dot", b" api.example."),
            ("a Host in capitals", b" API.EXAMPLE"),
            ("an IPv6 address", b" [::1]:8080"),
            ("an IPv4 address", b" 127.0.0.1"),
        )
    ),
)

GRAMMAR: tuple[RequestCase, ...] = (
    refused("RFC 9112 2.2", "bare LF ends the request line", b"GET /x HTTP/1.1\nHost: a\r\n\r\n"),
    refused("RFC 9112 2.2", "bare LF ends a header", b"GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    refused("RFC 9112 2.2", "bare LF ends the head", b"GET /x HTTP/1.1\r\nHost: a\r\n\n"),
    refused("RFC 9112 2.2", "bare LF everywhere", b"GET /x HTTP/1.1\nHost: a\n\n"),
    refused("RFC 9112 2.2", "CR CR LF ends a header", b"GET /x HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    refused("RFC 9112 2.2", "LF CR ends the head", b"GET /x HTTP/1.1\r\nHost: a\n\r\n\r"),
    refused("RFC 9112 2.2", "bare CR in a value", request(b"X: a\rb")),
    refused("RFC 9112 2.2", "bare CR before a header", request(b"\rX: a")),
    refused("RFC 9112 2.2", "bare CR ends a header", b"GET /x HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
    refused("RFC 9112 2.2", "bare CR in the request line", line(b"GET /x\r HTTP/1.1")),
    refused("RFC 9112 2.2", "bare LF in the target", line(b"GET /x\n HTTP/1.1")),
    refused("RFC 9112 5", "a line without a colon", request(b"X")),
    refused("RFC 9112 5", "a line that is one space", request(b" ")),
    refused("RFC 9112 5.1", "a space before the colon", request(b"X : a")),
    refused("RFC 9112 5.1", "a tab before the colon", request(b"X\t: a")),
    refused(
        "RFC 9112 5.1", "Content-Length with a space before the colon",
        request(b"Content-Length : 5", first=b"POST /x HTTP/1.1", body=b"hello"),
    ),
    refused(
        "RFC 9112 5.1", "Transfer-Encoding with a tab before the colon",
        request(b"Transfer-Encoding\t: chunked", first=b"POST /x HTTP/1.1", body=b"0\r\n\r\n"),
    ),
    refused("RFC 9112 5.2", "obsolete folding with a space", request(b"X: a\r\n b")),
    refused("RFC 9112 5.2", "obsolete folding with a tab", request(b"X: a\r\n\tb")),
    refused("RFC 9112 5.2", "folding of the Host", request(host=b"Host:\r\n api.example")),
    refused(
        "RFC 9112 5.2", "folding hides a coding",
        request(b"Transfer-Encoding:\r\n chunked", first=b"POST /x HTTP/1.1", body=b"0\r\n\r\n"),
    ),
    refused("RFC 9110 5.1", "an empty name", request(b": a")),
    refused("RFC 9110 5.1", "a name with a space", request(b"X Y: a")),
    refused("RFC 9110 5.1", "a name with brackets", request(b"X[0]: a")),
    refused("RFC 9110 5.1", "a name in quotes", request(b'"X": a')),
    refused("RFC 9110 5.1", "a name with a slash", request(b"X/Y: a")),
    refused("RFC 9110 5.1", "a name beyond ASCII", request("Ä: a".encode())),
    refused("RFC 9110 5.1", "a name with a null byte", request(b"X\0: a")),
    refused("RFC 9110 5.1", "a name with a vertical tab", request(b"X\x0b: a")),
    refused("RFC 9110 5.5", "a null byte in a value", request(b"X: a\0b")),
    refused("RFC 9110 5.5", "an escape in a value", request(b"X: a\x1bb")),
    refused("RFC 9110 5.5", "a delete in a value", request(b"X: a\x7fb")),
    refused("RFC 9110 5.5", "a vertical tab in a value", request(b"X: a\x0bb")),
    refused("RFC 9110 5.5", "a backspace in a value", request(b"X: a\x08b")),
    refused("RFC 9110 5.5", "a null byte in the target", line(b"GET /x\0 HTTP/1.1")),
    refused("RFC 6585 5", "too many headers", request(*[b"X: y"] * HEADERS), 431),
    passed("RFC 6585 5", "as many headers as may be", request(*[b"X: y"] * (HEADERS - 1))),
    refused("RFC 6585 5", "a header that is too large", request(b"X: " + b"y" * 9000), 431),
    refused(
        "RFC 6585 5", "headers that are too large together", request(*[b"X: " + b"y" * 900] * 10),
        431,
    ),
    refused("RFC 6585 5", "a name that is too large", request(b"X" * 9000 + b": y"), 431),
    RequestCase(
        "RFC 6585 5", "a head without end", ((request(b"X: " + b"y" * 9000)[:-4], (431,)),),
        closes=True, code="request_malformed",
    ),
    passed(
        "RFC 9110 5.5", "tabs, spaces, empty values and bytes above ASCII",
        b"GET /x HTTP/1.1\r\nhOsT:\tapi.example \t\r\nempty:\r\nX:\xff\t y  \r\n\r\n",
        Arrived(lines=(b"empty: ", b"x: \xff\t y")),
    ),
    passed(
        "RFC 9110 5.6.2", "every character that a name may have",
        request(b"X!#$%&'*+-.^`|~09az: y"), Arrived(lines=(b"x!#$%&'*+-.^`|~09az: y",)),
    ),
    passed(
        "RFC 3875 4.1.18", "a name with an underscore is dropped",
        request(b"X_Y: 1", b"X-Y: 2"), Arrived(lines=(b"x-y: 2",), not_lines=(b"x_y: 1",)),
    ),
    passed(
        "RFC 3875 4.1.18", "an identity with underscores is dropped",
        request(b"X_Passport_Agent: root", b"x-passport_id: root"),
        Arrived(not_lines=(b"x_passport_agent: root", b"x-passport_id: root")),
    ),
    passed(
        "RFC 3875 4.1.18", "Content_Length frames nothing",
        request(b"Content_Length: 5"), Arrived(not_lines=(b"content_length: 5",)),
    ),
    passed(
        "RFC 3875 4.1.18", "Transfer_Encoding frames nothing",
        request(b"Transfer_Encoding: chunked"), Arrived(not_lines=(b"transfer_encoding: chunked",)),
    ),
)  # fmt: skip
