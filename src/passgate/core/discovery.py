"""OpenID Connect Discovery: where an issuer says that its keys are, believed only as far as this.

A document speaks for the issuer that it was asked of and for no other, and leads to another origin
only where the operator named that one.
"""

from urllib.parse import urlsplit

from passgate.core import strict_json

WELL_KNOWN = "/.well-known/openid-configuration"

MAX_DISCOVERY_BYTES = 64 * 1024
"""The largest discovery document that is read."""

_DEFAULT_PORTS = {"https": 443, "http": 80}


def discovery_url(issuer: str) -> str:
    """Where the discovery document of `issuer`, an http(s) URL, is (OIDC Discovery section 4).

    Raises `ValueError` for what is no issuer: one with a query or a fragment, too.
    """
    if origin_of(issuer) is None or "?" in issuer or "#" in issuer:
        raise ValueError(
            "must be oidc: and the URL of an OpenID issuer, without query and fragment"
        )
    return issuer.removesuffix("/") + WELL_KNOWN


def origin_of(url: str) -> str | None:
    """Scheme, host and port of an http(s) URL, as one text; None for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not host or not url.isascii() or not url.isprintable():
        return None
    return f"{parts.scheme}://{host}:{default if port is None else port}"


def read_discovery(raw: bytes, issuer: str, keys_origin: str | None = None) -> str:
    """The `jwks_uri` of the discovery document `raw`, whose `issuer` is exactly `issuer`.

    It lies at the issuer's own origin, or at `keys_origin`. The other members are about logins and
    are not read. Raises `ValueError` with a sentence that repeats nothing of the document.
    """
    try:
        document = strict_json.loads(raw)
    except ValueError:
        raise ValueError("the discovery document is not unambiguous JSON") from None
    if type(document) is not dict:
        raise ValueError("the discovery document is not a JSON object")
    if document.get("issuer") != issuer:
        raise ValueError("the discovery document is of another issuer than the one asked")
    url = document.get("jwks_uri")
    origin = origin_of(url) if type(url) is str else None
    if type(url) is not str or origin is None:
        raise ValueError("the discovery document has no `jwks_uri` that is a URL")
    allowed = {origin_of(issuer), None if keys_origin is None else origin_of(keys_origin)}
    if origin not in allowed:
        raise ValueError(
            "the discovery document names keys at another origin than the issuer's; if that is"
            " right, name it as keys_origin"
        )
    return url
