"""`passgate delegate`: hands a part of a passport to another agent."""

import time
from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.constraint_options import read_constraints
from passgate.cli.exits import WRONG_USE, fail, read_token


def delegate(
    key: Annotated[Path, typer.Option(metavar="FILE", help="The key that the parent is bound to.")],
    agent: Annotated[
        str, typer.Option(metavar="NAME", help="The child's name, below its parent's.")
    ],
    permission: Annotated[
        list[str], typer.Option(metavar="ACTION", help="An action that the child may do.")
    ],
    parent: Annotated[
        str | None,
        typer.Argument(
            metavar="PARENT", help="The passport; read from standard input if absent or `-`."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A further limit; VALUE is JSON, else text."),
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long it lives; at most its parent's time."),
    ] = None,
    holder_key: Annotated[
        str | None,
        typer.Option(
            "--holder-key",
            metavar="FILE|new:FILE",
            help="Bind the child to the key in FILE; new: makes it.",
        ),
    ] = None,
    may_delegate: Annotated[
        bool, typer.Option("--may-delegate", help="Let the child hand on parts of it.")
    ] = False,
) -> None:
    """Makes a narrower passport below PARENT and prints it.

    Nobody is asked: the parent's own key signs. The child may do what all above it may do, owes
    every limit of theirs, and ends when the first of them ends or is revoked.

    \b
    Example:
      passgate delegate "$P" --key holder.key --agent helper \\
        --permission api:search
    """
    from passgate.cli.holder_keys import holder_at
    from passgate.client.delegating import delegate as delegate_from
    from passgate.client.holder import Holder
    from passgate.core.constraints.values import duration_s
    from passgate.errors import PassgateError

    try:
        ttl_s = None if ttl is None else duration_s(ttl)
    except ValueError as error:
        fail(f"--ttl {error}", WRONG_USE)
    text = read_token(parent)
    constraints = read_constraints(constraint or [])
    try:
        token = delegate_from(
            text,
            Holder.load(key),
            name=agent,
            permissions=permission,
            now=time.time(),
            ttl_s=ttl_s,
            constraints=constraints,
            child=None if holder_key is None else holder_at(holder_key).jwk,
            may_delegate=may_delegate,
        )
    except (PassgateError, ValueError) as error:
        fail(error)
    typer.echo(token)
