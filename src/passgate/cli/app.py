"""Every command and group; each imports what it needs only when it runs."""

import typer

from passgate.build import COMPILED, VERSION
from passgate.cli.audit import audit_app
from passgate.cli.authority import authority_app
from passgate.cli.catalog import catalog_app
from passgate.cli.catalog_from_openapi import from_openapi
from passgate.cli.config import config_app
from passgate.cli.curl import curl
from passgate.cli.delegate import delegate
from passgate.cli.demo import demo
from passgate.cli.explain import explain
from passgate.cli.health import health
from passgate.cli.holds import holds_app
from passgate.cli.inspect import inspect
from passgate.cli.issue import issue
from passgate.cli.issuer import issuer_app
from passgate.cli.kill import kill, unkill
from passgate.cli.revoke import revoke
from passgate.cli.serve import serve
from passgate.cli.trust import trust_app
from passgate.cli.verify import verify

app = typer.Typer(
    name="passgate",
    help="A gate before an API that judges every request of an AI agent by its passport.",
    epilog="Example: passgate demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: the same in a terminal, a pipe and the documents
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"passgate {VERSION}, {'compiled' if COMPILED else 'not compiled'}")
        raise typer.Exit


@app.callback()
def passgate(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version, and whether the hot path is compiled.",
    ),
) -> None:
    """A gate before an API that judges every request of an AI agent by its passport."""


app.command()(demo)
app.command()(serve)
app.add_typer(config_app, name="config")
catalog_app.command("from-openapi")(from_openapi)
app.add_typer(catalog_app, name="catalog")
app.add_typer(issuer_app, name="issuer")
app.command()(issue)
app.command()(delegate)
app.command()(curl)
app.command()(revoke)
app.add_typer(authority_app, name="authority")
app.command()(inspect)
app.command()(verify)
app.command()(explain)
app.add_typer(trust_app, name="trust")
app.add_typer(audit_app, name="audit")
app.command()(kill)
app.command()(unkill)
app.add_typer(holds_app, name="holds")
app.command()(health)
