"""What the gate forwards has one reading, the one that was judged: two independent parsers agree.

Requests and answers are drawn from the grammar with all its liberties (RFC 9112), cut anywhere, and
go through the real connections of both sides.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.plan import Plan
from tests.fuzz.world import World
from tests.support.readers import answer_by_h11, requests_in

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TCHAR = "!#$%&'*+-.^`|~0123456789ABCXYZabcxyz"
PATH = st.text("abcxyz019-~.!$&'()*+,=:@", min_size=1, max_size=8).filter(
    lambda segment: segment.strip(".") != ""
)
# A name that means nothing to the gate: what means something has cases of its own.
NAME = st.text(TCHAR, max_size=8).map(lambda name: b"Q-" + name.encode())
VALUE = st.binary(max_size=12).map(
    lambda raw: bytes(byte for byte in raw if (byte >= 0x20 and byte != 0x7F) or byte == 9)
)
SPACE = st.sampled_from([b"", b" ", b"\t", b"  \t "])
FIELD = st.tuples(NAME, SPACE, VALUE, SPACE)
CASE = st.sampled_from([bytes.lower, bytes.upper, bytes.title, lambda name: name])


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks, with sizes and extensions as odd as they may be."""
    data = b""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    for a, b in itertools.pairwise([0, *cuts, len(body)]):
        if a < b:
            size = draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % (b - a)
            extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c";d']))
            data += size + extension + b"\r\n" + body[a:b] + b"\r\n"
    return data + draw(st.sampled_from([b"0", b"000", b"0;last"])) + b"\r\n\r\n"


@st.composite
def framed(draw: st.DrawFn, body: bytes) -> tuple[bytes, bytes]:
    """A header line that frames the body, and the body as it is sent."""
    name = draw(CASE)
    space = draw(SPACE)
    if draw(st.booleans()):
        length = draw(st.sampled_from([b"%d", b"00%d"])) % len(body)
        return name(b"Content-Length") + b":" + space + length + b"\r\n", body
    coding = draw(st.sampled_from([b"chunked", b"Chunked", b"CHUNKED"]))
    return name(b"Transfer-Encoding") + b":" + space + coding + b"\r\n", draw(chunked(body))


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[str, bytes, bytes, list[bytes]]]:
    """The bytes of a request; its method, target, body, and the header lines to forward."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "PROPFIND", "OPTIONS"]))
    target = b"/" + b"/".join(part.encode() for part in draw(st.lists(PATH, max_size=3)))
    if draw(st.booleans()):
        target += b"?" + draw(st.text("ab=&?/%2e.", max_size=8)).encode()
    fields = draw(st.lists(FIELD, max_size=4))
    lines = [b"%b:%b%b%b\r\n" % field for field in fields]
    kept = [b"%b: %b" % (name.lower(), value.strip(b" \t")) for name, _, value, _ in fields]
    body = draw(st.binary(max_size=40)) if draw(st.booleans()) else b""
    sent = b""
    if body or draw(st.booleans()):
        framing, sent = draw(framed(body))
        lines.insert(draw(st.integers(0, len(lines))), framing)
    host = draw(CASE)(b"Host") + b":" + draw(SPACE) + b"api.example" + draw(SPACE) + b"\r\n"
    lines.insert(draw(st.integers(0, len(lines))), host)
    first = b"%b %b HTTP/1.1\r\n" % (method.encode(), target)
    return first + b"".join(lines) + b"\r\n" + sent, (method, target, body, kept)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds) if a < b]


CUTS = st.lists(st.integers(0, 2000), max_size=6)


@settings(max_examples=200)
@given(st.lists(requests(), min_size=1, max_size=3), CUTS)
def test_a_forwarded_request_has_one_reading(
    drawn: list[tuple[bytes, tuple[str, bytes, bytes, list[bytes]]]], cuts: list[int]
) -> None:
    """h11 and aiohttp find upstream exactly the requests that were sent, judged and answered."""
    data = b"".join(sent for sent, _ in drawn)
    world = World(Plan([("client", 0, piece) for piece in pieces(data, cuts)], [OK]))
    world.run()
    world.compare()

    found = []
    for upstream in world.upstreams:
        readings, more = requests_in(bytes(upstream.transport.out))
        assert not more
        found += readings
    assert len(found) == len(drawn)
    for reading, judged, (_, (method, target, body, kept)) in zip(
        found, world.judge.judged, drawn, strict=True
    ):
        assert (judged.method, judged.target) == (method, target)
        assert (reading.method, reading.target) == (method.encode(), target)
        assert reading.body == body
        lines = [b"%b: %b" % field for field in reading.headers if field[0].startswith(b"q-")]
        assert lines == kept


@settings(max_examples=200)
@given(
    st.sampled_from([b"200 OK", b"404 ", b"299", b"500 \xff odd"]),
    st.lists(FIELD, max_size=4),
    st.binary(max_size=60),
    st.data(),
    CUTS,
    st.sampled_from([b"1.1", b"1.0"]),
)
def test_a_passed_on_answer_has_one_reading(
    status: bytes,
    fields: list[tuple[bytes, bytes, bytes, bytes]],
    body: bytes,
    data: st.DataObject,
    cuts: list[int],
    version: bytes,
) -> None:
    """h11 finds exactly one answer, the one that the upstream gave."""
    framing, sent = data.draw(framed(body) | st.just((b"", body)))
    lines = b"".join(b"%b:%b%b%b\r\n" % field for field in fields)
    answer = b"HTTP/1.1 " + status + b"\r\n" + lines + framing + b"\r\n" + sent
    pace = [len(piece) for piece in pieces(answer, cuts)]
    asked = b"GET /x HTTP/%b\r\nHost: a\r\n\r\n" % version
    world = World(Plan([("client", 0, asked)], [answer], pace))
    world.run()
    world.compare()

    transport = world.clients[0].transport
    interim, reply = answer_by_h11(bytes(transport.out), "GET", ended=transport.ended)
    assert not interim
    assert reply.whole
    assert (reply.status, reply.body) == (int(status[:3]), body)
    found = [b"%b: %b" % field for field in reply.headers if field[0].startswith(b"q-")]
    assert found == [
        b"%b: %b" % (name.lower(), value.strip(b" \t")) for name, _, value, _ in fields
    ]
