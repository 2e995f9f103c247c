"""`passgate issuer`: the key pairs that passports are signed with."""

import time
from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail

issuer_app = typer.Typer(
    help="Makes issuers: the key pairs that sign passports.",
    epilog="Example: passgate issuer new --id iss_lab --out issuer",
    no_args_is_help=True,
)


@issuer_app.command("new")
def new(
    id_: Annotated[
        str, typer.Option("--id", metavar="ID", help="The issuer's id, `iss` of its passports.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; it may exist.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Makes an issuer: a private key, and two files for gates.

    issuer.key is the private key: keep it. jwks.json (public keys) and revocations.jwt (the signed
    list) are what gates read. Keys are never overwritten.

    \b
    Example:
      passgate issuer new --id iss_lab --out issuer
    """
    import json

    from passgate.authority.keys import JWKS_FILE, KEY_FILE, REVOCATIONS_FILE, new_issuer
    from passgate.authority.revoking import new_list
    from passgate.errors import PassgateError

    try:
        signer = new_issuer(out, id_)
        new_list(out, signer, time.time())
    except ValueError as error:
        fail(error, WRONG_USE)
    except PassgateError as error:
        fail(error)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}; choose another directory")
    where = out.absolute()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "id": signer.issuer,
                    "kid": signer.kid,
                    "key": str(where / KEY_FILE),
                    "jwks": str(where / JWKS_FILE),
                    "revocations": str(where / REVOCATIONS_FILE),
                }
            )
        )
        return
    typer.echo(f"Made issuer {signer.issuer} in {out}; {out / KEY_FILE} is its private key.")
    typer.echo("In gate.yaml:\n")
    typer.echo("issuers:")
    typer.echo(f"  - id: {json.dumps(signer.issuer)}")
    typer.echo(f"    keys: {json.dumps('file:' + str(where / JWKS_FILE))}")
    typer.echo(f"    revocations: {json.dumps('file:' + str(where / REVOCATIONS_FILE))}")
