"""Plays the scenes against a real gate, and checks what it must have done."""

import asyncio
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import typer

from passgate.authority.keys import KeySigner, new_issuer
from passgate.authority.minting import mint_passport
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.client.delegating import delegate
from passgate.client.holder import Holder as KeyHolder
from passgate.config import load_config
from passgate.core.formats.jwt import read_jwt
from passgate.demo.operator import Operator
from passgate.demo.sample_api import SampleApi
from passgate.demo.scenes import GATE_YAML, HOLDERS, SCENES, Holder, Scene
from passgate.gate import Gate
from passgate.log import Verification, verify_log

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back; `retry_after` is "" without one. Times are counted from the sending."""

    status: int
    decision: str
    reason: str
    headers: frozenset[str]
    retry_after: str
    first_byte_s: float
    whole_s: float


@dataclass(frozen=True, slots=True)
class Played:
    """A scene, what came of it, and whether that is what it must be."""

    scene: Scene
    seen: Seen
    right: bool


async def run_demo(*, keep_serving: bool, as_json: bool) -> bool:
    """Plays everything, prints it, and says whether all of it was right."""
    with ExitStack() as undo:
        directory = Path(tempfile.mkdtemp(prefix="passgate-demo-"))
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        api = SampleApi()
        undo.callback(api.stop)
        issuer = new_issuer(directory / "issuer", "iss_demo")
        new_list(directory / "issuer", issuer, time.time())
        passports = _passports(issuer)
        token = secrets.token_urlsafe()
        (directory / "operator").write_text(token)
        file = directory / "gate.yaml"
        port, admin_port = _free_ports()
        operator = Operator(admin_port, token)
        file.write_text(
            GATE_YAML.format(
                directory=directory, port=port, admin_port=admin_port, upstream=api.url
            )
        )
        gate = Gate(load_config(file, os.environ), os.environ)
        await gate.start()
        try:
            played = []
            for scene in SCENES:
                if scene.order:
                    await asyncio.to_thread(operator.give, scene.order, f"agent_{scene.holder}")
                played.append(await _play(port, scene, passports, directory / "issuer", issuer))
            if keep_serving:
                _print_table(played)
                _print_curl(port, admin_port, passports)
                await asyncio.Event().wait()
        finally:
            await gate.close()
        found = await asyncio.to_thread(verify_log, directory / "data" / "log")
        if as_json:
            _print_json(played, found)
        else:
            _print_table(played)
            _print_log(found)
        return all(row.right for row in played) and not found.wrong


def _passports(issuer: KeySigner) -> dict[str, str]:
    """What each holder has; one that is delegated is made by its parent alone."""
    made: dict[str, str] = {}
    keys: dict[str, KeyHolder] = {}
    for name, holder in HOLDERS.items():
        if holder.parent:
            made[name] = delegate(
                made[holder.parent],
                keys[holder.parent],
                name=name,
                permissions=holder.permissions,
                now=time.time(),
            )
            continue
        if holder.bound:
            keys[name] = KeyHolder.generate()
        made[name] = _passport(issuer, name, holder, keys.get(name))
    return made


def _passport(issuer: KeySigner, name: str, holder: Holder, key: KeyHolder | None) -> str:
    now = time.time()
    if holder.spoilt == "expired":
        now -= 2 * holder.ttl_s
    signer = KeySigner.generate("iss_stranger") if holder.spoilt == "issuer" else issuer
    minted = mint_passport(
        signer,
        agent=f"agent_{name}",
        permissions=holder.permissions,
        constraints=holder.constraints,
        audience=holder.audience,
        ttl_s=holder.ttl_s,
        now=now,
        holder=None if key is None else key.jwk,
        may_delegate=key is not None,
    )
    if holder.spoilt == "signature":
        head, _, signature = minted.token.rpartition(".")
        spoilt = ("B" if signature[0] == "A" else "A") + signature[1:]
        return f"{head}.{spoilt}"
    return minted.token


async def _play(
    port: int, scene: Scene, passports: dict[str, str], directory: Path, issuer: KeySigner
) -> Played:
    token = passports.get(scene.holder, "")
    if not scene.revokes:
        for _ in range(scene.times):
            seen = await asyncio.to_thread(_send, port, scene, token)
        return Played(scene, seen, _is_right(scene, seen))
    revoked = Revoked("passport", read_jwt(token.encode()).id)
    revoke(directory, issuer, [revoked], time.time())
    # The gate reads the list within `refresh`; until then the passport still works.
    end = time.monotonic() + _PATIENCE_S
    while True:
        late = time.monotonic() > end
        try:
            seen = await asyncio.to_thread(_send, port, scene, token)
        except (ConnectionError, HTTPException):
            # The gate learnt of it while this answer was under way, and cut it.
            if late:
                raise
        else:
            if late or _is_right(scene, seen):
                return Played(scene, seen, _is_right(scene, seen))
        await asyncio.sleep(0.05)


def _send(port: int, scene: Scene, token: str) -> Seen:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    headers = {"Authorization": f"Passport {token}"} if token else {}
    began = time.monotonic()
    try:
        connection.request(scene.method, scene.target, headers=headers)
        answer = connection.getresponse()
        first = answer.read(1)
        first_byte_s = time.monotonic() - began
        body = first + answer.read()
    finally:
        connection.close()
    whole_s = time.monotonic() - began
    refused = answer.getheader("Content-Type") == "application/problem+json"
    reason = json.loads(body)["code"] if refused else ""
    return Seen(
        answer.status,
        answer.getheader("Passport-Decision", ""),
        reason,
        frozenset(name.lower() for name, _ in answer.getheaders()),
        answer.getheader("Retry-After", ""),
        first_byte_s,
        whole_s,
    )


def _is_right(scene: Scene, seen: Seen) -> bool:
    return (
        (seen.status, seen.decision, seen.reason) == (scene.status, scene.decision, scene.reason)
        and seen.headers.issuperset(scene.shows)
        # A streamed answer begins long before it ends.
        and (not scene.streams or seen.whole_s - seen.first_byte_s > 0.2)
    )


def _print_table(played: list[Played]) -> None:
    """At most 80 columns: an operator's terminal at night is no wider."""
    typer.echo(f"    {'what an agent tries':<29} {'request':<20} answer")
    for number, row in enumerate(played, 1):
        scene, seen = row.scene, row.seen
        said = f"{seen.status} {seen.reason or seen.decision}"
        if seen.retry_after:
            said += f" {_short(int(seen.retry_after))}"
        if scene.note:
            said += f", {scene.note}"
        mark = "" if row.right else "  WRONG"
        request = f"{scene.method} {scene.target.partition('?')[0]}"
        typer.echo(f"{number:>2}  {scene.title:<29} {request:<20} {said}{mark}")


def _short(seconds: int) -> str:
    """A duration in one unit: what matters is its size."""
    return (
        f"{seconds}s"
        if seconds < 120
        else f"{seconds // 60}m"
        if seconds < 7200
        else (f"{seconds // 3600}h")
    )


def _print_log(found: Verification) -> None:
    if found.wrong:
        typer.echo(f"\nlog: WRONG: {found.wrong}")
    else:
        typer.echo(
            f"\nlog: {found.size} lines under {found.checkpoints} signed checkpoints, verified"
        )


def _print_json(played: list[Played], found: Verification) -> None:
    rows = [
        {
            "title": row.scene.title,
            "request": f"{row.scene.method} {row.scene.target}",
            "status": row.seen.status,
            "decision": row.seen.decision,
            "reason": row.seen.reason,
            "right": row.right,
        }
        for row in played
    ]
    typer.echo(json.dumps({"scenes": rows, "log": asdict(found)}, indent=2))


def _print_curl(port: int, admin_port: int, passports: dict[str, str]) -> None:
    typer.echo(
        f"\nThe gate serves until Ctrl-C. Try:\n"
        f"  P={passports['scout']}\n"
        f'  curl -i -H "Authorization: Passport $P" http://127.0.0.1:{port}/v1/search\n'
        f"  curl -i http://127.0.0.1:{port}/v1/search\n"
        f"  curl -i http://127.0.0.1:{port}/.well-known/passgate/\n"
        f"  curl -s http://127.0.0.1:{admin_port}/readyz"
    )


def _free_ports() -> tuple[int, int]:
    """Two loopback ports that nothing uses; both held until both are known."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
