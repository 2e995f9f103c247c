"""Long exchanges through a whole gate, between the client and the server of another library."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.awaiting import eventually
from tests.support.long_api import LongApi, long_api
from tests.support.running_gate import RunningGate

from passgate.log import read_lines
from passgate.testing import mint

ROUTES = [
    {"match": "ANY /ws", "action": "live:ws"},
    {"match": "ANY /events", "action": "live:events"},
    {"match": "ANY /poll", "action": "live:poll"},
    {"match": "ANY /upload", "action": "live:upload"},
]


@dataclass
class Stage:
    """The API, the gate before it, and a client of the gate."""

    api: LongApi
    gate: RunningGate
    client: aiohttp.ClientSession

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.gate.port}{path}"

    def headers(self, **options: Any) -> dict[str, str]:
        passport = mint(issuer=self.gate.issuer, permissions=["live:*"], **options)
        return {"Authorization": f"Passport {passport}"}

    def lines(self, kind: str) -> list[dict[str, Any]]:
        found = [dict(line) for line in read_lines(self.gate.log_directory)]
        return [line for line in found if line["kind"] == kind]

    async def outcomes(self, count: int) -> list[dict[str, Any]]:
        """The first so many outcomes, once they are on record."""
        await eventually(lambda: len(self.lines("outcome")) >= count)
        return self.lines("outcome")[:count]


@asynccontextmanager
async def staged(directory: Path, **config: Any) -> AsyncIterator[Stage]:
    """Everything up, and down again."""
    merged = {"actions": {"routes": ROUTES}, **config}
    async with long_api() as api:
        gate = RunningGate(directory, api.url, config=merged)
        await asyncio.to_thread(gate.start)
        try:
            async with aiohttp.ClientSession() as client:
                yield Stage(api, gate, client)
        finally:
            assert gate.process is not None
            if gate.process.poll() is None:
                gate.process.kill()
            gate.process.wait()


def play(directory: Path, scene: Callable[[Stage], Awaitable[None]], **config: Any) -> None:
    """Plays a scene on a stage of its own."""

    async def whole() -> None:
        async with staged(directory, **config) as stage:
            await scene(stage)

    asyncio.run(whole())


def test_a_conversation_over_websocket(tmp_path: Path) -> None:
    """Texts, large binaries, pings, subprotocol and close codes arrive; both directions count."""

    async def scene(stage: Stage) -> None:
        large = os.urandom(3 << 20)
        async with stage.client.ws_connect(
            stage.url("/ws"), headers=stage.headers(), protocols=("chat.v2",), max_msg_size=0
        ) as socket:
            assert socket.protocol == "chat.v2"
            for text in ("a", "ü" * 70_000, ""):
                await socket.send_str(text)
                assert await socket.receive_str() == text
            await socket.send_bytes(large)
            assert await socket.receive_bytes() == large
            await socket.ping(b"still there?")
            await socket.send_str("close")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4001
        (outcome,) = await stage.outcomes(1)
        assert (outcome["status"], outcome["outcome"]) == (101, "completed")
        assert len(large) + 140_000 < outcome["bytes"] < len(large) + 141_000
        assert len(large) + 140_000 < outcome["bytes_in"] < len(large) + 141_000

    play(tmp_path, scene)


def test_many_conversations_at_once(tmp_path: Path) -> None:
    """Each of a hundred sockets gets its own messages, in order."""

    async def converse(stage: Stage, headers: dict[str, str], number: int) -> None:
        async with stage.client.ws_connect(stage.url("/ws"), headers=headers) as socket:
            for at in range(10):
                await socket.send_str(f"{number}.{at}")
            for at in range(10):
                assert await socket.receive_str() == f"{number}.{at}"

    async def scene(stage: Stage) -> None:
        headers = stage.headers()
        await asyncio.gather(*(converse(stage, headers, number) for number in range(100)))
        await eventually(lambda: len(stage.api.ends) == 100)

    play(tmp_path, scene)


def test_events_and_polls_outlive_short_patience(tmp_path: Path) -> None:
    """A first byte may take longer than a silence, a stream longer than either; nothing is kept."""

    async def scene(stage: Stage) -> None:
        headers = stage.headers()
        async with stage.client.get(stage.url("/events"), headers=headers) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            for number in range(6):  # 1.2 s in all
                assert await answer.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
                await asyncio.sleep(0.2)
                stage.api.next_event.set()
            answer.close()
        poll = asyncio.create_task(_text(stage, "/poll", headers))
        await asyncio.sleep(1.0)  # longer than the idle timeout
        stage.api.answer_poll.set()
        assert await poll == "something happened"
        # Nothing comes any more: the silence is cut, visibly, and upstream too.
        async with stage.client.get(stage.url("/events"), headers=headers) as answer:
            started = time.monotonic()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()
            assert time.monotonic() - started < 3
        await eventually(lambda: stage.api.ends.count("events") == 2)

    play(tmp_path, scene, upstream={"first_byte_timeout": "5s", "idle_timeout": "800ms"})


async def _text(stage: Stage, path: str, headers: dict[str, str]) -> str:
    # POST, since this client sends a GET again by itself when its connection is lost.
    async with stage.client.post(stage.url(path), headers=headers) as answer:
        return await answer.text()


class Under:
    """One exchange of each kind under way, by one passport."""

    def __init__(self, stage: Stage, headers: dict[str, str]) -> None:
        self.stage = stage
        self.headers = headers

    async def begin(self) -> None:
        """Returns once the API has all four."""
        stage, client = self.stage, self.stage.client
        self.socket = await client.ws_connect(stage.url("/ws"), headers=self.headers)
        self.events = await client.get(stage.url("/events"), headers=self.headers)
        assert await self.events.content.readuntil(b"\n\n") == b"data: 0\n\n"
        uploaded, polls = stage.api.uploaded, stage.api.polls
        self.upload = asyncio.create_task(self._upload())
        self.poll = asyncio.create_task(_text(stage, "/poll", self.headers))
        await eventually(lambda: stage.api.uploaded > uploaded and stage.api.polls > polls)

    async def _upload(self) -> None:
        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"more"
                await asyncio.sleep(0.02)

        url = self.stage.url("/upload")
        async with self.stage.client.post(url, headers=self.headers, data=body()):
            pass

    async def all_ended(self) -> None:
        """Each of the four ends here, and none as if it were whole."""
        assert (await self.socket.receive()).type in _ABRUPT
        with pytest.raises(aiohttp.ClientPayloadError):
            await self.events.content.read()
        for task in (self.upload, self.poll):
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await task
        self.events.close()
        await self.socket.close()

    async def all_go_on(self) -> None:
        """Each of the four still works."""
        await self.socket.send_str("still?")
        assert await self.socket.receive_str() == "still?"
        before = self.stage.api.uploaded
        await eventually(lambda: self.stage.api.uploaded > before)
        self.stage.api.next_event.set()
        assert await self.events.content.readuntil(b"\n\n") == b"data: 1\n\n"
        assert not self.poll.done()

    async def end(self) -> None:
        """Leaves all four."""
        self.upload.cancel()
        self.poll.cancel()
        self.events.close()
        await self.socket.close()
        await asyncio.gather(self.upload, self.poll, return_exceptions=True)


_ABRUPT = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)


def seconds(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def test_a_revocation_cuts_everything_at_once(tmp_path: Path) -> None:
    """All kinds end within 100 ms of the change; the streams of others are left alone."""

    async def scene(stage: Stage) -> None:
        doomed = Under(stage, stage.headers(passport_id="pass_doomed"))
        other = Under(stage, stage.headers())
        await doomed.begin()
        await other.begin()
        stage.gate.revoke(("passport", "pass_doomed"))

        await doomed.all_ended()

        outcomes = await stage.outcomes(4)
        learnt = seconds(stage.lines("trust")[-1])
        assert [line["outcome"] for line in outcomes] == ["cut"] * 4
        took = [seconds(line) - learnt for line in outcomes]
        # An outcome's time is made of two that are cut to milliseconds.
        assert all(-0.003 < each < 0.1 for each in took), took
        await eventually(lambda: len(stage.api.ends) == 4)  # upstream they are over, too
        stage.api.next_event.clear()
        await other.all_go_on()
        await other.end()
        gone = (await stage.outcomes(8))[4:]
        # The status is of the answer that had begun, 499 where none had.
        assert sorted(line["status"] for line in gone) == [101, 200, 499, 499]

    play(tmp_path, scene)


def test_a_revocation_may_leave_what_is_open(tmp_path: Path) -> None:
    """With `upstream.cut_on_revocation: false` new requests are refused, and open ones go on."""

    async def scene(stage: Stage) -> None:
        doomed = Under(stage, stage.headers(passport_id="pass_doomed"))
        await doomed.begin()
        before = len(stage.lines("trust"))
        stage.gate.revoke(("passport", "pass_doomed"))
        await eventually(lambda: len(stage.lines("trust")) > before)
        await asyncio.sleep(1.3)  # past the look that comes every second

        async with stage.client.post(stage.url("/poll"), headers=doomed.headers) as answer:
            assert answer.status == 401
        await doomed.all_go_on()
        await doomed.end()

    play(tmp_path, scene, upstream={"cut_on_revocation": False})


def test_expiry_cuts_everything(tmp_path: Path) -> None:
    """What outlives its passport, and the clock's tolerance, ends within about a second of that."""

    async def scene(stage: Stage) -> None:
        end = int(time.time()) + 2
        mortal = Under(stage, stage.headers(claims={"exp": end}))
        await mortal.begin()

        await mortal.all_ended()

        outcomes = await stage.outcomes(4)
        assert [line["outcome"] for line in outcomes] == ["cut"] * 4
        took = [seconds(line) - end for line in outcomes]
        assert all(-0.003 < each < 1.5 for each in took), took

    play(tmp_path, scene, passport={"clock_skew": "0s"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_gate_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped or killed, it leaves nothing half open on either side; stopped, all is on record."""

    async def scene(stage: Stage) -> None:
        last = Under(stage, stage.headers())
        await last.begin()
        assert stage.gate.process is not None
        stage.gate.process.send_signal(number)

        await last.all_ended()

        await eventually(lambda: len(stage.api.ends) == 4)
        code = await asyncio.to_thread(stage.gate.process.wait, 10)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        if number == signal.SIGTERM:
            assert [line["outcome"] for line in stage.lines("outcome")] == ["cut"] * 4

    play(tmp_path, scene, limits={"drain_timeout": "200ms"})
