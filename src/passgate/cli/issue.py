"""`passgate issue`: mints a passport with an issuer's key."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from passgate.cli.exits import REFUSED, WRONG_USE, fail, note

_LONG_S = 90 * 86_400


def issue(
    issuer: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The issuer's directory, made by 'issuer new'."),
    ],
    agent: Annotated[
        str, typer.Option(metavar="ID", help="The agent's id, `sub` of the passport.")
    ],
    permission: Annotated[
        list[str],
        typer.Option(
            metavar="ACTION", help="An action that it permits, such as api:search, api:* or *."
        ),
    ],
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A limit on all of it; VALUE is JSON, else text."),
    ] = None,
    aud: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AUDIENCE", help="A gate id or audience that it is for; else any gate."
        ),
    ] = None,
    ttl: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it lives, such as 15m, 12h or 30d.")
    ] = "30d",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A name for people, in the claim `agent_name`."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse constraints that this version does not know.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print token, id and claims as JSON.")
    ] = False,
) -> None:
    """Mints a passport and prints it.

    Repeat --permission, --constraint and --aud for more than one.

    \b
    Example:
      passgate issue --issuer issuer --agent agent_7 --permission 'api:*' \\
        --constraint core:rate:max_per_minute=60 --ttl 7d
    """
    import json

    from passgate.authority.keys import load_issuer
    from passgate.authority.minting import mint_passport
    from passgate.core.constraints import parse_constraints
    from passgate.core.constraints.values import duration_s
    from passgate.errors import PassgateError

    try:
        ttl_s = duration_s(ttl)
    except ValueError as error:
        fail(f"--ttl {error}", WRONG_USE)
    constraints = _constraints(constraint or [])
    try:
        unknown = parse_constraints(constraints).unknown
        if unknown and strict:
            fail(f"unknown constraint: {', '.join(unknown)}; nothing was issued", REFUSED)
        minted = mint_passport(
            load_issuer(issuer),
            agent=agent,
            permissions=permission,
            now=time.time(),
            ttl_s=ttl_s,
            constraints=constraints,
            audience=aud or [],
            agent_name=name,
        )
    except (PassgateError, ValueError) as error:
        fail(error)
    for key in minted.unknown:
        note(f"warning: this version does not know {key}; gates of it refuse this passport")
    if ttl_s > _LONG_S:
        note("warning: gates refuse what lives longer than their passport.max_lifetime (90d)")
    if as_json:
        typer.echo(json.dumps({"passport": minted.token, "id": minted.id, "claims": minted.claims}))
    else:
        typer.echo(minted.token)


def _constraints(options: list[str]) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key:
            fail(f"--constraint is KEY=VALUE, unlike {option!r}", WRONG_USE)
        if key in constraints:
            fail(f"--constraint {key} is given twice; a list is written as JSON", WRONG_USE)
        constraints[key] = _value(key, text)
    return constraints


def _value(key: str, text: str) -> Any:
    """The JSON that `text` is, else `text` itself."""
    import json

    from passgate.core import strict_json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    try:
        strict_json.loads(text.encode())
    except ValueError as error:
        fail(f"the value of --constraint {key} has no one reading: {error}", WRONG_USE)
    return value
