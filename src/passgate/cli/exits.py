"""How commands end and where their words go: results to standard output, all else beside it."""

import sys
from typing import Final, NoReturn

REFUSED: Final = 1
WRONG_USE: Final = 2

MAX_TOKEN_BYTES: Final = 16 << 20


def fail(message: object, code: int = REFUSED) -> NoReturn:
    """Ends the command with `code` and one line on standard error that says what to do."""
    from typer import Exit  # here, since a gate that serves has no other use for it

    note(message)
    raise Exit(code)


def note(message: object) -> None:
    """Says `message` in one line on standard error; a result stays the only thing on output."""
    # A file's name or a claim may hold anything; a terminal gets only what can be printed.
    line = " ".join(str(message).split())
    safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
    print(f"passgate: {safe}", file=sys.stderr)


def read_token(argument: str | None) -> str:
    """The token given as an argument, or where that is absent or `-`, on standard input."""
    if argument is None or argument == "-":
        if argument is None and sys.stdin.isatty():
            fail("give the token as an argument, or pipe it in", WRONG_USE)
        data = sys.stdin.buffer.read(MAX_TOKEN_BYTES + 1)
        if len(data) > MAX_TOKEN_BYTES:
            fail("that is larger than any token", WRONG_USE)
        argument = data.decode("utf-8", "replace")
    token = argument.strip()
    if not token:
        fail("there is no token; give it as an argument, or pipe it in", WRONG_USE)
    return token
