"""Bytes that are no request, and the status that each must get."""

_HEAD = b"POST /v1/items HTTP/1.1\r\nHost: api.example\r\n"
MALFORMED = (
    (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    (b"GET /v1/search HTTP/1.1\r\n\r\n", 400),
    (b"GET /v1/search HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /v1/../etc HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (_HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (_HEAD + b"Content-Length: +5\r\n\r\nhello", 400),
    (_HEAD + b"Content-Length : 5\r\n\r\nhello", 400),
    (_HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n", 431),
)
"""(bytes, status); the connection ends after each."""
