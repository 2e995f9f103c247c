"""The kill switch of a real process: the next request, open streams, kill -9, a damaged file."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from tests.awaiting import eventually
from tests.support.long_api import long_api
from tests.support.running_gate import ADMIN_TOKEN, RunningGate

from passgate.log import read_lines, verify_log
from passgate.testing import mint

ROUTES = [
    {"match": "ANY /ws", "action": "live:ws"},
    {"match": "ANY /events", "action": "live:events"},
    {"match": "POST /upload", "action": "live:upload"},
]
CONFIG: dict[str, Any] = {
    "actions": {"routes": ROUTES},
    "listen": {"http2": True},
    # The switch is the operator's own word: it cuts also where revocations do not.
    "upstream": {"cut_on_revocation": False},
    "limits": {"refusals_per_second": 1000},
}


def passgate(gate: RunningGate, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command, by someone who has the admin's token and no other secret."""
    return subprocess.run(
        [sys.executable, "-m", "passgate", *arguments, "--config", str(gate.file)],
        env=os.environ | {"ADMIN": ADMIN_TOKEN},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def order(gate: RunningGate, method: str, path: str, body: Any = None) -> Any:
    """One order by the API."""
    with httpx.Client(base_url=f"http://127.0.0.1:{gate.admin_port}", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = client.request(method, path, headers=headers, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def trust_lines(gate: RunningGate, *what: str) -> list[dict[str, Any]]:
    lines = [dict(line) for line in read_lines(gate.log_directory)]
    return [line for line in lines if line["kind"] == "trust" and line["what"] in what]


def test_an_order_stops_what_is_open_and_what_comes(tmp_path: Path) -> None:
    """Events, a WebSocket, an upload and a stream of HTTP/2 of this agent; another one's goes on.

    Then a crash right after an order was confirmed, and a damaged file.
    """

    async def scene() -> None:
        async with long_api() as api:
            gate = RunningGate(tmp_path, api.url, config=CONFIG)
            await asyncio.to_thread(gate.start)
            try:
                await stop_one_agent(gate)
                await asyncio.to_thread(crash_and_damage, gate)
            finally:
                assert gate.process is not None
                if gate.process.poll() is None:
                    gate.process.kill()
                gate.process.wait()

    asyncio.run(scene())


def headers_for(gate: RunningGate, agent: str) -> dict[str, str]:
    passport = mint(issuer=gate.issuer, agent=agent, permissions=["live:*"])
    return {"Authorization": f"Passport {passport}"}


async def stop_one_agent(gate: RunningGate) -> None:
    url = f"http://127.0.0.1:{gate.port}"
    doomed, spared = headers_for(gate, "agent_7"), headers_for(gate, "agent_8")
    more = asyncio.Event()

    async def drip() -> Any:
        yield b"first"
        await more.wait()

    async with (
        aiohttp.ClientSession() as client,
        httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=10) as second,
        client.get(f"{url}/events", headers=doomed) as events,
        client.ws_connect(f"{url}/ws", headers=doomed) as socket,
        client.get(f"{url}/events", headers=spared) as others,
        second.stream("GET", f"{url}/events", headers=doomed) as stream,
    ):
        upload = asyncio.create_task(client.post(f"{url}/upload", headers=doomed, data=drip()))
        await socket.send_str("there?")
        assert await socket.receive_str() == "there?"
        for answer in (events, others):
            assert await answer.content.readuntil(b"\n\n") == b"data: 0\n\n"
        pieces = stream.aiter_raw()
        assert await anext(pieces) == b"data: 0\n\n"

        run = await asyncio.to_thread(
            passgate, gate, "kill", "agent", "agent_7", "--reason", "buys too much", "--json"
        )
        assert run.returncode == 0, run.stderr
        kill = json.loads(run.stdout)
        assert (kill["new"], kill["by"], kill["warnings"]) == (True, "admin", [])

        ends = (events.content.read(), socket.receive(), upload, anext(pieces))
        cut = await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 10)
        assert isinstance(cut[0], aiohttp.ClientPayloadError)
        assert isinstance(cut[1], aiohttp.WSMessage)
        assert cut[1].type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert isinstance(cut[2], aiohttp.ClientError)
        assert isinstance(cut[3], httpx.RemoteProtocolError)
        assert not others.content.at_eof()

        async with client.get(f"{url}/events", headers=doomed) as refused:
            assert (refused.status, (await refused.json())["code"]) == (403, "killed")
        refused_too = await second.get(f"{url}/events", headers=doomed)
        assert refused_too.status_code == 403
        async with client.get(f"{url}/events", headers=spared) as passed:
            assert passed.status == 200

        def outcomes() -> list[str]:
            lines = [line for line in read_lines(gate.log_directory) if line["kind"] == "outcome"]
            return [line["outcome"] for line in lines]

        await eventually(lambda: outcomes().count("cut") == 4)
    (line,) = trust_lines(gate, "kill")
    assert (line["kill"], line["by"], line["reason"]) == (kill["id"], "admin", "buys too much")
    assert line["stops"] == {"kind": "agent", "target": "agent_7"}


def crash_and_damage(gate: RunningGate) -> None:
    spared = headers_for(gate, "agent_8")["Authorization"].removeprefix("Passport ")
    kill = order(gate, "POST", "/api/kill", {"kind": "action", "id": "live:*"})
    assert gate.stop(signal.SIGKILL) == -signal.SIGKILL

    gate.start()
    assert gate.request("GET", "/events", spared).json["code"] == "killed"
    listed = passgate(gate, "kill", "list").stdout
    assert [line.split()[1:3] for line in listed.splitlines()] == [
        ["agent", "agent_7"],
        ["action", "live:*"],
    ]
    rows = {row["name"]: row for row in gate.admin("GET", "/readyz").json["dependencies"]}
    assert rows["kill switch"]["warning"] == "2 kills are in force"
    assert b'passgate_kills{kind="action"} 1.0' in gate.admin("GET", "/metrics").body

    everything = order(gate, "POST", "/api/kill", {"kind": "all", "reason": "night"})
    stopped = gate.request("GET", "/nowhere/allowed", spared)
    assert stopped.status == 404  # what is no action is none
    stopped = gate.request("GET", "/events")
    assert (stopped.status, stopped.json["code"], stopped.headers["retry-after"]) == (
        503,
        "killed",
        "60",
    )
    assert gate.admin("GET", "/readyz").status == 200
    assert gate.stop() == 0

    file = gate.directory / "data" / "kills"
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    failed = passgate(gate, "serve")
    assert (failed.returncode, "kills:1: not what the gate wrote" in failed.stderr) == (1, True)
    file.write_bytes(good)
    gate.start()
    assert gate.request("GET", "/events", spared).status == 503
    assert order(gate, "DELETE", "/api/kill/all")["id"] == everything["id"]
    assert order(gate, "DELETE", f"/api/kill/{kill['id']}")["target"] == "live:*"
    assert passgate(gate, "unkill", "agent_7").returncode == 0
    assert [kind for line in trust_lines(gate, "unkill") for kind in [line["stops"]["kind"]]] == [
        "all",
        "action",
        "agent",
    ]
    assert [line["in_force"] for line in trust_lines(gate, "kills")] == [2, 3]
    assert gate.stop() == 0
    assert not verify_log(gate.log_directory).wrong
