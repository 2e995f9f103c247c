"""`passgate inspect`: shows what a token says, believing none of it."""

from typing import Annotated, Any

import typer

from passgate.cli.exits import fail, note, read_token


def inspect(
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="TOKEN", help="The token; read from standard input if absent or `-`."
        ),
    ] = None,
) -> None:
    """Decodes a passport or a revocation list WITHOUT verifying it.

    Whoever made the token chose every word of it; 'passgate verify' says whether it is true.

    \b
    Example:
      passgate inspect "$P"
      passgate inspect < passport.txt
    """
    import json

    text = read_token(token)
    try:
        if "." in text:
            head, body, _ = text.split(".")
            header, claims = _decoded(head), _decoded(body)
        else:
            header, claims = {}, _decoded(text)["passport_json"]
    except (ValueError, LookupError, TypeError, RecursionError):
        fail("this is no compact JWS nor an envelope, so neither a passport nor a revocation list")
    note("NOT VERIFIED: anyone can write what follows")
    shown = {
        "verified": False,
        "header": header,
        "claims": claims,
        "times": _times(claims),
        "shape": _shape(text, header),
    }
    # ASCII escapes, so that a claim cannot move the cursor of the terminal that shows it.
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=True))


def _decoded(part: str) -> Any:
    import base64
    import json

    padded = part.encode("ascii") + b"=" * (-len(part) % 4)
    return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))


def _times(claims: Any) -> dict[str, str]:
    """The time claims, for people."""
    from datetime import UTC, datetime

    times: dict[str, str] = {}
    for name in ("iat", "nbf", "exp"):
        value = claims.get(name) if isinstance(claims, dict) else None
        if type(value) is int:
            try:
                times[name] = datetime.fromtimestamp(value, UTC).isoformat()
            except (ValueError, OverflowError, OSError):
                times[name] = "beyond the calendar"
    return times


def _shape(text: str, header: Any) -> str:
    """Whether a gate could read it at all, and as what."""
    from passgate.core.formats.csp import is_csp, read_csp
    from passgate.core.formats.envelope import read_envelope
    from passgate.core.formats.jwt import read_jwt
    from passgate.core.jws import REVOCATIONS_TYPES, read

    try:
        if isinstance(header, dict) and header.get("typ") in REVOCATIONS_TYPES:
            read(text.encode(), REVOCATIONS_TYPES)
            return "a revocation list"
        if "." not in text:
            read_envelope(text.encode())
            return "an envelope"
        if is_csp(text.encode()):
            read_csp(text.encode())
            return "a csp passport"
        read_jwt(text.encode())
    except ValueError as error:
        return f"refused: {error}"
    return "a passport"
