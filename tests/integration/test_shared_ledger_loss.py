"""What befalls a server of shared counters, on real ones: away, slow, emptied, failing over."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually
from tests.support.certificates import Authority
from tests.support.counter_server import CounterServer, free_port, running
from tests.support.gates_sharing import SharingGate, charge, counted

from passgate.core.once import Once
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import Conflict, Reservation, Shortfall, Unavailable
from passgate.ledger.valkey.settings import OnLoss, ServerTls

BUDGET = "spend/total/agent|i|a"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def spend(cents: int, limit: int = 100) -> Any:
    return charge(BUDGET, cents, limit)


def rate(limit: int) -> Any:
    return charge("rate/3600/agent|i|a", 1, limit)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 40))  # type: ignore[arg-type] # a coroutine, too


def test_while_it_is_away_leases_are_spent_and_the_rest_is_as_on_loss_says(
    tmp_path: Path,
) -> None:
    """Budgets are refused, rates counted here; when it is back it hears of all, charged once."""

    async def scenario() -> None:
        with running(tmp_path / "server", DURABLE) as server:
            gate = await SharingGate(tmp_path / "a", server).start()
            await gate.take(charge("spend/total/leased", 1, 1000))
            for _ in range(3):
                await gate.take(spend(10))
            await gate.take(rate(20))
            server.kill()
            leased = [await gate.take(charge("spend/total/leased", 1, 1000)) for _ in range(20)]
            assert [type(one) for one in leased] == [Reservation] * 19 + [Unavailable]
            assert isinstance(await gate.take(spend(10)), Unavailable)
            found = [await gate.take(rate(20)) for _ in range(25)]
            assert sum(isinstance(one, Reservation) for one in found) == 19
            assert isinstance(found[-1], Shortfall)
            assert gate.shared.error.startswith("ConnectionError")
            assert gate.shared.tally.losses == {("spend", "deny"): 2, ("rate", "local"): 25}
            server.start()
            await eventually(lambda: gate.shared.up and gate.running._desk.idle)
            assert counted(server, BUDGET) == 30
            assert counted(server, "rate/3600/agent|i|a") == 20
            assert counted(server, "spend/total/leased") == 20
            assert isinstance(await gate.take(spend(70)), Reservation)
            assert isinstance(await gate.take(spend(1)), Shortfall)
            await gate.stop()

    run(scenario)


def test_a_slow_server_keeps_nobody_waiting_and_charges_nobody_twice(tmp_path: Path) -> None:
    """It is stopped with requests under way: these are refused, and take nothing in the end."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            gate = await SharingGate(tmp_path / "a", server, timeout_s=0.1).start()
            await gate.take(spend(10))
            server.pause()
            found = await asyncio.gather(*(gate.take(spend(10)) for _ in range(5)))
            assert [type(one) for one in found] == [Unavailable] * 5
            assert isinstance(await gate.take(spend(10)), Unavailable)
            server.resume()
            await eventually(lambda: gate.shared.up and gate.running._desk.idle)
            await eventually(lambda: counted(server, BUDGET) == 10)
            assert isinstance(await gate.take(spend(90)), Reservation)
            await gate.stop()
            assert counted(server, BUDGET) == 100

    run(scenario)


def test_a_server_that_forgot_everything_is_told_before_it_decides(tmp_path: Path) -> None:
    """As long as one that spent has not been heard, budgets are refused; then all of it counts."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            a, b = (SharingGate(tmp_path / which, server) for which in "ab")
            await a.start()
            await b.start()
            await eventually(lambda: a.shared.gates == b.shared.gates == 2)
            await a.take(spend(30))
            await b.take(spend(40))
            await b.kill()
            server.kill()
            server.start()
            await eventually(lambda: a.shared.up)
            assert isinstance(await a.take(spend(1)), Unavailable)
            await eventually(lambda: a.shared.missing == 1)
            assert isinstance(await a.take(spend(1)), Unavailable)
            assert "have not said yet what they spent" in a.shared.error
            assert isinstance(await a.take(rate(10)), Reservation)
            await b.start()
            await eventually(lambda: not a.shared.missing)
            assert isinstance(await a.take(spend(31)), Shortfall)
            assert isinstance(await a.take(spend(30)), Reservation)
            assert counted(server, BUDGET) == 100
            await a.stop()
            await b.stop()

    run(scenario)


def test_with_spend_local_each_gate_has_its_part(tmp_path: Path) -> None:
    """Two gates know of each other: together they spend no more than the budget."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            lost = OnLoss(spend="local")
            a, b = (SharingGate(tmp_path / which, server, on_loss=lost) for which in "ab")
            await a.start()
            await b.start()
            await eventually(lambda: a.shared.gates == b.shared.gates == 2)
            server.kill()
            found = [await gate.take(spend(10)) for gate in (a, b) for _ in range(7)]
            assert sum(isinstance(one, Reservation) for one in found) == 10
            server.start()
            await eventually(lambda: a.shared.up and b.shared.up)
            await eventually(lambda: counted(server, BUDGET) == 100)
            await a.stop()
            await b.stop()

    run(scenario)


def says_no(server: CounterServer) -> None:
    server.command("CONFIG", "SET", "maxmemory", "1")


def is_a_replica(server: CounterServer) -> None:
    server.command("REPLICAOF", "127.0.0.1", str(free_port()))


@pytest.mark.parametrize(
    ("befalls", "ends", "word"),
    [
        (says_no, ("CONFIG", "SET", "maxmemory", "0"), "OutOfMemoryError"),
        (is_a_replica, ("REPLICAOF", "NO", "ONE"), "ReadOnlyError"),
    ],
)
def test_a_server_that_refuses_to_write_counts_as_away(
    tmp_path: Path, befalls: Callable[[CounterServer], None], ends: tuple[str, ...], word: str
) -> None:
    """Out of memory, or demoted to a replica: refused, by name, until it writes again."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            gate = await SharingGate(tmp_path / "a", server).start()
            await gate.take(spend(10))
            befalls(server)
            assert isinstance(await gate.take(spend(10)), Unavailable)
            assert word in gate.shared.error
            server.command(*ends)
            await eventually(lambda: gate.shared.up and gate.running._desk.idle)
            assert isinstance(await gate.take(spend(90)), Reservation)
            assert counted(server, BUDGET) == 100
            await gate.stop()

    run(scenario)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"$-1\r\n", b"$5\r\nhello\r\n", b"*-7\r\n", b"+OK\r\n"]
)
def test_rubbish_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    """Whatever answers there, no budget is spent on its word."""

    async def scenario() -> None:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(4096):
                writer.write(answer)
            writer.close()

        fake = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = fake.sockets[0].getsockname()[1]
        server = CounterServer(tmp_path / "none", port=port)
        gate = SharingGate(tmp_path / "a", server, timeout_s=0.1, connect_timeout_s=0.1)
        await gate.start(meet=False)
        await eventually(lambda: gate.shared.error != "not asked yet")
        assert not gate.shared.up
        assert isinstance(await gate.take(spend(1)), Unavailable)
        await gate.stop()
        fake.close()

    run(scenario)


def test_a_user_may_do_what_the_manual_says_and_needs_its_password(tmp_path: Path) -> None:
    """The ACL of the how-to is enough; a wrong password, or none, is told as what it is."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            page = Path(__file__).parents[2] / "docs" / "how-to" / "several-gates.md"
            (rule,) = [
                line for line in page.read_text().splitlines() if line.startswith("ACL SETUSER")
            ]
            server.command(*rule.replace("PASSWORD", "wonder").split())
            gate = await SharingGate(
                tmp_path / "a", server, user="passgate", password="wonder"
            ).start()
            assert isinstance(await gate.take(spend(10), rate(100)), Reservation)
            await gate.stop()
            server.command("CONFIG", "SET", "requirepass", "else")
            for user, password in (("passgate", "wrong"), ("", "")):
                gate = SharingGate(tmp_path / "b", server, user=user, password=password)
                await gate.start(meet=False)
                await eventually(lambda g=gate: "Authentication" in g.shared.error)  # type: ignore[misc] # bound now
                assert isinstance(await gate.take(spend(1)), Unavailable)
                await gate.stop()

    run(scenario)


def test_over_tls_only_the_right_server_is_told_anything(tmp_path: Path) -> None:
    """A certificate of the named authority is asked for; any other server is refused."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    cert, key = authority.issue("server", ("127.0.0.1",))
    port = free_port()
    options = [
        "--port", "0", "--tls-port", str(port), "--tls-cert-file", str(cert),
        "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.cert),
        "--tls-auth-clients", "yes",
    ]  # fmt: skip

    async def scenario() -> None:
        server = CounterServer(tmp_path / "server", options, port)
        server.start_tls()
        try:
            tls = ServerTls(authority.cert, cert, key)
            gate = await SharingGate(tmp_path / "a", server, secure=True, tls=tls).start()
            assert isinstance(await gate.take(spend(10)), Reservation)
            await gate.stop()
            wrong = ServerTls(stranger.cert, cert, key)
            gate = SharingGate(tmp_path / "b", server, secure=True, tls=wrong)
            await gate.start(meet=False)
            await eventually(lambda: "certificate" in gate.shared.error.lower())
            assert isinstance(await gate.take(spend(1)), Unavailable)
            await gate.stop()
        finally:
            server.kill()

    run(scenario)


def test_sentinels_say_who_the_master_is_also_after_a_failover(tmp_path: Path) -> None:
    """The new master is found, and told what the old one may have known alone."""

    async def scenario() -> None:
        with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
            one.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
            two.command("REPLICAOF", "127.0.0.1", one.port)
            config = tmp_path / "sentinel.conf"
            config.write_text(f"sentinel monitor mymaster 127.0.0.1 {one.port} 1\n")
            watch = CounterServer(tmp_path / "sentinel", ["--sentinel"], first=[str(config)])
            watch.start()
            try:
                addresses = (("127.0.0.1", free_port()), ("127.0.0.1", watch.port))
                gate = SharingGate(tmp_path / "a", one, addresses=addresses, master="mymaster")
                await gate.start()
                await gate.take(spend(60))
                await eventually(lambda: b"master_link_status:up" in two.says(b"INFO"))
                # What a sentinel does in a failover, without its seconds of patience.
                two.command("REPLICAOF", "NO", "ONE")
                one.command("REPLICAOF", "127.0.0.1", two.port)
                watch.command("SENTINEL", "REMOVE", "mymaster")
                watch.command("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", two.port, 1)
                assert isinstance(await gate.take(spend(50)), Unavailable)
                await eventually(lambda: gate.shared.up and gate.running._desk.idle)
                assert isinstance(await gate.take(spend(50)), Shortfall)
                assert isinstance(await gate.take(spend(40)), Reservation)
                assert counted(two, BUDGET) == 100
                await gate.stop()
            finally:
                watch.kill()

    run(scenario)


def test_in_a_cluster_all_keys_are_of_one_slot_and_its_node_is_found(tmp_path: Path) -> None:
    """Charges are all or none there too; a node that has other slots says where to go."""

    async def scenario() -> None:
        ports = free_port(), free_port()
        nodes = [
            ("--cluster-enabled", "yes", "--cluster-port", str(port), "--appendonly", "no")
            for port in ports
        ]
        with running(tmp_path / "one", nodes[0]) as one, running(tmp_path / "two", nodes[1]) as two:
            slot = int(one.command("CLUSTER", "KEYSLOT", "{passgate}:meta")[1:])
            two.command("CLUSTER", "ADDSLOTSRANGE", slot, slot)
            for start, end in ((0, slot - 1), (slot + 1, 16383)):
                one.command("CLUSTER", "ADDSLOTSRANGE", start, end)
            one.command("CLUSTER", "MEET", "127.0.0.1", two.port, ports[1])
            for node in (one, two):
                await eventually(
                    lambda n=node: b"cluster_state:ok" in n.says(b"CLUSTER", b"INFO")  # type: ignore[misc] # bound now
                )
            gate = await SharingGate(tmp_path / "a", one).start()
            assert isinstance(await gate.take(spend(60), rate(1000)), Reservation)
            assert isinstance(await gate.take(spend(60), rate(1000)), Shortfall)
            await gate.stop()
            assert counted(two, BUDGET) == 60

    run(scenario)


def test_requests_in_flight_are_counted_together_and_die_with_their_gate(tmp_path: Path) -> None:
    """What a vanished gate had in flight counts until it has been unseen for too long."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            a, b = (SharingGate(tmp_path / which, server) for which in "ab")
            await a.start()
            await b.start()
            flight = charge("concurrent/now/agent|i|a", 1, 3)
            held = [await gate.take(flight) for gate in (a, b, a)]
            assert isinstance(await b.take(flight), Shortfall)
            assert isinstance(held[1], Reservation)
            b.settle(held[1])
            assert isinstance(await b.take(flight), Reservation)
            name = a.running._link._owner.name
            await a.kill()
            assert isinstance(await b.take(flight), Shortfall)
            server.command("HSET", "{passgate}:owners", name, "1:1")
            found = [await b.take(flight) for _ in range(3)]
            assert [type(one) for one in found] == [Reservation, Reservation, Shortfall]
            await b.stop()

    run(scenario)


def test_an_operation_is_charged_once_through_whichever_gate_it_comes(tmp_path: Path) -> None:
    """A repeat elsewhere costs nothing, another request is in conflict, one never sent is free."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            hour = Remembering(keep_s=3600)
            a, b = (SharingGate(tmp_path / which, server, hour) for which in "ab")
            await a.start()
            await b.start()
            first = await a.take(spend(40), once=Once("once/agent|i|a/1", "digest"))
            lives_ms = server.command("PTTL", "{passgate}:o:once/agent|i|a/1")
            assert 3_000_000 < int(lives_ms.strip(b":\r\n")) <= 3_600_000
            again = await b.take(spend(40), once=Once("once/agent|i|a/1", "digest"))
            other = await b.take(spend(40), once=Once("once/agent|i|a/1", "other"))
            assert isinstance(first, Reservation)
            assert isinstance(again, Reservation)
            assert isinstance(other, Conflict)
            assert (first.repeated, again.repeated) == (False, True)
            assert again.charges[0].amount == 0
            a.release(first)  # but its repeat has been forwarded for nothing meanwhile
            b.settle(again)
            unsent = await a.take(spend(50), once=Once("once/agent|i|a/2", "digest"))
            assert isinstance(unsent, Reservation)
            a.release(unsent)
            await eventually(lambda: counted(server, BUDGET) == 40)
            assert not a.running._slots  # nothing is remembered of what has ended
            assert not b.running._slots
            server.kill()
            answer = await a.take(spend(1), once=Once("once/agent|i|a/3", "digest"))
            assert isinstance(answer, Unavailable)
            await a.stop()
            await b.stop()

    run(scenario)


def test_what_a_gate_has_leased_is_there_for_its_operations_too(tmp_path: Path) -> None:
    """Nothing is set aside for a request with a key, which may be a repeat, or where a free call
    may be left; it gets what is left all the same."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            gate = SharingGate(tmp_path / "a", server)
            await gate.start()
            for name in ("a", "b"):
                budget = f"spend/daily/agent|i|{name}"
                assert isinstance(await gate.take(charge(budget, 1, 100)), Reservation)
                assert counted(server, budget) == 2  # of which one is a lease
                rest = charge(budget, 99, 100)
                if name == "a":
                    once = Once(f"agent|i|{name}/1", "digest")
                    assert isinstance(await gate.take(rest, once=once), Reservation)
                else:
                    gratis = charge("free/total/catalog|i|b|x", 1, 0)
                    assert isinstance(await gate.take(gratis, rest), Reservation)
                assert isinstance(await gate.take(charge(budget, 1, 100)), Shortfall)
            await gate.stop()

    run(scenario)


def test_a_proof_counts_once_at_all_gates(tmp_path: Path) -> None:
    """Used at one it is used at the other, and without the server nobody can say so."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            a, b = (SharingGate(tmp_path / which, server) for which in "ab")
            await a.start()
            await b.start()
            proof = charge("replay/240/nonce", 1, 1)
            assert isinstance(await a.take(proof), Reservation)
            assert isinstance(await b.take(proof), Shortfall)
            server.kill()
            assert isinstance(await b.take(charge("replay/240/other", 1, 1)), Unavailable)
            await a.stop()
            await b.stop()

    run(scenario)


def test_scripts_that_the_server_has_forgotten_are_sent_again(tmp_path: Path) -> None:
    """Nobody notices."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            gate = await SharingGate(tmp_path / "a", server).start()
            await gate.take(spend(10))
            server.command("SCRIPT", "FLUSH")
            assert isinstance(await gate.take(spend(10)), Reservation)
            assert gate.shared.tally.disconnects == 0
            await gate.stop()

    run(scenario)


def test_a_copied_data_directory_is_noticed(tmp_path: Path) -> None:
    """Two that say to be one would each overwrite what the other has said."""

    async def scenario() -> None:
        with running(tmp_path / "server") as server:
            a = await SharingGate(tmp_path / "a", server).start()
            (tmp_path / "b").mkdir()
            shutil.copy(tmp_path / "a" / "ledger-owner.json", tmp_path / "b")
            b = await SharingGate(tmp_path / "b", server).start()
            errors: list[str] = []
            while not any("has its data directory been copied?" in one for one in errors):
                await asyncio.sleep(0.01)
                errors = [a.shared.error, b.shared.error]
            await a.stop()
            await b.stop()

    run(scenario)
