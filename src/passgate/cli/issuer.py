"""`passgate issuer`: the key pairs that passports are signed with, and how they change."""

import time
from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail

issuer_app = typer.Typer(
    help="Makes issuers, whose keys sign passports, and changes their keys.",
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


@issuer_app.command("rotate")
def rotate(
    issuer: Annotated[
        Path, typer.Option(metavar="DIR", help="The issuer's directory, made by 'issuer new'.")
    ],
    retire: Annotated[
        str | None,
        typer.Option(
            metavar="KID", help="Make no key; withdraw this old one, and what it signed with it."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Makes a new key that signs; the old one still verifies.

    Both are in jwks.json until the old one is retired; do that when the last passport that it
    signed has expired. revocations.jwt is signed anew. The old private key stays beside the new
    one, as issuer.KID.key, until then.

    \b
    Example:
      passgate issuer rotate --issuer issuer
      passgate issuer rotate --issuer issuer \\
        --retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
    """
    import json

    from passgate.authority import rotating
    from passgate.errors import PassgateError

    now = time.time()
    try:
        if retire is None:
            rotated = rotating.rotate(issuer, now)
        else:
            rotated = rotating.retire(issuer, retire, now)
    except PassgateError as error:
        fail(error)
    except OSError as error:
        fail(f"{issuer} cannot be written: {error.strerror}")
    if as_json:
        outcome = {
            "id": rotated.issuer,
            "kid": rotated.signing,
            "keys": list(rotated.published),
            "retired": retire,
        }
        typer.echo(json.dumps(outcome))
        return
    if retire is not None:
        typer.echo(f"Withdrew key {retire}.")
    typer.echo(f"Issuer {rotated.issuer} signs with key {rotated.signing}.")
    for kid in rotated.published[1:]:
        typer.echo(f"Key {kid} still verifies; end that with --retire {kid}")
