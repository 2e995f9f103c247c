"""`passgate verify`: judges a passport by itself, as a gate would, and prints what it says."""

from pathlib import Path
from typing import Annotated

import typer

from passgate.cli.exits import REFUSED, WRONG_USE, fail, note, read_token


def verify(
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="TOKEN", help="The passport; read from standard input if absent or `-`."
        ),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The issuer's public keys, as 'issuer new' writes them."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A gate.yaml: judge as that gate would.")
    ] = None,
    parents: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN,...", help="The parents of a delegated csp token, root first, by commas."
        ),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(metavar="ACTION", help="Also judge whether it permits this action."),
    ] = None,
) -> None:
    """Verifies a passport and prints its claims.

    With --jwks: shape, signature and times (audience and revocation need a gate's configuration).
    With --config: also issuer, audience and revocation, each source being read once. Exits 1 with
    the reason code if the passport is refused.

    \b
    Example:
      passgate verify --jwks issuer/jwks.json < passport.txt
      passgate verify --config gate.yaml --action api:search < passport.txt
    """
    import json

    from passgate.cli.judging import judge_by_config, judge_by_keys
    from passgate.core.presented import with_parents
    from passgate.core.reasons import Refusal
    from passgate.errors import ConfigError, PassgateError

    text = read_token(token)
    if parents is not None:
        text = with_parents(text, parents)
    try:
        if jwks is not None and config is None:
            judged = judge_by_keys(text, jwks, action)
        elif config is not None and jwks is None:
            judged = judge_by_config(text, config, action)
        else:
            fail("name either --jwks FILE or --config gate.yaml", WRONG_USE)
    except ConfigError as error:
        for problem in error.problems:
            note(problem)
        raise typer.Exit(WRONG_USE) from None
    except PassgateError as error:
        fail(error)
    if isinstance(judged, Refusal):
        fail(f"{judged.code}: {judged.detail or judged.reason.title}", REFUSED)
    if jwks is not None:
        note("audience and revocation were not judged; --config judges them")
    # ASCII escapes, so that a claim cannot move the cursor of the terminal that shows it.
    typer.echo(json.dumps(json.loads(judged.payload), indent=2, ensure_ascii=True))
