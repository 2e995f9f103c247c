"""How commands speak to a gate's admin API: one request each, and a token that goes nowhere else.

No redirect is followed and no proxy of the environment is used. Over plain HTTP the token travels
only to this machine.
"""

import os
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from passgate.cli.exits import WRONG_USE, fail

if TYPE_CHECKING:
    from passgate.config import AdminToken

AdminOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="The admin listener, also unix:PATH; else the configuration's.",
    ),
]
TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="REFERENCE",
        help="Its token, env:NAME or file:PATH; else the configuration's.",
    ),
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The gate's configuration (gate.yaml if not given)."
    ),
]

_TIMEOUT_S: Final = 10.0
_MAX_BYTES: Final = 16 << 20
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Where an admin listener is, and the token to show it. The token is never printed."""

    shown: str
    host: str
    port: int
    secure: bool
    socket_path: Path | None
    token: str = field(repr=False)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the gate answers. Any other answer than a 2xx ends the command with 1."""
        import json
        from http.client import HTTPException

        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            raw = answer.read(_MAX_BYTES + 1)
        except OSError as error:
            fail(f"no answer from {self.shown} ({error}): is the gate running there?")
        except HTTPException as error:
            fail(f"no answer from {self.shown} that is HTTP: {type(error).__name__}")
        finally:
            connection.close()
        try:
            said = json.loads(raw) if len(raw) <= _MAX_BYTES else None
        except ValueError:
            said = None
        if not 200 <= answer.status < 300:
            detail = said.get("detail") if isinstance(said, dict) else None
            fail(f"the gate answered {answer.status}: {detail or answer.reason}")
        if said is None:
            fail(f"{self.shown} is no admin listener of a gate: its answer is no JSON")
        return said

    def _connection(self) -> HTTPConnection:
        from http.client import HTTPSConnection

        from passgate.cli.unix_http import UnixConnection

        if self.socket_path is not None:
            return UnixConnection(self.socket_path, _TIMEOUT_S)
        kind = HTTPSConnection if self.secure else HTTPConnection
        return kind(self.host, self.port, timeout=_TIMEOUT_S)


def admin_api(admin: str | None, token: str | None, config: Path | None) -> AdminApi:
    """The gate that the options name. What `--admin` and `--token` leave open, `config` says.

    Ends the command with 2 where that is not enough, or the token would travel unprotected.
    """
    if admin is not None and token is not None:
        return _at(admin, _secret(token))
    given = config or Path("gate.yaml")
    if config is None and not given.is_file():
        fail("say which gate: --config FILE, or --admin URL and --token env:NAME", WRONG_USE)
    configured = _configured(given, needs_token=token is None)
    if admin is not None:
        return _at(admin, configured.token)
    if token is not None:
        from dataclasses import replace

        return replace(configured, token=_secret(token))
    if not configured.token:
        fail(f"{given} has no admin.token, so its admin API is off", WRONG_USE)
    return configured


def _configured(file: Path, *, needs_token: bool) -> AdminApi:
    """What a configuration says of its admin listener; the token is "" where there is none.

    Of the tokens that can be read here, the one that may do most is taken; ends the command with 2
    where it `needs_token` and all there are cannot be read.
    """
    from passgate.config import load_config
    from passgate.errors import ConfigError

    try:
        admin = load_config(file, os.environ, secrets=False).config.admin
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None
    address = admin.address
    if address.path is None and address.port == 0:
        fail(f"{file}: admin.address takes any free port; say which by --admin URL", WRONG_USE)
    host = _EVERYWHERE.get(address.host, address.host)
    secret = _best(admin.tokens, file.absolute().parent) if needs_token else ""
    return AdminApi(str(address), host, address.port, False, address.path, secret)


def _best(tokens: "tuple[AdminToken, ...]", base: Path) -> str:
    """The secret of the token that may do most; whoever orders need not have those of others."""
    from passgate.config.environment import read_secret

    roles = ("admin", "approver", "viewer")
    problem = ""
    for each in sorted(tokens, key=lambda token: roles.index(token.role)):
        try:
            return read_secret(each.secret.reference, base, os.environ).value
        except ValueError as error:
            problem = problem or str(error)
    if problem:
        fail(f"no admin token {problem}; give another one by --token", WRONG_USE)
    return ""


def _secret(reference: str) -> str:
    from passgate.config.environment import read_secret

    try:
        return read_secret(reference, Path(), os.environ).value
    except ValueError as error:
        fail(f"--token {error}", WRONG_USE)


def _at(url: str, token: str) -> AdminApi:
    """The listener at `url`."""
    from passgate.config.places import is_loopback, split_url

    if not token:
        fail("the configuration has no admin.token; give --token env:NAME", WRONG_USE)
    if url.startswith("unix:"):
        return AdminApi(url, "localhost", 0, False, Path(url.removeprefix("unix:")), token)
    try:
        parts = split_url(url)
    except ValueError as error:
        fail(f"--admin {error}", WRONG_USE)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    if parts.path not in ("", "/") or "?" in url:
        fail("--admin takes no path: write it like http://127.0.0.1:9901", WRONG_USE)
    if not secure and not is_loopback(host):
        fail(
            "--admin over http:// is only for this machine, for the token could be read on the "
            "way; use https:// or a tunnel",
            WRONG_USE,
        )
    return AdminApi(parts.netloc, host, parts.port or (443 if secure else 80), secure, None, token)
