"""`passgate explain`: every numbered check of one request, with its outcome."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passgate.cli.exits import REFUSED, WRONG_USE, fail, note, read_token

if TYPE_CHECKING:
    from passgate.core.explanation import Checked, Explanation


def explain(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", metavar="FILE", help="The configuration.", dir_okay=False),
    ] = Path("gate.yaml"),
    method: Annotated[str, typer.Option(metavar="METHOD", help="The request's method.")] = "GET",
    target: Annotated[
        str, typer.Option(metavar="TARGET", help="The request's path and query.")
    ] = "/",
    passport: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="The passport; `-` reads it from standard input."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="HEADER", help="A further header, 'Name: value'."),
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with the request's body.", dir_okay=False),
    ] = None,
    client: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The client's address.")
    ] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Says what the gate would decide about a request, check by check.

    Reads the sources of trust once and charges nothing. What only the running gate knows (what is
    left of a budget, whether the upstream answers) is shown as open. Exits 1 if it would refuse.

    \b
    Example:
      passgate explain --target /v1/search --passport "$P"
      passgate explain --method POST --target /v1/orders --body order.json \\
        --header 'Content-Type: application/json' --passport - < passport.txt
    """
    import json
    import os

    from passgate.config import load_config
    from passgate.errors import ConfigError, PassgateError

    headers = [_header(text) for text in header or []]
    if not any(name.lower() == b"host" for name, _ in headers):
        headers.insert(0, (b"Host", b"localhost"))
    if passport is not None:
        token = read_token(passport)
        headers.append((b"Authorization", b"Passport " + token.encode("utf-8", "replace")))
    raw = None
    if body is not None:
        try:
            raw = body.read_bytes()
        except OSError as error:
            fail(f"{body} cannot be read: {error.strerror}", WRONG_USE)
        headers.append((b"Content-Length", str(len(raw)).encode()))
    try:
        loaded = load_config(config, os.environ, secrets=False)
        found = _explain(loaded.config, method, target, headers, raw, client)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None
    except PassgateError as error:
        fail(error)
    answer = _summary(found)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        _print_table(found)
        typer.echo(f"\n{answer['decision']}" + (f": {answer['code']}" if answer["code"] else ""))
        if found.plan.needs_body:
            typer.echo("The body may still change that: give it with --body.")
    if answer["decision"] != "allow":
        raise typer.Exit(REFUSED)


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon:
        fail("--header takes 'Name: value'", WRONG_USE)
    return name.encode("latin-1", "replace"), value.strip().encode("latin-1", "replace")


def _explain(
    config: Any,
    method: str,
    target: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes | None,
    client: str,
) -> "Explanation":
    import asyncio

    from passgate.cli.judging import kills_of_gate, take_bundle
    from passgate.clock import system_clock
    from passgate.config import build_self_issuer
    from passgate.core.decision import Plan
    from passgate.core.explanation import CHECKS, Checked, Explanation, explain
    from passgate.core.reasons import Refusal
    from passgate.core.request import Wire, canonical_request
    from passgate.settings import find_offer, issuer_settings, make_world
    from passgate.sync.keeper import Keeper

    policy = make_world(config, find_offer(config).versions).policy
    wire = Wire(method, target.encode("utf-8", "surrogateescape"), headers, client)
    request = canonical_request(wire, policy.request_rules)
    if isinstance(request, Refusal):
        row = Checked(1, CHECKS[1], "refused", request.code, request.detail)
        return Explanation(Plan(refusal=request), (row,))
    request.body = body
    keeper = Keeper(
        issuer_settings(config),
        None,
        kills=kills_of_gate(config),
        self_issued=build_self_issuer(config),
    )
    asyncio.run(keeper.read_once())
    take_bundle(keeper, config)
    for status in keeper.status():
        if status["error"]:
            note(f"warning: {status['issuer']} {status['kind']}: {status['error']}")
    return explain(request, policy, keeper.trust, system_clock())


def _summary(found: "Explanation") -> dict[str, Any]:
    plan = found.plan
    code = plan.refusal.code if plan.refusal else "approval_required" if plan.hold else ""
    decision = "block" if plan.refusal else "request_hold" if plan.hold else "allow"
    return {
        "decision": decision,
        "code": code,
        "action": plan.action,
        "access": plan.access,
        "constraints": [list(pair) for pair in plan.evaluated],
        "charges": [
            {"counter": charge.counter, "amount": charge.amount, "limit": charge.limit}
            for charge in plan.charges
        ],
        "checks": [_row(row) for row in found.checks],
    }


def _row(row: "Checked") -> dict[str, Any]:
    """A check as `POST /check` shows it too."""
    shown = {"check": row.number, "name": row.name, "outcome": row.outcome}
    said = {"code": row.code, "detail": row.detail, "constraint": row.constraint}
    return shown | {key: text for key, text in said.items() if text}


def _print_table(found: "Explanation") -> None:
    for row in found.checks:
        said = " ".join(part for part in (row.code, row.constraint, row.detail) if part)
        typer.echo(f"{row.number:>2}  {row.name:<12} {row.outcome:<8} {said}".rstrip())
    for key, result in found.plan.evaluated:
        typer.echo(f"      {key}: {result}")
    for charge in found.plan.charges:
        typer.echo(f"      would charge {charge.amount} of {charge.limit} to {charge.counter}")
