"""HTTP/2 under hostile frames and timing: plans whose clients send frames, and what must hold.

What `tests.fuzz.world` demands of requests, outcomes, memory and ends holds as it stands. Answers
are streams here: one that the upstream did not end never ends with END_STREAM, one that is
`completed` does, unless its client left or broke the protocol of the connection, which it is told
by GOAWAY or a reset. Nothing follows the end of a stream.
"""

import itertools
import random
import struct
from collections import Counter

import hpack
from tests.fuzz.memory import Transport
from tests.fuzz.plan import Plan, make_plan
from tests.fuzz.recognize import Confused
from tests.fuzz.world import Client, World
from tests.support.http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)

from passgate.proxy.http2_connection import Http2Connection

_LOST = -1  # stands for all streams, where GOAWAY names an error
_PATHS = ("/x", "/x", "/x", "/judged", "/wait", "/deny", "/a/../b", "*", "")
_METHODS = ("GET", "GET", "POST", "POST", "PUT", "HEAD", "CONNECT")
_ODD_FIELDS = (
    ("connection", "close"), ("transfer-encoding", "chunked"), ("content-length", "2"),
    ("content-length", "x"), ("te", "trailers"), ("expect", "100-continue"), ("host", "other"),
    ("X-Upper", "a"), (":late", "a"), ("x", "a\r\nb: c"), ("cookie", "a=b"), (":path", "/y"),
    ("", "a"), ("x-number", "1"), ("upgrade", "websocket"),
)  # fmt: skip


def _block(fields: list[tuple[str, str]]) -> bytes:
    """A header block that needs and leaves nothing in anybody's table."""
    literal = [hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields]
    return hpack.Encoder().encode(literal)


def _request(dice: random.Random, stream: int) -> list[bytes]:
    """The frames of a request; most are sound."""
    fields = [
        (":method", dice.choice(_METHODS)),
        (":scheme", dice.choice(("http", "http", "http", "https"))),
        (":authority", "gate.test"),
        (":path", dice.choice(_PATHS)),
    ]
    if dice.randrange(3) == 0:
        fields.insert(dice.randrange(len(fields) + 1), dice.choice(_ODD_FIELDS))
    body = dice.randbytes(dice.choice((0, 0, 2, 5, 40, 300, 20_000)))
    if body and dice.randrange(2) == 0:
        fields.append(("content-length", str(len(body))))
    block = _block(fields)
    end = 0 if body or dice.randrange(4) == 0 else END_STREAM
    cut = dice.randrange(len(block)) if dice.randrange(6) == 0 else len(block)
    frames = [frame(HEADERS, end | (END_HEADERS if cut == len(block) else 0), stream, block[:cut])]
    if cut < len(block):
        frames.append(frame(CONTINUATION, END_HEADERS, stream, block[cut:]))
    pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
    for at, piece in enumerate(pieces, 1):
        last = at == len(pieces) and dice.randrange(6) > 0
        if dice.randrange(6) == 0:
            frames.append(frame(DATA, END_STREAM * last | PADDED, stream, b"\3" + piece + bytes(3)))
        else:
            frames.append(frame(DATA, END_STREAM * last, stream, piece))
    if dice.randrange(10) == 0:
        trailers = _block([dice.choice((("x-sum", "1"), (":path", "/z"), ("host", "b")))])
        frames.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers))
    return frames


def _other(dice: random.Random) -> bytes:
    """A frame that is no request: control, late, malformed, or of an unknown kind."""
    stream = dice.choice((0, 1, 1, 3, 3, 5, 7, 2))
    number = struct.pack(">I", dice.choice((0, 1, 8, 0x100, 0x10000, 0x7FFFFFFF)))
    setting = struct.pack(">H", dice.choice((1, 2, 3, 4, 5, 6, 8, 9))) + number
    return dice.choice(
        (
            frame(RST_STREAM, 0, stream, number),
            frame(WINDOW_UPDATE, 0, stream, number),
            frame(PRIORITY, 0, stream, number + b"\0"),
            frame(SETTINGS, 0, 0, setting),
            frame(SETTINGS, ACK),
            frame(PING, dice.choice((0, ACK)), 0, bytes(8)),
            frame(GOAWAY, 0, 0, bytes(8)),
            frame(DATA, dice.choice((0, END_STREAM)), stream, b"late"),
            frame(CONTINUATION, END_HEADERS, stream),
            frame(dice.randrange(256), dice.randrange(256), stream, dice.randbytes(6)),
        )
    )


def _conversation(dice: random.Random) -> bytes:
    """All that one client sends."""
    of_streams = [_request(dice, 1 + 2 * n) for n in range(dice.choice((1, 1, 2, 3, 6)))]
    frames: list[bytes] = []
    opened = 0
    # Streams begin in their order and go on in any.
    while any(of_streams):
        if opened < len(of_streams) and (dice.randrange(2) or not any(of_streams[:opened])):
            frames.append(of_streams[opened].pop(0))
            # A header block is one, whatever goes on elsewhere.
            if of_streams[opened] and of_streams[opened][0][3] == CONTINUATION:
                frames.append(of_streams[opened].pop(0))
            opened += 1
        else:
            frames.append(dice.choice([each for each in of_streams[:opened] if each]).pop(0))
    for _ in range(dice.choice((0, 0, 1, 1, 3))):
        frames.insert(dice.randrange(len(frames) + 1), _other(dice))
    data = PREFACE + frame(SETTINGS) + b"".join(frames)
    if dice.randrange(8) == 0:
        at = dice.randrange(len(data))
        data = data[:at] + bytes((dice.randrange(256),)) + data[at + 1 :]
    return data


def frame_plan(number: int) -> Plan:
    """The plan of this number: upstreams and timing as of `make_plan`, and clients of HTTP/2."""
    dice = random.Random(number)
    plan = make_plan(number, kind=dice.choice(("answers", "both")))
    places: dict[int, list[int]] = {}
    for at, (what, client, _) in enumerate(plan.events):
        if what == "client":
            places.setdefault(client, []).append(at)
    for client, events in places.items():
        data = _conversation(dice)
        cuts = sorted(dice.randrange(len(data) + 1) for _ in events[1:])
        for at, (a, b) in zip(events, itertools.pairwise([0, *cuts, len(data)]), strict=True):
            plan.events[at] = ("client", client, data[a:b])
    return plan


class FrameWorld(World):
    """A world whose clients speak HTTP/2."""

    def _client(self, number: int) -> Client:
        client = self.clients.get(number)
        if client is None:
            connection = Http2Connection(self.plane)
            room = self.plan.rooms[0]
            transport = Transport(self.loop, connection, room=room, half=self.plan.half)
            transport.peer = f"192.0.2.{number}"
            client = self.clients[number] = Client(transport, connection)
            transport.begin()
        return client

    def compare(self) -> None:
        """Has independent readers read what went on; what came back was read by its frames."""
        for upstream in self.upstreams:
            self._compare_requests(upstream, {})

    def _check_client(self, client: Client) -> None:
        begun, ended = self._streams(client)
        for judged in self._judged_of(client):
            end = ended.get(judged.number, "")
            if begun[judged.number] > 1:
                raise Confused(f"answered twice: {judged}")
            if judged.outcomes == ["completed"]:
                if not (end or client.fled or client.transport.cut or _LOST in ended):
                    raise Confused(f"completed, and not ended: {judged}")
            elif judged.outcomes and end == "whole":
                raise Confused(f"a broken answer is whole: {judged}")

    def _streams(self, client: Client) -> tuple[Counter[int], dict[int, str]]:
        """By their numbers: how often answers that were forwarded begin, and how they end."""
        data = bytes(client.transport.out)
        decoder = hpack.Decoder()
        numbers: dict[int, int] = {}
        over: set[int] = set()
        begun: Counter[int] = Counter()
        ended: dict[int, str] = {}
        at = 0
        while at + 9 <= len(data):
            size, kind, flags = int.from_bytes(data[at : at + 3], "big"), data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            body = data[at + 9 : at + 9 + size]
            at += 9 + size
            if at > len(data):
                break
            if kind in (DATA, HEADERS) and stream in over:
                raise Confused(f"frames behind the end of stream {stream}")
            if kind == HEADERS:
                if not flags & END_HEADERS:
                    raise Confused("a block in pieces, which tests do not read")
                fields = dict(decoder.decode(body, raw=True))
                number = int(fields.get(b"x-number", 0))
                if number and b"x-refused" not in fields and fields[b":status"] >= b"200":
                    numbers[stream] = number
                    begun[number] += 1
            if kind == GOAWAY and body[4:8] != bytes(4):
                ended[_LOST] = "told"
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                over.add(stream)
                ended[numbers.get(stream, 0)] = "whole"
            elif kind == RST_STREAM:
                over.add(stream)
        return begun, ended
