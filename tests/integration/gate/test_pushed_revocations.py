"""What an authority pushes takes effect at a running gate: requests, open streams, restarts."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.awaiting import eventually, settled
from tests.support.long_api import long_api
from tests.support.running_gate import RunningGate, free_port

from passgate.authority.keys import KeySigner, new_issuer
from passgate.authority.minting import mint_passport
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.client.delegating import delegate
from passgate.client.holder import Holder
from passgate.core.formats.jwt import read_jwt

ROUTES = [
    {"match": "GET /v1/search", "action": "api:search"},
    {"match": "ANY /ws", "action": "live:ws"},
]


@asynccontextmanager
async def authority(directory: Path, port: int = 0) -> AsyncIterator[str]:
    """The URL of a `passgate authority serve` of the issuer in `directory`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "passgate", "authority", "serve",
        "--issuer", str(directory), "--listen", f"127.0.0.1:{port}",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line.startswith("Serving issuer iss_lab at http://127.0.0.1:")
        yield line.split()[-1]
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0


def configured(url: str, **entry: Any) -> dict[str, Any]:
    """A gate that would read the list once an hour."""
    issuer = {
        "id": "iss_lab",
        "keys": f"{url}/jwks.json",
        "revocations": f"{url}/revocations.jwt",
        "revocations_push": f"{url}/revocations/events",
        "refresh": "1h",
        "max_stale": "1d",
    }
    return {
        "issuers": [issuer | entry],
        "actions": {"routes": ROUTES},
        "limits": {"refusals_per_second": 10_000},
    }


def passport(signer: KeySigner, agent: str, **options: Any) -> tuple[str, str]:
    """The id and the text of one."""
    minted = mint_passport(signer, agent=agent, permissions=["*"], now=time.time(), **options)
    return minted.id, minted.token


def row(gate: RunningGate) -> dict[str, Any]:
    rows = gate.admin("GET", "/readyz").json["dependencies"]
    (found,) = (each for each in rows if each["name"] == "iss_lab revocations")
    return dict(found)


def connected(gate: RunningGate) -> bool:
    return bool(row(gate)["push"]["connected"])


class Agents:
    """Asks a gate, and revokes at the issuer."""

    def __init__(self, gate: RunningGate, made: Path, signer: KeySigner) -> None:
        self.url = f"http://127.0.0.1:{gate.port}"
        self.made = made
        self.signer = signer
        self.client = aiohttp.ClientSession()

    async def code(self, text: str) -> str:
        headers = {"Authorization": f"Passport {text}"}
        try:
            async with self.client.get(f"{self.url}/v1/search", headers=headers) as answer:
                if answer.headers.get("Passport-Decision") == "allow":
                    return "allow"
                return str((await answer.json(content_type=None))["code"])
        except aiohttp.ClientError:
            return "cut"  # what is under way while its passport is revoked

    async def refused_after(self, kind: str, id_: str, text: str) -> tuple[float, str]:
        """Seconds from the moment of publishing to the first refusal, and its code."""
        assert await self.code(text) == "allow"
        revoke(self.made, self.signer, [Revoked(kind, id_)], time.time())
        published = time.monotonic()
        while (found := await self.code(text)) in ("allow", "cut"):
            assert time.monotonic() < published + 10
        return time.monotonic() - published, found


def test_what_is_pushed_refuses_at_once_and_cuts_what_is_open(tmp_path: Path) -> None:
    """Each kind, a delegated link by its path too; a WebSocket is cut; others go on."""
    made = tmp_path / "issuer"
    signer = new_issuer(made, "iss_lab")
    new_list(made, signer, time.time())

    async def scene() -> None:
        async with authority(made) as url, long_api() as api:
            gate = RunningGate(tmp_path, api.url, config=configured(url))
            await asyncio.to_thread(gate.start)
            agents = Agents(gate, made, signer)
            try:
                await eventually(lambda: connected(gate), 20)
                await cut_a_socket(agents)
                await each_kind(agents)
                assert row(gate)["push"]["deltas"] == 5
            finally:
                await agents.client.close()
                await asyncio.to_thread(gate.stop)

    asyncio.run(scene())


async def cut_a_socket(agents: Agents) -> None:
    id_, text = passport(agents.signer, "agent_ws")
    headers = {"Authorization": f"Passport {text}"}
    async with agents.client.ws_connect(f"{agents.url}/ws", headers=headers) as socket:
        await socket.send_str("there?")
        assert await socket.receive_str() == "there?"
        started = time.monotonic()
        cut = asyncio.create_task(over(socket))
        took, code = await agents.refused_after("passport", id_, text)
        ended = await asyncio.wait_for(cut, 10)
    assert code == "passport_revoked"
    print(f"\nfrom publishing to the first refusal: {took * 1000:.0f} ms")
    print(f"from revoking to the end of the WebSocket: {(ended - started) * 1000:.0f} ms")
    # Generous, for a busy machine; without a push it would be an hour.
    assert took < 2
    assert ended - started < 2


async def over(socket: aiohttp.ClientWebSocketResponse) -> float:
    """The moment at which the other end closed it."""
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return time.monotonic()


async def each_kind(agents: Agents) -> None:
    spared = passport(agents.signer, "agent_8")[1]
    holder = Holder.generate()
    root_id, root = passport(agents.signer, "agent_r", holder=holder.jwk, may_delegate=True)
    now = time.time()
    first, second = (
        delegate(root, holder, name=name, permissions=["*"], now=now) for name in ("a", "b")
    )
    path = f"{root_id}/{read_jwt(first.encode()).id}"
    for kind, id_, text in (
        ("passport", path, first),
        ("agent", "agent_7", passport(agents.signer, "agent_7")[1]),
        ("key", holder.thumbprint, second),
    ):
        assert (await agents.refused_after(kind, id_, text))[1] == "passport_revoked"
        assert await agents.code(spared) == "allow"
    assert (await agents.refused_after("issuer", "iss_lab", spared))[1] == "issuer_revoked"


def test_what_was_pushed_survives_both_ends(tmp_path: Path) -> None:
    """A gate that starts while its issuer is away knows it; what it missed comes later."""
    made = tmp_path / "issuer"
    signer = new_issuer(made, "iss_lab")
    new_list(made, signer, time.time())
    port = free_port()

    async def scene() -> None:
        async with long_api() as api:
            gate = RunningGate(tmp_path, api.url, config=configured(f"http://127.0.0.1:{port}"))
            first, second = (passport(signer, agent)[1] for agent in ("agent_1", "agent_2"))
            async with authority(made, port):
                await asyncio.to_thread(gate.start)
                agents = Agents(gate, made, signer)
                await eventually(lambda: connected(gate), 20)
                await agents.refused_after("agent", "agent_1", first)
                await eventually(lambda: any((tmp_path / "data" / "trust").glob("*.deltas")))
            await eventually(lambda: not connected(gate))
            assert "error" in row(gate)["push"]
            await asyncio.to_thread(gate.stop, signal.SIGKILL)
            await asyncio.to_thread(gate.start)
            assert await agents.code(first) == "passport_revoked"
            assert await agents.code(second) == "allow"
            revoke(made, signer, [Revoked("agent", "agent_2")], time.time())
            async with authority(made, port):
                await eventually(lambda: connected(gate), 30)
                while await agents.code(second) in ("allow", "cut"):
                    await settled()
                assert await agents.code(first) == "passport_revoked"
            await agents.client.close()
            await asyncio.to_thread(gate.stop)

    asyncio.run(scene())
