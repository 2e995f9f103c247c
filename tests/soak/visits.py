"""What clients do to the gate, good and bad: each kind a visit, with what it must be told."""

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable
from random import Random

from tests.soak.accounts import Accounts
from tests.soak.client import Client, HungUpError, Way, request
from tests.soak.http2 import Http2Client
from tests.soak.malformed import MALFORMED
from tests.soak.passports import Passports
from tests.soak.upstream import EVENTS, Upstream

_NOTHING = hashlib.sha256(b"").hexdigest().encode()
_ADDRESSES = 400
_FLOOD = 60
_FILLED = 15_000
_AT_ONCE = 50
_marks = itertools.count()


class Visits:
    """The clients of one gate. Each method is one visit; `KINDS` says how often which is made."""

    def __init__(
        self,
        way: Way,
        upstream: Upstream,
        passports: Passports,
        accounts: Accounts,
        random: Random,
    ) -> None:
        self._way = way
        self._upstream = upstream
        self._passports = passports
        self._accounts = accounts
        self._random = random
        self._clients = 0
        self._headers = 0

    async def fill(self) -> None:
        """Fills what the gate remembers within bounds, so that memory may not rise afterwards."""
        for _ in range(_FILLED // _AT_ONCE):
            await self.new_headers()

    async def new_headers(self) -> None:
        """Requests with header bytes that came once before, each after another passport's."""
        async with self._client(17) as client:
            for _ in range(_AT_ONCE):
                self._headers += 1
                passport = self._passports.in_turn(self._headers)
                client.send(request("GET", "/v1/search", passport, f"X-New: {self._headers}") * 2)
            for _ in range(2 * _AT_ONCE):
                self._accounts.heard("new headers", await client.answer(), [""])

    async def make(self, kind: str) -> None:
        """One visit of a kind; whatever goes wrong in it is a surprise."""
        try:
            await KINDS[kind][1](self)
        except (HungUpError, TimeoutError, OSError, ValueError, KeyError) as error:
            self._accounts.surprise(f"{kind}: {type(error).__name__} {error}")

    def _client(self, network: int = 1) -> Client:
        return Client(self._way, self._address(network))

    def _address(self, network: int) -> str:
        """One of many addresses in turn: none is refused too often in a second."""
        self._clients += 1
        third, fourth = divmod(self._clients % _ADDRESSES, 200)
        return f"127.{network}.{third}.{fourth + 1}"

    async def _ask(
        self, client: Client, kind: str, data: bytes, *expected: str, body: bytes | None = None
    ) -> bool:
        """One request; returns whether it was let pass, and then with the right body."""
        client.send(data)
        answer = await client.answer()
        self._accounts.heard(kind, answer, expected)
        passed = answer.code == ""
        if passed and body is not None and answer.body != body:
            self._accounts.surprise(f"{kind}: a wrong body")
        return passed

    async def good(self) -> None:
        """Up to twenty requests with one passport over one connection."""
        passport = self._passports.good()
        async with self._client() as client:
            for _ in range(self._random.randrange(1, 21)):
                data = request("GET", "/v1/search?q=soak", passport)
                await self._ask(client, "good", data, "", body=_NOTHING)

    async def pipelined(self) -> None:
        """Five requests at once, answered in order."""
        data = request("GET", "/v1/search?q=soak", self._passports.good())
        async with self._client() as client:
            client.send(data * 5)
            for _ in range(5):
                self._accounts.heard("pipelined", await client.answer(), [""])

    async def bodies(self) -> None:
        """A body with its length, one in chunks, and one that a rule reads."""
        passport = self._passports.one_of_few()
        body = self._random.randbytes(self._random.randrange(1, 50_000))
        digest = hashlib.sha256(body).hexdigest().encode()
        order = b'{"amount": 12, "vendor": "acme"}'
        async with self._client() as client:
            data = request("POST", "/v1/items", passport, body=body)
            await self._ask(client, "body", data, "", body=digest)
            data = request("POST", "/v1/items", passport, "Transfer-Encoding: chunked")
            data += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            await self._ask(client, "chunked body", data, "", body=digest)
            json = "Content-Type: application/json"
            data = request("POST", "/v1/orders", passport, json, body=order)
            digest = hashlib.sha256(order).hexdigest().encode()
            await self._ask(client, "judged body", data, "", body=digest)
            twice = b'{"amount": 1, "amount": 2, "vendor": "acme"}'
            data = request("POST", "/v1/orders", passport, json, body=twice)
            await self._ask(client, "ambiguous body", data, "request_malformed")

    async def bad_passports(self) -> None:
        """One request with each kind of bad passport, over one connection."""
        async with self._client(2) as client:
            for code, passport in self._passports.bad():
                data = request("GET", "/v1/search", passport)
                await self._ask(client, code, data, code)
            good = self._passports.one_of_few()
            both = request("GET", "/v1/search", good, "X-Agent-Passport: another")
            await self._ask(client, "two passports", both, "passport_ambiguous")
            await self._ask(client, "no route", request("GET", "/v2", good), "action_unknown")

    async def limited(self) -> None:
        """Passports whose rate or budget ends while they are used."""
        async with self._client(3) as client:
            for code, passport in self._passports.limited():
                for _ in range(8):
                    data = request("POST", "/v1/items", passport, body=b"x")
                    await self._ask(client, code, data, "", code)

    async def anonymous(self) -> None:
        """Nobody, until the anonymous tier is used up, and where it may not go."""
        async with self._client(4) as client:
            for _ in range(7):
                data = request("GET", "/public/page", None)
                await self._ask(client, "anonymous", data, "", "rate_limited")
            await self._ask(
                client, "no passport", request("GET", "/v1/search", None), "passport_missing"
            )

    async def revoked(self) -> None:
        """A passport that is revoked from time to time, until another takes its place."""
        async with self._client(5) as client:
            data = request("GET", "/v1/search", self._passports.doomed())
            try:
                await self._ask(client, "revoked", data, "", "passport_revoked")
            except HungUpError:
                # It was under way when its passport was revoked: what is open is cut.
                self._accounts.unheard("revoked", "allow", "")

    async def rotated(self) -> None:
        """Passports under an issuer's keys that come and go."""
        async with self._client(6) as client:
            for passport in self._passports.rotating():
                data = request("GET", "/v1/search", passport)
                try:
                    await self._ask(client, "rotated key", data, "", "key_unknown")
                except HungUpError:
                    # Its key was withdrawn while it was under way: that cuts as a revocation does.
                    self._accounts.unheard("rotated key", "allow", "")
                    return

    async def changing(self) -> None:
        """A route that is in the configuration only sometimes, and a catalog entry likewise."""
        async with self._client(7) as client:
            passport = self._passports.one_of_few()
            data = request("GET", "/v1/sometimes", passport)
            await self._ask(client, "changing route", data, "", "action_unknown")
            data = request("GET", "/v1/offered", passport)
            await self._ask(client, "changing catalog", data, "", "action_not_in_catalog")

    async def malformed(self) -> None:
        """What is no request, each on a connection that must end."""
        for data, status in MALFORMED:
            async with self._client(8) as client:
                client.send(data)
                answer = await client.answer()
                if answer.status != status:
                    self._accounts.surprise(f"{data[:60]!r}: {answer.status}")
                self._accounts.heard("malformed", answer, ["request_malformed"])
                await client.ended()

    async def broken_chunks(self) -> None:
        """A body that turns out malformed when its request is under way: two decisions."""
        mark = f"mark-{next(_marks)}"
        begun = self._upstream.watch(mark)
        async with self._client(9) as client:
            client.send(
                request(
                    "POST", "/v1/items", self._passports.one_of_few(), "Transfer-Encoding: chunked",
                    f"X-Mark: {mark}",
                )
                + b"3\r\nabc\r\n"
            )  # fmt: skip
            async with asyncio.timeout(10):
                await begun.wait()
            client.send(b"+5\r\nhello\r\n")
            self._accounts.heard("broken chunks", await client.answer(), ["request_malformed"])
            self._accounts.unheard("broken chunks", "allow", "")

    async def aborted(self) -> None:
        """A client that goes away in the middle of its body."""
        mark = f"mark-{next(_marks)}"
        begun = self._upstream.watch(mark)
        async with self._client(10) as client:
            client.send(
                request("POST", "/v1/items", self._passports.one_of_few(), "Content-Length: 100000",
                        f"X-Mark: {mark}") + b"x" * 5000
            )  # fmt: skip
            async with asyncio.timeout(10):
                await begun.wait()
            client.abort()
            self._accounts.unheard("aborted body", "allow", "")

    async def slow(self) -> None:
        """A head that comes byte by byte and in time, then one that never ends."""
        async with self._client(11) as client:
            for byte in request("GET", "/v1/search", self._passports.good(), "X-Slow: 1")[:-1]:
                client.send(bytes((byte,)))
                if self._random.random() < 0.02:
                    await asyncio.sleep(0.01)
            await self._ask(client, "byte by byte", b"\n", "", body=_NOTHING)
            client.send(b"GET /v1/search HTTP/1.1\r\nHost: api")
            answer = await client.answer()
            self._accounts.heard("head that never ends", answer, ["request_malformed"])

    async def bad_upstream(self) -> None:
        """An upstream that answers no HTTP, and one that hangs up."""
        async with self._client(12) as client:
            passport = self._passports.one_of_few()
            for path in ("/v1/broken", "/v1/gone"):
                await self._ask(
                    client, "bad upstream", request("POST", path, passport, body=b"x"),
                    "upstream_bad_response", "upstream_unreachable",
                )  # fmt: skip

    async def events(self) -> None:
        """A stream of events, read to its end or left."""
        async with self._client(13) as client:
            client.send(request("GET", "/v1/events", self._passports.one_of_few()))
            if self._random.random() < 0.5:
                answer = await client.answer()
                self._accounts.heard("events", answer, [""])
                if answer.body.count(b"data: ") != EVENTS:
                    self._accounts.surprise("events: not all of them")
            else:
                answer = await client.answer(head_only=True)
                self._accounts.heard("events left", answer, [""])
                client.abort()

    async def tunnel(self) -> None:
        """Another protocol: what is said comes back."""
        async with self._client(14) as client:
            upgrade = ("Upgrade: echo", "Connection: Upgrade")
            client.send(request("GET", "/v1/echo", self._passports.one_of_few(), *upgrade))
            answer = await client.answer()
            self._accounts.heard("tunnel", answer, [""])
            said = self._random.randbytes(20_000)
            client.send(said)
            async with asyncio.timeout(10):
                if await client.reader.readexactly(len(said)) != said:
                    self._accounts.surprise("tunnel: other bytes came back")

    async def http2(self) -> None:
        """Twenty requests at once over HTTP/2, one of them with a body and one refused."""
        body = self._random.randbytes(self._random.randrange(1, 16_000))
        async with Http2Client(self._way, self._address(18)) as client:
            few = self._passports.one_of_few()
            posted = client.request("POST", "/v1/items", few, body)
            refused = client.request("GET", "/v2", few)
            good = [
                client.request("GET", "/v1/search?q=soak", self._passports.good())
                for _ in range(18)
            ]
            for stream in good:
                answer = await client.answer(stream)
                self._accounts.heard("http2", answer, [""])
                if answer.body != _NOTHING:
                    self._accounts.surprise("http2: a wrong body")
            answer = await client.answer(posted)
            self._accounts.heard("http2 body", answer, [""])
            if answer.body != hashlib.sha256(body).hexdigest().encode():
                self._accounts.surprise("http2 body: a wrong body")
            self._accounts.heard("http2 no route", await client.answer(refused), ["action_unknown"])

    async def http2_events(self) -> None:
        """Streams of events over HTTP/2: one read to its end, one taken back, one left."""
        async with Http2Client(self._way, self._address(19)) as client:
            passport = self._passports.one_of_few()
            read, taken_back, left = (
                client.request("GET", "/v1/events", passport) for _ in range(3)
            )
            for stream in (taken_back, left):
                self._accounts.heard("http2 events left", await client.head(stream), [""])
            client.take_back(taken_back)
            answer = await client.answer(read)
            self._accounts.heard("http2 events", answer, [""])
            if answer.body.count(b"data: ") != EVENTS:
                self._accounts.surprise("http2 events: not all of them")

    async def flood(self) -> None:
        """Refusals from one address, faster than they are worth judging."""
        client_address = f"127.15.0.{self._random.randrange(1, 5)}"
        async with Client(self._way, client_address) as client:
            client.send(request("GET", "/v1/search", None) * _FLOOD)
            for _ in range(_FLOOD):
                answer = await client.answer()
                self._accounts.heard("flood", answer, ["passport_missing", "rate_limited"])

    async def endpoints(self) -> None:
        """The gate's own pages, which decide nothing."""
        passport = self._passports.one_of_few()
        async with self._client(16) as client:
            for path in ("/", "/passport", "/checkpoint"):
                client.send(request("GET", f"/.well-known/passgate{path}", passport))
                answer = await client.answer()
                self._accounts.statuses["endpoint", answer.status] += 1
                if answer.status != 200:
                    self._accounts.surprise(f"endpoint {path}: {answer.status}")


KINDS: dict[str, tuple[int, Callable[[Visits], Awaitable[None]]]] = {
    "good": (40, Visits.good),
    "pipelined": (8, Visits.pipelined),
    "bodies": (10, Visits.bodies),
    "bad passports": (8, Visits.bad_passports),
    "limited": (3, Visits.limited),
    "anonymous": (6, Visits.anonymous),
    "revoked": (6, Visits.revoked),
    "rotated": (4, Visits.rotated),
    "changing": (4, Visits.changing),
    "malformed": (3, Visits.malformed),
    "broken chunks": (3, Visits.broken_chunks),
    "aborted": (4, Visits.aborted),
    "slow": (2, Visits.slow),
    "bad upstream": (3, Visits.bad_upstream),
    "events": (4, Visits.events),
    "tunnel": (3, Visits.tunnel),
    "http2": (8, Visits.http2),
    "http2 events": (3, Visits.http2_events),
    "new headers": (6, Visits.new_headers),
    "flood": (1, Visits.flood),
    "endpoints": (3, Visits.endpoints),
}
"""Each kind of visit with its weight."""
