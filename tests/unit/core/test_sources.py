"""Sources: where the facts are, exactly once."""

import pytest

from passgate.core.header_rules import header_rules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.sources import Reader, Source, parse_source

RULES = RequestRules(header_rules())


def request(query: str = "", *headers: tuple[bytes, bytes], body: bytes | None = None) -> Request:
    target = b"/x?" + query.encode("latin-1")
    sent = [(b"Host", b"a"), (b"Content-Type", b"application/json"), *headers]
    found = canonical_request(Wire("POST", target, sent, "192.0.2.1"), RULES)
    assert isinstance(found, Request)
    found.body = body
    return found


def read(source: str, made: Request, **params: str) -> str | Refusal | None:
    return Reader(made, params).read(parse_source(source))


def malformed(found: object) -> bool:
    return isinstance(found, Refusal) and found.code == "request_malformed"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("header:X-Amount", Source("header", "x-amount")),
        ("query:url", Source("query", "url")),
        ("path:id", Source("path", "id")),
        ("body:/amount", Source("body", "/amount", ("amount",))),
        ("body:/a~1b/~0c/0", Source("body", "/a~1b/~0c/0", ("a/b", "~c", "0"))),
        ("body:/~01", Source("body", "/~01", ("~1",))),
    ],
)
def test_a_source_is_read(text: str, source: Source) -> None:
    assert parse_source(text) == source


def test_a_source_prints_as_it_is_written() -> None:
    assert str(parse_source("body:/a~1b")) == "body:/a~1b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amount",
        "cookie:x",
        "header:",
        "header:a b",
        "header:a_b",
        "query:",
        "query:a[]",
        "query:é",
        "path:",
        "body:",
        "body:amount",
        "body:/",
        "body:/a//b",
        "body:/a~2",
        "body:/a~",
    ],
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no source"):
        parse_source(text)


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "X-Passport-Id", "X-Forwarded-For", "X-HTTP-Method", "TE"]
)
def test_a_header_that_stays_behind_is_no_source(name: str) -> None:
    """What is judged must be what the upstream sees."""
    with pytest.raises(ValueError, match="never reaches the upstream"):
        parse_source(f"header:{name}")


def test_a_header_occurs_once() -> None:
    assert read("header:X-A", request("", (b"x-a", b" 5 "))) == "5"
    assert read("header:X-A", request()) is None
    assert malformed(read("header:X-A", request("", (b"X-A", b"5"), (b"x-a", b"5"))))
    assert malformed(read("header:X-A", request("", (b"X-A", b"\xe9"))))


def test_a_header_that_connection_takes_away_is_absent() -> None:
    """It would be judged and never arrive."""
    assert read("header:X-A", request("", (b"Connection", b"x-a"), (b"X-A", b"5"))) is None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("url=a", "a"),
        ("x=1&url=a&y", "a"),
        ("%75rl=a", "a"),
        ("url=a%20b+c%2Bd", "a b c+d"),
        ("url=a=b", "a=b"),
        ("url=", ""),
        ("url", ""),
        ("url=caf%C3%A9", "café"),
        ("", None),
        ("x=1", None),
        ("x=url", None),
        ("urls=a", None),
        ("x=1;y=2", None),
        ("x=%zz", None),
        ("&&", None),
    ],
)
def test_a_query_parameter_is_read(query: str, value: str | None) -> None:
    assert read("query:url", request(query)) == value


@pytest.mark.parametrize(
    "query",
    [
        "url=a&url=a",
        "url=a&url=b",
        "url=a&%75rl=b",
        "url=a&URL=b",
        "URL=b",
        "url=a&url[]=b",
        "url[0]=b",
        "url=a;url=b",
        "x=1;url=b",
        "url=a;x=1",
        "url=a&+url=b",
        "url=a&url%20=b",
        "url=a&url%00=b",
        "url=a&u%0Arl=b",
        "url=%zz",
        "url=%",
        "url=%ff",
        "url=%c0%af",
        "url=%00",
        "url=a%0Ab",
        "%zz=1&url=a",
        "%ff=1&url=a",
    ],
)
def test_a_query_with_two_readings_is_refused(query: str) -> None:
    """Whatever makes some server find another value than the gate."""
    assert malformed(read("query:url", request(query)))


def test_a_path_parameter_is_decoded_once() -> None:
    assert read("path:id", request(), id="caf%C3%A9") == "café"
    assert read("path:id", request(), id="a%252Fb") == "a%2Fb"
    assert read("path:id", request(), id="a+b") == "a+b"


def test_a_member_is_found_by_its_pointer() -> None:
    made = request(body=b'{"a/b": {"~": [1.50, "x"]}, "": 2, "n": null, "t": true}')
    reader = Reader(made, {})
    assert reader.read(parse_source("body:/a~1b/~0/0")) == "1.50"
    assert reader.read(parse_source("body:/a~1b/~0/1")) == "x"
    for absent in ("/x", "/a~1b/x", "/a~1b/~0/2", "/a~1b/~0/-", "/a~1b/~0/01", "/a~1b/~0/0/0"):
        assert reader.read(parse_source(f"body:{absent}")) is None
    for other in ("/n", "/t", "/a~1b", "/a~1b/~0"):
        assert malformed(reader.read(parse_source(f"body:{other}")))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": {"b": 1, "B": 2}}',
        b'{"a": {"B": 1}}',
        b'{"a": {"b": 1}, "A": {"b": 2}}',
    ],
)
def test_members_that_differ_in_case_have_two_readings(body: bytes) -> None:
    """Some readers match names without regard to case."""
    assert malformed(read("body:/a/b", request(body=body)))


def test_kelvin_is_k() -> None:
    assert malformed(read("body:/key", request(body='{"key": 1, "\u212aey": 2}'.encode())))


def test_no_body_has_no_members() -> None:
    assert read("body:/a", request(body=b"")) is None


def test_a_body_that_cannot_be_judged_is_refused_each_time() -> None:
    reader = Reader(request(body=b"{"), {})
    assert malformed(reader.read(parse_source("body:/a")))
    assert malformed(reader.read(parse_source("body:/b")))


def test_a_body_that_was_not_read_is_the_gates_own_mistake() -> None:
    with pytest.raises(ValueError, match="before its sources"):
        read("body:/a", request())
