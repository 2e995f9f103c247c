"""`passgate curl`: one request with a passport, and with the proof that goes with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passgate.cli.exits import REFUSED, WRONG_USE, fail

if TYPE_CHECKING:
    import aiohttp

    from passgate.client.auth import PassportAuth


def curl(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to ask for.")],
    passport: Annotated[
        str,
        typer.Option(
            "--passport",
            "-p",
            envvar="PASSGATE_PASSPORT",
            metavar="TOKEN|@FILE",
            help="The passport, or @ and a file that holds it.",
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", "-k", metavar="FILE", help="The key that the passport is bound to."),
    ] = None,
    proof: Annotated[
        str, typer.Option(metavar="dpop|signature", help="How to prove that the key is there.")
    ] = "dpop",
    method: Annotated[
        str | None, typer.Option("--request", "-X", metavar="METHOD", help="GET; POST with data.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="LINE", help="A header more.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="TEXT|@FILE", help="A body, or @ and its file."),
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print status and headers, too.")
    ] = False,
) -> None:
    """Sends one request with a passport, and prints the answer.

    With a key it makes the proof that a bound passport needs, and sends again where the gate asks
    for a nonce. Follows no redirect. Exits 1 for an answer of 400 and above.

    \b
    Example:
      passgate curl -p "$P" -k holder.key http://127.0.0.1:8080/
    """
    import asyncio

    from passgate.client.auth import PassportAuth
    from passgate.client.holder import Holder
    from passgate.errors import PassgateError

    headers: list[tuple[str, str]] = []
    for line in header or []:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            fail(f"--header is NAME: VALUE, unlike {line!r}", WRONG_USE)
        headers.append((name.strip(), value.strip()))
    try:
        auth = PassportAuth(_text(passport), None if key is None else Holder.load(key), proof=proof)
        body = None if data is None else _octets(data)
    except (PassgateError, ValueError, OSError) as error:
        fail(error)
    verb = method or ("GET" if body is None else "POST")
    status = asyncio.run(_send(auth, verb, url, headers, body, include))
    if status >= 400:
        raise typer.Exit(REFUSED)


async def _send(
    auth: "PassportAuth",
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    body: bytes | None,
    include: bool,
) -> int:
    import sys

    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(middlewares=[auth.for_aiohttp()], auto_decompress=False) as agent,
            agent.request(method, url, headers=headers, data=body, allow_redirects=False) as answer,
        ):
            if include:
                typer.echo(_head(answer), nl=False)
            async for piece in answer.content.iter_any():
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            return answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fail(f"{url} did not answer: {error or type(error).__name__}")


def _head(answer: "aiohttp.ClientResponse") -> str:
    """Status line and headers, with nothing that moves a terminal's cursor."""
    lines = [f"HTTP/1.1 {answer.status} {answer.reason or ''}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "".join(
        "".join(c if c.isprintable() else "?" for c in line) + "\n" for line in [*lines, ""]
    )


def _text(option: str) -> str:
    return Path(option[1:]).read_text() if option.startswith("@") else option


def _octets(option: str) -> bytes:
    return Path(option[1:]).read_bytes() if option.startswith("@") else option.encode()
