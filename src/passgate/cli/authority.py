"""`passgate authority`: the issuing side as a service."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail

if TYPE_CHECKING:
    from passgate.authority.keys import Signer
    from passgate.config.model import Address

authority_app = typer.Typer(
    help="Serves an issuer's keys and revocations to gates.",
    epilog="Example: passgate authority serve --issuer issuer --listen 127.0.0.1:8300",
    no_args_is_help=True,
)


@authority_app.command("serve")
def serve(
    issuer: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The issuer's directory, made by 'issuer new'."),
    ],
    listen: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="HOST:PORT, or unix:PATH; port 0 takes a free one."),
    ] = "127.0.0.1:8300",
) -> None:
    """Serves jwks.json, revocations.jwt, and what is revoked as it happens.

    What 'passgate revoke' adds to the list is pushed at once to every gate that follows
    /revocations/events (issuers[].revocations_push). Ends on SIGTERM or SIGINT. Put TLS before it
    for gates on other machines.

    \b
    Example:
      passgate authority serve --issuer issuer --listen 127.0.0.1:8300
    """
    import asyncio

    from passgate.authority.keys import load_issuer
    from passgate.config.places import parse_listen_address
    from passgate.errors import PassgateError
    from passgate.journal import configure_journal

    configure_journal(sys.stderr)
    try:
        address = parse_listen_address(listen, Path.cwd())
    except ValueError as error:
        fail(f"--listen {error}", WRONG_USE)
    try:
        signer = load_issuer(issuer)
        asyncio.run(_serve(issuer, signer, address))
    except PassgateError as error:
        fail(error)
    except OSError as error:
        fail(f"{listen} cannot be had: {error.strerror or error}; choose another --listen")


async def _serve(directory: Path, signer: "Signer", address: "Address") -> None:
    import asyncio
    import signal

    from aiohttp import web

    from passgate.authority.serving import Authority

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    authority = Authority(directory, signer)
    await authority.start()
    runner = web.AppRunner(authority.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site: web.BaseSite
        if address.path is not None:
            site = web.UnixSite(runner, address.path)
        else:
            site = web.TCPSite(runner, address.host, address.port)
        await site.start()
        shown = f"unix:{address.path}"
        if address.path is None:
            host, port = runner.addresses[0][:2]
            shown = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        typer.echo(f"Serving issuer {signer.issuer} at {shown}")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()
