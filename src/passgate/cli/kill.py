"""`passgate kill` and `passgate unkill`: stops agents, or everything, at a running gate."""

from typing import Annotated, Any, TypeAlias

import typer

from passgate.cli.admin_api import AdminOption, ConfigOption, TokenOption, admin_api
from passgate.cli.exits import WRONG_USE, fail, note

_Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def kill(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="agent, passport, action, issuer or all; or list, to see them."
        ),
    ],
    id_: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="What to stop; none for all. An action may be shop:*."),
    ] = None,
    issuer: Annotated[
        str,
        typer.Option(
            "--issuer",
            metavar="ID",
            help="Stop this issuer's agent or passport alone; else everyone's of that id.",
        ),
    ] = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; for the record, not for agents.")
    ] = "",
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Stops an agent, an action, everything, until it is lifted.

    In force at once, for open streams too, and after restarts of the gate. Whoever is stopped is
    refused with killed.

    \b
    Example:
      passgate kill agent agent_7 --reason "buys too much"
      passgate kill all
      passgate kill list
    """
    if kind == "list":
        if id_ is not None or issuer or reason:
            fail("list shows every kill and takes nothing but --json", WRONG_USE)
        _print_all(admin_api(admin, token, config).ask("GET", "/api/kill")["kills"], as_json)
        return
    order = {"kind": kind, "id": id_ or "", "issuer": issuer, "reason": reason}
    try:
        _check(order)
    except ValueError as error:
        fail(error, WRONG_USE)
    said = {name: text for name, text in order.items() if text}
    stopped = admin_api(admin, token, config).ask("POST", "/api/kill", said)
    for warning in stopped["warnings"]:
        note(f"warning: {warning}")
    if as_json:
        _print_json(stopped)
    else:
        word = "Stopped" if stopped["new"] else "Already stopped"
        typer.echo(f"{word}: {_line(stopped)}")


def unkill(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="The kill, or what it stops; all is called all.")
    ],
    admin: AdminOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: _Json = False,
) -> None:
    """Lifts a kill, by its id or by what it stops.

    What it stopped is judged again as if the kill had never been.

    \b
    Example:
      passgate unkill kill_01KB3QZ8F4M2W7X9Y0ABCDEFGH
      passgate unkill agent_7
    """
    from urllib.parse import quote

    if not id_:
        fail("name a kill, or what it stops", WRONG_USE)
    path = f"/api/kill/{quote(id_, safe='')}"
    lifted = admin_api(admin, token, config).ask("DELETE", path)
    if as_json:
        _print_json(lifted)
    else:
        typer.echo(f"Lifted: {_line(lifted)}")


def _check(order: dict[str, str]) -> None:
    from passgate.core.kills import check_order

    check_order(order["kind"], order["id"], order["issuer"], order["reason"])


def _print_all(kills: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json({"kills": kills})
        return
    for each in kills:
        typer.echo(_line(each))
    if not kills:
        typer.echo("nothing is stopped")


def _print_json(value: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))


def _line(stopped: dict[str, Any]) -> str:
    """One kill in one line: its id, what it stops, since when, by whom and why."""
    from datetime import UTC, datetime

    since = datetime.fromtimestamp(stopped["at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [stopped["id"], " ".join(filter(None, (stopped["kind"], stopped["target"])))]
    if stopped["issuer"]:
        parts.append(f"of {stopped['issuer']}")
    parts.append(f"since {since} by {stopped['by']}")
    if stopped["reason"]:
        parts.append(f"({stopped['reason']})")
    return "".join(character if character.isprintable() else "?" for character in "  ".join(parts))
