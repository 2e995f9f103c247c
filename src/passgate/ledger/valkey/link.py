"""The one connection to the server: greets, carries batches, and comes back by itself.

One batch is under way at a time, and what comes up meanwhile goes with the next, so that however
many requests wait, they share a round trip. Whatever goes wrong ends the connection: nobody waits
for it longer than `timeout`, and a new one begins with a greeting that tells whether the server
still knows what it knew.
"""

import asyncio
import random
import secrets
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, NoScriptError, RedisError

from passgate.core.instant import Instant
from passgate.ledger.protocol import SharedCounters
from passgate.ledger.valkey.desk import DECODE, ENCODE, Batch, Desk, Unusable
from passgate.ledger.valkey.fold_slack import SLACK_S
from passgate.ledger.valkey.owner import Owner
from passgate.ledger.valkey.scripts import BATCH, HELLO, Script
from passgate.ledger.valkey.settings import SharedSettings
from passgate.ledger.valkey.windows import HEARTBEAT_S

_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0
_FAILURES: Final = (RedisError, OSError, TimeoutError, ValueError, TypeError, IndexError, Unusable)
"""What a server and the way to it can do to us; ValueError and the next two: by rubbish."""

_logger = structlog.get_logger("passgate")


class Link:
    """The server as this gate sees it. `up` while it answers, to ask it; `lead` is what makes the
    server's Unix time of this machine's boot clock, None before they met."""

    def __init__(
        self,
        settings: SharedSettings,
        owner: Owner,
        desk: Desk,
        clock: Callable[[], Instant],
    ) -> None:
        self.up = False
        self.lead: float | None = None
        self.state = SharedCounters(_place(settings), desk.counted)
        self._settings = settings
        self._owner = owner
        self._desk = desk
        self._clock = clock
        self._work = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._moved: tuple[str, int] | None = None
        self._mark = ""
        self._told = False  # since this process began, all that it had spent before
        self._sent: Batch | None = None
        prefix = f"{{{settings.name}}}:"
        self._keys = [prefix + "meta", prefix + "owners", prefix + "missing",
                      f"{prefix}leased:{owner.name}"]  # fmt: skip

    def wake(self) -> None:
        """There is something to say."""
        self._work.set()

    async def run(self) -> None:
        """Keeps the server asked and told, for ever."""
        wait_s = _FIRST_WAIT_S
        while True:
            failure: Exception
            try:
                await self._greet()
                wait_s = _FIRST_WAIT_S
                while True:
                    await self._turn()
            except _FAILURES as error:
                failure = error
            except Exception as error:
                # A defect of ours; without a link nothing would ever be counted again.
                _logger.exception("shared_ledger_failed")
                failure = error
            await self._lose(failure)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, hides nothing
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def leave(self) -> None:
        """Gives back what is leased and takes leave, if the server answers; `run` has ended."""
        failure: Exception | None = None
        for _ in range(2):  # the first may find that the connection has gone unnoticed
            batch, self._sent = self._sent, None
            if batch is not None or failure is not None:
                self._desk.lost(batch)
                await self._disconnect()
            elif not self.up:
                break
            failure = None
            try:
                if self._connection is None:
                    await self._greet()
                self._desk.return_all()
                while not self._desk.idle:
                    await self._exchange()
                await self._exchange(leaves=True)
                break
            except _FAILURES as error:
                failure = error
        if failure is not None:
            _logger.warning("shared_ledger_left_in_haste", error=_said(failure))
        self.up = False
        await self._disconnect()

    async def _turn(self) -> None:
        """Waits for something to say, at most a heartbeat, and says it."""
        if self._desk.idle:
            self._work.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._work.wait()
            except TimeoutError:
                self._desk.return_ended(self._clock().boot)
        await self._exchange()

    async def _greet(self) -> None:
        """Connects, says who this is, and learns whether the counters are still what they were."""
        settings = self._settings
        async with asyncio.timeout(settings.connect_timeout_s * 2):
            self._connection = await self._connect()
            run = _run_id(await self._command("INFO", "server"))
            # Two words, so that a time-out while they are under way leaves nothing half done.
            payload = (self._owner.name, run, self._owner.epoch, secrets.token_hex(8),
                       sorted(self._owner.known))  # fmt: skip
            sent = self._clock()
            said = await self._script(HELLO, self._keys, payload)
        server_ms, epoch, mark, why, reports, missing, names, leased = said
        if not (isinstance(server_ms, int) and isinstance(epoch, str) and isinstance(mark, str)):
            raise Unusable("a greeting of an unknown kind")
        self._meet(server_ms, sent)
        self._mark = mark
        self.state.gates = max(1, len(names))
        self.state.missing = missing
        await asyncio.to_thread(self._owner.keep, epoch, frozenset(names))
        if why:
            _logger.warning("shared_ledger_began_anew", why=why, missing=missing)
        self._desk.met(known=self._told, must_report=bool(reports), leased_keys=leased)
        self._told = True
        self.up = True
        self._say()

    async def _exchange(self, *, leaves: bool = False) -> None:
        """One batch, there and back."""
        now = self._clock()
        assert self.lead is not None
        server_s = now.boot + self.lead
        self._sent = batch = self._desk.compose(server_s * 1000, now.boot)
        gives, syncs, asks, ends = batch.rows
        payload = (self._owner.name, self._mark, self._owner.epoch, int(batch.done), int(leaves),
                   gives, syncs, asks, ends)  # fmt: skip
        async with asyncio.timeout(self._settings.timeout_s):
            said = await self._script(BATCH, self._keys + batch.keys, payload)
        word = said[0]
        if word == "epoch":
            raise Unusable("the counters were emptied")
        if word == "fenced":
            raise Unusable(
                f"another process says that it is {self._owner.name}, as this gate: "
                "has its data directory been copied?"
            )
        _, server_ms, missing, gates, names, answers, ended = said
        self._meet(server_ms, now)
        self._desk.absorb(batch, answers, ended, now.boot, server_ms)
        self._sent = None
        if not leaves and self._owner.known != frozenset(names):
            # Should the server forget everything, this gate knows whom to wait for.
            await asyncio.to_thread(self._owner.keep, self._owner.epoch, frozenset(names))
        self.state.gates = max(1, gates)
        self.state.missing = missing
        self._desk.counted.round_trips += 1
        self._desk.counted.asked += len(batch.asks)
        self._say()

    def _meet(self, server_ms: int, sent: Instant) -> None:
        """Sets this gate's idea of the server's time; it was not earlier there than it is said.

        It is counted from the moment of sending, so that what is leased never ends too late.
        """
        self.lead = server_ms / 1000 - sent.boot
        self.state.answered_at = sent

    def _say(self) -> None:
        """What an operator is to know."""
        state = self.state
        state.up = True
        state.error = ""
        if state.missing:
            state.error = (
                f"{state.missing} of the gates that shared these counters have not said yet what "
                "they spent; budgets that began before are not known until then"
            )
        elif state.answered_at is not None and self.lead is not None:
            behind = self.lead + state.answered_at.boot - state.answered_at.wall
            if abs(behind) > SLACK_S:
                state.error = f"its clock and this machine's are {abs(behind):.0f} s apart"

    async def _lose(self, failure: Exception) -> None:
        self.up = False
        state = self.state
        if state.up:
            self._desk.counted.disconnects += 1
            _logger.warning("shared_ledger_lost", server=state.server, error=_said(failure))
        state.up = False
        state.error = _said(failure)
        batch, self._sent = self._sent, None
        self._desk.lost(batch)
        if isinstance(failure, MovedError):
            self._moved = (failure.host or self._settings.addresses[0][0], int(failure.port))
        else:
            self._moved = None
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            failure: Exception | None = None
            try:
                await connection.disconnect(nowait=True)
            except _FAILURES as error:
                failure = error
            del failure

    async def _connect(self) -> AbstractConnection:
        """A connection to the server, or to whom the sentinels say is the master."""
        settings = self._settings
        problems = []
        for host, port in settings.addresses or (("", 0),):
            try:
                if settings.master:
                    place = await self._ask_sentinel(host, port)
                else:
                    place = self._moved or (host, port)
                connection = self._made(*place, settings.password, settings.user)
                await connection.connect()  # type: ignore[no-untyped-call] # redis does not say
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                problems.append(error)
                continue
            return connection
        raise problems[-1]

    async def _ask_sentinel(self, host: str, port: int) -> tuple[str, int]:
        settings = self._settings
        sentinel = self._made(host, port, settings.sentinel_password, "")
        try:
            await sentinel.connect()  # type: ignore[no-untyped-call] # redis does not say
            await sentinel.send_command(
                "SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master, check_health=False
            )
            found = await sentinel.read_response()
        finally:
            await sentinel.disconnect(nowait=True)
        if not found:
            raise Unusable(f"sentinel {host}:{port} knows no master {settings.master}")
        return found[0].decode(), int(found[1])

    def _made(self, host: str, port: int, password: str, user: str) -> AbstractConnection:
        settings = self._settings
        common: dict[str, Any] = {
            "password": password or None,
            "username": user or None,
            "socket_timeout": None,  # every wait here has its own
            "socket_connect_timeout": settings.connect_timeout_s,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),  # a connection that was lost has to be greeted anew
        }
        if settings.socket is not None:
            return UnixDomainSocketConnection(
                path=str(settings.socket), db=settings.database, **common
            )
        common |= {"host": host, "port": port, "socket_keepalive": True}
        if not (password == settings.sentinel_password and user == "" and settings.master):
            common["db"] = settings.database
        if not settings.secure:
            return Connection(**common)
        tls = settings.tls
        return SSLConnection(
            ssl_ca_certs=None if tls.ca is None else str(tls.ca),
            ssl_certfile=None if tls.cert is None else str(tls.cert),
            ssl_keyfile=None if tls.key is None else str(tls.key),
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
            **common,
        )

    async def _script(self, script: Script, keys: list[str], payload: Any) -> Any:
        """Runs a script by its digest, or by its text where the server does not know it."""
        body = ENCODE(payload)
        try:
            answer = await self._command("EVALSHA", script.sha, len(keys), *keys, body)
        except NoScriptError:
            answer = None
        if answer is None:
            answer = await self._command("EVAL", script.text, len(keys), *keys, body)
        if not isinstance(answer, bytes):
            raise Unusable("an answer that is no text")
        return DECODE(answer)

    async def _command(self, *words: Any) -> Any:
        connection = self._connection
        assert connection is not None
        await connection.send_command(*words, check_health=False)
        return await connection.read_response(disconnect_on_error=False)


def _run_id(info: Any) -> str:
    if isinstance(info, bytes):
        for line in info.splitlines():
            if line.startswith(b"run_id:"):
                return line.partition(b":")[2].decode()
    raise Unusable("a server that does not say which run of it this is")


def _place(settings: SharedSettings) -> str:
    if settings.socket is not None:
        return f"unix:{settings.socket}"
    hosts = ",".join(f"{host}:{port}" for host, port in settings.addresses)
    return f"{settings.master}@{hosts}" if settings.master else hosts


def _said(error: Exception) -> str:
    """A failure in one line for the operator."""
    words = " ".join(str(error).split()) or "no answer in time"
    return f"{type(error).__name__}: {words}"[:300]
