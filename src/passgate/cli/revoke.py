"""`passgate revoke`: adds to an issuer's signed revocation list."""

import time
from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail, note


def revoke(
    issuer: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The issuer's directory, made by 'issuer new'."),
    ],
    id_: Annotated[
        str | None, typer.Argument(metavar="ID", help="A passport, agent, key or issuer id.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="passport, agent, key or issuer, where the id does not show it."
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for people; gates do not judge it.")
    ] = "",
    resign: Annotated[
        bool, typer.Option("--resign", help="Sign the list anew for 30 days; no ID is needed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Revokes a passport, an agent, a key or the issuer itself.

    Gates that read the list refuse what is on it from their next reading on.

    \b
    Example:
      passgate revoke --issuer issuer pass_01J8ZQ4W9VBM4C5V7T3N2K6XYA \\
        --reason lost
      passgate revoke --issuer issuer agent_7 --kind agent
      passgate revoke --issuer issuer --resign
    """
    import json
    from datetime import UTC, datetime

    from passgate.authority.keys import load_issuer
    from passgate.authority.revoking import Revoked, kind_of
    from passgate.authority.revoking import revoke as add_to_list
    from passgate.errors import PassgateError

    if id_ is None and not resign:
        fail("name what to revoke, or --resign to sign the list anew", WRONG_USE)
    if id_ is None and (kind is not None or reason):
        fail("--kind and --reason need an ID", WRONG_USE)
    try:
        signer = load_issuer(issuer)
        revoked: list[Revoked] = []
        if id_ is not None:
            kind = kind or kind_of(id_, signer)
            if kind is None:
                fail(
                    f"say with --kind whether {id_} is a passport, an agent, a key or an issuer",
                    WRONG_USE,
                )
            revoked.append(Revoked(kind, id_, reason))
        signed = add_to_list(issuer, signer, revoked, time.time())
    except ValueError as error:
        fail(error, WRONG_USE)
    except PassgateError as error:
        fail(error)
    except OSError as error:
        fail(f"the list in {issuer} cannot be written: {error.strerror}")
    if kind == "key" and id_ == signer.kid:
        note("warning: this key signs the list itself; gates take no later list from it")
    expires = datetime.fromtimestamp(signed.expires_at, UTC).isoformat()
    if as_json:
        outcome = {
            "kind": kind,
            "id": id_,
            "added": signed.added,
            "entries": signed.entries,
            "iat": signed.issued_at,
            "exp": signed.expires_at,
        }
        typer.echo(json.dumps(outcome))
        return
    if id_ is not None:
        word = "Revoked" if signed.added else "Already revoked:"
        typer.echo(f"{word} {kind} {id_}.")
    entries = "1 entry" if signed.entries == 1 else f"{signed.entries} entries"
    typer.echo(f"The list has {entries} and is good until {expires}.")
