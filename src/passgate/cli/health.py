"""`passgate health`: asks a gate's admin listener; for health checks in images without curl."""

from typing import Annotated

import typer

from passgate.cli.exits import fail


def health(
    url: Annotated[
        str, typer.Option(help="What to ask: /readyz or /livez of the admin listener.")
    ] = "http://127.0.0.1:9901/readyz",
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 2.0,
) -> None:
    """Exits 0 if the gate says that it is ready, else 1.

    Example: passgate health --url http://127.0.0.1:9901/livez
    """
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        fail("--url must be an http:// address of the admin listener", 2)
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read(65536).decode("utf-8", "replace")
    except OSError as error:
        fail(f"no answer from {parts.netloc}: {error}")
    finally:
        connection.close()
    typer.echo(body)
    if answer.status != 200:
        raise typer.Exit(1)
