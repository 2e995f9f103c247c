"""Several addresses of one upstream: balanced, left alone while they fail, and none sent twice."""

import asyncio
import contextlib
import dataclasses
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import OK, Client, Peer, RawUpstream, answering, connected, until
from tests.support.upstreams import (
    Switch,
    at,
    closing_at_once,
    named,
    refusing_port,
    silent_port,
    upstreams,
)

from passgate.proxy.settings import Endpoint, UpstreamHealth

QUICK = UpstreamHealth(failures=2, ejection=0.02, max_ejection=0.1)
LONG = UpstreamHealth(failures=2, ejection=600.0, max_ejection=600.0)


def ask(client: Client, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """The body of the answer to one request, or its status where that is not 200."""
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    client.send(b"%b /x HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (method, length, body))
    answer = client.answer(method.decode())
    return answer.body if answer.status == 200 else b"%d" % answer.status


def states(plane: DataPlane) -> list[str]:
    return plane.call(lambda: [each.state for each in plane.proxy.upstream_addresses])


def requests(upstream: RawUpstream) -> int:
    return sum(len(seen.requests) for seen in upstream.seen)


class TestBalancing:
    """Where requests go while all is well."""

    @pytest.mark.parametrize("balance", ["round_robin", "least_connections"])
    def test_requests_one_after_another_take_turns(self, balance: str) -> None:
        """Each address gets its share, over one connection each."""
        with (
            upstreams(3) as three,
            data_plane(at(*(each.port for each in three)), balance=balance) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(9)] == [b"0", b"1", b"2"] * 3
            assert [len(each.seen) for each in three] == [1, 1, 1]

    def test_a_busy_address_gets_less(self) -> None:
        """With `least_connections` what hangs at one address does not draw more to it."""
        go = threading.Event()

        def slow(peer: Peer) -> None:
            peer.request()
            assert go.wait(5)
            peer.send(OK)
            peer.rest()

        with (
            RawUpstream(slow) as busy,
            RawUpstream(named(b"free")) as free,
            data_plane(at(busy.port, free.port)) as plane,
            plane.client() as one,
            plane.client() as two,
        ):
            one.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: busy.received, "it hangs")
            assert [ask(two) for _ in range(6)] == [b"free"] * 6
            go.set()
            assert one.answer().body == b"ok"

    def test_the_limit_of_connections_is_for_all_together(self) -> None:
        """A full pool uses what is idle, wherever that is, before a request waits."""
        with (
            upstreams(2) as two,
            data_plane(
                at(*(each.port for each in two)), max_connections=1, balance="round_robin"
            ) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(4)] == [b"0"] * 4
            assert plane.proxy.upstream_connections == 1


class TestHealth:
    """What becomes of an address that fails."""

    def test_an_address_that_refuses_costs_no_request_anything(self) -> None:
        """Nothing was sent, so the next address gets it: also a POST, also the first one."""
        with (
            refusing_port() as dead,
            RawUpstream(named(b"alive")) as alive,
            data_plane(at(dead, alive.port), health=LONG) as plane,
            capture_logs() as logs,
            plane.client() as client,
        ):
            for method, body in ((b"POST", b"x"), (b"GET", b""), (b"PATCH", b"y")) * 3:
                assert ask(client, method, body) == b"alive"
            assert states(plane) == ["out", "up"]
            tally = plane.proxy.upstream_tally
            assert tally.failures["connect"] == 2
            assert tally.retries["address"] == 2
            assert tally.ejections == 1
        assert requests(alive) == 9
        (out,) = [line for line in logs if line["event"] == "upstream_out"]
        assert (out["address"], out["error"]) == (f"127.0.0.1:{dead}", "connection refused")

    @pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
    def test_an_address_that_does_not_answer_is_left_within_the_budget(
        self, plain_asyncio: bool
    ) -> None:
        """`connect_timeout` is for all attempts together, and the last one has time left."""
        with (
            silent_port() as silent,
            RawUpstream(named(b"alive")) as alive,
            data_plane(
                at(silent, alive.port), connect_timeout=0.4, plain_asyncio=plain_asyncio
            ) as plane,
            plane.client() as client,
        ):
            assert ask(client) == b"alive"
            (address, _) = plane.proxy.upstream_addresses
            assert address.error == "no connection within 0.2 s"

    @pytest.mark.parametrize("count", [2, 3, 5])
    def test_attempts_for_one_request_are_bounded(self, count: int) -> None:
        """Each address once, and three at most; then 502 before anything was sent."""
        with (
            refusing_port() as dead,
            data_plane(
                tuple(Endpoint(f"127.0.0.{n}", dead) for n in range(1, count + 1)), health=LONG
            ) as plane,
            plane.client() as client,
        ):
            assert ask(client) == b"502"
            assert plane.gate.failed == [("upstream_unreachable", False)]
            assert plane.proxy.upstream_tally.failures["connect"] == min(count, 3)

    @pytest.mark.parametrize(
        ("ill", "kind", "status"),
        [
            (closing_at_once, "answer", b"502"),
            (answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "answer", b"502"),
            (lambda peer: peer.rest(), "timeout", b"504"),
        ],
        ids=["closes", "nonsense", "silent"],
    )
    def test_an_address_that_takes_requests_and_fails_is_out(
        self, ill: object, kind: str, status: bytes
    ) -> None:
        """Each such request fails once, and none of them is tried elsewhere, not even a GET."""
        with (
            RawUpstream(ill) as bad,  # type: ignore[arg-type]  # scripts of several kinds
            RawUpstream(named(b"good")) as good,
            data_plane(
                at(bad.port, good.port),
                balance="round_robin",
                health=LONG,
                first_byte_timeout=0.05,
            ) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(8)] == [status, b"good"] * 2 + [b"good"] * 4
            assert states(plane) == ["out", "up"]
            assert plane.proxy.upstream_tally.failures[kind] == 2
            assert len(bad.whole_requests) == 2

    def test_an_answer_with_503_is_an_answer(self) -> None:
        """Who says that there is too much to do is not helped by sending it all to another."""
        busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
        with (
            RawUpstream(answering(busy)) as one,
            data_plane(at(one.port), health=LONG) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(5)] == [b"503"] * 5
            assert states(plane) == ["up"]

    def test_an_address_that_is_well_again_comes_back(self) -> None:
        """After its time it is reached in the background, one request proves it, then it is in."""
        ill = Switch(named(b"well"), closing_at_once)
        ill.on = False
        with (
            RawUpstream(ill) as one,
            RawUpstream(named(b"other")) as two,
            data_plane(
                at(one.port, two.port), balance="round_robin", health=QUICK, pool_idle=0.2
            ) as plane,
            capture_logs() as logs,
            plane.client() as client,
        ):
            until(lambda: ask(client) and "out" in states(plane), "it is out")
            ill.on = True
            until(lambda: ask(client) == b"well", "it answers again")
            assert states(plane) == ["up", "up"]
            assert sorted(ask(client) for _ in range(4)) == [b"other", b"other", b"well", b"well"]
        assert [line["event"] for line in logs if line["event"] != "upstream_failing"] == [
            "upstream_out",
            "upstream_back",
        ]

    def test_one_request_alone_is_risked(self) -> None:
        """While the trial is under way everything else goes elsewhere."""
        go = threading.Event()
        ill = Switch(named(b"well"), closing_at_once)
        ill.on = False

        def hanging(peer: Peer) -> None:
            if peer.request() is not None:
                assert go.wait(5)
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback")
                peer.rest()

        with (
            RawUpstream(ill) as one,
            RawUpstream(named(b"other")) as two,
            data_plane(at(one.port, two.port), health=QUICK, pool_idle=10.0) as plane,
            plane.client() as client,
            plane.client() as trial,
        ):
            until(lambda: ask(client) and "out" in states(plane), "it is out")
            one.script = hanging
            before = len(one.seen)
            until(lambda: len(one.seen) > before, "it is tried")
            until(lambda: states(plane)[0] == "trial", "a connection is there")
            # The next tick at the latest, its time is over.
            trial.send(b"GET /trial HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: b"/trial" in one.received, "one request is risked")
            assert [ask(client) for _ in range(6)] == [b"other"] * 6
            go.set()
            assert trial.answer().body == b"back"
            assert states(plane) == ["up", "up"]

    def test_an_outage_of_all_does_not_outlast_itself(self) -> None:
        """All are out for ten minutes, and the first request after the outage is served."""
        ill = Switch(named(b"well"), closing_at_once)
        ill.on = False
        with (
            RawUpstream(ill) as one,
            RawUpstream(ill) as two,
            data_plane(at(one.port, two.port), health=LONG) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(6)] == [b"502"] * 6
            assert states(plane) == ["out", "out"]
            ill.on = True
            assert [ask(client) for _ in range(4)] == [b"well"] * 4

    def test_the_only_address_is_used_whatever_it_did(self) -> None:
        """One address is never left alone, and says how it is all the same."""
        ill = Switch(named(b"well"), closing_at_once)
        ill.on = False
        with (
            RawUpstream(ill) as one,
            data_plane(one.port, health=LONG) as plane,
            plane.client() as client,
        ):
            assert [ask(client) for _ in range(4)] == [b"502"] * 4
            assert states(plane) == ["out"]
            ill.on = True
            assert ask(client) == b"well"
            assert states(plane) == ["up"]

    def test_idle_connections_of_what_is_out_are_closed(self) -> None:
        """What is out is not used over what was kept from before."""
        with (
            RawUpstream() as one,
            RawUpstream(named(b"other")) as two,
            data_plane(
                at(one.port, two.port), balance="round_robin", health=LONG, pool_idle=60.0
            ) as plane,
            plane.client() as client,
        ):
            assert {ask(client), ask(client)} == {b"ok", b"other"}
            plane.call(
                lambda: [
                    plane.proxy._pool.failed(  # type: ignore[union-attr]  # it has started
                        plane.proxy.upstream_addresses[0], "timeout", "a test says so"
                    )
                    for _ in range(2)
                ]
            )
            until(lambda: one.seen[0].end == "eof", "it is closed")
            assert [ask(client) for _ in range(3)] == [b"other"] * 3

    def test_a_failing_address_fills_no_journal(self) -> None:
        """Failures in between answers are told once in a while, not once a request."""
        turns = iter([True, False] * 100)

        def flapping(peer: Peer) -> None:
            if peer.request() is not None and next(turns):
                peer.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        with (
            RawUpstream(flapping) as one,
            data_plane(one.port, health=LONG) as plane,
            capture_logs() as logs,
            plane.client() as client,
        ):
            assert {ask(client) for _ in range(20)} == {b"ok", b"502"}
        assert [line["event"] for line in logs] == ["upstream_failing"]


class TestSentOnce:
    """A request that may have been acted on is never sent again."""

    @pytest.mark.parametrize("method", [b"POST", b"PATCH", b"GET", b"PUT"])
    @pytest.mark.parametrize("when", ["before the answer", "within the head", "within the body"])
    def test_a_connection_that_breaks_is_no_reason(self, method: bytes, when: str) -> None:
        """On a connection of its own, whatever the method: each address has seen it or not."""
        cut = {
            "before the answer": b"",
            "within the head": b"HTTP/1.1 20",
            "within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
        }[when]

        def script(peer: Peer) -> None:
            if peer.request() is not None:
                peer.send(cut)

        with (
            RawUpstream(script) as one,
            RawUpstream(script) as two,
            data_plane(at(one.port, two.port)) as plane,
            plane.client() as client,
        ):
            client.send(b"%b /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" % method)
            until(lambda: plane.gate.outcomes, "it is on record")
            assert [each.outcome for each in plane.gate.outcomes] == ["upstream_failed"]
            assert requests(one) + requests(two) == 1

    @pytest.mark.parametrize("method", [b"POST", b"PATCH"])
    def test_a_kept_connection_that_breaks_is_no_reason_either(self, method: bytes) -> None:
        """Not for what is not idempotent, however many other addresses there are."""

        def once(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            peer.request()

        with (
            RawUpstream(once) as one,
            RawUpstream(once) as two,
            data_plane(at(one.port, two.port)) as plane,
            plane.client() as client,
        ):
            assert ask(client) == ask(client) == b"ok"
            assert ask(client, method, b"body") == b"502"
            bodies = one.received.count(b"body") + two.received.count(b"body")
            assert bodies == 1

    def test_an_idempotent_request_is_sent_again_once(self) -> None:
        """A kept connection found dead is the one reason, and a fresh one is the one chance."""

        def once(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            peer.request()

        with (
            RawUpstream(once) as one,
            RawUpstream(once) as two,
            data_plane(at(one.port, two.port), balance="round_robin") as plane,
            plane.client() as client,
        ):
            assert ask(client) == ask(client) == b"ok"
            assert ask(client) == b"ok"
            assert requests(one) + requests(two) == 4
            assert plane.proxy.upstream_tally.retries["connection"] == 1


class TestNames:
    """A host name that stands for several addresses, and for others later."""

    def test_a_name_with_two_addresses_is_two_addresses(self) -> None:
        """Each gets its share; the Host of requests has nothing to do with it."""
        with RawUpstream() as one:

            async def resolve(name: str, port: int) -> Sequence[str]:
                return ["127.0.0.2", "127.0.0.1"]

            with (
                data_plane(Endpoint("api.test", one.port), resolve=resolve) as plane,
                plane.client() as client,
            ):
                # Only 127.0.0.1 is listened on.
                assert [ask(client) for _ in range(4)] == [b"ok"] * 4
                shown = [str(each.endpoint) for each in plane.proxy.upstream_addresses]
                assert shown == [f"127.0.0.1:{one.port}", f"127.0.0.2:{one.port}"]

    def test_what_a_name_stands_for_now_counts(self) -> None:
        """Idle connections to a vanished address are closed; what is under way is finished."""
        found = ["127.0.0.1"]
        go = threading.Event()

        def slow(peer: Peer) -> None:
            while (got := peer.request()) is not None:
                if b"/slow" in got:
                    assert go.wait(5)
                peer.send(OK)

        async def resolve(name: str, port: int) -> Sequence[str]:
            return list(found)

        with RawUpstream(slow) as one, RawUpstream(named(b"new"), "127.0.0.2", one.port) as two:
            endpoint = Endpoint("api.test", one.port)
            with (
                data_plane(endpoint, resolve=resolve, dns_refresh=0.01) as plane,
                plane.client() as waiting,
                plane.client() as client,
            ):
                waiting.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
                until(lambda: one.received, "it is under way")
                assert ask(client) == b"ok"
                found[:] = ["127.0.0.2"]
                until(lambda: ask(client) == b"new", "the new address counts")
                until(lambda: one.seen[1].end == "eof", "the idle connection is closed")
                assert one.seen[0].end == ""
                go.set()
                assert waiting.answer().body == b"ok"
                until(lambda: one.seen[0].end == "eof", "the other one as well")
            assert requests(two)

    def test_a_name_that_cannot_be_resolved_is_no_reason_not_to_start(self) -> None:
        """Requests are answered 502 at once, and served as soon as the name is known."""
        found: list[str] = []

        async def resolve(name: str, port: int) -> Sequence[str]:
            if not found:
                raise OSError(-2, "Name or service not known")
            return found

        with RawUpstream() as one:
            endpoint = Endpoint("api.test", one.port)
            with (
                data_plane(endpoint, resolve=resolve, dns_refresh=0.01) as plane,
                plane.client() as client,
            ):
                assert ask(client, b"POST", b"x") == b"502"
                assert plane.gate.failed == [("upstream_unreachable", False)]
                assert plane.proxy.upstream_names == {"api.test": "Name or service not known"}
                found.append("127.0.0.1")
                until(lambda: ask(client) == b"ok", "it recovers")
                assert plane.proxy.upstream_names == {"api.test": ""}

    def test_a_request_waits_for_the_first_answer_of_the_name_server_only(self) -> None:
        """Within its time to connect; after that no request waits for any name."""
        known = asyncio.Event()
        asked = []

        async def resolve(name: str, port: int) -> Sequence[str]:
            asked.append(name)
            await known.wait()
            return ["127.0.0.1"]

        with RawUpstream() as one:
            endpoint = Endpoint("api.test", one.port)
            with (
                data_plane(endpoint, resolve=resolve, connect_timeout=0.3) as plane,
                plane.client() as client,
                plane.client() as late,
            ):
                assert ask(late) == b"504"
                client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                until(lambda: len(plane.gate.judged) == 2, "it waits")
                plane.call(known.set)
                assert client.answer().body == b"ok"
                assert [ask(client) for _ in range(3)] == [b"ok"] * 3
                assert asked == ["api.test"]

    def test_a_lost_name_server_takes_nothing_away(self) -> None:
        """The last good addresses stay, in requests as well as after a reload."""
        found: list[str] = ["127.0.0.1"]

        async def resolve(name: str, port: int) -> Sequence[str]:
            if not found:
                raise OSError(-3, "Temporary failure in name resolution")
            return list(found)

        with RawUpstream() as one:
            endpoint = Endpoint("api.test", one.port)
            with (
                data_plane(endpoint, resolve=resolve, dns_refresh=0.01) as plane,
                plane.client() as client,
            ):
                assert ask(client) == b"ok"
                found.clear()
                failed = plane.proxy.upstream_tally
                until(lambda: failed.resolutions_failed > 2, "the name server is away")
                assert ask(client) == b"ok"
                settings = plane.proxy.settings
                upstream = dataclasses.replace(settings.upstream, max_connections=7)
                changed = dataclasses.replace(settings, upstream=upstream)
                plane.call(lambda: plane.proxy.reconfigure(changed))
                assert ask(client) == b"ok"


def test_whatever_happens_nothing_is_sent_twice_and_nothing_is_left() -> None:
    """Three servers that change their minds under load: each POST is seen at most once, each GET at
    most twice, every request has its one answer, and in the end no connection is counted.
    """
    luck = random.Random(7)
    ways: list[Callable[[Peer], None]] = [
        lambda peer: peer.send(OK),
        lambda peer: peer.send(OK),
        lambda peer: peer.send(OK),
        lambda peer: peer.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        lambda peer: peer.send(b"nonsense\r\n\r\n"),
        lambda peer: peer.reset(),
        lambda peer: peer.send(OK + OK),
        lambda peer: None,
    ]

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            way = luck.choice(ways)
            way(peer)
            if way not in ways[:3]:
                return

    asked: list[bytes] = []

    def load(port: int, number: int) -> None:
        for turn in range(60):
            name = b"%d.%d" % (number, turn)
            method = (b"POST", b"GET")[turn % 2]
            asked.append(method + b" /" + name)
            with connected(port) as client:
                body = b"body" if method == b"POST" else b""
                length = b"Content-Length: %d\r\n" % len(body)
                client.send(
                    b"%b /%b HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (method, name, length, body)
                )
                with contextlib.suppress(AssertionError, OSError):
                    client.answer()

    with (
        RawUpstream(script) as one,
        RawUpstream(script) as two,
        refusing_port() as dead,
        data_plane(
            at(one.port, two.port, dead), health=QUICK, max_connections=3, pool_idle=0.1
        ) as plane,
    ):
        clients = [threading.Thread(target=load, args=(plane.port, n)) for n in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(60)
        until(lambda: len(plane.gate.outcomes) == len(asked) == 240, "every request is on record")
        seen = Counter(
            b" ".join(got.split(b" ")[:2])
            for upstream in (one, two)
            for peer in upstream.seen
            for got in peer.requests
        )
        assert {name for name, count in seen.items() if count > 1 and name[:4] == b"POST"} == set()
        assert max(seen.values()) <= 2
        assert len(seen) > 200
        until(
            lambda: plane.call(
                lambda: (
                    sum(each.total for each in plane.proxy.upstream_addresses)
                    == plane.proxy.upstream_connections
                )
            ),
            "every connection is counted where it belongs",
        )
