"""Two gates, one budget, two hundred agents, and a gate that is killed in the middle of it."""

import asyncio
import signal
from pathlib import Path

from tests.awaiting import eventually
from tests.support.counter_server import running
from tests.support.running_gate import RunningGate

from passgate.testing import FakeUpstream, TestIssuer, mint

AGENTS = 200
COST = 50
BUDGET = 1_000 * COST


class Agents:
    """Clients that spend until the budget is refused, over and over, by a gate that has all of it.

    `ending` makes a refusal final.
    """

    def __init__(self, passport: str) -> None:
        self.head = (
            f"POST /v1/export HTTP/1.1\r\nHost: api\r\nAuthorization: Passport {passport}\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode()
        self.ending = False
        self.statuses: dict[int, int] = {}

    async def spend(self, port: int) -> None:
        refused = 0
        while refused < 3:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                while refused < 3:
                    writer.write(self.head)
                    status = await self.answer(reader)
                    self.statuses[status] = self.statuses.get(status, 0) + 1
                    if status == 200:
                        refused = 0
                        continue
                    refused = refused + 1 if status == 403 and self.ending else 0
                    await asyncio.sleep(0.05)  # as an agent would that was told to
            except (OSError, EOFError):
                pass  # its gate was killed: another connection, to the one that follows
            finally:
                writer.close()

    async def answer(self, reader: asyncio.StreamReader) -> int:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                await reader.readexactly(int(value))
        return int(head.split()[1])


def test_one_budget_holds_over_two_gates_of_which_one_is_killed(tmp_path: Path) -> None:
    """What the upstream saw never exceeds it, and ends at most what the killed gate had in flight
    below it: a decision on record stays charged, whether it was forwarded or not."""
    issuer = TestIssuer()
    with running(tmp_path / "server") as server, FakeUpstream() as upstream:
        gates = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            shared = {"kind": "valkey", "url": server.url, "timeout": "2s"}
            config = {"ledger": shared, "limits": {"refusals_per_second": 100_000}}
            gates.append(RunningGate(tmp_path / name, upstream.url, config, issuer))
        a, b = gates
        passport = mint(
            issuer=issuer,
            permissions=["api:*"],
            constraints={
                "core:cost:max_cumulative": BUDGET,
                "core:cost:cumulative_window": "total",
            },
        )
        agents = Agents(passport)

        async def scenario() -> None:
            spending = [
                asyncio.create_task(agents.spend((a, b)[number % 2].port))
                for number in range(AGENTS)
            ]
            await eventually(lambda: len(upstream.seen) >= 300, 30)
            assert await asyncio.to_thread(a.stop, signal.SIGKILL) == -signal.SIGKILL
            # The other goes on with what is not leased to the dead one, which stays spent for now.
            more = len(upstream.seen) + 100
            await eventually(lambda: len(upstream.seen) >= more or 403 in agents.statuses, 30)
            await asyncio.to_thread(a.start)
            await asyncio.to_thread(_sharing, a)
            agents.ending = True
            await asyncio.wait_for(asyncio.gather(*spending), 60)

        try:
            for gate in gates:
                gate.start()
            asyncio.run(scenario())
            sum_seen = len(upstream.seen) * COST
            assert sum_seen <= BUDGET
            in_flight = AGENTS // 2 * COST
            assert sum_seen > BUDGET - in_flight - COST, agents.statuses
            assert set(agents.statuses) <= {200, 403, 502, 503}
        finally:
            for gate in gates:
                if gate.process is not None and gate.process.poll() is None:
                    gate.stop()


def _sharing(gate: RunningGate) -> None:
    """Returns once a gate's server has heard what it knows."""
    while True:
        (row,) = [
            row
            for row in gate.admin("GET", "/readyz").json["dependencies"]
            if row["name"] == "shared ledger"
        ]
        if row["ok"]:
            return
