"""`passgate health`: asks a gate's admin listener; for health checks in images without curl."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail

if TYPE_CHECKING:
    from http.client import HTTPConnection

_MAX_BYTES = 64 * 1024


def health(
    url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="What to ask: /readyz or /livez of the admin listener; also unix:PATH:/readyz.",
        ),
    ] = "http://127.0.0.1:9901/readyz",
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="How long to wait for the connection and for each part.",
        ),
    ] = 2.0,
) -> None:
    """Asks a running gate whether it is ready.

    Prints what the gate says. Exits 0 if that is a 200, which /readyz answers when the gate is
    ready, else 1. No redirect is followed, and no proxy of the environment is used.

    \b
    Example:
      passgate health
      passgate health --url http://127.0.0.1:9901/livez
      passgate health --url unix:/run/passgate/admin.sock
    """
    from http.client import HTTPException

    connection, target, shown = _connection(url, timeout)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        fail(f"no answer from {shown}: {error}")
    except HTTPException as error:
        fail(f"no answer from {shown} that is HTTP: {type(error).__name__}")
    finally:
        connection.close()
    typer.echo("".join(character for character in body if character.isprintable()))
    if answer.status != 200:
        fail(f"{shown} answered {answer.status}")


def _connection(url: str, timeout_s: float) -> "tuple[HTTPConnection, str, str]":
    """A connection to what `url` names, what to ask it, and its name for people."""
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    if url.startswith("unix:"):
        from passgate.cli.unix_http import UnixConnection

        # As elsewhere: the path of the socket, and after a colon the path to ask.
        socket_path, colon, target = url.removeprefix("unix:").rpartition(":/")
        if not colon:
            socket_path, target = target, "readyz"
        if not socket_path:
            fail("--url unix: needs the path of a socket", WRONG_USE)
        return UnixConnection(Path(socket_path), timeout_s), f"/{target}", f"unix:{socket_path}"
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        fail("--url has no such port, or is no URL", WRONG_USE)
    if parts.scheme != "http" or not parts.hostname or parts.username is not None:
        fail("--url must be an http:// address of the admin listener", WRONG_USE)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    return HTTPConnection(parts.hostname, port, timeout=timeout_s), target, parts.netloc
