"""`passgate issue`: mints a passport with an issuer's key."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passgate.cli.constraint_options import read_constraints
from passgate.cli.exits import REFUSED, WRONG_USE, fail, note

if TYPE_CHECKING:
    from passgate.authority.minting import Minted

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
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long it lives, such as 15m, 12h or 30d; else 30d, and as csp 15m.",
        ),
    ] = None,
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
    format_name: Annotated[
        str, typer.Option("--format", metavar="jwt|csp", help="The native format, or csp's.")
    ] = "jwt",
    principal: Annotated[
        str | None, typer.Option(metavar="ID", help="csp: the person whom the agent acts for.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="csp: the model that the agent runs.")
    ] = None,
    assurance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL=N", help="csp: how sure the person is, as ial=2, aal=2 or fal=1."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse constraints that this version does not know.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print token, id and claims as JSON.")
    ] = False,
) -> None:
    """Mints a passport and prints it.

    Repeat --permission, --constraint, --aud and --pin for more than one. With --format csp it is a
    token that csp-agent-passport reads: one --aud, and no constraints, pins or holder's key.

    \b
    Example:
      passgate issue --issuer issuer --agent agent_7 --permission 'api:*' \\
        --constraint core:rate:max_per_minute=60 --ttl 7d
      passgate issue --issuer issuer --format csp --agent agent_7 \\
        --principal p-1 --model model-1 --aud gate_a --assurance ial=2 \\
        --permission 'api:*'
    """
    import json

    from passgate.authority.keys import load_issuer
    from passgate.authority.minting import mint_passport
    from passgate.cli.holder_keys import holder_at
    from passgate.core.constraints import parse_constraints
    from passgate.core.constraints.values import duration_s
    from passgate.errors import PassgateError

    if format_name not in ("jwt", "csp"):
        fail("--format is jwt or csp", WRONG_USE)
    native = format_name == "jwt"
    try:
        ttl_s = duration_s(ttl or ("30d" if native else "15m"))
    except ValueError as error:
        fail(f"--ttl {error}", WRONG_USE)
    if native and (principal is not None or model is not None or assurance):
        fail("--principal, --model and --assurance are for --format csp", WRONG_USE)
    if not native and (constraint or pin or name or holder_key or may_delegate):
        fail(
            "a csp token has no constraints, pins, name or holder's key; the gate's configuration"
            " limits it",
            WRONG_USE,
        )
    constraints = read_constraints(constraint or [])
    try:
        unknown = parse_constraints(constraints).unknown
        if unknown and strict:
            fail(f"unknown constraint: {', '.join(unknown)}; nothing was issued", REFUSED)
        if native:
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
        else:
            minted = _csp(issuer, agent, permission, aud, ttl_s, principal, model, assurance)
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


def _csp(
    issuer: Path,
    agent: str,
    scope: list[str],
    aud: list[str] | None,
    ttl_s: float,
    principal: str | None,
    model: str | None,
    assurance: list[str] | None,
) -> "Minted":
    from passgate.authority.csp_minting import mint_csp
    from passgate.authority.keys import load_issuer

    if principal is None or model is None or aud is None or len(aud) != 1:
        fail("a csp token needs --principal, --model and exactly one --aud", WRONG_USE)
    levels: dict[str, int] = {}
    for option in assurance or []:
        level, equals, number = option.partition("=")
        if not equals or number not in ("1", "2", "3") or level in levels:
            fail(f"--assurance is a level and 1, 2 or 3, once each, unlike {option!r}", WRONG_USE)
        levels[level] = int(number)
    return mint_csp(
        load_issuer(issuer),
        person=principal,
        agent=agent,
        model=model,
        audience=aud[0],
        scope=scope,
        now=time.time(),
        ttl_s=int(ttl_s),
        assurance=levels,
    )


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
