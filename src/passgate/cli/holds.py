"""`passgate holds`: shows what waits for a person, takes that person's word, resends events."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from passgate.cli.admin_api import AdminOption, ConfigOption, TokenOption, admin_api

holds_app = typer.Typer(
    help="Shows requests that wait for a person, and decides about them.",
    epilog="Example: passgate holds list",
    no_args_is_help=True,
)

_Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Hold: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The hold, appr_...")]
_Reason: TypeAlias = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; the agent sees it too.")
]
_ROWS = (
    "id", "state", "agent_id", "issuer", "passport_id", "action", "method", "host", "target",
    "constraint", "detail", "cost_cents", "amount", "vendor", "resource", "domain", "currency",
    "content_type", "body_bytes", "body_sha256", "client", "approver", "reason",
)  # fmt: skip


@holds_app.command("list")
def list_holds(
    state: Annotated[
        str,
        typer.Option(
            metavar="STATE", help="pending, approved, denied, used or lapsed; all for every one."
        ),
    ] = "pending",
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Lists what waits for a person.

    \b
    Example:
      passgate holds list
      passgate holds list --state all --json
    """
    path = "/api/holds" if state == "all" else f"/api/holds?state={_quoted(state)}"
    holds = admin_api(admin, token, config).ask("GET", path)["holds"]
    if as_json:
        typer.echo(json.dumps(holds, indent=2))
        return
    for held in holds:
        typer.echo(_line(held))
    if not holds:
        typer.echo("nothing waits" if state == "pending" else "there is none")


@holds_app.command("show")
def show(
    hold: _Hold,
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Shows one hold, with the beginning of its target and body.

    \b
    Example:
      passgate holds show appr_01KB3QZ8F4M2W7X9Y0ABCDEFGH
    """
    known = admin_api(admin, token, config).ask("GET", f"/api/holds/{_quoted(hold)}")
    if as_json:
        typer.echo(json.dumps(known, indent=2))
        return
    for name in _ROWS:
        if name in known:
            typer.echo(f"{name + ':':<14}{_printable(str(known[name]))}")
    for name in ("requested", "body"):
        part = known.get(name, {})
        content = part.get("text") or part.get("base64")
        if content:
            cut = ", cut" if part["cut"] else ""
            kind = "" if "text" in part else ", base64"
            typer.echo(f"{name}{kind}{cut}:")
            for line in content.split("\n"):
                typer.echo(f"  {_printable(line)}")


@holds_app.command("approve")
def approve(
    hold: _Hold,
    reason: _Reason = "",
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Lets the request pass once, when the agent sends it again.

    The record names whoever holds the token. Exits 1 where somebody or time was faster.

    \b
    Example:
      passgate holds approve appr_01KB3QZ8F4M2W7X9Y0ABCDEFGH --reason "ordered"
    """
    _decide(hold, "approve", reason, admin, token, config, as_json)


@holds_app.command("deny")
def deny(
    hold: _Hold,
    reason: _Reason = "",
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Refuses the request, and its repetition for a while.

    \b
    Example:
      passgate holds deny appr_01KB3QZ8F4M2W7X9Y0ABCDEFGH --reason "too much"
    """
    _decide(hold, "deny", reason, admin, token, config, as_json)


@holds_app.command("letters")
def letters(
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Lists events that the webhook has not taken.

    What waits is sent by itself; what is dead after twelve attempts is not.

    \b
    Example:
      passgate holds letters
    """
    found = admin_api(admin, token, config).ask("GET", "/api/letters")["letters"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for each in found:
        state = "dead" if each["dead"] else "waits"
        parts = [each["id"], state, each["event"], each["hold_id"], f"{each['attempts']} attempts"]
        typer.echo(_printable("  ".join([*parts, each["error"]]).rstrip()))
    if not found:
        typer.echo("every event was taken")


@holds_app.command("resend")
def resend(
    letter: Annotated[
        str, typer.Argument(metavar="ID", help="The dead letter, evt_..., or `all`.")
    ],
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Sends dead events to the webhook again.

    Each has twelve attempts once more. At most a thousand wait at a time.

    \b
    Example:
      passgate holds resend all
    """
    api = admin_api(admin, token, config)
    sent = api.ask("POST", f"/api/letters/{_quoted(letter)}/resend")["resent"]
    typer.echo(json.dumps(sent, indent=2) if as_json else f"{len(sent)} wait to be sent again")


def _decide(
    hold: str,
    word: str,
    reason: str,
    admin: str | None,
    token: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    api = admin_api(admin, token, config)
    body = {"reason": reason} if reason else None
    decided = api.ask("POST", f"/api/holds/{_quoted(hold)}/{word}", body)
    typer.echo(json.dumps(decided, indent=2) if as_json else _line(decided))


def _line(held: dict[str, Any]) -> str:
    """One hold in one line: what a person needs to find the one that was meant."""
    from datetime import UTC, datetime

    until = datetime.fromtimestamp(held["expires_at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [
        held["id"],
        f"{held['state']} until {until}",
        held["agent_id"],
        held["action"],
        f"{held['method']} {held['target']}",
    ]
    if held["cost_cents"]:
        parts.append(f"{held['cost_cents']} cents")
    if "amount" in held:
        parts.append(f"amount {held['amount']}")
    parts += [held[name] for name in ("vendor", "resource") if name in held]
    return _printable("  ".join(parts))


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _printable(text: str) -> str:
    """What a terminal may get: an agent wrote some of this."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
