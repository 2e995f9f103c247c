"""`passgate issue`: mints a passport with an issuer's key."""

import time
from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.constraint_options import read_constraints
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
    pin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GATE=VERSION@HASH",
            help="A version of a gate's catalog whose terms it keeps; 'catalog show' prints it.",
        ),
    ] = None,
    ttl: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it lives, such as 15m, 12h or 30d.")
    ] = "30d",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A name for people, in the claim `agent_name`."),
    ] = None,
    holder_key: Annotated[
        str | None,
        typer.Option(
            "--holder-key",
            metavar="FILE|new:FILE",
            help="Bind it to the key in FILE; new: makes that key.",
        ),
    ] = None,
    may_delegate: Annotated[
        bool, typer.Option("--may-delegate", help="Let its holder hand on parts of it.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse constraints that this version does not know.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print token, id and claims as JSON.")
    ] = False,
) -> None:
    """Mints a passport and prints it.

    Repeat --permission, --constraint, --aud and --pin for more than one.

    \b
    Example:
      passgate issue --issuer issuer --agent agent_7 --permission 'api:*' \\
        --constraint core:rate:max_per_minute=60 --ttl 7d
    """
    import json

    from passgate.authority.keys import load_issuer
    from passgate.authority.minting import mint_passport
    from passgate.cli.holder_keys import holder_at
    from passgate.core.constraints import parse_constraints
    from passgate.core.constraints.values import duration_s
    from passgate.errors import PassgateError

    try:
        ttl_s = duration_s(ttl)
    except ValueError as error:
        fail(f"--ttl {error}", WRONG_USE)
    constraints = read_constraints(constraint or [])
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
            holder=None if holder_key is None else holder_at(holder_key).jwk,
            may_delegate=may_delegate,
            pins=_pins(pin or []),
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


def _pins(options: list[str]) -> dict[str, tuple[int, str]]:
    pins: dict[str, tuple[int, str]] = {}
    for option in options:
        gate, equals, rest = option.partition("=")
        version, at, content_hash = rest.partition("@")
        if not (
            gate and equals and at and content_hash and version.isascii() and version.isdigit()
        ):
            fail(f"--pin is GATE=VERSION@HASH, unlike {option!r}", WRONG_USE)
        if gate in pins:
            fail(f"--pin {gate} is given twice; a passport keeps one version", WRONG_USE)
        pins[gate] = int(version[:18]), content_hash
    return pins
