"""One execution of a plan against the real connections of the data plane, and what must hold.

The invariant, whatever a client sends, an upstream answers, and in whatever order things happen:

1. Nothing raises, and nothing is written behind an end.
2. What reaches an upstream's connection is a sequence of whole requests, of which the last may be
   cut. Each is one that was judged and allowed, as it was judged: method, target, and the body that
   a rule has read. None comes twice, but for one whose method is idempotent.
3. What reaches a client is a sequence of whole answers in the order of its requests, of which the
   last may be broken off, visibly. An answer that an upstream did not end is never a whole one.
4. Every forwarded request has exactly one outcome; every other one has none. One that is
   `completed` has reached its client whole.
5. Memory is bounded while nobody reads, and nothing is left when every connection is gone.
"""

import asyncio
import re
from collections import deque

from tests.fuzz.judge import Judge, Judged
from tests.fuzz.memory import Connecting, Loop, Transport, Upstream, make_plane
from tests.fuzz.plan import Plan
from tests.fuzz.recognize import (
    Confused,
    Message,
    head_of_request,
    next_answer,
    next_request,
)
from tests.support.readers import answer_by_h11, leniently_by_h11, requests_in

from passgate.proxy.client_socket import HELD_BYTES
from passgate.proxy.http1 import ServerConnection
from passgate.proxy.settings import (
    Endpoint,
    Limits,
    ProxySettings,
    UpstreamSettings,
)
from passgate.proxy.upstream import UpstreamPool
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_http1 import UpstreamConnection

_SETTINGS = ProxySettings(
    Endpoint("127.0.0.1", 0),
    UpstreamSettings((Endpoint("127.0.0.1", 1),)),
    Limits(header_bytes=4096, headers=30, target_bytes=1024, body_bytes=80_000),
    http2=False,
)
_ODD_TRAILER = re.compile(rb"(?is)\n0+[\r;].*\n(?:content-length|transfer-encoding):")
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))


class Client:
    """A client's end: what it has not been able to send, and whether it left by itself."""

    def __init__(self, transport: Transport, connection: ServerConnection) -> None:
        self.transport = transport
        self.connection = connection
        self.to_send: deque[bytes] = deque()
        self.sent = bytearray()
        self.most = 0
        self.left = False
        self.fled = False  # before all that was written in that turn had gone out


class World:
    """A data plane with its clients and upstreams; `run` carries out a plan and checks it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = Loop()
        self.judge = Judge()
        self.plane = make_plane(_SETTINGS, self.judge, self.loop)
        asyncio._set_running_loop(self.loop)
        try:
            self.connecting = Connecting(self.loop, self.plane, plan.most, self._upstream)
        finally:
            asyncio._set_running_loop(None)
        self.plane.pool = self.connecting.pool
        self.clients: dict[int, Client] = {}
        self.upstreams: list[Upstream] = []
        self.answered = 0
        self._paces = 0

    def run(self) -> None:
        """Carries out the plan, then lets everything come to its end. Raises what is wrong."""
        asyncio._set_running_loop(self.loop)
        try:
            for done, (what, number, data) in enumerate(self.plan.events, 1):
                self._do(what, number, data)
                if done % self.plan.turn == 0:
                    self._pump()
            self._come_to_an_end()
        finally:
            asyncio._set_running_loop(None)
        self._check()

    # What happens.

    def _client(self, number: int) -> Client:
        client = self.clients.get(number)
        if client is None:
            connection = ServerConnection(self.plane)
            transport = Transport(
                self.loop, connection, room=self.plan.rooms[0], half=self.plan.half
            )
            transport.peer = f"192.0.2.{number}"
            client = self.clients[number] = Client(transport, connection)
            transport.begin()
        return client

    def _upstream(self, pool: UpstreamPool, address: Address) -> Upstream:
        connection = UpstreamConnection(self.plane, pool, address)
        transport = Transport(self.loop, connection, room=self.plan.rooms[1], half=self.plan.half)
        upstream = Upstream(transport)
        self.upstreams.append(upstream)
        return upstream

    def _do(self, what: str, number: int, data: bytes) -> None:
        if what == "client":
            client = self._client(number)
            if not client.left:
                client.to_send.append(data)
        elif what == "open":
            self.connecting.opened(succeeds=True)
        elif what == "refuse connection":
            self.connecting.opened(succeeds=False)
        elif what == "resume":
            self.judge.resume(refuse=False)
        elif what == "resume refused":
            self.judge.resume(refuse=True)
        elif what == "tick":
            self.loop.now += (0.3, 1.1, 11.0, 31.0, 61.0)[number % 5]
            self.plane._sweep()
        elif what == "revoke":
            self.judge.allowed = False
        elif what == "drain":
            self.plane.draining = True
            for connection in tuple(self.plane.connections):
                connection.drain()
        elif what.startswith("client"):
            clients = list(self.clients.values())
            if clients:
                self._to_client(what, clients[number % len(clients)])
        elif self.upstreams:
            self._to_upstream(what, self.upstreams[number % len(self.upstreams)], number, data)

    def _to_client(self, what: str, client: Client) -> None:
        if what == "client takes":
            client.transport.drain()
        elif not client.left:
            client.left = client.fled = True
            client.to_send.clear()
            if what == "client ends":
                client.transport.end()
            else:
                client.transport.reset()

    def _to_upstream(self, what: str, upstream: Upstream, number: int, data: bytes) -> None:
        transport = upstream.transport
        if what == "say":
            self._say(upstream, number)
        elif what == "upstream takes":
            transport.drain()
        elif what == "upstream ends":
            transport.end()
        elif what == "upstream resets":
            transport.reset()
        elif what == "garbage" and transport.deliver(data) and upstream.said:
            upstream.said[-1][1].extend(data)

    def _say(self, upstream: Upstream, count: int) -> bool:
        """The upstream says so many bytes of what it has to say; 0 for all."""
        self._read_requests()
        piece = bytes(upstream.to_say[:count] if count else upstream.to_say)
        asked = len(upstream.transport.out)
        if not upstream.transport.deliver(piece):
            return False
        connection = upstream.transport._protocol
        if upstream.asked is None and connection._tunnel is not None:
            upstream.asked = asked
        upstream.said[-1][1].extend(piece)
        del upstream.to_say[: len(piece)]
        return True

    def _pump(self) -> bool:
        """Does what follows by itself; true where anything happened."""
        happened = False
        while True:
            self.loop.settle()
            more = self._send_on() | self._read_requests()
            if self.plan.eager:
                more |= self._hurry()
            if not more:
                return happened
            happened = True

    def _hurry(self) -> bool:
        more = False
        while self.connecting.opening:
            self.connecting.opened(succeeds=True)
            more = True
        while self.judge.parked:
            self.judge.resume(refuse=False)
            more = True
        for upstream in self.upstreams:
            if upstream.to_say:
                pace = self.plan.pace
                self._paces += 1
                more |= self._say(upstream, pace[self._paces % len(pace)])
        return more

    def _send_on(self) -> bool:
        more = False
        for client in self.clients.values():
            while client.to_send:
                piece = client.to_send[0]
                if client.transport.is_closing():
                    client.to_send.clear()
                    break
                if not client.transport.deliver(piece):
                    if piece:
                        break
                    client.to_send.popleft()
                    continue
                client.to_send.popleft()
                client.sent += piece
                more = True
                client.most = max(client.most, len(piece))
                # Reading stops at the first packet after the one that was too much.
                if len(client.connection._buffer) > HELD_BYTES + 2 * client.most:
                    raise Confused("too many bytes are held")
                if self.plan.turn == 1:
                    self.loop.settle()
        return more

    def _read_requests(self) -> bool:
        """The upstreams take note of requests; each whole one gets the next answer."""
        more = False
        for upstream in self.upstreams:
            data = upstream.transport.out
            while upstream.asked is None and len(data) > upstream.read:
                whole = next_request(bytes(data), upstream.read)
                number = head_of_request(bytes(data), upstream.read)
                if not number:
                    break
                if not upstream.said or upstream.said[-1][0] != number:
                    upstream.said.append((number, bytearray()))
                    if len(upstream.said) == abs(self.plan.dies):
                        self._die(upstream)
                        return True
                if upstream.answered != number and (whole is not None or self.plan.early):
                    upstream.answered = number
                    answers = self.plan.answers
                    upstream.to_say += answers[self.answered % len(answers)]
                    self.answered += 1
                    more = True
                if whole is None:
                    break
                upstream.whole.append(whole)
                upstream.read = whole.end
        return more

    def _die(self, upstream: Upstream) -> None:
        if self.plan.dies > 0:
            upstream.transport.end()
        else:
            upstream.transport.reset()

    def _come_to_an_end(self) -> None:
        """Everybody does what they owe, then time passes, then every connection goes."""
        self.plan.eager, eager = True, self.plan.eager
        for _ in range(50):
            for client in self.clients.values():
                client.transport.drain()
            for upstream in self.upstreams:
                upstream.transport.drain()
            if not self._pump():
                break
        self.plan.eager = eager
        for upstream in self.upstreams:
            if upstream.said:
                upstream.transport.end()
        self._pump()
        for _ in range(4):
            self.loop.now += 100.0
            self.plane._sweep()
            self._pump()
        for client in self.clients.values():
            client.transport.drain()
            if not client.transport.lost:
                client.left = True
                client.transport.reset()
        # Twice, since a connection may have been on its way for a client that has just gone.
        for _ in range(2):
            while self.connecting.opening:
                self.connecting.opened(succeeds=False)
            self._pump()
            for upstream in self.upstreams:
                upstream.transport.drain()
                upstream.transport.reset()
        self._pump()

    # What must hold.

    def _check(self) -> None:
        plane = self.plane
        if plane.inflight or plane.connections or self.plane.pool.connections:
            raise Confused("something is left")
        for end in (*self.clients.values(), *self.upstreams):
            if end.transport.misused:
                raise Confused("written after the end of sending")
        seen: dict[int, int] = {}
        for upstream in self.upstreams:
            self._check_upstream(upstream, seen)
        for judged in self.judge.judged:
            if len(judged.outcomes) != judged.forwarded:
                raise Confused(f"outcomes {judged.outcomes} of {judged}")
            times = seen.get(judged.number, 0)
            if times > 1 and (times > 2 or judged.method not in _IDEMPOTENT):
                raise Confused(f"sent {times} times: {judged}")
        for client in self.clients.values():
            self._check_client(client)

    def _check_upstream(self, upstream: Upstream, seen: dict[int, int]) -> None:
        data = bytes(upstream.transport.out[: upstream.asked])
        at = 0
        while True:
            number = head_of_request(data, at)
            if number:
                seen[number] = seen.get(number, 0) + 1
            request = next_request(data, at)
            if request is None:
                break
            judged = self._judged(request.number)
            if not judged.forwarded:
                raise Confused(f"forwarded though refused: {judged}")
            if (request.first, request.target) != (judged.method.encode(), judged.target):
                raise Confused(f"not what was judged: {request}")
            if judged.body is not None and request.body != judged.body:
                raise Confused(f"not the body that was judged: {request}")
            at = request.end
            if request.closes and at < len(data):
                raise Confused("a request follows the last one")
        if at < len(data):
            judged = self._judged(head_of_request(data, at))
            if not judged.forwarded:
                raise Confused(f"begun though refused: {judged}")

    def _judged(self, number: int) -> Judged:
        if not 0 < number <= len(self.judge.judged):
            raise Confused(f"nothing was judged as number {number}")
        return self.judge.judged[number - 1]

    def answers(self, client: Client) -> tuple[list[Message], int, bool]:
        """Each whole answer; the number of the one that became a tunnel; is there more?

        The last is true where a part of an answer follows.
        """
        data = bytes(client.transport.out)
        mine = self._judged_of(client)
        ended = client.transport.ended and not client.transport.cut
        found: list[Message] = []
        at = 0
        while True:
            method = mine[len(found)].method if len(found) < len(mine) else "GET"
            answer = next_answer(data, at, method, ended=ended)
            if answer is None and b"HEAD" in client.sent and len(found) >= len(mine):
                # Refused by its head: whether that asked for HEAD is not on record.
                answer = next_answer(data, at, "HEAD", ended=ended)
            if answer is None:
                return found, 0, at < len(data)
            if answer.first == b"101":
                return found, answer.number, False
            at = answer.end
            if answer.first[:1] != b"1":
                found.append(answer)

    def _judged_of(self, client: Client) -> list[Judged]:
        return [each for each in self.judge.judged if each.client == client.transport.peer]

    def _check_client(self, client: Client) -> None:
        transport = client.transport
        mine = self._judged_of(client)
        found, tunnel, rest = self.answers(client)
        for at, answer in enumerate(found):
            refused = b"X-Refused: yes\r\n" in answer.lines
            last = at == len(found) - 1
            if not answer.number:
                if not (refused and answer.closes and last):
                    raise Confused("an answer to no request")
                continue
            if at >= len(mine) or answer.number != mine[at].number:
                raise Confused(f"answer {answer.number} in place {at} of {mine}")
            if answer.closes and (not last or rest or tunnel):
                raise Confused("an answer follows the last one")
            outcomes = mine[at].outcomes
            if outcomes and outcomes[0] != "completed" and not refused:
                raise Confused(f"a broken answer is whole: {mine[at]}")
        if rest and not transport.cut and not client.left:
            raise Confused("a part of an answer, and an orderly end")
        whole = {tunnel, *(answer.number for answer in found)}
        for judged in mine:
            lost = judged.number not in whole and not client.fled
            if judged.outcomes == ["completed"] and lost:
                raise Confused(f"completed, and not whole: {judged}")

    def compare(self) -> None:
        """Has independent readers read it all: what came, what went on, and what came back."""
        upstream_bodies: dict[int, bytes] = {}
        for upstream in self.upstreams:
            self._compare_requests(upstream, upstream_bodies)
        for client in self.clients.values():
            self._compare_input(client, upstream_bodies)
            for answer in self.answers(client)[0]:
                if answer.number and b"X-Refused: yes\r\n" not in answer.lines:
                    self._compare_answer(answer)

    def _compare_requests(self, upstream: Upstream, bodies: dict[int, bytes]) -> None:
        data = bytes(upstream.transport.out[: upstream.asked])
        ours: list[Message] = []
        while (request := next_request(data, ours[-1].end if ours else 0)) is not None:
            ours.append(request)
            bodies[request.number] = request.body
        readings, more = requests_in(data)
        theirs = [(each.method, each.target, each.body) for each in readings]
        if [(each.first, each.target, each.body) for each in ours] != theirs:
            raise Confused(f"others read {theirs}")
        if more != (len(data) > (ours[-1].end if ours else 0)):
            raise Confused(f"others do not agree on the rest of {data!r}")

    def _compare_input(self, client: Client, bodies: dict[int, bytes]) -> None:
        mine = self._judged_of(client)
        readings = leniently_by_h11(bytes(client.sent))
        # What the gate has read whole must be so for whoever is less strict; but h11 ends HTTP/1.0.
        for judged in mine[len(readings) :]:
            if judged.number in bodies and b"HTTP/1.0" not in client.sent:
                raise Confused(f"h11 finds no such request: {judged}")
        for judged, reading in zip(mine, readings, strict=False):
            if reading.method.decode() != judged.method:
                raise Confused(f"h11 reads {reading}, judged was {judged}")
            # The absolute form goes on without its scheme and host.
            if not reading.target.endswith(judged.target):
                raise Confused(f"h11 reads {reading}, judged was {judged}")
            body = bodies.get(judged.number, judged.body)
            if body is not None and body != reading.body:
                raise Confused(f"h11 reads {reading}, forwarded was {body!r}")

    def _compare_answer(self, answer: Message) -> None:
        judged = self._judged(answer.number)
        said = [
            bytes(data)
            for upstream in self.upstreams
            for number, data in upstream.said
            if number == answer.number and data  # one that was sent again has an empty one too
        ]
        _, theirs = answer_by_h11(said[-1], judged.method, ended=True, alone=False)
        if not theirs.whole and theirs.body == answer.body and _ODD_TRAILER.search(said[-1]):
            return  # h11 refuses trailers that the gate leaves out
        if not theirs.whole or (theirs.status, theirs.body) != (int(answer.first), answer.body):
            raise Confused(f"h11 reads {theirs} of {said[-1]!r}, passed on was {answer}")
