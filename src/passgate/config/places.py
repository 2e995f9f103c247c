"""Kinds of value that say where something is: addresses, URLs, files, sources, secrets, headers."""

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from passgate.config.environment import read_secret, unread_secret
from passgate.config.kinds import BAD, At, Kind, ScalarKind, or_null, text
from passgate.config.model import Address, CounterServer, Source, UpstreamUrl
from passgate.config.problems import Problems
from passgate.config.yaml_loader import Broken, Node, Scalar, Sequence, plain_value
from passgate.core.client_address import UNIX
from passgate.core.did_web import document_url
from passgate.core.discovery import discovery_url
from passgate.core.hosts import split_authority
from passgate.core.jwks import parse_jwks

_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_MOST_LEASED: Final = 1_000_000_000
_MAX_SOCKET_PATH: Final = 100  # of the 108 bytes of sun_path, with room for a temporary name


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(url: str) -> SplitResult:
    """The parts of an absolute http or https URL with exactly one reading.

    Raises `ValueError` with a sentence for anything else: user information, fragments, and
    characters that readers of URLs disagree on among them.
    """
    if _PRINTABLE.fullmatch(url) is None or "\\" in url:
        raise ValueError("must be a URL of printable ASCII without spaces and backslashes")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not url.startswith(f"{parts.scheme}://"):
        raise ValueError("must be a URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password")
    if "#" in url:
        raise ValueError("must not hold a fragment")
    if split_authority(parts.netloc) is None:
        raise ValueError("must name a host, and a port from 1 to 65535 if any")
    return parts


def _text_in(value: Any) -> str:
    if not isinstance(value, str) or not value or "\x00" in value:
        raise ValueError("must be a text")
    return value


def _socket_path(value: str, at: At) -> Path:
    path = absolute(value.removeprefix("unix:"), at)
    if len(bytes(path)) > _MAX_SOCKET_PATH:
        raise ValueError(f"must be a socket path of at most {_MAX_SOCKET_PATH} bytes, not {path}")
    return path


def absolute(written: str, at: At) -> Path:
    """The path that `written` means: relative ones start at the configuration's directory."""
    if not written or not written.isprintable():
        raise ValueError("must be a path of printable characters")
    return Path(at.base, written)


def _parse_address(value: Any, at: At) -> Any:
    if not isinstance(value, str):
        return BAD
    if value.startswith("unix:"):
        return Address("", 0, _socket_path(value, at))
    if value.startswith(":"):
        raise ValueError(f"must name a host: write 127.0.0.1{value}, or 0.0.0.0{value} for all")
    # Port 0, a free one, is no port of an authority but a fine one to listen on.
    host, _, digits = value.rpartition(":")
    found = split_authority(host + ":1") if digits == "0" else split_authority(value)
    if found is None or found[1] is None:
        return BAD
    return Address(found[0], 0 if digits == "0" else found[1])


def parse_listen_address(written: str, base: Path) -> Address:
    """What an address on a command line means; a socket's path starts at `base`.

    Raises `ValueError` with how the sentence goes on after its name.
    """
    found = _parse_address(written, At("", Problems(""), base, {}, {}))
    if not isinstance(found, Address):
        raise ValueError(f"must be {AN_ADDRESS.name}, not {written!r}")  # noqa: TRY004 - its value
    return found


def _parse_upstream(value: Any, at: At) -> Any:
    if not isinstance(value, str):
        return BAD
    if value.startswith("unix:"):
        return UpstreamUrl("unix", "", 0, _socket_path(value, at))
    parts = split_url(value)
    if parts.path not in {"", "/"} or "?" in value:
        # What is judged is what is forwarded, byte for byte; a prefix would change the target.
        raise ValueError("must not hold a path or query: requests are forwarded as they are")
    found = split_authority(parts.netloc)
    assert found is not None
    return UpstreamUrl(parts.scheme, found[0], found[1] or (443 if parts.scheme == "https" else 80))


def _parse_upstream_or_null(value: Any, at: At) -> Any:
    return None if value is None else _parse_upstream(value, at)


def _parse_public_url(value: Any, at: At) -> Any:
    del at
    parts = split_url(_text_in(value))
    if "?" in value:
        raise ValueError("must not hold a query")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _parse_url(value: Any, at: At) -> Any:
    del at
    split_url(_text_in(value))
    return value


def _parse_link(value: Any, at: At) -> Any:
    del at
    split_url(_text_in(value))
    if any(character in value for character in '"<>'):
        raise ValueError("must not hold quotes or angle brackets: it is sent in headers")
    return value


def _parse_network(value: Any, at: At) -> Any:
    del at
    if not isinstance(value, str):
        return BAD
    if value == UNIX:
        return UNIX
    try:
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            network = ip_network(value, strict=False)
            raise ValueError(
                f"must be a network: write {network}, or {value.split('/')[0]}"
            ) from None
        return BAD


def _parse_file(value: Any, at: At) -> Any:
    path = absolute(_text_in(value), at)
    if not path.is_file():
        raise ValueError(f"names a file that is not there: {path}")
    return path


def _parse_directory(value: Any, at: At) -> Any:
    path = absolute(_text_in(value), at)
    if path.exists() and not path.is_dir():
        raise ValueError(f"must be a directory, and {path} is none")
    return path


def _parse_secret(value: Any, at: At) -> Any:
    if not isinstance(value, str):
        return BAD
    return read_secret(value, at.base, at.environ) if at.secrets else unread_secret(value)


def _parse_source(value: Any, at: At) -> Any:
    if not isinstance(value, str):
        return BAD
    if value == "bundle":
        return Source("bundle")
    if value.startswith("file:"):
        path = _parse_file(value.removeprefix("file:"), at)
        return Source("file", str(path))
    if ":" not in value:
        raise ValueError(f"must begin with https:// or file: (is file:{value} meant?)")
    split_url(value)
    return Source("url", value)


def _parse_key_source(value: Any, at: At) -> Any:
    if isinstance(value, str) and value.startswith("oidc:"):
        url = value.removeprefix("oidc:")
        split_url(url)
        discovery_url(url)
        return Source("oidc", value)
    if isinstance(value, str) and value.startswith("did:"):
        document_url(value)
        return Source("did", value)
    return _parse_source(value, at)


def _parse_origin(value: Any, at: At) -> Any:
    del at
    parts = split_url(_text_in(value))
    if parts.path not in {"", "/"} or "?" in value:
        raise ValueError("must be an origin: scheme, host and port alone")
    return value.removesuffix("/")


def _parse_counter_server(value: Any, at: At) -> Any:
    if not isinstance(value, str):
        return BAD
    if value.startswith("unix:"):
        return CounterServer(value, False, (), _socket_path(value, at))
    scheme, _, rest = value.partition("://")
    if scheme not in {"redis", "rediss", "redis+sentinel", "rediss+sentinel"}:
        return BAD
    if _PRINTABLE.fullmatch(value) is None or any(character in rest for character in "\\?#"):
        raise ValueError("must be a URL without spaces, backslashes, query and fragment")
    if "@" in rest:
        raise ValueError("must not hold a user or password: they are ledger.user and .password")
    hosts, _, path = rest.partition("/")
    names = path.split("/") if path else []
    watched = scheme.endswith("+sentinel")
    master = names.pop(0) if watched and names else ""
    digits = names.pop(0) if names else "0"
    if names or not (digits.isascii() and digits.isdigit() and int(digits) < 1024):
        raise ValueError("must end in the number of a database, if in anything, such as /0")
    if watched and not master:
        raise ValueError("must name the master that the sentinels watch, as in .../mymaster")
    if "," in hosts and not watched:
        raise ValueError("must name one server: several are for redis+sentinel://")
    addresses = []
    for host in hosts.split(","):
        found = split_authority(host)
        if found is None:
            raise ValueError("must name a host, and a port from 1 to 65535 if any")
        addresses.append((found[0], found[1] or (26379 if watched else 6379)))
    return CounterServer(
        value, scheme.startswith("rediss"), tuple(addresses), None, master, int(digits)
    )


def _parse_lease(value: Any, at: At) -> Any:
    del at
    if value == "auto":
        return None
    if type(value) is not int or not 0 <= value <= _MOST_LEASED:
        return BAD
    return value


class LeaseKind(ScalarKind):
    """A number, or `auto`, which is None."""

    __slots__ = ()

    def show(self, value: Any) -> Any:
        return "auto" if value is None else value


class KeySourceKind(ScalarKind):
    """A source, or a JWK set that stands inline."""

    __slots__ = ()

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, (Scalar, Broken, Sequence)):
            return ScalarKind.read(self, node, at)
        document = plain_value(node)
        try:
            keys = parse_jwks(json.dumps(document).encode())
        except ValueError as error:
            at.problem(node.line, f"is not usable: {error}")
            return BAD
        if not keys:
            at.problem(node.line, "is an empty key set: no passport could ever verify")
            return BAD
        return Source("inline", document=document)

    def show(self, value: Any) -> Any:
        if value is None:
            return None
        return value.document if value.kind == "inline" else str(value)


def _parse_key_file(value: Any, at: At) -> Any:
    if not isinstance(value, str) or not value.startswith("file:"):
        return BAD
    path = _parse_file(value.removeprefix("file:"), at)
    try:
        raw = path.read_bytes()
        # Read here, so that what is wrong with it is told with every other problem.
        parse_jwks(raw)
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"names a file that is not usable: {error}") from None
    return Source("file", str(path), json.loads(raw))


class UpstreamKind(ScalarKind):
    """The URL of the service behind the gate, or null."""

    __slots__ = ()

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, Sequence):
            at.problem(node.line, "must be one URL: several of them are upstream.urls")
            return BAD
        return ScalarKind.read(self, node, at)


_STRING: Final = {"type": "string"}

AN_ADDRESS: Final = ScalarKind(
    "an address such as 127.0.0.1:8080, [::1]:8080 or unix:PATH", _STRING, _parse_address, str
)
_UPSTREAM: Final = "a URL such as http://127.0.0.1:8000, https://api.example or unix:PATH"
AN_UPSTREAM: Final = ScalarKind(_UPSTREAM, _STRING, _parse_upstream, str)
AN_UPSTREAM_OR_NULL: Final = UpstreamKind(
    _UPSTREAM, {"anyOf": [_STRING, {"type": "null"}]}, _parse_upstream_or_null, str
)
_COUNTER_SERVER: Final = ScalarKind(
    "a URL such as redis://127.0.0.1:6379, rediss://cache.example, unix:PATH or "
    "redis+sentinel://one.example,two.example/mymaster",
    _STRING,
    _parse_counter_server,
    str,
)
A_COUNTER_SERVER_OR_NULL: Final = or_null(_COUNTER_SERVER)
A_LEASE: Final = LeaseKind(
    f"auto or a whole number from 0 to {_MOST_LEASED}",
    {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 0, "maximum": _MOST_LEASED}]},
    _parse_lease,
)
A_PUBLIC_URL: Final = ScalarKind("a URL", _STRING, _parse_public_url)
A_URL: Final = ScalarKind("a URL", _STRING, _parse_url)
A_LINK: Final = ScalarKind("a URL", _STRING, _parse_link)
A_NETWORK: Final = ScalarKind(
    "a network such as 10.0.0.0/8 or fd00::/8, an address, or unix", _STRING, _parse_network, str
)
A_FILE: Final = ScalarKind("the path of a file", _STRING, _parse_file, str)
A_DIRECTORY: Final = ScalarKind("the path of a directory", _STRING, _parse_directory, str)
A_SECRET: Final = ScalarKind(
    "env:NAME or file:PATH",
    {"type": "string", "pattern": "^(env|file):.+$"},
    _parse_secret,
    str,
    private=True,
)
A_SOURCE: Final = ScalarKind("https://..., file:PATH or bundle", _STRING, _parse_source, str)
A_KEY_SOURCE: Final[Kind] = KeySourceKind(
    "https://..., file:PATH, bundle, oidc:https://..., did:web:... or a JWK set",
    {"anyOf": [_STRING, {"type": "object", "required": ["keys"]}]},
    _parse_key_source,
    str,
)
AN_ORIGIN: Final = ScalarKind("an origin such as https://host", _STRING, _parse_origin, str)
KEYS_OR_NULL: Final[Kind] = KeySourceKind(
    "file:PATH or a JWK set",
    {"anyOf": [_STRING, {"type": "object", "required": ["keys"]}, {"type": "null"}]},
    lambda value, at: None if value is None else _parse_key_file(value, at),
    str,
)
A_HEADER: Final = text("a header name", r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
A_PREFIX: Final = text(
    "a path such as /.well-known/passgate, without a final slash",
    r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/\.[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+",
    max_bytes=128,
)
